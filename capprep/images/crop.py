"""Which part of a picture becomes the training picture: crops of an exact aspect, trimmed bars, panoramas in parts.

Everything here is geometry on numbers: nothing is resized, and the same pixels give the same boxes. `size` is always
(width, height) of the full-size upright picture; the pixels may be a smaller copy of it. A box is left, top, right
and bottom in pixels of the full size, floats. Array names carry their dimensions: H rows, W columns, C colours, N
lines along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import Box, Pixels
from capprep.images.faces import Face
from capprep.images.saliency import saliency
from capprep.images.unusable import Unusable

Size = tuple[int, int]

MODES = ("auto", "center", "top", "face", "none", "pad")
"""How a crop can be chosen."""

GUARD = 0.03
"""How much more than the resting place a window must hold before `auto` leaves it."""

CENTRE_PRIOR = 0.15
"""What a window at the end of its travel loses of its worth."""

SETTLING = 0.1
"""How far, as a share of itself, a window moves on to hold most; the prior alone would cut into what it prefers."""

BOOST = 2.0
"""What boxes to boost weigh together, everything else being 1: enough to win over the prior too."""

FACE_HEIGHT = 0.4
"""Where along a crop's height the faces' middle is put: heads have bodies below them."""


@dataclass(frozen=True)
class Choice:
    """Where a picture is cropped, and why.

    Attributes:
        box: In pixels of the full size, of exactly the aspect asked for. Only that of `pad` reaches outside.
        mode: The mode that decided; `auto` where `face` found none.
        score: `auto`: the share of what stands out that is inside, 0 to 1. `face`: the best face's confidence.
            None where nothing was measured.
        margin: `auto`: how much more is inside than at the resting place (0.12: 12 %). None otherwise.
        reason: One sentence for people.
    """

    box: Box
    mode: str
    score: float | None
    margin: float | None
    reason: str


@dataclass(frozen=True)
class Placement:
    """Which part of a picture fills which pixels of the result; all others are background.

    Attributes:
        region: A box inside the picture.
        left, top, width, height: Whole pixels of the result.
    """

    region: Box
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class _Frame:
    """The largest window of an aspect in a picture; it slides along one axis.

    Attributes:
        size: Of the picture.
        wide, high: The window's sides in pixels.
        across: Whether it slides from left to right.
        whole: Whether it may begin at whole pixels only.
    """

    size: Size
    wide: float
    high: float
    across: bool
    whole: bool = False

    @property
    def window(self) -> float:
        """The window's side along its axis."""
        return self.wide if self.across else self.high

    @property
    def free(self) -> float:
        """How far it can slide; this is also what it cuts off."""
        return max(0.0, self.size[not self.across] - self.window)

    @property
    def rest(self) -> float:
        """Where it stays when nothing speaks for another place, as a share of `free`; heads are in upper thirds."""
        return 0.5 if self.across else 1 / 3

    @property
    def rest_name(self) -> str:
        """The resting place in words."""
        return "the middle" if self.across else "the upper third"

    def at(self, share: float) -> Box:
        """The window at a share of its way, to the next whole pixel: no place is known so exactly."""
        return self._at(min(self.free, max(0.0, math.ceil(share * self.free - 0.5))))

    @property
    def middle(self) -> Box:
        """The window in the very middle, at half a pixel too."""
        return self.at(0.5) if self.whole else self._at(self.free / 2)

    def _at(self, start: float) -> Box:
        # a last bit of rounding must not reach outside
        end = min(float(self.size[not self.across]), start + self.window)
        return (start, 0.0, end, self.high) if self.across else (0.0, start, self.wide, end)


def _frame(size: Size, aspect: float, whole: bool = False) -> _Frame:
    width, height = size
    if width > height * aspect:
        return _Frame(size, height * aspect, float(height), True, whole)
    return _Frame(size, float(width), width / aspect, False, whole)


