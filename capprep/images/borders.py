"""Letterbox and pillarbox bars: even dark or light stripes along opposite edges of a picture.

Array names carry their dimensions: N lines along the axis looked at, K pixels of each line, H rows, W columns,
C colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capprep.images import Box, Pixels

NOISE = 24
"""How far a bar's pixel may lie from the bar's colour in any channel; JPEG rings as far beside a hard edge."""

DARKEST, LIGHTEST = 48, 215
"""A bar's colour lies below the one or above the other; between them it is a part of the picture."""

STRAIGHT, STRAIGHT_ALIKE = 0.4, 0.25
"""The least share of both inner edges that is straight, and where the two bars are alike.

Night pictures, starry skies and scanned pages, brightened and darkened, reach 0.12; bars around photographs that are
dark at an edge themselves fall to 0.5.
"""

_SPECKS = 0.02
_RINGING = 8
_LOOKED_AT = 512


@dataclass(frozen=True)
class Trim:
    """What is left of a picture without its bars.

    Attributes:
        box: Left, top, right and bottom in pixels of the full size: whole numbers where the pixels are full size.
        left, top, right, bottom: Pixels of the full size that were cut off at each side.
    """

    box: Box
    left: float
    top: float
    right: float
    bottom: float

    @property
    def found(self) -> bool:
        """Whether there is a bar at all."""
        return any((self.left, self.top, self.right, self.bottom))


@dataclass(frozen=True)
class _Bar:
    """A stripe that begins at an edge: its lines, its colour, and how much of its inner end is one straight edge."""

    lines: int
    colour_C: NDArray[np.int16]
    evidence: float


def trim(pixels_HWC: Pixels, size: tuple[int, int] | None = None) -> Trim:
    """The picture inside letterbox and pillarbox bars.

    A bar is a stripe of one dark or light colour, JPEG noise apart, that ends everywhere at once: where it ends,
    much of the line changes within two lines. The dark sky of a night picture ends here and there, and is none. Bars
    come in pairs, at both ends of an axis, and both have a straight inner edge; less of it will do where they have
    one colour and thickness. What cannot be told is left as it is.

    Args:
        pixels_HWC: RGB, the picture or a smaller copy of it.
        size: Width and height of the full-size picture; by default those of the pixels.
    """
    height, width = pixels_HWC.shape[:2]
    top, bottom, left, right = 0, height, 0, width
    while True:
        inner_HWC = pixels_HWC[top:bottom, left:right]
        above, below = _bars(inner_HWC)
        before, after = _bars(inner_HWC.swapaxes(0, 1)) if not above else (0, 0)
        if not above and not before:
            break
        top, bottom, left, right = top + above, bottom - below, left + before, right - after
    full_width, full_height = size or (width, height)
    across, down = full_width / width, full_height / height
    box = left * across, top * down, right * across, bottom * down
    return Trim(box, box[0], box[1], full_width - box[2], full_height - box[3])


def _bars(x_NKC: Pixels) -> tuple[int, int]:
    """How many lines a pair of bars has at the start and at the end; (0, 0) for no pair."""
    lines, pixels = x_NKC.shape[:2]
    if min(lines, pixels) < 16:
        return 0, 0
    x_NKC = x_NKC[:, :: max(1, pixels // _LOOKED_AT)]
    first, last = _bar(x_NKC), _bar(x_NKC[::-1])
    if first is None or last is None or first.lines + last.lines > 0.7 * lines:
        return 0, 0
    alike = (
        abs(first.lines - last.lines) <= max(2, lines // 100)
        and np.abs(first.colour_C - last.colour_C).max() <= NOISE // 2
    )
    if min(first.evidence, last.evidence) < (STRAIGHT_ALIKE if alike else STRAIGHT):
        return 0, 0
    return first.lines, last.lines


def _bar(x_NKC: Pixels) -> _Bar | None:
    """The stripe at the start of an axis."""
    lines = len(x_NKC)
    colour_C = np.round(np.median(x_NKC[0], axis=0)).astype(np.int16)
    if not (colour_C.max() <= DARKEST or colour_C.min() >= LIGHTEST):
        return None
    distance_NK = np.abs(x_NKC[: lines * 3 // 4].astype(np.int16) - colour_C).max(axis=2)
    other_N = (distance_NK > NOISE).mean(axis=1)
    start = int(np.argmax(other_N > _SPECKS))
    if start < max(2, lines // 200):  # thinner ones are what resizing leaves at an edge
        return None
    # ringing may pass for the end up to a block of pixels before it
    jumps = [
        min(other_N[place], other_N[place + 1]) - other_N[place - 2]
        for place in range(start, min(start + _RINGING + 1, len(other_N) - 4))
    ]
    if not jumps:
        return None
    end = start + int(np.argmax(jumps))
    # a soft edge has lines that are half bar
    strength_N = distance_NK[end : end + 4].mean(axis=1)
    soft = int(np.argmax(strength_N[:3] >= 0.75 * strength_N[3])) if strength_N[3] > strength_N[0] else 0
    return _Bar(end + soft, colour_C, float(max(jumps)))
