"""The kinds of things of the drawn world, each as polygons in a box from -1 to 1, y downwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Point = tuple[float, float]

MAIN, LIGHT, SHADE = "main", "light", "shade"
"""Paints that depend on the thing's colour; the others are fixed."""

FIXED = {
    "wood": (140, 94, 60),
    "cream": (250, 243, 224),
    "ink": (46, 42, 56),
    "leaf": (86, 148, 72),
    "glass": (196, 226, 240),
    "metal": (176, 182, 194),
    "pollen": (246, 196, 70),
}
"""Paints that are the same whatever the thing's colour, RGB."""


@dataclass(frozen=True)
class Part:
    """One filled polygon.

    Attributes:
        paint: `main`, `light`, `shade` or a name in `FIXED`.
        points: Its corners.
    """

    paint: str
    points: tuple[Point, ...]


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, corners: int = 48) -> tuple[Point, ...]:
    """An ellipse, `turn` in radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    circle = [(rx * math.cos(a), ry * math.sin(a)) for a in (2 * math.pi * i / corners for i in range(corners))]
    return tuple((x + u * cos - v * sin, y + u * sin + v * cos) for u, v in circle)


def arch(x: float, y: float, rx: float, ry: float) -> tuple[Point, ...]:
    """The upper half of an ellipse, flat at y."""
    return tuple((x - rx * math.cos(math.pi * i / 32), y - ry * math.sin(math.pi * i / 32)) for i in range(33))


def box(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    """A rectangle."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def line(points: list[Point], width: float) -> tuple[Point, ...]:
    """A line through points as a band of that width, drawn left to right or top to bottom."""
    there, back = [], []
    for index, (x, y) in enumerate(points):
        (x0, y0), (x1, y1) = points[max(index - 1, 0)], points[min(index + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        dx, dy = (y1 - y0) / length * width / 2, (x1 - x0) / length * width / 2
        there.append((x + dx, y - dy))
        back.append((x - dx, y + dy))
    return (*there, *reversed(back))


def _house() -> list[Part]:
    return [
        Part(SHADE, box(0.34, -0.92, 0.56, -0.3)),
        Part(MAIN, box(-0.74, -0.12, 0.74, 1.0)),
        Part(SHADE, box(0.5, -0.12, 0.74, 1.0)),
        Part(SHADE, ((-0.98, -0.1), (0.0, -0.98), (0.98, -0.1))),
        Part(LIGHT, ((-0.98, -0.1), (0.0, -0.98), (0.1, -0.89), (-0.78, -0.1))),
        Part("wood", (*arch(0.12, 0.5, 0.2, 0.2), (0.32, 1.0), (-0.08, 1.0))),
        Part("pollen", ellipse(0.25, 0.72, 0.03, 0.03)),
        Part("cream", box(-0.58, 0.16, -0.2, 0.56)),
        Part("glass", box(-0.53, 0.21, -0.41, 0.51)),
        Part("glass", box(-0.37, 0.21, -0.25, 0.51)),
        Part("cream", ellipse(0.0, -0.42, 0.17, 0.17)),
        Part("glass", ellipse(0.0, -0.42, 0.12, 0.12)),
    ]


def _tree() -> list[Part]:
    return [
        Part("wood", ((-0.14, 1.0), (-0.09, 0.1), (0.09, 0.1), (0.15, 1.0))),
        Part("wood", line([(0.02, 0.5), (0.34, 0.12)], 0.09)),
        Part(SHADE, ellipse(0.38, -0.06, 0.46, 0.42)),
        Part(SHADE, ellipse(-0.36, 0.04, 0.48, 0.4)),
        Part(MAIN, ellipse(-0.4, -0.08, 0.46, 0.38)),
        Part(MAIN, ellipse(0.3, -0.2, 0.48, 0.42)),
        Part(MAIN, ellipse(-0.06, -0.5, 0.52, 0.48)),
        Part(LIGHT, ellipse(-0.22, -0.66, 0.22, 0.17, -0.5)),
        Part(LIGHT, ellipse(-0.56, -0.2, 0.14, 0.1, -0.5)),
        Part(LIGHT, ellipse(0.3, -0.36, 0.15, 0.1, -0.5)),
    ]


def _star() -> list[Part]:
    def corner(i: int) -> Point:
        radius, angle = (1.0, 0.46)[i % 2], math.pi * i / 5 - math.pi / 2
        return radius * math.cos(angle), radius * math.sin(angle) + 0.06

    corners = [corner(i) for i in range(10)]
    facets = [Part(LIGHT, ((0.0, 0.06), corners[i], corners[(i + 1) % 10])) for i in range(1, 10, 2)]
    return [Part(MAIN, tuple(corners)), *facets]


def _heart() -> list[Part]:
    def outline(scale: float, x: float, y: float) -> tuple[Point, ...]:
        angles = [2 * math.pi * i / 64 for i in range(64)]
        return tuple(
            (
                x + scale * 16 * math.sin(a) ** 3 / 16.5,
                y - scale * (13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16.5,
            )
            for a in angles
        )

    return [
        Part(SHADE, outline(1.0, 0.0, -0.12)),
        Part(MAIN, outline(0.92, -0.03, -0.15)),
        Part(LIGHT, ellipse(-0.46, -0.5, 0.2, 0.12, -0.7)),
    ]


def _fish() -> list[Part]:
    return [
        Part(SHADE, ((0.5, 0.0), (1.0, -0.5), (0.86, 0.0), (1.0, 0.5))),
        Part(SHADE, ((-0.22, -0.4), (0.12, -0.76), (0.42, -0.3))),
        Part(SHADE, ((-0.1, 0.4), (0.14, 0.66), (0.3, 0.34))),
        Part(MAIN, ellipse(-0.14, 0.0, 0.8, 0.5)),
        Part(LIGHT, ellipse(-0.2, 0.24, 0.56, 0.2)),
        Part(SHADE, line([(-0.34, -0.4), (-0.24, 0.0), (-0.34, 0.4)], 0.06)),
        Part(SHADE, ((-0.02, -0.02), (0.34, -0.16), (0.3, 0.18))),
        Part("cream", ellipse(-0.62, -0.12, 0.14, 0.14)),
        Part("ink", ellipse(-0.65, -0.11, 0.075, 0.075)),
        Part("ink", line([(-0.86, 0.14), (-0.76, 0.2), (-0.64, 0.18)], 0.04)),
    ]


def _boat() -> list[Part]:
    return [
        Part("wood", box(-0.06, -0.98, 0.02, 0.5)),
        Part("cream", ((0.08, -0.9), (0.86, 0.34), (0.08, 0.34))),
        Part("metal", ((0.08, 0.14), (0.73, 0.14), (0.86, 0.34), (0.08, 0.34))),
        Part(LIGHT, ((-0.12, -0.62), (-0.12, 0.34), (-0.72, 0.34))),
        Part(SHADE, ((-0.06, -1.0), (-0.06, -0.8), (-0.36, -0.9))),
        Part(MAIN, ((-1.0, 0.46), (1.0, 0.46), (0.72, 1.0), (-0.66, 1.0))),
        Part(SHADE, ((-0.83, 0.74), (0.855, 0.74), (0.72, 1.0), (-0.66, 1.0))),
        Part("cream", ((-1.0, 0.46), (1.0, 0.46), (0.95, 0.56), (-0.94, 0.56))),
    ]


def _flower() -> list[Part]:
    turns = [math.pi / 4 * i for i in range(8)]

    def petals(paint: str, far: float, length: float, width: float) -> list[Part]:
        return [Part(paint, ellipse(far * math.cos(a), -0.38 + far * math.sin(a), length, width, a)) for a in turns]

    return [
        Part("leaf", line([(0.0, 1.0), (0.05, 0.5), (0.0, -0.2)], 0.09)),
        Part("leaf", ellipse(0.3, 0.56, 0.3, 0.11, -0.6)),
        Part("leaf", ellipse(-0.26, 0.72, 0.28, 0.1, 0.6)),
        *petals(MAIN, 0.36, 0.25, 0.16),
        *petals(LIGHT, 0.38, 0.14, 0.06),
        Part("pollen", ellipse(0.0, -0.38, 0.21, 0.21)),
        Part("wood", ellipse(0.0, -0.38, 0.1, 0.1)),
    ]


def _balloon() -> list[Part]:
    string = [(0.12 * math.sin(5 * t), 0.5 + 0.5 * t) for t in (i / 12 for i in range(13))]
    return [
        Part("ink", line(string, 0.03)),
        Part(SHADE, ((0.0, 0.36), (-0.12, 0.54), (0.12, 0.54))),
        Part(SHADE, ellipse(0.0, -0.28, 0.6, 0.7)),
        Part(MAIN, ellipse(-0.04, -0.31, 0.54, 0.65)),
        Part(LIGHT, ellipse(-0.24, -0.56, 0.11, 0.2, 0.4)),
    ]


def _mushroom() -> list[Part]:
    return [
        Part("cream", ((-0.2, 0.1), (0.2, 0.1), (0.3, 0.9), (0.22, 1.0), (-0.22, 1.0), (-0.3, 0.9))),
        Part("metal", ((0.08, 0.1), (0.2, 0.1), (0.3, 0.9), (0.22, 1.0), (0.1, 1.0))),
        Part(SHADE, ellipse(0.0, 0.16, 0.96, 0.16)),
        Part(MAIN, arch(0.0, 0.18, 0.96, 1.1)),
        Part("cream", ellipse(-0.38, -0.26, 0.17, 0.15, -0.5)),
        Part("cream", ellipse(0.14, -0.56, 0.19, 0.15)),
        Part("cream", ellipse(0.52, -0.14, 0.15, 0.14, 0.5)),
        Part("cream", ellipse(-0.04, 0.0, 0.11, 0.09)),
        Part("cream", ellipse(-0.72, 0.04, 0.08, 0.08)),
    ]


def _car() -> list[Part]:
    def wheel(x: float) -> list[Part]:
        return [Part("ink", ellipse(x, 0.62, 0.26, 0.26)), Part("metal", ellipse(x, 0.62, 0.13, 0.13))]

    return [
        Part(MAIN, ((-0.6, 0.1), (-0.4, -0.36), (0.32, -0.36), (0.6, 0.1))),
        Part("glass", ((-0.46, 0.06), (-0.32, -0.26), (-0.06, -0.26), (-0.06, 0.06))),
        Part("glass", ((0.04, 0.06), (0.04, -0.26), (0.26, -0.26), (0.45, 0.06))),
        Part(MAIN, ((-1.0, 0.2), (-0.92, 0.06), (0.74, 0.06), (0.98, 0.2), (1.0, 0.6), (-1.0, 0.6))),
        Part(LIGHT, box(-0.92, 0.12, 0.8, 0.18)),
        Part(SHADE, box(-1.0, 0.44, 1.0, 0.62)),
        Part("pollen", ellipse(0.92, 0.3, 0.08, 0.09)),
        Part("cream", box(-0.04, 0.26, 0.1, 0.3)),
        *wheel(-0.54),
        *wheel(0.54),
    ]


def _cat() -> list[Part]:
    tail = [(0.4, 0.86), (0.72, 0.82), (0.84, 0.56), (0.74, 0.3), (0.84, 0.08)]
    ears = [
        part
        for side in (-1, 1)
        for part in (
            Part(MAIN, ((side * 0.58, -0.36), (side * 0.56, -1.0), (side * 0.1, -0.72))),
            Part(SHADE, ((side * 0.5, -0.56), (side * 0.49, -0.84), (side * 0.26, -0.7))),
        )
    ]
    eyes = [
        part
        for x in (-0.23, 0.23)
        for part in (Part("pollen", ellipse(x, -0.42, 0.12, 0.13)), Part("ink", ellipse(x, -0.42, 0.055, 0.11)))
    ]
    whiskers = [
        Part("ink", line([(side * 0.2, -0.18), (side * 0.66, y)], 0.03)) for side in (-1, 1) for y in (-0.26, -0.1)
    ]
    return [
        Part(SHADE, line(tail, 0.2)),
        Part(SHADE, ellipse(0.84, 0.08, 0.1, 0.1)),
        Part(
            MAIN,
            (
                (-0.3, -0.1),
                (0.3, -0.1),
                (0.52, 0.5),
                (0.56, 0.88),
                (0.44, 1.0),
                (-0.44, 1.0),
                (-0.56, 0.88),
                (-0.52, 0.5),
            ),
        ),
        Part(LIGHT, ellipse(0.0, 0.4, 0.22, 0.36)),
        Part(SHADE, line([(-0.2, 0.62), (-0.14, 1.0)], 0.05)),
        Part(SHADE, line([(0.2, 0.62), (0.14, 1.0)], 0.05)),
        Part(LIGHT, ellipse(-0.27, 0.93, 0.17, 0.08)),
        Part(LIGHT, ellipse(0.27, 0.93, 0.17, 0.08)),
        *ears,
        Part(MAIN, ellipse(0.0, -0.4, 0.6, 0.46)),
        Part(LIGHT, ellipse(0.0, -0.17, 0.26, 0.17)),
        *eyes,
        *whiskers,
        Part("ink", ((-0.08, -0.28), (0.08, -0.28), (0.0, -0.18))),
    ]


def _bird() -> list[Part]:
    far = ((-0.3, 0.1), (-0.5, -0.3), (-0.52, -0.9), (-0.3, -0.74), (-0.12, -0.72), (-0.02, -0.44), (0.1, 0.0))
    near = (
        (-0.22, 0.22),
        (-0.14, -0.3),
        (0.28, -0.98),
        (0.42, -0.74),
        (0.62, -0.64),
        (0.6, -0.4),
        (0.74, -0.24),
        (0.58, -0.04),
        (0.36, 0.26),
    )
    return [
        Part(SHADE, far),
        Part(SHADE, ((0.4, 0.24), (1.0, 0.12), (0.9, 0.34), (1.0, 0.52), (0.8, 0.56), (0.42, 0.5))),
        Part("pollen", ((-0.78, -0.06), (-1.0, 0.12), (-0.76, 0.2))),
        Part(MAIN, ellipse(-0.02, 0.3, 0.62, 0.3, 0.1)),
        Part(MAIN, ellipse(-0.54, 0.08, 0.29, 0.28)),
        Part(LIGHT, ellipse(-0.14, 0.44, 0.42, 0.14, 0.14)),
        Part(MAIN, near),
        Part(LIGHT, ((-0.08, 0.02), (-0.04, -0.26), (0.26, -0.76), (0.3, -0.5), (0.2, -0.1))),
        Part(SHADE, line([(0.06, 0.24), (0.36, 0.2), (0.58, -0.04)], 0.05)),
        Part("cream", ellipse(-0.6, 0.02, 0.1, 0.1)),
        Part("ink", ellipse(-0.63, 0.03, 0.06, 0.06)),
    ]


KINDS: dict[str, Callable[[], list[Part]]] = {
    "house": _house,
    "tree": _tree,
    "flower": _flower,
    "mushroom": _mushroom,
    "car": _car,
    "boat": _boat,
    "fish": _fish,
    "cat": _cat,
    "bird": _bird,
    "star": _star,
    "heart": _heart,
    "balloon": _balloon,
}
"""Each kind's parts, from back to front."""

AIRBORNE = frozenset({"star", "heart", "balloon", "bird"})
"""Kinds that hang or fly in the air; the others stand on the ground or lie on the water."""