def choose(
    pixels_HWC: Pixels,
    mode: str,
    aspect: float = 1.0,
    boost: Sequence[Box] = (),
    *,
    size: Size | None = None,
    faces: Sequence[Face] = (),
    whole: bool = False,
) -> Choice:
    """The crop of a picture: as large as possible, inside it, of exactly an aspect.

    `center` is the middle. `top` is the top of upright pictures and the middle of others. `auto` is the window that
    holds most of what stands out; it stays in the middle, or in the upper third of upright pictures, unless another
    place holds 3 % more. `face` is the window with the largest and surest faces that fit in it together, never a
    place between two that do not; without faces it is `auto`. `none` takes only what has the aspect within a pixel.
    `pad` is the smallest box around the whole picture; `place` says what to do with it.

    Args:
        pixels_HWC: RGB, the picture or a smaller copy of it.
        mode: One of `MODES`.
        aspect: Width by height of the result.
        boost: For `auto`: boxes in pixels of the full size that together count `BOOST` times as much as all else.
        size: Of the full-size picture; by default that of the pixels.
        faces: For `face`: what a `FaceDetector` found, in pixels of the full size.
        whole: Begin at a whole pixel, for crops that need no resizing: a fraction would blur them.

    Raises:
        ConfigError: There is no such mode, or no such aspect.
        Unusable: `not_square`: it lacks the aspect and the mode is `none`.
    """
    if mode not in MODES:
        raise ConfigError(f"crop = {mode!r} is not possible", f"choose one of: {', '.join(MODES)}")
    _check_aspect(aspect)
    frame = _frame(size or (pixels_HWC.shape[1], pixels_HWC.shape[0]), aspect, whole)
    if mode == "none" and frame.free > 1:
        raise Unusable("not_square", _not_square(frame.size, aspect))
    if mode == "pad":
        return _padded(frame, aspect)
    if mode not in ("auto", "face") or frame.free == 0:
        return _fixed(frame, mode)
    if mode == "face" and faces:
        return _at_faces(frame, faces)
    chosen = _by_saliency(pixels_HWC, frame, boost)
    return chosen if mode == "auto" else replace(chosen, reason=f"no face was found; {chosen.reason}")


def _check_aspect(aspect: float) -> None:
    if not (math.isfinite(aspect) and aspect > 0):
        raise ConfigError(f"an aspect of {aspect} is not possible", "give a width and a height above 0")


def _fixed(frame: _Frame, mode: str) -> Choice:
    if mode == "none" or frame.free == 0:
        return Choice(frame.middle, mode, None, None, "it has the right shape already")
    if mode == "top" and not frame.across:
        return Choice(frame.at(0.0), mode, None, None, "the top")
    return Choice(frame.middle, mode, None, None, "the middle" if mode == "center" else "the middle: it is not upright")


def _not_square(size: Size, aspect: float) -> str:
    shape = "square" if aspect == 1 else f"of {aspect:.4g} to 1"
    return f"{size[0]}x{size[1]} is not {shape}, and cropping is switched off"


def _padded(frame: _Frame, aspect: float) -> Choice:
    width, height = frame.size
    # the axis along which a crop would slide is the one that is kept whole
    wide, high = (float(width), width / aspect) if frame.across else (height * aspect, float(height))
    left, top = (width - wide) / 2, (height - high) / 2
    if frame.free == 0:
        return Choice((0.0, 0.0, wide, high), "pad", None, None, "it has the right shape already")
    reason = f"the whole picture, with background {'above and below' if frame.across else 'at both sides'}"
    return Choice((left, top, left + wide, top + high), "pad", None, None, reason)


