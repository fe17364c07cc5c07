"""A canvas in the coordinates of a picture's central square: shapes of scenery, details and things, painted flat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from capprep.toybox.shapes import Point, ellipse

RGB = tuple[int, int, int]
Floats = NDArray[np.float64]

SUPERSAMPLING = 2
"""Everything is painted that many times larger and averaged down, for smooth edges."""

HALF = 0.5 + 1e-6
"""Added before rounding down: what lies between two pixels up to a last bit goes the same way on every machine."""

SCENERY, DETAIL, THING = "scenery", "detail", "thing"
"""What a shape belongs to: styles outline scenery and things, never the small details."""


def mixed(colour: RGB, other: RGB, share: float) -> RGB:
    """A colour with a share of another one in it."""
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def scaled(colour: RGB, factors: tuple[float, float, float]) -> RGB:
    """A colour with each channel multiplied, kept within 0..255."""
    red, green, blue = (min(255, round(a * factor)) for a, factor in zip(colour, factors, strict=True))
    return red, green, blue


@lru_cache(maxsize=64)
def _circle(corners: int) -> tuple[Point, ...]:
    return ellipse(0.0, 0.0, 1.0, 1.0, corners=corners)


class Canvas:
    """A picture being painted; its coordinates are those of its central square and hold at any size and aspect.

    Styles override `_tone`, `_draw` and `_finish`, which is all they may change: never where a shape lies.

    Args:
        width: Of the finished picture in pixels.
        height: Of the finished picture in pixels.
        seed: Of what a style adds, such as how its paper lies.
    """

    bands = 0
    """In how many even steps a gradient is painted; 0: smoothly."""

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.size, self.seed = (width, height), seed
        self.unit = self._unit(min(width, height))
        self.width, self.height = self._area(width, height)
        self.image = Image.new("RGB", (self.width, self.height))
        self.pen = ImageDraw.Draw(self.image)
        self.middle = self.width / 2 - self.unit / 2, self.height / 2 - self.unit / 2

    def _tone(self, colour: RGB, role: str) -> RGB:
        """The colour in which this style paints a colour."""
        return colour

    def _draw(self, corners: list[int], colour: RGB, role: str) -> None:
        """Paint one polygon.

        Args:
            corners: x and y in turn, in the canvas's own pixels.
            colour: The true one.
            role: SCENERY, DETAIL or THING.
        """
        self.pen.polygon(corners, fill=self._tone(colour, role))

    def _finish(self, picture: Image.Image) -> Image.Image:
        """The last touch, at the picture's own size."""
        return picture

    def finished(self) -> Image.Image:
        """The picture at its own size, RGB."""
        return self._finish(self.image.reduce(SUPERSAMPLING))

    def gradient(self, stops: Sequence[RGB], bottom: float) -> None:
        """Fill everything, from the first colour at the square's top to the last at `bottom`, evenly."""
        share_H = ((np.arange(self.height) + 0.5 - self.middle[1]) / (self.unit * bottom)).clip(0, 1)
        if self.bands:
            share_H = np.minimum(np.floor(share_H * self.bands), self.bands - 1) / (self.bands - 1)
        colours_K3 = np.array([self._tone(stop, SCENERY) for stop in stops], dtype=np.float64)
        places_K = np.linspace(0, 1, len(stops))
        column_H3 = np.stack([np.interp(share_H, places_K, colours_K3[:, channel]) for channel in range(3)], axis=1)
        column_H13 = np.floor(column_H3 + HALF).astype(np.uint8)[:, None]
        self.image.paste(Image.fromarray(column_H13).resize(self.image.size, Image.Resampling.NEAREST))

    def polygon(self, points: Sequence[Point], colour: RGB, role: str = SCENERY) -> None:
        """Fill a polygon; one that lies outside costs nothing."""
        (left, top), unit, floor = self.middle, self.unit, math.floor
        left, top = left + HALF, top + HALF
        corners = [place for x, y in points for place in (floor(left + x * unit), floor(top + y * unit))]
        xs, ys = corners[::2], corners[1::2]
        if max(xs) >= 0 and min(xs) < self.width and max(ys) >= 0 and min(ys) < self.height:
            self._draw(corners, colour, role)

    def part(self, points_N2: Floats, colour: RGB) -> None:
        """Fill a polygon of a thing."""
        corners_N2 = np.floor(points_N2 * self.unit + (self.middle[0] + HALF, self.middle[1] + HALF))
        self._draw(corners_N2.astype(np.int64).ravel().tolist(), colour, THING)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: RGB, role: str = SCENERY) -> None:
        """Fill an ellipse, with no more corners than its size can show; one too small to be seen is left out."""
        radius = max(rx, ry) * self.unit
        if radius < 0.8 or not -radius < self.middle[0] + x * self.unit < self.width + radius:
            return
        circle = _circle(min(48, 4 * math.ceil(1 + radius**0.5)))
        self.polygon([(x + rx * u, y + ry * v) for u, v in circle], colour, role)

    def ground(self, height: Callable[[float], float], colour: RGB) -> None:
        """Fill everything below a line, given as y over x."""
        half = self.width / self.unit / 2 + 0.02
        steps = round(2 * half * min(80, 24 + self.unit / 12))
        xs = [0.5 - half + 2 * half * i / steps for i in range(steps + 1)]
        below = self.height / self.unit + 1
        self.polygon([*((x, height(x)) for x in xs), (xs[-1], below), (xs[0], below)], colour)

    def shadow(self, x: float, y: float, half: float) -> None:
        """A soft patch on the ground, so that a thing stands instead of floating."""
        (left, top), unit = self.middle, self.unit
        wide, high = half * unit, half * 0.14 * unit
        patch = Image.new("L", (2 * math.ceil(wide) + 1, 2 * math.ceil(high) + 1))
        pen = ImageDraw.Draw(patch)
        for step in range(6):
            rx, ry = wide * (1 - 0.1 * step), high * (1 - 0.1 * step)
            places = [
                place for u, v in _circle(24) for place in (patch.width // 2 + u * rx, patch.height // 2 + v * ry)
            ]
            pen.polygon([math.floor(place + HALF) for place in places], fill=12 + 10 * step)
        corner = round(left + x * unit - patch.width / 2), round(top + y * unit - patch.height / 2)
        self.image.paste((30, 30, 60), corner, patch)

    def _unit(self, short: int) -> int:
        """The central square's side in the canvas's own pixels."""
        return short * SUPERSAMPLING

    def _area(self, width: int, height: int) -> tuple[int, int]:
        """The canvas's own width and height."""
        return width * SUPERSAMPLING, height * SUPERSAMPLING
