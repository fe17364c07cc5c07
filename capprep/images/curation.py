"""Curation: the best few of many pictures, by quality and by how different they are, each choice with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import Pixels
from capprep.images.screening import percentiles

# N pictures, D numbers of a description; H, W, C: height, width, channels

Floats = NDArray[np.floating]

_SIDE = 64  # of the picture that is described
_PARTS = 4  # along each side
_DIRECTIONS = 8  # in half a turn
_SHADES = 4  # of each of the three coordinates of a colour
_FAINT = 4.0  # gradient, in units of lightness a pixel, at which directions count half

_LEAST = 0.25
"""What the distance of the picture with the lowest quality counts, of the one with the highest 1."""

_ROWS = 4096  # compared at a time, so that they stay in the cache


@dataclass(frozen=True)
class Selection:
    """The best pictures in the order in which they were chosen.

    Attributes:
        chosen: Their numbers; the first few of them are the best choice of so few.
        reasons: Why each was chosen, as the end of a sentence.
    """

    chosen: tuple[int, ...]
    reasons: tuple[str, ...]


def describe(square_HWC: Pixels) -> NDArray[np.float32]:
    """What a picture looks like, as (240,) numbers whose Euclidean distance is about 0 to 1.

    A third of the squared distance each: the mean colours of 4x4 parts in CIE Lab, where the gradients of each part
    point (a histogram of eight directions, as in Dalal and Triggs 2005), and the histogram of all colours. Histograms
    are compared by their roots, that is by Hellinger's distance.

    Args:
        square_HWC: RGB, any size.
    """
    small_HWC = cv2.resize(square_HWC, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab_HWC = np.asarray(cv2.cvtColor(small_HWC, cv2.COLOR_RGB2LAB), np.float32)
    layout = cv2.resize(lab_HWC, (_PARTS, _PARTS), interpolation=cv2.INTER_AREA).ravel() / (100 * _PARTS)
    unit = np.concatenate([np.sqrt(_gradients(lab_HWC[..., 0])), np.sqrt(_colours(lab_HWC))]) / np.sqrt(2)
    return np.asarray(np.concatenate([layout, unit]) / np.sqrt(3), np.float32)


def _gradients(lightness_HW: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shares of the gradient by part and direction; together 1 at most, less where there is hardly any."""
    dx_HW, dy_HW = (cv2.Sobel(lightness_HW, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    turn_HW = np.arctan2(dy_HW, dx_HW) / np.pi % 1
    bin_HW = (turn_HW * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    row, column = np.indices(lightness_HW.shape) * _PARTS // _SIDE
    place_HW = (row * _PARTS + column) * _DIRECTIONS + bin_HW
    strength_HW = np.hypot(dx_HW, dy_HW)
    sums = np.bincount(place_HW.ravel(), strength_HW.ravel(), _PARTS * _PARTS * _DIRECTIONS)
    return np.asarray(sums / (sums.sum() + _FAINT * lightness_HW.size))


def _colours(lab_HWC: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shares of the colours; a and b of what lies beyond +-60 count as that."""
    low, high = np.array([0, -60, -60]), np.array([100, 60, 60])
    bins_HWC = np.clip((lab_HWC - low) / (high - low) * _SHADES, 0, _SHADES - 1).astype(np.int64)
    place_HW = (bins_HWC[..., 0] * _SHADES + bins_HWC[..., 1]) * _SHADES + bins_HWC[..., 2]
    return np.asarray(np.bincount(place_HW.ravel(), minlength=_SHADES**3) / place_HW.size)


def best(
    features_ND: Floats, quality_N: Sequence[float] | Floats, count: int, keepers: Sequence[int] = ()
) -> Selection:
    """The best `count` pictures: good ones that differ from each other.

    Greedy k-centre (Gonzalez 1985): the next one is always that which is farthest from all chosen before, its distance
    weighted by where its quality stands among all. With equal qualities the largest distance of any picture from its
    nearest chosen one is at most twice what the best possible choice would leave. Costs N distances a choice, and
    memory for one number a picture.

    Args:
        features_ND: A description of each picture, see `describe`; Euclidean distances count.
        quality_N: Larger is better, in any unit: only the order matters.
        count: How many to choose; all, best first, where there are fewer.
        keepers: Numbers of pictures that are chosen before all others, in their order.

    Raises:
        ConfigError: More are to be kept than chosen.
    """
    keepers = tuple(dict.fromkeys(keepers))
    if count < len(keepers):
        raise ConfigError(
            f"{len(keepers)} pictures are to be kept in any case and only {count} to be chosen",
            f"choose at least {len(keepers)}, or take back some decisions",
        )
    total = len(features_ND)
    if not total:
        return Selection((), ())
    standing_N = percentiles(quality_N)
    weight_N = _LEAST + (1 - _LEAST) * standing_N / 100
    nearest_N = np.full(total, np.inf)
    free_N = np.ones(total, np.bool_)
    chosen: list[int] = []
    reasons: list[str] = []
    while len(chosen) < min(count, total):
        if len(chosen) < len(keepers):
            number, reason = keepers[len(chosen)], "it is kept by decision"
        else:
            number, reason = _next(nearest_N, weight_N, free_N, standing_N)
        chosen.append(number)
        reasons.append(reason)
        free_N[number] = False
        np.minimum(nearest_N, _distances(features_ND, features_ND[number]), out=nearest_N)
    return Selection(tuple(chosen), tuple(reasons))


def _next(
    nearest_N: NDArray[np.float64],
    weight_N: NDArray[np.float64],
    free_N: NDArray[np.bool_],
    standing_N: NDArray[np.float64],
) -> tuple[int, str]:
    """The free picture that is worth most, the first of equals, and why."""
    if np.isinf(nearest_N[0]):
        return int(weight_N.argmax()), f"its quality is the best of all {len(weight_N)}"
    farthest = float(nearest_N[free_N].max())
    # among copies of what is chosen already only quality counts
    worth_N = np.where(free_N, weight_N * nearest_N if farthest > 0 else weight_N, -1.0)
    number = int(worth_N.argmax())
    top = max(1, round(100 - standing_N[number]))
    quality = f"quality in the top {top} %"
    if farthest == 0:
        return number, f"it looks like one chosen before; {quality}"
    distance = float(nearest_N[number])
    if distance == farthest:
        return number, f"it is the most different from those chosen before (distance {distance:.2f}); {quality}"
    return number, f"it is different from those chosen before (distance {distance:.2f} of {farthest:.2f}); {quality}"


def _distances(features_ND: Floats, feature_D: Floats) -> NDArray[np.float64]:
    """Of each picture from one; exactly 0 from a copy."""
    squares_N = np.empty(len(features_ND))
    for begin in range(0, len(features_ND), _ROWS):
        apart = features_ND[begin : begin + _ROWS] - feature_D
        squares_N[begin : begin + _ROWS] = np.einsum("nd,nd->n", apart, apart)
    return np.sqrt(squares_N)