def _by_saliency(pixels_HWC: Pixels, frame: _Frame, boost: Sequence[Box]) -> Choice:
    map_HW = saliency(pixels_HWC)
    for box in boost:
        _raise(map_HW, box, frame.size, BOOST / len(boost))
    weight_N = map_HW.sum(axis=0 if frame.across else 1, dtype=np.float64)
    total = float(weight_N.sum())
    if total == 0:
        return Choice(frame.at(frame.rest), "auto", None, None, f"nothing stands out; {frame.rest_name} is kept")
    # places in a few steps a cell, and what the window holds at each: the running sum read between its points
    sides_N = np.linspace(0, frame.free + frame.window, len(weight_N) + 1)
    running_N = np.concatenate([[0.0], np.cumsum(weight_N)]) / total
    steps = 4 * math.ceil(len(weight_N) * frame.free / (frame.free + frame.window))
    shares_N = np.linspace(0, 1, 6 * math.ceil(steps / 6) + 1)  # the middle and the thirds are among them
    starts_N = shares_N * frame.free
    held_N = np.interp(starts_N + frame.window, sides_N, running_N) - np.interp(starts_N, sides_N, running_N)
    worth_N = held_N * (1 - CENTRE_PRIOR * (2 * (shares_N - frame.rest)) ** 2)
    wanted = starts_N[np.argmax(worth_N)]
    reach_N = np.flatnonzero(np.abs(starts_N - wanted) <= SETTLING * frame.window)
    # where places hold the same, the one nearest to rest
    reach_N = reach_N[held_N[reach_N] >= 0.999 * held_N[reach_N].max()]
    best = int(reach_N[np.argmin(np.abs(shares_N[reach_N] - frame.rest))])
    resting = int(np.argmin(np.abs(shares_N - frame.rest)))
    margin = float(held_N[best] / max(held_N[resting], 1e-9) - 1)
    if margin < GUARD:
        reason = f"no other place holds {GUARD:.0%} more of what stands out; {frame.rest_name} is kept"
        return Choice(frame.at(frame.rest), "auto", float(held_N[resting]), 0.0, reason)
    return Choice(
        frame.at(float(shares_N[best])), "auto", float(held_N[best]), margin, _side(frame, shares_N[best], margin)
    )


def _side(frame: _Frame, share: float, margin: float) -> str:
    before, after = ("left of", "right of") if frame.across else ("above", "below")
    more = f"{margin:.0%} more than there" if margin < 2 else f"{margin + 1:.0f} times as much as there"
    return f"what stands out lies {before if share < frame.rest else after} {frame.rest_name} ({more})"


def _raise(map_HW: NDArray[np.float32], box: Box, size: Size, times: float) -> None:
    """Add that many times a whole map's weight inside a box; a map has a mean of 1, or nothing in it."""
    high, wide = map_HW.shape
    left, right = (min(max(x / size[0], 0), 1) * wide for x in (box[0], box[2]))
    top, bottom = (min(max(y / size[1], 0), 1) * high for y in (box[1], box[3]))
    rows_H, columns_W = _covered(high, top, bottom), _covered(wide, left, right)
    inside_HW = np.outer(rows_H, columns_W)
    if inside_HW.sum() > 0:
        map_HW += (times * map_HW.size / inside_HW.sum() * inside_HW).astype(np.float32)


def _covered(count: int, start: float, end: float) -> NDArray[np.float64]:
    """The share of each of some cells that lies between two places."""
    cells_N = np.arange(count)
    return np.asarray(np.clip(np.minimum(cells_N + 1, end) - np.maximum(cells_N, start), 0, 1), np.float64)


def _at_faces(frame: _Frame, faces: Sequence[Face]) -> Choice:
    """The window around the faces that weigh most together and fit in it.

    A face weighs its area times its confidence. Faces that fit are put with their common middle in the window's
    middle, or at `FACE_HEIGHT` of it, as far as all of them stay inside.
    """
    low = 0 if frame.across else 1
    ordered = sorted(faces, key=lambda face: (face.box[low], face.box))
    best: tuple[float, list[Face]] = (-1.0, [])
    for first, face in enumerate(ordered):
        together = [
            other for other in ordered[first:] if other.box[low + 2] - face.box[low] <= frame.window or other is face
        ]
        weight = sum(_weight(other) for other in together)
        if weight > best[0]:
            best = weight, together
    start, end = min(face.box[low] for face in best[1]), max(face.box[low + 2] for face in best[1])
    wished = (start + end) / 2 - frame.window * (0.5 if frame.across else FACE_HEIGHT)
    if end - start <= frame.window:
        wished = min(max(wished, end - frame.window), start)
    found, kept = len(faces), len(best[1])
    reason = f"around {kept} of {found} faces, the largest and surest that fit together"
    if kept == found:
        reason = "around the face that was found" if found == 1 else f"around all {found} faces that were found"
    score = max(face.score for face in best[1])
    return Choice(frame.at(wished / frame.free), "face", score, None, reason)


