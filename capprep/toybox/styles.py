"""The eight styles of the drawn world: canvases that differ in their colours, their lines and their last touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from capprep.errors import ConfigError
from capprep.toybox.canvas import DETAIL, HALF, RGB, SCENERY, SUPERSAMPLING, THING, Canvas, Floats, mixed

# H, W: the picture's height and width; N: corners


class Outlined(Canvas):
    """A canvas whose larger shapes have lines round them, as wide as a share of the short side."""

    widths = {SCENERY: 0.006, THING: 0.009}  # noqa: RUF012

    def _line_colour(self, colour: RGB, role: str) -> RGB:
        """The colour of the line round a shape of that colour."""
        raise NotImplementedError

    def _draw(self, corners: list[int], colour: RGB, role: str) -> None:
        super()._draw(corners, colour, role)
        if role == DETAIL:
            return
        width = self.widths[role] * self.unit
        sides = max(corners[::2]) - min(corners[::2]), max(corners[1::2]) - min(corners[1::2])
        if max(sides) < 3 * width:
            return
        whole = max(1, round(min(width, max(sides) / 7, min(sides) / 3)))
        self.pen.line([*corners, *corners[:4]], fill=self._line_colour(colour, role), width=whole)
        if whole > 2 and len(corners) < 24:  # at blunt corners of two wide lines a notch would show
            radius = (whole - 1) // 2
            for x, y in zip(corners[::2], corners[1::2], strict=True):
                self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=self._line_colour(colour, role))


class Ink(Outlined):
    """Dark outlines round every part and washed-out fills, on paper."""

    PAPER = (250, 246, 234)
    INK = (38, 34, 46)

    def _tone(self, colour: RGB, role: str) -> RGB:
        return mixed(colour, self.PAPER, 0.14 if role == THING else 0.46)

    def _line_colour(self, colour: RGB, role: str) -> RGB:
        return self.INK if role == THING else (96, 92, 104)

    def _finish(self, picture: Image.Image) -> Image.Image:
        return ImageChops.multiply(picture, _paper(picture.size, self.seed % 4, 150, 8))


class Pixel(Canvas):
    """Large square cells in few colours."""

    CELLS = 64
    bands = 6

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.colours: dict[RGB, None] = {}
        super().__init__(width, height, seed)

    def _tone(self, colour: RGB, role: str) -> RGB:
        self.colours[colour] = None
        return colour

    def gradient(self, stops: Sequence[RGB], bottom: float) -> None:
        """Fill everything in bands, each a colour of the picture's own."""
        super().gradient(stops, bottom)
        column_H3 = np.asarray(self.image.crop((0, 0, 1, self.height)))[:, 0]
        for red, green, blue in np.unique(column_H3, axis=0).tolist():
            self.colours[red, green, blue] = None

    def finished(self) -> Image.Image:
        """The picture at its own size, RGB."""
        cells = self.image.reduce(SUPERSAMPLING)
        few = Image.new("P", (1, 1))
        colours = list(self.colours)[:256]
        colours += colours[:1] * (256 - len(colours))  # entries left out would be greys
        few.putpalette([channel for colour in colours for channel in colour])
        cells_HW3 = np.asarray(cells.quantize(palette=few, dither=Image.Dither.NONE).convert("RGB"))
        rows_H, columns_W = (
            self._cells(length, len_) for length, len_ in zip(self.size[::-1], cells_HW3.shape[:2], strict=True)
        )
        return Image.fromarray(cells_HW3[rows_H][:, columns_W])

    def _cells(self, length: int, count: int) -> NDArray[np.int64]:
        """For each pixel along one side the cell in which it lies; the cells are even about the middle."""
        places = (2 * np.arange(length) + 1 - length) * self.CELLS // (2 * min(self.size)) + count // 2
        return places.clip(0, count - 1)

    def _unit(self, short: int) -> int:
        return self.CELLS * SUPERSAMPLING

    def _area(self, width: int, height: int) -> tuple[int, int]:
        short = min(width, height)
        wide, high = (2 * math.ceil(self.CELLS * length / short / 2) for length in (width, height))
        return wide * SUPERSAMPLING, high * SUPERSAMPLING


