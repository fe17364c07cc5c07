"""Screening: what can be measured of a picture, as numbers that judge nothing; the thresholds are somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from capprep.images import Pixels

# H, W, C: height, width, channels; N values


_REBLUR = 9  # taps of the box, as wide as the blur that is to be told at 512 pixels
_DARK, _LIGHT = 24, 240  # a margin's levels, up to and from which it is nearly black and nearly white
_MARGIN = 0.99  # share of a row's or column's pixels that have such a level
_WINDOW = 1024  # side of the part of the source in which blocks are looked for
_BLOCK = 8
_FLOOR = 0.25  # levels; steps smaller than this are rounding


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of one picture; the first eight are of its square, at the size in which it is trained on.

    Attributes:
        sharpness: Share of the gradient that a blur with a box of 9 pixels takes away, of the axis that has less of
            it, 0..1. A photograph in focus has 0.4 to 0.8, a blurred one below 0.35, a flat picture 0. Contrast does
            not change it, noise raises it. Crété et al. 2007, "The blur effect".
        brightness: Mean luma, 0..1.
        shadows: The luma that 5 % of the pixels do not exceed, 0..1; near 1 the picture is overexposed.
        highlights: The luma that 99 % of the pixels do not exceed, 0..1; below about 0.3 the picture is underexposed.
        contrast: Standard deviation of luma (Peli 1990), 0..0.5; a photograph has about 0.2.
        information: Entropy of the histogram of luma in bits, 0..8; a photograph has 7, a flat picture 0.
        colourfulness: Of Hasler and Süsstrunk 2003: 0 grey, 15 slightly, 33 moderately, 59 quite, 109 extremely
            colourful.
        dark_border, light_border: Share of the square that lies in nearly black and in nearly white margins along
            whole sides, 0..1. It counts drawings on white paper and night skies too.
        blockiness: How much of the steps at every eighth pixel of the source is there and not between, of the axis
            that has more of it, 0..1: the blocks of JPEG. Up to about 0.1 there are none to be seen; at quality 10 it
            is about 0.7. Pixel art drawn eight times as large has them by intent.
    """

    sharpness: float
    brightness: float
    shadows: float
    highlights: float
    contrast: float
    information: float
    colourfulness: float
    dark_border: float
    light_border: float
    blockiness: float

    def to_json(self) -> dict[str, float]:
        """As a fact's data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measures:
        """Back from a fact's data."""
        return cls(**data)


def measure(square_HWC: Pixels, source_HWC: Pixels | None = None, reduction: int = 1) -> Measures:
    """All measurements of a picture, to four decimals.

    Args:
        square_HWC: RGB, the square as it is trained on.
        source_HWC: RGB, what the square was made from, at the decoder's own pixels: the resized square has no grid of
            blocks any more. The whole picture or a part of it, in any of the eight orientations. The square if None.
        reduction: How many times smaller than stored `source_HWC` was decoded. From 4 on blocks are not looked for:
            such a source is resized so far that a block is hardly a pixel of the square.
    """
    grey_HW = np.asarray(cv2.cvtColor(square_HWC, cv2.COLOR_RGB2GRAY), np.uint8)
    share_256 = cv2.calcHist([grey_HW], [0], None, [256], [0, 256]).ravel().astype(np.float64) / grey_HW.size
    levels_256 = np.arange(256) / 255
    up_to_256 = np.cumsum(share_256)
    mean = float(share_256 @ levels_256)
    present = share_256[share_256 > 0]
    values = {
        "sharpness": sharpness(grey_HW),
        "brightness": mean,
        # the sum of the shares may miss the share itself by a rounding
        "shadows": float(levels_256[np.searchsorted(up_to_256, 0.05 - 1e-9)]),
        "highlights": float(levels_256[np.searchsorted(up_to_256, 0.99 - 1e-9)]),
        "contrast": float(np.sqrt(share_256 @ (levels_256 - mean) ** 2)),
        "information": abs(float(present @ np.log2(present))),
        "colourfulness": colourfulness(square_HWC),
        "dark_border": _border((grey_HW <= _DARK).astype(np.uint8)),
        "light_border": _border((grey_HW >= _LIGHT).astype(np.uint8)),
        "blockiness": blockiness(square_HWC if source_HWC is None else source_HWC, reduction),
    }
    return Measures(**{name: round(value, 4) for name, value in values.items()})


