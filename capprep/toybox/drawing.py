"""Pictures of the drawn world: things before a scenery, in a light and in a style."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from capprep.toybox.canvas import RGB, Canvas, Floats, mixed, scaled
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS, Light
from capprep.toybox.shapes import AIRBORNE, FIXED, KINDS, LIGHT, MAIN, SHADE
from capprep.toybox.styles import style_named

COLOURS: dict[str, RGB] = {
    "red": (216, 62, 58),
    "orange": (240, 138, 48),
    "yellow": (248, 208, 66),
    "green": (74, 158, 84),
    "blue": (62, 118, 208),
    "purple": (134, 82, 184),
    "pink": (242, 138, 176),
    "white": (246, 246, 248),
}
"""The colours a thing may have."""


@dataclass(frozen=True)
class Thing:
    """One thing in a picture.

    Attributes:
        kind: A key of `KINDS`.
        colour: A key of `COLOURS`.
        x: Its middle, 0 left to 1 right in the picture's central square.
        y: Its middle, 0 top to 1 bottom in the central square.
        size: Its height and width as a share of the square's side.
    """

    kind: str
    colour: str
    x: float
    y: float
    size: float


def paint(
    things: Sequence[Thing], background: str, light: str, seed: int, size: tuple[int, int], style: str = "flat"
) -> Image.Image:
    """A picture of things before a background, RGB; the same one on every machine.

    Args:
        things: From back to front.
        background: A key of `scenery.BACKGROUNDS`.
        light: A key of `scenery.LIGHTS`.
        seed: Of the scenery's details and the style's.
        size: Width and height in pixels, each 48 or more.
        style: One of `styles.STYLES`.

    Raises:
        ConfigError: There is no such style.
    """
    canvas = style_named(style)(*size, seed)
    lit = LIGHTS[light]
    BACKGROUNDS[background](canvas, random.Random(seed), lit)
    for thing in things:
        _paint_thing(canvas, thing, lit)
    return canvas.finished()


def _paint_thing(canvas: Canvas, thing: Thing, light: Light) -> None:
    half = thing.size / 2
    if thing.kind not in AIRBORNE:
        lowest = max(float(points_N2[:, 1].max()) for _, points_N2 in _parts(thing.kind))
        canvas.shadow(thing.x, thing.y + half * lowest * 0.98, half)
    paints = _paints(thing.colour, light)
    for paint_name, points_N2 in _parts(thing.kind):
        canvas.part(points_N2 * half + (thing.x, thing.y), paints[paint_name])


@lru_cache
def _parts(kind: str) -> tuple[tuple[str, Floats], ...]:
    return tuple((part.paint, np.array(part.points)) for part in KINDS[kind]())


@lru_cache
def _paints(colour: str, light: Light) -> dict[str, RGB]:
    """What each paint of a thing is, in a light."""
    main = COLOURS[colour]
    paints = {**FIXED, MAIN: main, LIGHT: mixed(main, (255, 255, 255), 0.38), SHADE: mixed(main, (50, 40, 80), 0.22)}
    return {name: scaled(paint, light.thing) for name, paint in paints.items()}