def _weight(face: Face) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top) * face.score


def place(box: Box, size: Size, target: Size) -> Placement:
    """Where a picture lands when a box, which may reach outside it, becomes a picture of a size.

    The edges fall on whole pixels of the result, inwards, and the region is cut to match: nothing is squashed and
    no pixel mixes with the background, at the cost of less than a pixel of the result at each edge.

    Args:
        box: As `choose` gave it.
        size: Of the full-size picture.
        target: Width and height of the result.

    Raises:
        Unusable: `aspect`: less than a pixel of the picture would be seen.
    """
    spans = []
    for axis in (0, 1):
        start, scale = box[axis], (box[axis + 2] - box[axis]) / target[axis]
        # edges that fall on whole pixels up to a last bit do so
        first = math.ceil(max(0.0, -start / scale) - 1e-6)
        last = math.floor(min(target[axis], (size[axis] - start) / scale) + 1e-6)
        if last <= first:
            raise Unusable("aspect", f"{size[0]}x{size[1]} is too thin to be seen at {target[0]}x{target[1]}")
        region = max(0.0, start + first * scale), min(float(size[axis]), start + last * scale)
        spans.append((first, last - first, *region))
    (left, wide, x0, x1), (top, high, y0, y1) = spans
    return Placement((x0, y0, x1, y1), left, top, wide, high)


def around(box: Box, size: Size, aspect: float = 1.0) -> Box:
    """The smallest window of an aspect around a box: with the same middle where that is possible.

    A box that no window in the picture can hold gets the largest one that is nearest to its middle.

    Args:
        box: In pixels of the full size.
        size: Of the full-size picture.
        aspect: Width by height of the window.

    Raises:
        Unusable: `crop_outside`: the box is empty or reaches outside the picture.
    """
    _check_aspect(aspect)
    left, top, right, bottom = box
    # people read boxes off viewers that round
    if not (-1 <= left < right <= size[0] + 1 and -1 <= top < bottom <= size[1] + 1):
        edges = ", ".join(f"{edge:g}" for edge in box)
        raise Unusable("crop_outside", f"the crop {edges} is empty or not inside {size[0]}x{size[1]}")
    frame = _frame(size, aspect)
    high = min(max(bottom - top, (right - left) / aspect), frame.high)
    wide = min(high * aspect, frame.wide)
    x = min(max((left + right - wide) / 2, 0.0), size[0] - wide)
    y = min(max((top + bottom - high) / 2, 0.0), size[1] - high)
    return x, y, min(x + wide, float(size[0])), min(y + high, float(size[1]))


def split(size: Size, aspect: float = 1.0, threshold: float = 2.0, overlap: float = 0.2) -> list[Box]:
    """The parts of a panorama: as few windows of an aspect as cover it, evenly spread.

    Args:
        size: Of the full-size picture.
        aspect: Width by height of each part.
        threshold: How often the largest window must fit in the picture before it is split, 1 or more.
        overlap: The least share of a window that it has in common with the next, 0 to 0.9.

    Returns:
        Two boxes or more from left to right or from top to bottom; none where it is no panorama.

    Raises:
        ConfigError: The aspect, the threshold or the overlap is out of its range.
    """
    _check_aspect(aspect)
    if not threshold >= 1:
        raise ConfigError(f"a split threshold of {threshold} is not possible", "choose 1 or more")
    if not 0 <= overlap <= 0.9:
        raise ConfigError(f"a split overlap of {overlap} is not possible", "choose a number from 0 to 0.9")
    frame = _frame(size, aspect)
    ratio = (frame.window + frame.free) / frame.window
    # a last bit of rounding must not make a panorama, nor ask for one part more
    if ratio <= threshold + 1e-9:
        return []
    count = max(2, math.ceil((ratio - overlap) / (1 - overlap) - 1e-9))
    return [frame.at(number / (count - 1)) for number in range(count)]