def sharpness(grey_HW: Pixels) -> float:
    """See `Measures.sharpness`; an axis along which nothing changes does not count."""
    shares = []
    for dx, dy in ((1, 0), (0, 1)):
        blurred_HW = cv2.blur(grey_HW.astype(np.float32), (_REBLUR, 1) if dx else (1, _REBLUR))
        sharp_HW = np.abs(cv2.Sobel(grey_HW, cv2.CV_32F, dx, dy))
        # what the blur left; where it made a gradient there was none to take away
        left_HW = np.minimum(np.abs(cv2.Sobel(blurred_HW, cv2.CV_32F, dx, dy)), sharp_HW)
        # the box mirrors the picture at its edge and makes gradients of its own there
        inner = slice(_REBLUR // 2 + 1, -_REBLUR // 2)
        total = cv2.sumElems(sharp_HW[inner, inner])[0]
        if total > 0:
            shares.append(1 - cv2.sumElems(left_HW[inner, inner])[0] / total)
    return min(shares, default=0.0)


def colourfulness(pixels_HWC: Pixels) -> float:
    """See `Measures.colourfulness`."""
    opponents = np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)  # red-green, yellow-blue
    mean, deviation = cv2.meanStdDev(cv2.transform(pixels_HWC.astype(np.float32), opponents))
    return float(np.hypot(*deviation.ravel()) + 0.3 * np.hypot(*mean.ravel()))


def _border(margin_HW: Pixels) -> float:
    """Share of the pixels outside the rows and columns of which not all, or nearly all, belong to the margin."""
    height, width = margin_HW.shape
    extent = []
    for axis, length in ((0, height), (1, width)):
        sums = cv2.reduce(margin_HW, 1 - axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        inner = np.flatnonzero(sums < _MARGIN * (height * width / length))
        if not len(inner):
            return 1.0
        extent.append((inner[-1] + 1 - inner[0]) / length)
    return float(1 - extent[0] * extent[1])


def blockiness(source_HWC: Pixels, reduction: int = 1) -> float:
    """See `Measures.blockiness`.

    The steps between neighbouring columns are sorted by their place in the block, wherever the grid begins: a picture
    may have been turned or cut. The place with the largest steps against the median of the others is the measure
    (after Wang, Sheikh and Bovik 2002).

    Args:
        source_HWC: RGB; of a large picture the middle is looked at.
        reduction: As in `measure`.
    """
    period = _BLOCK // reduction
    height, width = source_HWC.shape[:2]
    if period < 4 or min(height, width) < 4 * _BLOCK:
        return 0.0
    top, left = max(0, (height - _WINDOW) // 2), max(0, (width - _WINDOW) // 2)
    grey_HW = cv2.cvtColor(source_HWC[top : top + _WINDOW, left : left + _WINDOW], cv2.COLOR_RGB2GRAY)
    found = [0.0]
    for axis, step_HW in (
        (0, cv2.absdiff(grey_HW[:, 1:], grey_HW[:, :-1])),
        (1, cv2.absdiff(grey_HW[1:], grey_HW[:-1])),
    ):
        sums = cv2.reduce(step_HW, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.float64)
        # the median of all blocks: one straight line, or a frame, is no grid
        steps = np.median(sums[: len(sums) // period * period].reshape(-1, period), axis=0) / step_HW.shape[axis]
        edge = int(steps.argmax())
        inside = float(np.median(np.delete(steps, edge)))
        found.append((steps[edge] - inside) / (steps[edge] + _FLOOR))
    return float(max(found))


def percentiles(values_N: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Where each value stands among all, 0..100: the share that is smaller and half the share that is equal.

    Args:
        values_N: At least one.
    """
    # U: the different values, in order
    _, place_N, count_U = np.unique(np.asarray(values_N, np.float64), return_inverse=True, return_counts=True)
    smaller_U = np.cumsum(count_U) - count_U
    return np.asarray((smaller_U + count_U / 2)[place_N] * 100 / len(place_N), np.float64)
