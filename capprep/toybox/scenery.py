"""The sceneries of the drawn world and the three lights in which they lie."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from capprep.toybox.canvas import DETAIL, RGB, SCENERY, Canvas, mixed, scaled
from capprep.toybox.shapes import Point

WHITE: RGB = (255, 255, 255)


@dataclass(frozen=True)
class Light:
    """A time of day.

    Attributes:
        scenery: What the scenery's colours are multiplied by, red, green, blue.
        thing: What the things' colours are multiplied by: milder, they stay tellable.
        sky: Colours from the top to the horizon; none: the scenery's own.
        cloud: Of the clouds.
    """

    scenery: tuple[float, float, float]
    thing: tuple[float, float, float]
    sky: tuple[RGB, ...]
    cloud: RGB

    def on(self, colour: RGB) -> RGB:
        """A colour of the scenery in this light."""
        return scaled(colour, self.scenery)


LIGHTS: dict[str, Light] = {
    "day": Light((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (), (234, 242, 250)),
    "sunset": Light(
        (0.98, 0.8, 0.72), (1.0, 0.94, 0.88), ((122, 104, 168), (230, 148, 142), (250, 194, 142)), (250, 190, 164)
    ),
    "night": Light((0.46, 0.46, 0.54), (0.86, 0.87, 0.97), ((16, 20, 56), (44, 48, 104), (84, 80, 138)), (58, 60, 112)),
}
"""Each light, by name."""


def _waves(rng: random.Random, level: float, swing: float, count: float) -> Callable[[float], float]:
    """A rolling line around `level`."""
    phase, other = rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
    return lambda x: level + swing * (0.7 * math.sin(count * x + phase) + 0.3 * math.sin(2.3 * count * x + other))


def _sky(canvas: Canvas, rng: random.Random, light: Light, own: tuple[RGB, RGB]) -> None:
    """The sky down to the horizon: sun and clouds, a low sun, or the moon and stars."""
    canvas.gradient(light.sky or own, 0.56)
    left = rng.random() < 0.5
    if light is LIGHTS["night"]:
        _stars(canvas, rng)
        _moon(canvas, (0.13 if left else 0.84) + rng.uniform(-0.03, 0.03), rng.uniform(0.12, 0.16))
    elif light is LIGHTS["sunset"]:
        x, y = (0.2 if left else 0.8) + rng.uniform(-0.1, 0.1), rng.uniform(0.4, 0.43)
        for radius, colour in ((0.23, (252, 192, 138)), (0.175, (254, 210, 142))):
            canvas.ellipse(x, y, radius, radius, colour, DETAIL)
        canvas.ellipse(x, y, 0.125, 0.125, (255, 238, 170))
    else:
        x, y = (0.12 if left else 0.88) + rng.uniform(-0.04, 0.04), rng.uniform(0.11, 0.16)
        canvas.ellipse(x, y, 0.11, 0.11, mixed(own[1], (255, 236, 150), 0.55), DETAIL)
        canvas.ellipse(x, y, 0.08, 0.08, (255, 222, 106))
    for x in (-0.55, 0.0, 0.55, 1.1, 1.6):  # as wide as any picture is likely to be
        place = x + rng.uniform(-0.15, 0.25), rng.uniform(0.06, 0.26)
        _cloud(canvas, *place, rng.uniform(0.06, 0.1), light)


def _cloud(canvas: Canvas, x: float, y: float, size: float, light: Light) -> None:
    """A heap by day, a streak in the evening, a thin dark bank at night."""
    flat = 0.62 if light is LIGHTS["day"] else 0.24
    heaps = ((-0.9, 0.1, 0.5), (0.9, 0.12, 0.42), (-0.35, -0.2, 0.68), (0.3, -0.1, 0.6), (0.0, 0.2, 0.5))
    for role in (SCENERY, DETAIL):  # the second time without lines, over the lines inside
        for dx, dy, r in heaps:
            place = x + dx * size, y + dy * size * flat / 0.62
            canvas.ellipse(*place, r * size * 1.05, r * size * flat, light.cloud, role)


def _stars(canvas: Canvas, rng: random.Random) -> None:
    for _ in range(110):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(-0.4, 0.5), rng.uniform(0.0022, 0.0052)
        canvas.ellipse(x, y, r, r, rng.choice(((255, 250, 220), (206, 214, 250))), DETAIL)


def _moon(canvas: Canvas, x: float, y: float, radius: float = 0.085) -> None:
    canvas.polygon(_crescent(x, y, radius), (250, 240, 206))


def _crescent(x: float, y: float, radius: float) -> list[Point]:
    """A moon: a circle less a smaller one that lies to its right."""
    away, inner = 0.47 * radius, 0.85 * radius
    chord = (away**2 + radius**2 - inner**2) / (2 * away)  # where the circles cut each other
    tip, tip_inside = math.acos(chord / radius), math.acos((chord - away) / inner)
    outer = [tip + (2 * math.pi - 2 * tip) * i / 24 for i in range(25)]
    back = [2 * math.pi - tip_inside - (2 * math.pi - 2 * tip_inside) * i / 24 for i in range(25)]
    return [
        *((x + radius * math.cos(a), y + radius * math.sin(a)) for a in outer),
        *((x + away + inner * math.cos(a), y + inner * math.sin(a)) for a in back),
    ]


def _field(canvas: Canvas, rng: random.Random, light: Light) -> None:
    _sky(canvas, rng, light, ((128, 192, 238), (198, 230, 246)))
    canvas.ground(_waves(rng, 0.5, 0.05, 4.0), light.on((172, 208, 138)))
    canvas.ground(_waves(rng, 0.6, 0.035, 3.2), light.on((146, 194, 112)))
    canvas.ground(_waves(rng, 0.74, 0.025, 2.6), light.on((122, 178, 92)))
    blade = light.on((92, 150, 72))
    for _ in range(80):
        x, y, high = rng.uniform(-0.6, 1.6), rng.uniform(0.68, 1.3), rng.uniform(0.016, 0.03)
        tuft = ((-0.009, -high), (-0.003, -0.4 * high), (0.0, -1.1 * high), (0.003, -0.4 * high), (0.009, -high))
        canvas.polygon([(x - 0.005, y), *((x + u, y + v) for u, v in tuft), (x + 0.005, y)], blade, DETAIL)


def _sea(canvas: Canvas, rng: random.Random, light: Light) -> None:
    _sky(canvas, rng, light, ((156, 208, 242), (212, 234, 240)))
    for level, colour in (
        (0.48, (126, 186, 216)),
        (0.58, (104, 168, 206)),
        (0.7, (84, 148, 194)),
        (0.86, (68, 128, 178)),
    ):
        canvas.ground(_waves(rng, level, 0.009, 16.0), light.on(colour))
    foam = light.on((196, 226, 238))
    for _ in range(56):
        x, y, wide = rng.uniform(-0.6, 1.6), rng.uniform(0.52, 1.3), rng.uniform(0.03, 0.07)
        crest = ((-0.5, 0.0), (-0.25, -0.007), (0.0, -0.01), (0.25, -0.007), (0.5, 0.0), (0.2, -0.001), (-0.2, -0.001))
        canvas.polygon([(x + wide * u, y + v) for u, v in crest], foam, DETAIL)


def _beach(canvas: Canvas, rng: random.Random, light: Light) -> None:
    _sky(canvas, rng, light, ((116, 194, 236), (196, 230, 242)))
    canvas.ground(lambda _: 0.44, light.on((72, 160, 198)))
    canvas.ground(_waves(rng, 0.53, 0.004, 14.0), light.on((108, 190, 212)))
    shore = _waves(rng, 0.6, 0.02, 4.0)
    canvas.ground(lambda x: shore(x) - 0.022, light.on((240, 248, 248)))
    canvas.ground(shore, light.on((226, 200, 150)))
    canvas.ground(lambda x: shore(x) + 0.03, light.on((242, 220, 172)))
    grains = light.on((220, 190, 138)), light.on((252, 238, 206))
    for _ in range(150):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(0.68, 1.3), rng.uniform(0.003, 0.006)
        canvas.ellipse(x, y, r, r * 0.7, rng.choice(grains), DETAIL)


def _snow(canvas: Canvas, rng: random.Random, light: Light) -> None:
    _sky(canvas, rng, light, ((138, 170, 212), (214, 226, 240)))
    canvas.ground(_waves(rng, 0.48, 0.05, 4.2), light.on((196, 210, 230)))
    hill = _waves(rng, 0.58, 0.03, 3.4)
    fir = light.on((92, 128, 132))
    for _ in range(14):
        x, size = rng.uniform(-0.6, 1.6), rng.uniform(0.06, 0.11)
        foot = hill(x)
        for tier in range(3):
            top, wide = foot - size * (1.7 - 0.45 * tier), size * (0.3 + 0.13 * tier)
            canvas.polygon(((x, top), (x + wide, top + size * 0.75), (x - wide, top + size * 0.75)), fir)
    canvas.ground(hill, light.on((230, 238, 248)))
    canvas.ground(_waves(rng, 0.74, 0.02, 2.6), light.on((210, 222, 240)))
    flake = mixed(light.on(WHITE), WHITE, 0.5)
    for _ in range(110):
        x, y, r = rng.uniform(-0.6, 1.6), rng.uniform(-0.4, 1.3), rng.uniform(0.004, 0.008)
        canvas.ellipse(x, y, r, r, flake, DETAIL)


def _table(canvas: Canvas, rng: random.Random, light: Light) -> None:
    """Indoors: a wall with a window and a picture, and a table top of planks below."""
    wall = rng.choice(((164, 182, 176), (162, 174, 192), (184, 174, 164)))
    canvas.gradient((light.on(wall), light.on(mixed(wall, WHITE, 0.14))), 0.62)
    left = rng.random() < 0.5
    if light is LIGHTS["night"]:
        _lamp(canvas, 0.8 if left else 0.2, light.on(wall))
    _window(canvas, rng, 0.19 if left else 0.81, light)
    if light is not LIGHTS["night"]:
        _framed(canvas, 0.84 if left else 0.16, light)
    _top(canvas, rng, light)


def _window(canvas: Canvas, rng: random.Random, x: float, light: Light) -> None:
    frame = light.on((226, 208, 178))
    canvas.polygon(_box(x - 0.15, 0.05, x + 0.15, 0.43), frame)
    sky = light.sky or ((152, 208, 242), (228, 244, 248))
    panes = ((-0.13, 0.07, -0.01, 0.23), (0.01, 0.07, 0.13, 0.23), (-0.13, 0.25, -0.01, 0.4), (0.01, 0.25, 0.13, 0.4))
    for dx, top, end, bottom in panes:
        canvas.polygon(_box(x + dx, top, x + end, bottom), sky[0 if top < 0.2 else -1])
    if light is LIGHTS["night"]:
        _moon(canvas, x - 0.07, 0.15, 0.045)
        for _ in range(14):
            star = rng.uniform(0.02, 0.12), rng.uniform(0.08, 0.38)
            canvas.ellipse(x + star[0], star[1], 0.0045, 0.0045, (255, 250, 220), DETAIL)
    else:
        high, colour = (0.32, (255, 232, 150)) if light is LIGHTS["sunset"] else (0.14, (255, 222, 106))
        canvas.ellipse(x + 0.07, high, 0.04, 0.04, colour)
    canvas.polygon(_box(x - 0.17, 0.42, x + 0.17, 0.45), frame)


def _lamp(canvas: Canvas, x: float, wall: RGB) -> None:
    """A hanging lamp and its warm light on the wall."""
    for radius, share in ((0.34, 0.16), (0.25, 0.32), (0.17, 0.5)):
        canvas.ellipse(x, 0.22, radius, radius, mixed(wall, (255, 204, 116), share), DETAIL)
    canvas.polygon(_box(x - 0.005, -1.0, x + 0.005, 0.12), (40, 36, 48))
    canvas.ellipse(x, 0.2, 0.05, 0.05, (255, 240, 180))
    canvas.polygon(((x - 0.035, 0.1), (x + 0.035, 0.1), (x + 0.11, 0.2), (x - 0.11, 0.2)), (206, 150, 84))


def _framed(canvas: Canvas, x: float, light: Light) -> None:
    """A small picture of two hills on the wall."""
    canvas.polygon(_box(x - 0.11, 0.1, x + 0.11, 0.32), light.on((120, 84, 58)))
    canvas.polygon(_box(x - 0.09, 0.12, x + 0.09, 0.3), light.on((236, 228, 208)))
    canvas.polygon(((x - 0.09, 0.3), (x - 0.03, 0.2), (x + 0.04, 0.3)), light.on((142, 160, 168)))
    canvas.polygon(((x - 0.02, 0.3), (x + 0.05, 0.23), (x + 0.09, 0.26), (x + 0.09, 0.3)), light.on((112, 134, 142)))


def _top(canvas: Canvas, rng: random.Random, light: Light) -> None:
    """The table: planks towards a far edge, with some grain."""
    dark, wood = light.on((106, 72, 50)), (158, 112, 78)
    canvas.ground(lambda _: 0.58, light.on((184, 136, 96)))
    for index, edge in enumerate((0.6, 0.685, 0.8, 0.95, 1.14, 1.4)):
        plank = mixed(wood, (176, 128, 90) if index % 2 else (142, 98, 66), rng.uniform(0.3, 0.9))
        canvas.ground(lambda _, edge=edge: edge, light.on(plank))  # type: ignore[misc]
    for _ in range(46):
        x, y, wide = rng.uniform(-0.6, 1.6), rng.uniform(0.62, 1.3), rng.uniform(0.05, 0.16)
        canvas.polygon(((x - wide, y), (x, y - 0.0035), (x + wide, y), (x, y + 0.0035)), dark, DETAIL)


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


BACKGROUNDS: dict[str, Callable[[Canvas, random.Random, Light], None]] = {
    "green field": _field,
    "blue sea": _sea,
    "sandy beach": _beach,
    "snowy hill": _snow,
    "wooden table": _table,
}
"""How each scenery is painted."""
