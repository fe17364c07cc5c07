"""The pictures the readers are trained on: drawn once, small, kept on disk in chunks with what is true of them."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capprep.files import write_atomically
from capprep.toybox.damage import damaged
from capprep.toybox.drawing import COLOURS
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import KINDS
from capprep.toybox.styles import STYLES
from capprep.toybox.world import DAMAGE_TAGS, TAGS, Box, Scene, draw, scene

# N pictures, S rows and columns, G cells of a picture's grid per side, M = 3 things at most, T tags

SIDE = 128
"""What the readers see, in pixels."""

CELL = 16
"""Side of a cell of the grid that says what lies where: a patch of the readers' vision."""

UNSEEN_STYLE = "woodcut"
"""A style the readers are never shown, so that there is one to judge them by."""

KNOWN_STYLES = tuple(style for style in STYLES if style != UNSEEN_STYLE)
FIRST_SEED = 10**12
"""Training pictures are scenes from here on; everything below is for judging."""

CHUNK = 2048
_MOST_THINGS = 3
_STYLES_DRAWN = ("flat", *KNOWN_STYLES)  # the plain style twice as often
_DAMAGED, _TWICE = 0.3, 0.2
_SHIFT = 6  # pixels
_SIDES = (SIDE, 2 * SIDE, 4 * SIDE)  # fine lines look a little different drawn small and brought down


@dataclass(frozen=True)
class Sample:
    """What one training picture is drawn from.

    Attributes:
        scene: What is to be seen.
        style: How it is drawn.
        damage: What is done to it then, in order.
        side: Pixels it is drawn at before it is brought to `SIDE`.
    """

    scene: Scene
    style: str
    damage: tuple[str, ...]
    side: int


def sample(index: int) -> Sample:
    """The training picture of that number; scenes with a held-out combination are passed over."""
    rng = random.Random(index)
    scenes = (scene(FIRST_SEED + 16 * index + other) for other in range(16))
    shown = next(each for each in scenes if not each.held_out)
    damage: tuple[str, ...] = ()
    if rng.random() < _DAMAGED:
        damage = tuple(rng.sample(tuple(DAMAGE_TAGS), 2 if rng.random() < _TWICE else 1))
    return Sample(shown, rng.choice(_STYLES_DRAWN), damage, rng.choice(_SIDES))


def picture(drawn: Sample) -> tuple[Image.Image, list[Box]]:
    """A sample as `SIDE` by `SIDE` pixels and its things' boxes in them."""
    size = (drawn.side, drawn.side)
    image, boxes = draw(drawn.scene, size, drawn.style), drawn.scene.boxes(size)
    for number, name in enumerate(drawn.damage):
        image, boxes = damaged(image, name, drawn.scene.seed + number, boxes)
    share = SIDE / drawn.side
    if drawn.side != SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return image, [(a * share, b * share, c * share, d * share) for a, b, c, d in boxes]


