"""How many edited copies of pictures are found, how many different pictures are taken for copies, and how fast.

Photographs are those that come with scikit-image, whole and in squares that do not overlap; drawings are scenes of the
drawn world, many of which share a scenery. Each is edited in every way of `EDITS`, all originals and copies are
compared at once, and two pictures of different origin that are called duplicates are a false pair. Beside them:
drawings in which one thing was exchanged or got another colour, which are not counted as false, and a million random
hashes with neighbours among them.

    python tests/bench/duplicates.py [--drawings N] [--hashes N] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import random
import resource
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from capprep.images import duplicates
from capprep.toybox.drawing import COLOURS
from capprep.toybox.shapes import KINDS
from capprep.toybox.styles import STYLES
from capprep.toybox.world import draw, scene

# H, W, C: height, width, channels; N hashes; P pairs

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = """
astronaut brick camera cell chelsea clock coffee coins grass gravel hubble_deep_field immunohistochemistry moon page
retina rocket stereo_motorcycle
""".split()
TILE, LEAST_SPREAD = 200, 12  # pixels, levels: an empty part of the sky is no picture
SIZES = ((384, 256), (256, 384), (320, 320))


def jpeg(pixels_HWC: Pixels, quality: int = 75) -> Pixels:
    """Saved and opened again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as stored:
        return np.asarray(stored)


def half(pixels_HWC: Pixels) -> Pixels:
    """Half as wide and high."""
    return cv2.resize(pixels_HWC, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def brighter(pixels_HWC: Pixels) -> Pixels:
    """15 % brighter, clipped."""
    return np.clip(np.rint(pixels_HWC * 1.15), 0, 255).astype(np.uint8)


def watermarked(pixels_HWC: Pixels) -> Pixels:
    """White letters over a third of the width in the lower right corner, at 60 %."""
    height, width = pixels_HWC.shape[:2]
    text, font = "(c) sample.net", cv2.FONT_HERSHEY_SIMPLEX
    scale = 0.35 * width / cv2.getTextSize(text, font, 1, 2)[0][0]
    place = round(width * 0.62), round(height * 0.96)
    marked, white = pixels_HWC.copy(), (255, 255, 255)
    cv2.putText(marked, text, place, font, scale, white, max(1, round(2 * scale)), cv2.LINE_AA)
    return cv2.addWeighted(pixels_HWC, 0.4, marked, 0.6, 0)


def trimmed(pixels_HWC: Pixels) -> Pixels:
    """3 % cut from every edge."""
    height, width = pixels_HWC.shape[:2]
    down, across = round(height * 0.03), round(width * 0.03)
    return pixels_HWC[down : height - down, across : width - across]


def cut(pixels_HWC: Pixels) -> Pixels:
    """3 % of width and height cut away, more of it on one side than on the other."""
    height, width = pixels_HWC.shape[:2]
    rng = random.Random(int(pixels_HWC[:8].sum()))
    down, across = round(height * 0.03), round(width * 0.03)
    top, left = rng.randint(0, down), rng.randint(0, across)
    return pixels_HWC[top : height - down + top, left : width - across + left]


def mirrored(pixels_HWC: Pixels) -> Pixels:
    """Left and right exchanged."""
    return np.ascontiguousarray(pixels_HWC[:, ::-1])


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG q75": jpeg,
    "resize 50 %": half,
    "brightness +15 %": brighter,
    "watermark": watermarked,
    "mirror": mirrored,
    "crop 3 % aside": cut,
    "crop 3 % each edge": trimmed,
}
CROPS = ("crop 3 % aside", "crop 3 % each edge")


def photographs() -> list[Pixels]:
    """Whole, and their squares."""
    pictures = []
    for name in PHOTOGRAPHS:
        loaded = getattr(skimage.data, name)()
        photograph = loaded[0] if isinstance(loaded, tuple) else loaded  # of a stereo pair the left one
        if photograph.ndim == 2:
            photograph = np.repeat(photograph[..., None], 3, axis=2)
        pictures.append(np.ascontiguousarray(photograph))
        height, width = photograph.shape[:2]
        corners = [(y, x) for y in range(0, height - TILE + 1, TILE) for x in range(0, width - TILE + 1, TILE)]
        tiles = [np.ascontiguousarray(photograph[y : y + TILE, x : x + TILE]) for y, x in corners]
        pictures.extend(tile for tile in tiles if tile.std() > LEAST_SPREAD)
    return pictures


def drawings(count: int) -> list[Pixels]:
    """Different scenes in all styles and three shapes."""
    styles = random.Random(1).choices(tuple(STYLES), k=count)
    return [np.asarray(draw(scene(k), SIZES[k % 3], style)) for k, style in enumerate(styles)]


