"""Folders of drawn pictures, as they lie about on a person's disk, with what is true of every file."""

from __future__ import annotations

import dataclasses
import io
import json
import random
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from capprep.errors import ConfigError
from capprep.files import write_atomically
from capprep.toybox.damage import DAMAGES, Box, damaged
from capprep.toybox.styles import STYLES
from capprep.toybox.world import TAGS, Scene, draw, scene

MIXED = "mixed"
FOLDER_STYLES = (*STYLES, MIXED)
"""What the pictures of a folder may look like: all in one style, or each in its own."""

FOLDER_DAMAGES = (*DAMAGES, "duplicates", "turns", "all")
"""What may be wrong with a folder's pictures; "all" is everything else in this list."""

SMALLEST, LARGEST = 48, 8192
"""Of width and height, in pixels."""

_SIZES = ((840, 600), (600, 840), (720, 640), (960, 640), (560, 720), (768, 576), (1024, 684), (640, 640))

_DAMAGED_SHARE, _COPIED_SHARE, _TURNED_SHARE = 0.5, 0.2, 0.5
"""How many pictures are damaged, how many files are near-duplicates, how many lie turned, where that is asked for."""

_COPIES = {"encoded": "{} (1)", "resized": "{}-small", "cropped": "{}-edited"}
"""Each way to a near-duplicate, and what a person would call the file."""

_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored under each EXIF orientation; under 1 as it is."""

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class _Sample:
    """One file: what it shows and all that happened to it.

    Attributes:
        path: The file; its suffix decides the format.
        scene: What is to be seen.
        size: Width and height of the first drawing, upright.
        style: One of `STYLES`.
        damage: A key of `DAMAGES`, or "".
        chance: Decides the details of the damage.
        orientation: EXIF, 1 to 8.
        rounded: Whether the corners are transparent.
        copy: A key of `_COPIES`, or "".
        copy_of: The file that this one is a copy of.
        copy_chance: Decides the details of the copying.
    """

    path: Path
    scene: Scene
    size: tuple[int, int]
    style: str
    damage: str
    chance: int
    orientation: int = 1
    rounded: bool = False
    copy: str = ""
    copy_of: Path | None = None
    copy_chance: int = 0

    def picture(self) -> tuple[Image.Image, list[Box]]:
        """It upright, RGB, and the boxes of the scene's things in it."""
        image, boxes = draw(self.scene, self.size, self.style), self.scene.boxes(self.size)
        if self.damage:
            image, boxes = damaged(image, self.damage, self.chance, boxes)
        rng = random.Random(self.copy_chance)
        width, height = self.size
        part, size = (0.0, 0.0, float(width), float(height)), self.size
        if self.copy == "resized":
            scale = rng.uniform(0.6, 0.9)
            size = round(scale * width), round(scale * height)
        elif self.copy == "cropped":
            left, top, right, bottom = (rng.randint(1, round(0.04 * min(self.size))) for _ in range(4))
            part = (left, top, width - right, height - bottom)
            size = width - right - left, height - bottom - top
        if size != self.size:
            image = image.resize(size, Image.Resampling.BICUBIC, box=part)
        return image, [_within(box, part, size) for box in boxes]

    def truth(self, size: tuple[int, int], boxes: Sequence[Box]) -> dict[str, object]:
        """What is true of the file, for JSON; `size` and `boxes` are those of the upright picture in it."""
        damage = (self.damage,) if self.damage else ()
        return {
            "file": self.path.name,
            "caption": self.scene.caption,
            "tags": {tag: TAGS[tag] for tag in self.scene.tags_drawn(self.style, damage)},
            "things": [
                {"kind": thing.kind, "colour": thing.colour, "box": [round(edge, 1) for edge in box]}
                for thing, box in zip(self.scene.things, boxes, strict=True)
            ],
            "background": self.scene.background,
            "light": self.scene.light,
            "style": self.style,
            "damage": list(damage),
            "size": list(size),
            "orientation": self.orientation,
            "duplicate_of": self.copy_of.name if self.copy_of else None,
        }

    def content(self, image: Image.Image) -> bytes:
        """The file that holds an upright picture."""
        data, exif = io.BytesIO(), Image.Exif()
        if self.orientation != 1:
            exif[_ORIENTATION_TAG] = self.orientation
            image = image.transpose(_STORED[self.orientation])
        if self.rounded:
            image = image.copy()
            image.putalpha(_rounded(image.size))
        if self.path.suffix == ".png":
            image.save(data, "PNG", exif=exif)
        else:
            quality = random.Random(self.copy_chance).randint(50, 80) if self.copy == "encoded" else 92
            image.save(data, "JPEG", quality=quality, exif=exif)
        return data.getvalue()


def draw_samples(folder: Path, count: int, seed: int) -> list[Path]:
    """Draw a small folder that holds what pictures from everywhere hold; files that are there are left alone.

    As `draw_folder`, flat and undamaged; the second is a JPEG that lies on its side with an EXIF orientation,
    the third a PNG with transparent corners.

    Returns:
        The files in order, whether written now or before.
    """
    samples = _planned(folder, count, seed, "flat", None, frozenset())
    # as phones write it: "turn me a quarter clockwise"
    samples[1:2] = [dataclasses.replace(sample, orientation=6) for sample in samples[1:2]]
    samples[2:3] = [dataclasses.replace(sample, rounded=True) for sample in samples[2:3]]
    return _written(samples, None)


