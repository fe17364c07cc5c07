"""How much of a subject each way to crop keeps, on pictures made so that the answer is known.

A composite is a subject with a known outline, pasted at a random place over a background: 60 over photographs and
textures, 60 over a flat colour, 60 over a flat colour with a block of text beside it. Subjects are cut out of
scikit-image's photographs and of drawn pictures, 50 to 90 % of the canvas's height high, and never wider than the
crop. The value of a crop is the share of the subject's outline inside it.

    python tests/bench/composites.py [--count N] [--seed N] [--upright] [--sheet FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from capprep.images.crop import choose
from capprep.toybox.drawing import COLOURS, Thing, paint
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import KINDS
from capprep.toybox.styles import STYLES

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

GROUNDS = ("busy", "flat", "text")
SHORT = 512
WAYS = ("auto", "center")

OUTLINES = {
    "astronaut": (
        "23,511 27,355 30,302 68,249 128,211 136,181 174,166 159,128 159,76 169,38 211,15 264,23 297,60 "
        "302,94 287,136 272,174 302,226 302,257 340,279 359,325 359,350 400,344 468,362 491,408 498,453 "
        "491,511"
    ),
    "chelsea": "40,0 35,53 44,106 66,151 89,204 106,248 89,299 292,299 319,266 354,213 377,168 381,115 390,53 403,0",
    "camera": (
        "0,511 0,196 45,151 121,121 166,128 169,91 204,60 249,63 269,98 260,136 340,136 340,181 302,196 "
        "302,310 355,393 408,511 226,511 279,340 272,257 204,310 143,400 148,511"
    ),
    "motorcycle_left": (
        "96,192 133,162 192,155 295,192 384,170 406,133 443,125 487,74 516,103 561,125 583,162 553,207 "
        "561,266 642,310 671,354 679,406 649,450 590,443 531,384 502,339 472,384 339,398 332,428 317,384 "
        "236,391 177,406 125,347 125,288 148,243 103,229"
    ),
    "rocket": "320,124 332,139 336,202 336,404 312,404 310,202 311,141",
    "coffee": (
        "477,232 470,271 450,307 418,338 377,362 329,377 277,382 225,377 177,362 136,338 104,307 84,271 "
        "77,232 84,193 104,157 136,126 177,102 225,87 277,82 329,87 377,102 418,126 450,157 470,193 / 418,106 "
        "414,129 402,150 382,168 357,182 328,191 296,194 264,191 235,182 210,168 190,150 178,129 174,106 "
        "178,83 190,62 210,44 235,30 264,21 296,18 328,21 357,30 382,44 402,62 414,83"
    ),
}
"""The outline of what each photograph shows: polygons with a slash between them, x,y of the corners in its pixels."""

TEXTURES = ("brick", "grass", "gravel")
SCENES = (
    ("hubble_deep_field", (0, 0, 1000, 872)),
    ("immunohistochemistry", (0, 0, 512, 512)),
    ("coins", (0, 0, 384, 303)),
    ("moon", (0, 0, 512, 512)),
    ("retina", (300, 300, 1100, 1100)),
    ("rocket", (0, 0, 280, 427)),
    ("rocket", (360, 0, 640, 427)),
    ("motorcycle_right", (0, 0, 280, 180)),
    ("motorcycle_right", (590, 0, 741, 300)),
    ("camera", (350, 130, 512, 400)),
)
"""Photographs and the part of each, left, top, right and bottom in pixels, that shows no subject of its own.