def variants(count: int) -> dict[str, list[tuple[Pixels, Pixels]]]:
    """Drawings beside the same with the first thing exchanged for another, or in another colour."""
    rng, styles = random.Random(2), tuple(STYLES)
    made: dict[str, list[tuple[Pixels, Pixels]]] = {"another thing": [], "another colour": []}
    for k in range(count):
        shown, style = scene(10_000 + k), styles[k % len(styles)]
        first, *others = shown.things
        changes = {
            "another thing": {"kind": rng.choice([kind for kind in KINDS if kind != first.kind])},
            "another colour": {"colour": rng.choice([colour for colour in COLOURS if colour != first.colour])},
        }
        for name, change in changes.items():
            things = (dataclasses.replace(first, **change), *others)
            pair = [draw(each, (320, 320), style) for each in (shown, dataclasses.replace(shown, things=things))]
            made[name].append((np.asarray(pair[0]), np.asarray(pair[1])))
    return made


def compare(pictures: Sequence[Pixels]) -> dict[str, float]:
    """The share of the copies found by each edit, and as `false` the share of pairs of different origin."""
    count = len(pictures)
    everything = [*pictures, *(edit(picture) for edit in EDITS.values() for picture in pictures)]
    found = duplicates.near([duplicates.fingerprint(picture) for picture in everything])
    origin = (found.first % count, found.second % count)
    copies = (found.first < count) & (origin[0] == origin[1])
    edit_P = found.second[copies] // count
    shares = {name: float((edit_P == number).sum()) / count for number, name in enumerate(EDITS, 1)}
    ways = len(EDITS) + 1
    shares["false"] = float((origin[0] != origin[1]).sum()) / (ways**2 * count * (count - 1) / 2)
    return shares


def called_duplicates(couples: Sequence[tuple[Pixels, Pixels]]) -> float:
    """The share of couples that are taken for duplicates."""
    return float(
        np.mean([len(duplicates.near([duplicates.fingerprint(each) for each in couple])) for couple in couples])
    )


def many(count: int, radius: int) -> dict[str, float]:
    """All pairs of random hashes: seconds, peak memory in MB, and the share of planted neighbours among them."""
    rng = np.random.default_rng(0)
    hashes_N = rng.integers(0, 2**64, count, dtype=np.uint64)
    planted = min(2000, count // 2)
    for number in range(planted):
        places = rng.choice(64, number % (radius + 1), replace=False)
        hashes_N[-1 - number] = hashes_N[number] ^ np.bitwise_or.reduce(np.uint64(1) << places.astype(np.uint64))
    started = time.perf_counter()
    found = duplicates.pairs(hashes_N, radius)
    seconds = time.perf_counter() - started
    neighbours = np.count_nonzero((found.first < planted) & (found.first + found.second == count - 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": seconds, "recall": neighbours / planted, "peak_mb": peak}


def figures(count: int = 300, hashes: int = 1_000_000) -> dict[str, float]:
    """Everything that is measured, by the names of the JSON line.

    Args:
        count: Of drawings; a third as many are changed.
        hashes: Compared with each other.
    """
    million = {radius: many(hashes, radius) for radius in (6, duplicates.RADIUS)}
    compared = {"photographs": compare(photographs()), "drawings": compare(drawings(count))}
    worst = {name: min(shares[name] for shares in compared.values()) for name in EDITS}
    result = {
        "dup_recall_min": min(share for name, share in worst.items() if name not in CROPS),
        "dup_recall_crop3": min(worst[name] for name in CROPS),
        "dup_false_share": max(shares["false"] for shares in compared.values()),
        "pairs_1m_s": million[duplicates.RADIUS]["seconds"],
        "pairs_1m_radius6_s": million[6]["seconds"],
        "pairs_1m_recall": min(each["recall"] for each in million.values()),
        "pairs_1m_peak_mb": million[duplicates.RADIUS]["peak_mb"],
    }
    for what, shares in compared.items():
        result |= {f"dup_{what}_{_key(name)}": share for name, share in shares.items()}
    changed = variants(count // 3)
    return result | {f"dup_drawings_{_key(name)}": called_duplicates(couples) for name, couples in changed.items()}


def _key(name: str) -> str:
    return "_".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def main() -> None:
    """Measure, print a table, and with --json a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawings", type=int, default=300, metavar="N")
    parser.add_argument("--hashes", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    values = figures(options.drawings, options.hashes)
    print(f"{'found of the copies by':<28} {'photographs':>12} {'drawings':>12}")
    for name in (*EDITS, "false"):
        shares = [values[f"dup_{what}_{_key(name)}"] for what in ("photographs", "drawings")]
        label = "different, called the same" if name == "false" else name
        print(f"  {label:<26} {shares[0]:>12.6f} {shares[1]:>12.6f}")
    for name in ("another thing", "another colour"):
        print(f"  {name + ', the same':<26} {'':>12} {values[f'dup_drawings_{_key(name)}']:>12.6f}")
    print(
        f"all pairs of {options.hashes} hashes: {values['pairs_1m_s']:.1f} s at radius {duplicates.RADIUS}, "
        f"{values['pairs_1m_radius6_s']:.1f} s at radius 6, peak {values['pairs_1m_peak_mb']:.0f} MB"
    )
    if options.json:
        print(json.dumps({name: round(value, 6) for name, value in values.items()}))


if __name__ == "__main__":
    main()
