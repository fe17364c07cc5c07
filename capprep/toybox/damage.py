"""What cameras, messengers and careless hands do to a picture, on demand and the same for the same seed.

Every strength is a share of the picture's short side, so the damage done at 128 pixels looks like the one done
at 512 pixels and scaled down.
"""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from capprep.errors import ConfigError
from capprep.toybox.world import DAMAGE_TAGS, Box

__all__ = ["DAMAGES", "DAMAGE_TAGS", "Box", "Damage", "damaged"]

RGB = tuple[int, int, int]

Damage = Callable[[Image.Image, random.Random, Sequence[Box]], tuple[Image.Image, list[Box]]]
"""From a picture, where chance comes from, and boxes, to the damaged picture and where the boxes lie in it."""


def damaged(image: Image.Image, name: str, seed: int, boxes: Sequence[Box] = ()) -> tuple[Image.Image, list[Box]]:
    """A picture with one damage done to it, of the same size, and where the boxes lie afterwards.

    A person still tells what it shows. Where boxes are given, a crop cuts into a thing and leaves most of every
    one in the central square, if that is possible; without boxes it cannot know where the things are.

    Args:
        image: RGB; left as it is.
        name: A key of `DAMAGES`.
        seed: Decides strength and details.
        boxes: Of the things in the picture, in pixels.

    Returns:
        A new RGB picture and as many boxes in the same order, clipped to the picture; one without width or
        height lies outside.

    Raises:
        ConfigError: There is no such damage.
    """
    if name not in DAMAGES:
        raise ConfigError(f"damage = {name!r} is not possible", f"choose one of: {', '.join(DAMAGES)}")
    # the seed may be a scene's own: from the same numbers, strength would go with what is to be seen
    rng = random.Random((seed << 8) + 1 + list(DAMAGES).index(name))
    picture, moved = DAMAGES[name](image, rng, boxes)
    return picture, [_clipped(box, (0, 0, *image.size)) for box in moved]


def _in_place(change: Callable[[Image.Image, random.Random], Image.Image]) -> Damage:
    """A damage that leaves everything where it is."""
    return lambda image, rng, boxes: (change(image, rng), list(boxes))


def _blurred(image: Image.Image, rng: random.Random) -> Image.Image:
    """Out of focus, or shaken along one direction."""
    radius = rng.uniform(0.008, 0.015) * min(image.size)
    wide, high = rng.choice(((1.0, 1.0), (1.0, 1.0), (1.5, 0.4), (0.4, 1.5)))
    return image.filter(ImageFilter.GaussianBlur((wide * radius, high * radius)))