A second motorcycle behind the motorcycle would make two right answers.
"""

WORDS = "the quick brown fox jumps over a lazy dog and runs away from it as fast as any fox can".split()


@dataclass(frozen=True)
class Composite:
    """A subject over a background.

    Attributes:
        pixels_HWC: RGB.
        mask_HW: The subject's share of each pixel, 0 to 1.
        ground: One of `GROUNDS`.
    """

    pixels_HWC: Pixels
    mask_HW: NDArray[np.float32]
    ground: str

    def kept(self, box: Box) -> float:
        """The share of the subject inside a box, given in pixels."""
        left, top, right, bottom = (round(edge) for edge in box)
        return float(self.mask_HW[top:bottom, left:right].sum(dtype=np.float64) / self.mask_HW.sum(dtype=np.float64))


def composites(count: int = 180, seed: int = 0, upright: bool = False) -> Iterator[Composite]:
    """Composites, a third on each ground, the same ones for the same seed.

    Args:
        count: How many.
        seed: Of everything that is left to chance.
        upright: Canvases higher than wide.
    """
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        ground = GROUNDS[number % len(GROUNDS)]
        height, width = SHORT, int(rng.integers(768, 1281))
        if upright:
            height, width = width, height
        rgba_HWC = _subject(rng, 0.95 * SHORT, rng.uniform(0.5, 0.9) * SHORT)
        high, wide = rgba_HWC.shape[:2]
        left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
        canvas_HWC = _busy(rng, width, height) if ground == "busy" else _flat(rng, width, height)
        if ground == "text":
            _write(rng, canvas_HWC, (left, left + wide))
        part = np.s_[top : top + high, left : left + wide]
        alpha_HW1 = rgba_HWC[..., 3:].astype(np.float32) / 255
        blended_HWC = alpha_HW1 * rgba_HWC[..., :3] + (1 - alpha_HW1) * canvas_HWC[part]
        canvas_HWC[part] = np.round(blended_HWC).astype(np.uint8)
        mask_HW = np.zeros((height, width), np.float32)
        mask_HW[part] = alpha_HW1[..., 0]
        yield Composite(canvas_HWC, mask_HW, ground)


def _subject(rng: np.random.Generator, widest: float, height: float) -> Pixels:
    """A cut-out with alpha, mirrored or not, `height` pixels high or as high as its width allows."""
    rgba_HWC = _photographed(str(rng.choice(tuple(OUTLINES)))) if rng.random() < 0.5 else _drawn(rng)
    if rng.random() < 0.5:
        rgba_HWC = rgba_HWC[:, ::-1]
    scale = min(height / rgba_HWC.shape[0], widest / rgba_HWC.shape[1])
    size = round(rgba_HWC.shape[1] * scale), round(rgba_HWC.shape[0] * scale)
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgba_HWC)).resize(size, Image.Resampling.LANCZOS))


@lru_cache(maxsize=16)
def _photograph(name: str) -> Pixels:
    """One of scikit-image's pictures that come with it, RGB."""
    if name.startswith("motorcycle"):
        name, other = "stereo_motorcycle", name.endswith("right")
        return np.asarray(skimage.data.stereo_motorcycle()[int(other)])
    x = getattr(skimage.data, name)()
    return np.repeat(x[..., None], 3, axis=2) if x.ndim == 2 else x[..., :3]


@lru_cache(maxsize=16)
def _photographed(name: str) -> Pixels:
    """What a photograph shows, cut out along its outline."""
    x_HWC = _photograph(name)
    mask_HW = np.zeros(x_HWC.shape[:2], np.uint8)
    for polygon in OUTLINES[name].split("/"):
        corners_N2 = np.array([corner.split(",") for corner in polygon.split()], np.int32)
        cv2.fillPoly(mask_HW, [corners_N2], (255,), cv2.LINE_AA)
    return _cut(np.dstack([x_HWC, mask_HW]))


def _drawn(rng: np.random.Generator) -> Pixels:
    """A thing of the drawn world in any colour, light and style, cut out along the polygons it is made of."""
    side, kind = 512, str(rng.choice(tuple(KINDS)))
    thing = Thing(kind, str(rng.choice(tuple(COLOURS))), 0.5, 0.5, 0.9)
    scenery, light = str(rng.choice(tuple(BACKGROUNDS))), str(rng.choice(tuple(LIGHTS)))
    picture = paint([thing], scenery, light, int(rng.integers(2**31)), (side, side), str(rng.choice(STYLES)))
    mask = Image.new("L", (2 * side, 2 * side))
    for part in KINDS[kind]():
        points = [((0.5 + 0.45 * x) * 2 * side, (0.5 + 0.45 * y) * 2 * side) for x, y in part.points]
        ImageDraw.Draw(mask).polygon(points, fill=255)
    return _cut(np.dstack([np.asarray(picture), np.asarray(mask.reduce(2))]))