def draw_pool(folder: Path, count: int, workers: int | None = None) -> None:
    """Draw training pictures 0 to `count` into chunk files; chunks that are there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [
        (folder, start, CHUNK) for start in range(0, count, CHUNK) if not _file(folder, start, "images").exists()
    ]
    if not missing:
        return
    with multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        for done, _ in enumerate(pool.imap_unordered(_draw_chunk, missing), start=1):
            sys.stderr.write(f"\rdrawing: {done} of {len(missing)} chunks of {CHUNK} pictures")
    sys.stderr.write("\n")


def _file(folder: Path, start: int, what: str) -> Path:
    return folder / f"{start:07d}.{what}.npy"


def _draw_chunk(task: tuple[Path, int, int]) -> None:
    folder, start, count = task
    images_NSSC = np.empty((count, SIDE, SIDE, 3), np.uint8)
    boxes_NM4 = np.zeros((count, _MOST_THINGS, 4), np.float32)
    for row in range(count):
        image, boxes = picture(sample(start + row))
        images_NSSC[row] = np.asarray(image)
        boxes_NM4[row, : len(boxes)] = boxes
    for what, array in (("boxes", boxes_NM4), ("images", images_NSSC)):  # a chunk is there when its images are
        data = io.BytesIO()
        np.save(data, array)
        write_atomically(_file(folder, start, what), data.getvalue())


@dataclass(frozen=True)
class Batch:
    """Pictures and what is true of them.

    Attributes:
        images_NSSC: uint8 RGB.
        scenes: What each was drawn from.
        kinds_NGG: Which kind lies in each cell, 1 on; 0 where nothing does, -1 where the edge of a thing runs.
        colours_NGG: Likewise its colour.
        offsets_NGG2: From the cell's middle to the thing's, in shares of the picture's side; 0 where nothing lies.
        middles_NGG: 1 in the cell in which a thing's middle lies.
        backgrounds_N: Index in `scenery.BACKGROUNDS`.
        lights_N: Index in `scenery.LIGHTS`.
        tags_NT: 1 where a tag of `world.TAGS` is true.
    """

    images_NSSC: NDArray[np.uint8]
    scenes: Sequence[Scene]
    kinds_NGG: NDArray[np.int64]
    colours_NGG: NDArray[np.int64]
    offsets_NGG2: NDArray[np.float32]
    middles_NGG: NDArray[np.float32]
    backgrounds_N: NDArray[np.int64]
    lights_N: NDArray[np.int64]
    tags_NT: NDArray[np.float32]


class Pool:
    """The drawn chunks of a folder, read picture by picture.

    Args:
        folder: Where `draw_pool` wrote.
        count: How many of its pictures to use, rounded up to whole chunks.
    """

    def __init__(self, folder: Path, count: int) -> None:
        starts = range(0, count, CHUNK)
        self.count = len(starts) * CHUNK
        self._images = [np.load(_file(folder, start, "images"), mmap_mode="r") for start in starts]
        self._boxes_NM4 = np.concatenate([np.load(_file(folder, start, "boxes")) for start in starts])

    def batch(self, indices: Sequence[int], rng: np.random.RandomState | None = None) -> Batch:
        """Some of its pictures, each moved by a few pixels where a generator is given."""
        images_NSSC = np.stack([self._images[index // CHUNK][index % CHUNK] for index in indices])
        boxes_NM4 = self._boxes_NM4[list(indices)]
        if rng is not None:
            for row, (down, right) in enumerate(rng.randint(-_SHIFT, _SHIFT + 1, (len(images_NSSC), 2))):
                images_NSSC[row] = _shifted(images_NSSC[row], down, right)
                boxes_NM4[row] += (right, down, right, down)
        return labelled(images_NSSC, [sample(index) for index in indices], boxes_NM4)


def labelled(images_NSSC: NDArray[np.uint8], drawn: Sequence[Sample], boxes_NM4: NDArray[np.float32]) -> Batch:
    """Pictures with all that is true of them.

    Args:
        images_NSSC: The pictures.
        drawn: What each was drawn from.
        boxes_NM4: Where its things lie in it, in pixels.
    """
    truths = [
        _lie_of(each.scene, boxes_M4[: len(each.scene.things)]) for each, boxes_M4 in zip(drawn, boxes_NM4, strict=True)
    ]
    kinds_NGG, colours_NGG, offsets_NGG2, middles_NGG = (np.stack(cells) for cells in zip(*truths, strict=True))
    tags_NT = np.zeros((len(drawn), len(TAGS)), np.float32)
    for row, each in enumerate(drawn):
        tags_NT[row, [_TAG_NUMBER[tag] for tag in each.scene.tags_drawn(each.style, each.damage)]] = 1
    return Batch(
        images_NSSC,
        [each.scene for each in drawn],
        kinds_NGG,
        colours_NGG,
        offsets_NGG2,
        middles_NGG,
        np.array([_BACKGROUNDS.index(each.scene.background) for each in drawn]),
        np.array([_LIGHTS.index(each.scene.light) for each in drawn]),
        tags_NT,
    )


def _lie_of(shown: Scene, boxes_M4: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
    """Kind, colour, offset and middle for every cell."""
    kinds_GG = np.zeros((_GRID, _GRID), np.int64)
    colours_GG = np.zeros((_GRID, _GRID), np.int64)
    offsets_GG2 = np.zeros((_GRID, _GRID, 2), np.float32)
    middles_GG = np.zeros((_GRID, _GRID), np.float32)
    for thing, (left, top, right, bottom) in zip(shown.things, boxes_M4, strict=True):
        to_middle_GG2 = np.array([(left + right) / 2, (top + bottom) / 2], np.float32) - _MIDDLES_GG2
        half = max((right - left) / 2, 1), max((bottom - top) / 2, 1)
        far_GG = np.abs(to_middle_GG2 / np.array(half, np.float32)).max(axis=-1)
        inside, edge = far_GG < _INSIDE, (far_GG >= _INSIDE) & (far_GG < _OUTSIDE)
        for cells_GG, number in (
            (kinds_GG, _KINDS.index(thing.kind) + 1),
            (colours_GG, _COLOURS.index(thing.colour) + 1),
        ):
            cells_GG[edge & (cells_GG == 0)] = -1
            cells_GG[inside] = number
        offsets_GG2[inside] = to_middle_GG2[inside] / SIDE
        column, row = ((left + right) / 2 / CELL, (top + bottom) / 2 / CELL)
        middles_GG[min(max(int(row), 0), _GRID - 1), min(max(int(column), 0), _GRID - 1)] = 1
    return kinds_GG, colours_GG, offsets_GG2, middles_GG


def _shifted(image_SSC: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """A picture moved by some pixels, its border repeated where nothing was."""
    padded = np.pad(image_SSC, ((_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    return padded[_SHIFT - down :, _SHIFT - right :][:SIDE, :SIDE]


_TAG_NUMBER = {tag: number for number, tag in enumerate(TAGS)}
_KINDS, _COLOURS, _BACKGROUNDS, _LIGHTS = (list(names) for names in (KINDS, COLOURS, BACKGROUNDS, LIGHTS))
_GRID = SIDE // CELL
_INSIDE, _OUTSIDE = 0.6, 1.05  # of a box's half: what surely belongs to a thing, what surely does not
_MIDDLES_GG2 = np.stack(np.meshgrid(*[(np.arange(_GRID, dtype=np.float32) + 0.5) * CELL] * 2), axis=-1)