def _compressed(image: Image.Image, rng: random.Random) -> Image.Image:
    """Saved as a small JPEG of low quality, then enlarged again."""
    quality, subsampling = rng.randint(9, 16), rng.choice((0, 2, 2))
    small = image.resize(_with_short_side(image.size, rng.randint(128, 168)), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as stored:
        return stored.resize(image.size, Image.Resampling.BICUBIC)


def _darkened(image: Image.Image, rng: random.Random) -> Image.Image:
    """Taken with too little light; a picture that is dark already loses less."""
    mean = max(1.0, ImageStat.Stat(image.convert("L")).mean[0])
    gain = min(0.62, rng.uniform(52, 78) / mean)
    return image.point([round(gain * level) for level in range(256)] * 3)


def _noisy(image: Image.Image, rng: random.Random) -> Image.Image:
    """Grain as of a small sensor: 128 cells over the short side, in grey and in each colour."""
    width, height = _with_short_side(image.size, 128)
    random_state, grey, coloured = np.random.RandomState(rng.randrange(2**31)), rng.randint(20, 45), rng.randint(15, 50)
    # the sum of two even distributions is near enough to the normal one
    x_2HW4 = random_state.randint(0, 256, (2, height, width, 4), dtype=np.uint8)
    x_HW4 = x_2HW4.sum(axis=0, dtype=np.int32) - 255
    x_HW3 = (x_HW4[..., :1] * grey + x_HW4[..., 1:] * coloured) // 255 + 128
    grain = Image.fromarray(x_HW3.clip(0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.add(image, grain, 1, -128)


def _cropped(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> tuple[Image.Image, list[Box]]:
    """A part of the picture, in the same aspect and enlarged."""
    width, height = image.size
    left, top, share = _window(image.size, rng, boxes)
    part = (left, top, min(left + share * width, width), min(top + share * height, height))
    picture = image.resize(image.size, Image.Resampling.BICUBIC, box=part)
    return picture, [_moved(box, 1 / share, -left / share, -top / share) for box in boxes]


def _window(size: tuple[int, int], rng: random.Random, boxes: Sequence[Box]) -> tuple[float, float, float]:
    """What a crop leaves: left, top and share of width and height; the best of a few for what the things lose."""
    width, height = size
    best, best_worth = (0.0, 0.0, 1.0), -1.0
    for _ in range(_WINDOWS_TRIED if boxes else 1):
        share = rng.uniform(0.68, 0.88)
        left, top = rng.uniform(0, 1 - share) * width, rng.uniform(0, 1 - share) * height
        part = (left, top, left + share * width, top + share * height)
        least = _least_seen(boxes, _central_square(part))
        cut = _least_seen(boxes, part) <= _MOST_SEEN
        worth = 1.0 if cut and least >= _LEAST_SEEN else min(least, _LEAST_SEEN) / 2
        if worth > best_worth:
            best, best_worth = (left, top, share), worth
        if worth == 1.0:
            break
    return best


def _least_seen(boxes: Sequence[Box], part: Box) -> float:
    """The share inside a part of the picture of the box of which least is inside."""
    return min((_area(_clipped(box, part)) / max(_area(box), 1e-9) for box in boxes), default=1.0)


def _bordered(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> tuple[Image.Image, list[Box]]:
    """A frame all round, the same share of width and height; some are higher below.

    The line inside it parts it from a picture of the same colour.
    """
    share, colour = 1 - 2 * rng.uniform(0.035, 0.075), rng.choice(tuple(_FRAMES))
    above, line = rng.choice((0.5, 0.5, 0.25)), rng.uniform(0.006, 0.014)
    width, height = image.size
    left, top = (1 - share) / 2 * width, (1 - share) * above * height
    inner = (round(left), round(top), round(left + share * width), round(top + share * height))
    picture = Image.new("RGB", image.size, colour)
    wide = max(1, round(line * min(image.size)))
    around = (inner[0] - wide, inner[1] - wide, inner[2] + wide - 1, inner[3] + wide - 1)
    ImageDraw.Draw(picture).rectangle(around, fill=_FRAMES[colour])
    picture.paste(image.resize((inner[2] - inner[0], inner[3] - inner[1]), Image.Resampling.BICUBIC), inner[:2])
    return picture, [_moved(box, share, left, top) for box in boxes]


def _watermarked(image: Image.Image, rng: random.Random) -> Image.Image:
    """A word half seen through: once across the picture, many times all over it, or in a corner."""
    layout = rng.choice(tuple(_OPACITIES))
    opacity = rng.uniform(*_OPACITIES[layout])
    mask = _marks(_with_short_side(image.size, _MARKED_SIDE), layout, rng)
    picture = image.copy()
    # a light letter on snow shows by its shadow
    for colour, strength, away in (((24, 24, 32), 0.6 * opacity, _MARKED_SIDE // 128), ((250, 250, 250), opacity, 0)):
        layer = Image.new("L", mask.size)
        layer.paste(mask.point([round(strength * level) for level in range(256)]), (away, away))
        picture.paste(colour, mask=layer.resize(image.size, Image.Resampling.BICUBIC))
    return picture


def _marks(size: tuple[int, int], layout: str, rng: random.Random) -> Image.Image:
    """Where the letters of a watermark lie, as a mask of a size with a short side of `_MARKED_SIDE`."""
    mask, unit, word = Image.new("L", size), _MARKED_SIDE, rng.choice(_MARKS)
    angle = rng.choice((-1, 1)) * rng.uniform(18, 38)
    if layout == "across":
        text = _mark(word, rng.uniform(0.6, 0.8) * unit).rotate(angle, Image.Resampling.BICUBIC, expand=True)
        mask.paste(text, ((size[0] - text.width) // 2, (size[1] - text.height) // 2))
    elif layout == "corner":
        text = _mark(word, rng.uniform(0.36, 0.5) * unit)
        # of the central square, so that it outlives a centre crop
        left, top, right, bottom = (round(edge) for edge in _central_square((0, 0, *size)))
        x, y = rng.choice((left, right - text.width)), rng.choice((top, bottom - text.height))
        mask.paste(text, (x, y))
    else:
        text = _mark(word, rng.uniform(0.26, 0.34) * unit)
        side = round((size[0] ** 2 + size[1] ** 2) ** 0.5)
        tiles, across, down = Image.new("L", (side, side)), round(text.width * 1.35), unit // 5
        for row, y in enumerate(range(0, side, down)):
            for x in range(-(row % 2) * across // 2, side, across):
                tiles.paste(text, (x, y))
        turned = tiles.rotate(angle, Image.Resampling.BILINEAR)
        mask.paste(turned, ((size[0] - side) // 2, (size[1] - side) // 2))
    return mask


def _mark(word: str, width: float) -> Image.Image:
    """A word of `_MARKS` that many pixels wide, as a mask."""
    large = _written(word)
    return large.resize((round(width), max(1, round(width * large.height / large.width))), Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=8)
def _written(word: str) -> Image.Image:
    """A word in large strokes of our own: a font's outlines would depend on the version of its renderer."""
    cell, thick = 20, 24
    mask = Image.new("L", (6 * cell * len(word), 8 * cell))
    pen = ImageDraw.Draw(mask)
    for index, letter in enumerate(word):
        for stroke in _STROKES[letter].split("/"):
            points = [((1 + 6 * index + int(at[0])) * cell, (1 + int(at[1])) * cell) for at in stroke.split()]
            pen.line(points, 255, thick)
            for x, y in points:
                pen.ellipse((x - thick // 2, y - thick // 2, x + thick // 2, y + thick // 2), 255)
    return mask


def _with_short_side(size: tuple[int, int], short: int) -> tuple[int, int]:
    """A size of the same aspect."""
    unit = min(size)
    return round(size[0] * short / unit), round(size[1] * short / unit)


def _central_square(box: Box) -> Box:
    left, top, right, bottom = box
    half = min(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return x - half, y - half, x + half, y + half


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _moved(box: Box, scale: float, right: float, down: float) -> Box:
    """A box in a picture that was scaled about its corner, then moved."""
    return box[0] * scale + right, box[1] * scale + down, box[2] * scale + right, box[3] * scale + down


def _clipped(box: Box, around: Box) -> Box:
    """The part of a box that lies inside another; empty where there is none."""
    left, right = (min(max(box[i], around[0]), around[2]) for i in (0, 2))
    top, bottom = (min(max(box[i], around[1]), around[3]) for i in (1, 3))
    return left, top, right, bottom


DAMAGES: dict[str, Damage] = {
    "blur": _in_place(_blurred),
    "jpeg": _in_place(_compressed),
    "dark": _in_place(_darkened),
    "noise": _in_place(_noisy),
    "crop": _cropped,
    "border": _bordered,
    "watermark": _in_place(_watermarked),
}
"""Each damage; what it is called on booru sites is in `DAMAGE_TAGS`."""

_LEAST_SEEN, _MOST_SEEN = 0.6, 0.9
"""A crop is looked for that leaves this much of each thing in the central square, and of one at most this much."""

_WINDOWS_TRIED = 40

_FRAMES: dict[RGB, RGB] = {
    (18, 18, 20): (214, 214, 214),
    (250, 250, 250): (120, 120, 120),
    (238, 230, 212): (96, 72, 52),
    (128, 128, 132): (240, 240, 240),
    (92, 54, 40): (226, 190, 120),
    (30, 52, 92): (228, 228, 236),
}
"""The frames' colours, each with the colour of a line on it."""

_MARKED_SIDE = 192
"""Watermarks are laid out at this short side, so that each lies alike in pictures of every size."""

_OPACITIES = {"across": (0.45, 0.7), "tiled": (0.35, 0.55), "corner": (0.6, 0.85)}
_MARKS = ("SAMPLE", "PROOF", "STOCK", "COPY")
_STROKES = {
    "A": "06 20 46/14 34",
    "C": "41 30 10 01 05 16 36 45",
    "E": "40 00 06 46/03 33",
    "F": "40 00 06/03 33",
    "K": "00 06/40 03/13 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "R": "06 00 30 41 42 33 03/23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40/20 26",
    "Y": "00 23 40/23 26",
}
"""Letters as strokes between points of a grid, each point its column and row."""