class Crayon(Outlined):
    """Grainy strokes with a wobble, and white paper showing through."""

    PAPER = 252
    widths = {SCENERY: 0.007, THING: 0.012}  # noqa: RUF012

    def _line_colour(self, colour: RGB, role: str) -> RGB:
        return mixed(colour, (40, 30, 60), 0.3 if role == THING else 0.12)

    def _draw(self, corners: list[int], colour: RGB, role: str) -> None:
        super()._draw(corners if role == DETAIL else self._wobbling(corners), colour, role)

    def _finish(self, picture: Image.Image) -> Image.Image:
        cover = _flipped(_wax(picture.size), self.seed % 4)
        return Image.composite(picture, Image.new("RGB", picture.size, (self.PAPER,) * 3), cover)

    def _wobbling(self, corners: list[int]) -> list[int]:
        """The outline as an unsteady hand draws it: never further off than a small share of the short side."""
        points_N2 = np.array(corners, dtype=np.float64).reshape(-1, 2) / self.unit
        if len(points_N2) < 16:
            share_S11 = np.arange(5)[:, None, None] / 5
            ends_N2 = np.roll(points_N2, -1, axis=0)
            points_N2 = (points_N2 * (1 - share_S11) + ends_N2 * share_S11).transpose(1, 0, 2).reshape(-1, 2)
        x_N, y_N = points_N2.T
        shift_2N = np.sin([71 * y_N + 3 * x_N + self.seed % 7, 67 * x_N - 5 * y_N + self.seed % 5])
        moved_N2 = (points_N2 + 0.0035 * shift_2N.T) * self.unit
        return list(np.floor(moved_N2 + HALF).astype(np.int64).ravel().tolist())