def _cut(rgba_HWC: Pixels) -> Pixels:
    """Without the rows and columns at its edges that show nothing."""
    rows, columns = (np.flatnonzero(rgba_HWC[..., 3].any(axis=axis)) for axis in (1, 0))
    return rgba_HWC[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _busy(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """A part of a photograph or texture, laid mirror to mirror where it is too small."""
    if rng.random() < 0.5:
        # they are grey: without a tint of their own, colour alone would give the subject away
        tint_C = rng.uniform(0.5, 1, 3)
        x_HWC = np.round(_photograph(str(rng.choice(TEXTURES))) * tint_C).astype(np.uint8)
    else:
        name, (left, top, right, bottom) = SCENES[rng.integers(len(SCENES))]
        x_HWC = _photograph(name)[top:bottom, left:right]
    scale = SHORT / min(x_HWC.shape[:2]) * rng.uniform(0.8, 1.4)
    x_HWC = cv2.resize(x_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    x_HWC = np.asarray(x_HWC, np.uint8)
    high, wide = x_HWC.shape[:2]
    x_HWC = np.pad(x_HWC, ((0, max(0, height - high)), (0, max(0, width - wide)), (0, 0)), mode="symmetric")
    high, wide = x_HWC.shape[:2]
    top, left = int(rng.integers(0, high - height + 1)), int(rng.integers(0, wide - width + 1))
    return x_HWC[top : top + height, left : left + width].copy()


def _flat(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """One colour."""
    return np.full((height, width, 3), rng.integers(0, 256, 3, dtype=np.uint8), np.uint8)


def _write(rng: np.random.Generator, canvas_HWC: Pixels, taken: tuple[int, int]) -> None:
    """A few lines of text on the wider side of the subject, as far as there is room, in a colour that shows."""
    height, width = canvas_HWC.shape[:2]
    size, lines = int(rng.integers(16, 33)), int(rng.integers(2, 6))
    font = ImageFont.load_default(size)
    text = "\n".join(" ".join(rng.choice(WORDS, 4)) for _ in range(lines))
    picture = Image.fromarray(canvas_HWC)
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    room = (0, taken[0]) if taken[0] > width - taken[1] else (taken[1], width)
    x = rng.uniform(room[0], max(room[0] + 1, room[1] - (right - left)))
    y = rng.uniform(0, max(1, height - (bottom - top)))
    ink = (0, 0, 0) if canvas_HWC[0, 0].mean() > 127 else (255, 255, 255)
    pen.multiline_text((min(x, width - (right - left)) - left, y - top), text, ink, font)
    canvas_HWC[:] = np.asarray(picture)


def measure(pictures: Iterable[Composite], ways: tuple[str, ...] = WAYS) -> dict[str, float]:
    """The mean share kept by each way on each ground, the share of pictures that keep 95 %, milliseconds a picture.

    Returns:
        Numbers by `WAY_GROUND_kept`, `WAY_GROUND_whole` and `WAY_ms`.
    """
    kept: dict[tuple[str, str], list[float]] = {(way, ground): [] for way in ways for ground in GROUNDS}
    spent = dict.fromkeys(ways, 0.0)
    for picture in pictures:
        for way in ways:
            started = time.perf_counter()
            box = choose(picture.pixels_HWC, way).box
            spent[way] += time.perf_counter() - started
            kept[way, picture.ground].append(picture.kept(box))
    result: dict[str, float] = {}
    for (way, ground), shares in kept.items():
        if shares:
            result[f"{way}_{ground}_kept"] = float(np.mean(shares))
            result[f"{way}_{ground}_whole"] = float(np.mean(np.array(shares) >= 0.95))
    count = sum(len(kept[ways[0], ground]) for ground in GROUNDS)
    return result | {f"{way}_ms": 1000 * spent[way] / max(1, count) for way in ways}


def main() -> None:
    """Measure, print a table, and with --json a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=180, help="composites (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--upright", action="store_true", help="canvases higher than wide")
    parser.add_argument("--sheet", type=Path, help="write the first composites with their crops as one picture")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.sheet:
        _sheet(composites(min(options.count, 60), options.seed, options.upright)).save(options.sheet)
    result = measure(composites(options.count, options.seed, options.upright))
    table = Table("crop", "ms", *(f"{ground}: kept / whole" for ground in GROUNDS))
    for way in WAYS:
        cells = (f"{result[f'{way}_{ground}_kept']:.3f} / {result[f'{way}_{ground}_whole']:.2f}" for ground in GROUNDS)
        table.add_row(way, f"{result[f'{way}_ms']:.2f}", *cells)
    Console().print(table)
    if options.json:
        print(json.dumps({"count": options.count, "seed": options.seed, **result}))


def _sheet(pictures: Iterable[Composite]) -> Image.Image:
    """Composites side by side at a quarter of their size, the crop of `auto` framed, red where it loses over 5 %."""
    tiles = []
    for picture in pictures:
        tile_HWC, box = picture.pixels_HWC.copy(), choose(picture.pixels_HWC, "auto").box
        colour = (0, 255, 0) if picture.kept(box) >= 0.95 else (255, 0, 0)
        left, top, right, bottom = (round(edge) for edge in box)
        cv2.rectangle(tile_HWC, (left + 4, top + 4), (right - 5, bottom - 5), colour, 8)
        tiles.append(Image.fromarray(tile_HWC).reduce(4))
    wide, high = (max(tile.size[axis] for tile in tiles) + 4 for axis in (0, 1))
    columns = 6 if wide > high else 12
    sheet = Image.new("RGB", (columns * wide, -(-len(tiles) // columns) * high))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * wide, number // columns * high))
    return sheet


if __name__ == "__main__":
    main()
