"""Pictures of the drawn world: five sceneries and the things that stand in them, painted flat with Pillow."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from capprep.toybox.shapes import AIRBORNE, FIXED, KINDS, LIGHT, MAIN, SHADE, Point, ellipse

RGB = tuple[int, int, int]

SUPERSAMPLING = 2
"""Everything is painted that many times larger and averaged down, for smooth edges."""

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


class Canvas:
    """A picture being painted in the coordinates of its central square, which hold at any size and aspect."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width * SUPERSAMPLING, height * SUPERSAMPLING
        self.unit = min(self.width, self.height)
        self.image = Image.new("RGB", (self.width, self.height))
        self._pen = ImageDraw.Draw(self.image)

    def gradient(self, top: RGB, bottom: RGB) -> None:
        """Fill everything, from one colour above to another below."""
        share_H1 = np.linspace(0, 1, self.height)[:, None]
        column_H13 = (np.array(top) * (1 - share_H1) + np.array(bottom) * share_H1).round().astype(np.uint8)[:, None]
        self.image.paste(Image.fromarray(column_H13).resize(self.image.size))

    def polygon(self, points: Sequence[Point], colour: RGB) -> None:
        """Fill a polygon."""
        self._pen.polygon([self.at(point) for point in points], fill=colour)

    def ground(self, height: Callable[[float], float], colour: RGB) -> None:
        """Fill everything below a line, given as y over x."""
        half = self.width / self.unit / 2 + 0.01
        xs = [0.5 - half + 2 * half * i / 80 for i in range(81)]
        below = self.height / self.unit + 1
        self.polygon([*((x, height(x)) for x in xs), (xs[-1], below), (xs[0], below)], colour)

    def finished(self) -> Image.Image:
        """The picture at its own size."""
        return self.image.reduce(SUPERSAMPLING)

    def at(self, point: Point) -> Point:
        """A point of the central square in the canvas's own pixels."""
        x, y = point
        return self.width / 2 + (x - 0.5) * self.unit, self.height / 2 + (y - 0.5) * self.unit


def paint(things: Sequence[Thing], background: str, seed: int, size: tuple[int, int]) -> Image.Image:
    """A picture of things before a background, RGB.

    Args:
        things: From back to front.
        background: A key of `BACKGROUNDS`.
        seed: Of the scenery's details.
        size: Width and height in pixels.
    """
    canvas = Canvas(*size)
    BACKGROUNDS[background](canvas, random.Random(seed))
    for thing in things:
        _paint_thing(canvas, thing)
    return canvas.finished()


def _paint_thing(canvas: Canvas, thing: Thing) -> None:
    half = thing.size / 2
    if thing.kind not in AIRBORNE:
        _shadow(canvas, thing.x, thing.y + half * 0.98, half)
    main = COLOURS[thing.colour]
    paints = {**FIXED, MAIN: main, LIGHT: _mixed(main, (255, 255, 255), 0.38), SHADE: _mixed(main, (50, 40, 80), 0.22)}
    for part in KINDS[thing.kind]():
        canvas.polygon([(thing.x + u * half, thing.y + v * half) for u, v in part.points], paints[part.paint])


def _shadow(canvas: Canvas, x: float, y: float, half: float) -> None:
    """A soft patch on the ground, so that a thing stands instead of floating."""
    mask = Image.new("L", canvas.image.size)
    pen = ImageDraw.Draw(mask)
    for step in range(6):
        wide = half * (1.0 - 0.1 * step)
        pen.polygon([canvas.at(point) for point in ellipse(x, y, wide, wide * 0.14)], fill=12 + 10 * step)
    canvas.image.paste((30, 30, 60), mask=mask)


def _mixed(colour: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _waves(rng: random.Random, level: float, swing: float, count: float) -> Callable[[float], float]:
    """A rolling line around `level`."""
    phase, other = rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
    return lambda x: level + swing * (0.7 * math.sin(count * x + phase) + 0.3 * math.sin(2.3 * count * x + other))


def _cloud(canvas: Canvas, x: float, y: float, size: float, colour: RGB) -> None:
    for dx, dy, r in ((-0.9, 0.1, 0.5), (-0.35, -0.2, 0.68), (0.3, -0.1, 0.6), (0.9, 0.12, 0.42), (0.0, 0.2, 0.5)):
        canvas.polygon(ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.62), colour)


def _clouds(canvas: Canvas, rng: random.Random, colour: RGB) -> None:
    for x in (-0.55, 0.0, 0.55, 1.1, 1.6):  # as wide as any picture is likely to be
        place = x + rng.uniform(-0.15, 0.25), rng.uniform(0.06, 0.26)
        _cloud(canvas, *place, rng.uniform(0.06, 0.1), colour)


def _sun(canvas: Canvas, rng: random.Random, core: RGB, halo: RGB) -> None:
    x, y = rng.choice((0.12, 0.88)) + rng.uniform(-0.04, 0.04), rng.uniform(0.1, 0.16)
    canvas.polygon(ellipse(x, y, 0.105, 0.105), halo)
    canvas.polygon(ellipse(x, y, 0.078, 0.078), core)