class Neon(Outlined):
    """A dark scene in which things are glowing outlines of their colour."""

    DARK = (8, 6, 16)
    widths = {SCENERY: 0.005, THING: 0.011}  # noqa: RUF012

    def _tone(self, colour: RGB, role: str) -> RGB:
        if role == THING:
            return mixed(self.DARK, colour, 0.3)
        strong = mixed(colour, _vivid(colour, 76 + max(colour) * 7 // 10), 0.8)
        return mixed(self.DARK, strong, 0.34 if role == SCENERY else 0.52)

    def _line_colour(self, colour: RGB, role: str) -> RGB:
        if role == THING:
            return _vivid(colour) if max(colour) > 80 else mixed(self.DARK, (200, 180, 255), 0.5)
        return mixed(self.DARK, _vivid(colour, 76 + max(colour) * 7 // 10), 0.7)

    def _finish(self, picture: Image.Image) -> Image.Image:
        short = min(picture.size)
        step = max(1, short // 128)
        small = picture.reduce(step)
        red, green, blue = small.split()
        brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        bright = brightest.point([max(0, min(255, 4 * (value - 120))) for value in range(256)])
        glow = Image.composite(small, Image.new("RGB", small.size), bright)
        blur = ImageFilter.BoxBlur(0.012 * short / step)
        glow = glow.filter(blur).filter(blur).point([round(min(255, 1.7 * value)) for value in range(256)] * 3)
        return ImageChops.screen(picture, glow.resize(picture.size, Image.Resampling.BILINEAR))


class Negative(Canvas):
    """The flat picture with every channel turned round, as on film."""

    def _finish(self, picture: Image.Image) -> Image.Image:
        return ImageChops.invert(picture)


class Pastel(Canvas):
    """Soft chalky colours with blurred edges, on paper."""

    def _tone(self, colour: RGB, role: str) -> RGB:
        return mixed(colour, (250, 244, 238), 0.2 if role == THING else 0.4)

    def _finish(self, picture: Image.Image) -> Image.Image:
        soft = picture.filter(ImageFilter.BoxBlur(0.006 * min(picture.size)))
        wet = ImageChops.screen(soft, ImageChops.invert(_paper(picture.size, self.seed % 4, 5, 70)))
        return ImageChops.multiply(wet, _paper(picture.size, self.seed // 4 % 4, 170, 14))


class Woodcut(Outlined):
    """Dark lines cut over flat colours in few tones: the darker a place, the wider its lines."""

    bands = 4
    widths = {SCENERY: 0.008, THING: 0.012}  # noqa: RUF012
    INK = (44, 32, 34)
    LINES = 40

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        super().__init__(width, height, seed)
        self.mask = Image.new("L", self.image.size)
        self.mask_pen = ImageDraw.Draw(self.mask)

    def _tone(self, colour: RGB, role: str) -> RGB:
        return mixed(colour, (248, 232, 196), 0.1 if role == THING else 0.3)

    def _line_colour(self, colour: RGB, role: str) -> RGB:
        return self.INK

    def _draw(self, corners: list[int], colour: RGB, role: str) -> None:
        super()._draw(corners, colour, role)
        if role == THING:
            self.mask_pen.polygon(corners, fill=255)

    def _finish(self, picture: Image.Image) -> Image.Image:
        across, along = _cuts(self.image.size, self.LINES)
        lines = Image.composite(across, along, self.mask)
        light = self.image.convert("L").point([_uncut(44 + value) for value in range(256)])
        steep = self.unit / self.LINES / 1.1  # a cut's edge is a pixel wide at any size
        edge = [max(0, min(255, round(128 + steep * (value - 128)))) for value in range(256)]
        cut = ImageChops.subtract(lines, light, scale=2, offset=128).point(edge).reduce(SUPERSAMPLING)
        return Image.composite(Image.new("RGB", picture.size, self.INK), picture, cut)


_CANVASES: dict[str, type[Canvas]] = {
    "flat": Canvas,
    "ink": Ink,
    "pixel": Pixel,
    "crayon": Crayon,
    "neon": Neon,
    "negative": Negative,
    "pastel": Pastel,
    "woodcut": Woodcut,
}

STYLES = tuple(_CANVASES)
"""The names of the styles."""


def style_named(name: str) -> type[Canvas]:
    """The canvas of a style.

    Raises:
        ConfigError: There is no such style.
    """
    if name not in _CANVASES:
        raise ConfigError(f"style = {name!r} is not possible", f"choose one of: {', '.join(STYLES)}")
    return _CANVASES[name]


def _vivid(colour: RGB, bright: int = 255) -> RGB:
    """The colour with much of its grey taken away and its strongest channel at `bright`."""
    grey = 0.45 * min(colour) if max(colour) - min(colour) > 24 else 0
    red, green, blue = (round(bright * (channel - grey) / (max(colour) - grey)) for channel in colour)
    return red, green, blue


def _noise(size: tuple[int, int], cells: int, seed: int, stretch: int = 1) -> Image.Image:
    """Smooth noise, L: `cells` bumps over the short side, `stretch` times longer than wide."""
    short = min(size)
    wide, high = (cells * length / short for length in size)
    grid_HW = np.random.RandomState(seed).randint(0, 256, (math.ceil(high / stretch), math.ceil(wide)))
    grid = Image.fromarray(grid_HW.astype(np.uint8))
    box = (0, 0, wide, high / stretch)
    return grid.resize(size, Image.Resampling.BICUBIC, box=box)


def _flipped(texture: Image.Image, way: int) -> Image.Image:
    """One of the four ways a sheet can lie."""
    if way & 1:
        texture = texture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return texture.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if way & 2 else texture


@lru_cache(maxsize=32)
def _paper(size: tuple[int, int], way: int, cells: int, depth: int) -> Image.Image:
    """Paper to multiply a picture with, RGB: white with bumps up to `depth` darker."""
    table = [255 - round(depth * (255 - value) / 255) for value in range(256)]
    return _flipped(_noise(size, cells, 5), way).point(table).convert("RGB")


@lru_cache(maxsize=16)
def _wax(size: tuple[int, int]) -> Image.Image:
    """How well wax covers the paper, L: grain in slanting strokes."""
    finer = math.ceil(512 / min(size))  # a small sheet is a large one scaled down
    width, height = size[0] * finer, size[1] * finer
    rows_H1 = np.arange(height)[:, None]
    slant = 78 * height // 100
    cells = 75 * min(width + slant, height) // min(width, height)
    upright_HV = np.asarray(_noise((width + slant, height), cells, 11, stretch=5))
    strokes = Image.fromarray(upright_HV[rows_H1, np.arange(width) + 78 * rows_H1 // 100])
    both = ImageChops.add(strokes, _noise((width, height), 190, 12), scale=2)
    cover = both.point([min(255, max(156, round(224 + (value - 104) * 2.6))) for value in range(256)])
    return cover.reduce(finer)


_RIDGE = 208
"""Lower than 255, so that the lightest places stay clear of lines with their soft edges."""


def _uncut(light: int) -> int:
    """How high a line must be to be cut in a place of that lightness; half the width of a line stays clear."""
    return 255 if light >= 255 else round(max(146, light) / 255 * _RIDGE)


@lru_cache(maxsize=16)
def _cuts(size: tuple[int, int], count: int) -> tuple[Image.Image, Image.Image]:
    """Two sheets of lines, L: slanting ones and level ones.

    Args:
        size: Width and height in pixels.
        count: How many lines lie over the short side; each rises from 0 to `_RIDGE` in its middle.
    """
    width, height = size
    x_W = (np.arange(width) + 0.5 - width / 2) / min(size)
    y_H1 = ((np.arange(height) + 0.5 - height / 2) / min(size))[:, None]
    wavy_HW = count * (y_H1 + 0.01 * np.sin(9 * x_W))
    slant_HW = count * (0.72 * y_H1 + 0.7 * x_W)

    def ridges(phase_HW: Floats) -> Image.Image:
        wave_HW = _RIDGE * np.abs(2 * (phase_HW - np.floor(phase_HW)) - 1)
        return Image.fromarray(wave_HW.round().astype(np.uint8))

    return ridges(slant_HW), ridges(wavy_HW)