def draw_folder(
    folder: Path,
    count: int,
    seed: int,
    style: str = "flat",
    size: tuple[int, int] | None = None,
    damage: Iterable[str] = (),
    truth: Path | None = None,
) -> list[Path]:
    """Draw pictures as they lie about in a person's folder, JPEG and PNG; files that are there are left alone.

    A seed shows the same scenes whatever the style, size and damage. Of the damages asked for, half of the
    pictures get one; with "duplicates" a fifth of the files are others of the folder once more, re-encoded,
    resized or slightly cropped; with "turns" half are stored turned, with an EXIF orientation.

    Args:
        folder: Where; made if it is not there.
        count: How many files.
        seed: Another seed, other pictures.
        style: One of `FOLDER_STYLES`.
        size: Width and height in pixels; without it several, with a short side of at least 560.
        damage: Any of `FOLDER_DAMAGES`.
        truth: A file to write, one JSON object a line for each picture: file, caption, tags with their
            categories, things with kind, colour and box (left, top, right, bottom in pixels of the upright
            picture), background, light, style, damage, size, orientation, duplicate_of. A file that is there
            already is taken for the one that would be drawn.

    Returns:
        The files in order, whether written now or before.

    Raises:
        ConfigError: A style, size or damage that is not possible.
    """
    asked = frozenset(damage)
    for name, choices, values in (("style", FOLDER_STYLES, (style,)), ("damage", FOLDER_DAMAGES, sorted(asked))):
        for value in values:
            if value not in choices:
                raise ConfigError(f"{name} = {value!r} is not possible", f"choose one of: {', '.join(choices)}")
    if size and not (min(size) >= SMALLEST and max(size) <= LARGEST):
        raise ConfigError(
            f"size = {size[0]}x{size[1]} is not possible",
            f"choose a width and height from {SMALLEST} to {LARGEST} pixels",
        )
    everything = frozenset(FOLDER_DAMAGES) if "all" in asked else asked
    return _written(_planned(folder, count, seed, style, size, everything), truth)


def _planned(
    folder: Path, count: int, seed: int, style: str, size: tuple[int, int] | None, damage: Container[str]
) -> list[_Sample]:
    """The files of a folder, in order; nothing is drawn yet."""
    seeds, copying = random.Random(seed), random.Random(seed + 1)
    names = [name for name in DAMAGES if name in damage]
    samples: list[_Sample] = []
    originals: list[_Sample] = []
    taken: set[Path] = set()
    while len(samples) < count:
        if "duplicates" in damage and originals and copying.random() < _COPIED_SHARE:
            sample = _copied(copying.choice(originals), copying, taken)
        else:
            shown, number = scene(seeds.randrange(2**31)), len(originals)
            # everything is drawn by lot in any case, so that one option does not change what another does
            rng = random.Random((shown.seed << 8) - 1)  # from the scene's own numbers, style would go with background
            own_style, chance = rng.choice(STYLES), rng.randrange(2**31)
            hurt, which, turned = rng.random() < _DAMAGED_SHARE, rng.random(), rng.random() < _TURNED_SHARE
            orientation = rng.choice(tuple(_STORED))
            sample = _Sample(
                path=_free(folder, shown.name, ".png" if number % 3 == 2 else ".jpg", taken),
                scene=shown,
                size=size or _SIZES[number % len(_SIZES)],
                style=own_style if style == MIXED else style,
                damage=names[int(which * len(names))] if names and hurt else "",
                chance=chance,
                orientation=orientation if turned and "turns" in damage else 1,
            )
            originals.append(sample)
        samples.append(sample)
        taken.add(sample.path)
    return samples


def _copied(original: _Sample, rng: random.Random, taken: Container[Path]) -> _Sample:
    """The same picture once more, under another name."""
    copy = rng.choice(tuple(_COPIES))
    suffix = ".jpg" if copy == "encoded" else original.path.suffix
    path = _free(original.path.parent, _COPIES[copy].format(original.path.stem), suffix, taken)
    # programs that resize or crop store the picture upright
    orientation = original.orientation if copy == "encoded" else 1
    return dataclasses.replace(
        original,
        path=path,
        orientation=orientation,
        copy=copy,
        copy_of=original.path,
        copy_chance=rng.randrange(2**31),
    )


def _free(folder: Path, stem: str, suffix: str, taken: Container[Path]) -> Path:
    """A file of that name, or with the first number behind it that is free."""
    path, number = folder / f"{stem}{suffix}", 2
    while path in taken:
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path


def _written(samples: Sequence[_Sample], truth: Path | None) -> list[Path]:
    """Draw the files that are not there, and write down what is true of all of them."""
    lines = []
    for sample in samples:
        if sample.path.exists() and truth is None:
            continue
        image, boxes = sample.picture()
        if not sample.path.exists():
            write_atomically(sample.path, sample.content(image))
        lines.append(json.dumps(sample.truth(image.size, boxes)) + "\n")
    if truth is not None:
        write_atomically(truth, "".join(lines).encode())
    return [sample.path for sample in samples]


def _within(box: Box, part: Box, size: tuple[int, int]) -> Box:
    """Where a box lies after a part of its picture was cut out and brought to a size; clipped to it."""
    across, down = size[0] / (part[2] - part[0]), size[1] / (part[3] - part[1])
    left, right = (min(max((x - part[0]) * across, 0), size[0]) for x in (box[0], box[2]))
    top, bottom = (min(max((y - part[1]) * down, 0), size[1]) for y in (box[1], box[3]))
    return left, top, right, bottom


def _rounded(size: tuple[int, int]) -> Image.Image:
    """An alpha channel with round corners."""
    width, height = size
    mask = Image.new("L", (2 * width, 2 * height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 2 * width - 1, 2 * height - 1), min(size) // 4, fill=255)
    return mask.reduce(2)