def _field(canvas: Canvas, rng: random.Random) -> None:
    canvas.gradient((150, 206, 240), (226, 243, 246))
    _sun(canvas, rng, (255, 226, 120), (252, 240, 190))
    _clouds(canvas, rng, (255, 255, 255))
    canvas.ground(_waves(rng, 0.5, 0.05, 4.0), (172, 208, 138))
    canvas.ground(_waves(rng, 0.6, 0.035, 3.2), (146, 194, 112))
    canvas.ground(_waves(rng, 0.74, 0.025, 2.6), (122, 178, 92))
    for _ in range(90):
        x, y, high = rng.uniform(-0.6, 1.6), rng.uniform(0.68, 1.3), rng.uniform(0.012, 0.026)
        for lean in (-0.008, 0.0, 0.008):
            canvas.polygon(((x - 0.003, y), (x + lean, y - high), (x + 0.003, y)), (98, 154, 76))


def _sea(canvas: Canvas, rng: random.Random) -> None:
    canvas.gradient((250, 214, 190), (254, 240, 222))
    _sun(canvas, rng, (255, 196, 120), (253, 224, 180))
    _clouds(canvas, rng, (255, 250, 244))
    for level, colour in (
        (0.48, (126, 186, 216)),
        (0.58, (104, 168, 206)),
        (0.7, (84, 148, 194)),
        (0.86, (68, 128, 178)),
    ):
        canvas.ground(_waves(rng, level, 0.007, 16.0), colour)
    for _ in range(50):
        x, y, wide = rng.uniform(-0.6, 1.6), rng.uniform(0.52, 1.3), rng.uniform(0.02, 0.06)
        crest = [(x + wide * (t - 0.5), y - 0.008 * math.sin(math.pi * t)) for t in (i / 8 for i in range(9))]
        canvas.polygon([*crest, *((u, v + 0.006) for u, v in reversed(crest[1:-1]))], (190, 222, 236))


def _beach(canvas: Canvas, rng: random.Random) -> None:
    canvas.gradient((134, 204, 236), (214, 240, 246))
    _sun(canvas, rng, (255, 228, 126), (240, 244, 206))
    _clouds(canvas, rng, (255, 255, 255))
    canvas.ground(lambda _: 0.44, (72, 160, 198))
    canvas.ground(_waves(rng, 0.53, 0.004, 14.0), (108, 190, 212))
    shore = _waves(rng, 0.6, 0.02, 4.0)
    canvas.ground(lambda x: shore(x) - 0.022, (240, 248, 248))
    canvas.ground(shore, (226, 200, 150))
    canvas.ground(lambda x: shore(x) + 0.03, (242, 220, 172))
    for _ in range(160):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(0.68, 1.3), rng.uniform(0.002, 0.005)
        canvas.polygon(ellipse(x, y, r, r * 0.7), rng.choice(((224, 198, 148), (252, 236, 200))))


def _snow(canvas: Canvas, rng: random.Random) -> None:
    canvas.gradient((142, 170, 206), (214, 224, 238))
    canvas.ground(_waves(rng, 0.48, 0.05, 4.2), (196, 210, 230))
    hill = _waves(rng, 0.58, 0.03, 3.4)
    for _ in range(16):
        x, size = rng.uniform(-0.6, 1.6), rng.uniform(0.06, 0.11)
        for tier in range(3):
            top, wide = hill(x) - size * (1.7 - 0.45 * tier), size * (0.3 + 0.13 * tier)
            canvas.polygon(((x, top), (x + wide, top + size * 0.75), (x - wide, top + size * 0.75)), (92, 128, 132))
    canvas.ground(hill, (222, 232, 244))
    canvas.ground(_waves(rng, 0.74, 0.02, 2.6), (208, 220, 238))
    for _ in range(120):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(-0.4, 1.3), rng.uniform(0.003, 0.008)
        canvas.polygon(ellipse(x, y, r, r), (255, 255, 255))


def _night(canvas: Canvas, rng: random.Random) -> None:
    canvas.gradient((22, 26, 66), (84, 76, 132))
    for _ in range(130):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(-0.4, 0.66), rng.uniform(0.0015, 0.0045)
        canvas.polygon(ellipse(x, y, r, r), rng.choice(((255, 250, 220), (206, 214, 250))))
    x, y = rng.choice((0.12, 0.86)), rng.uniform(0.11, 0.17)
    canvas.polygon(_crescent(x, y, 0.085), (250, 240, 206))
    canvas.ground(_waves(rng, 0.5, 0.04, 4.0), (66, 68, 124))
    canvas.ground(_waves(rng, 0.6, 0.03, 3.4), (50, 56, 104))
    canvas.ground(_waves(rng, 0.74, 0.025, 2.8), (38, 44, 86))


def _crescent(x: float, y: float, radius: float) -> list[Point]:
    """A moon: a circle less a smaller one that lies to its right."""
    away, inner = 0.47 * radius, 0.85 * radius
    chord = (away**2 + radius**2 - inner**2) / (2 * away)  # where the circles cut each other
    tip, tip_inside = math.acos(chord / radius), math.acos((chord - away) / inner)
    outer = [tip + (2 * math.pi - 2 * tip) * i / 40 for i in range(41)]
    back = [2 * math.pi - tip_inside - (2 * math.pi - 2 * tip_inside) * i / 40 for i in range(41)]
    return [
        *((x + radius * math.cos(a), y + radius * math.sin(a)) for a in outer),
        *((x + away + inner * math.cos(a), y + inner * math.sin(a)) for a in back),
    ]


BACKGROUNDS: dict[str, Callable[[Canvas, random.Random], None]] = {
    "green field": _field,
    "blue sea": _sea,
    "sandy beach": _beach,
    "snowy hill": _snow,
    "night sky": _night,
}
"""How each scenery is painted."""
