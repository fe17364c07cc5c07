"""A region of a picture at an exact size, and the finished picture as a file's bytes.

The weights of both filters are those of their definitions at any fraction of a pixel, so a crop is never shifted to
whole pixels. Suffixes: H height, W width, C channels, O output pixels, N input pixels.
"""

from __future__ import annotations

import io
import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from capprep.images import Box, Pixels

Filter = Literal["area", "lanczos"]
Weights = sparse.csr_array
Values = NDArray[np.float32]

_LOBES = 3
_BLOCK = 4_000_000
"""Input values taken at a time, so that no picture is ever held as floats as a whole."""
_TINY = 1e-6
_ROWS = 4
"""Rows of the result that are made at a time."""
_PRODUCT = 400_000
"""Multiplications in one product of matrices."""


def crop_resize(pixels_HWC: Pixels, box: Box, size: tuple[int, int], filter: Filter = "area") -> Pixels:
    """The region of a picture at `size`, as the filter's mathematics has it, rounded once.

    A region that needs no resizing comes out as the very pixels. "area" gives the mean over each output pixel's own
    rectangle; it cannot enlarge, there Lanczos is used instead. "lanczos" is the windowed sinc with three lobes,
    widened by the scale when shrinking (Turkowski 1990), and sees the pixels beside the box as well.

    Args:
        pixels_HWC: RGB.
        box: Left, top, right, bottom in pixels of `pixels_HWC`; any floats inside it.
        size: Width and height of the result in pixels.
        filter: "area" or "lanczos".

    Raises:
        ValueError: The box is empty or not inside the picture, the size or the filter impossible.
    """
    height, width, _ = pixels_HWC.shape
    left, top, right, bottom = box
    if not (-_TINY <= left < right <= width + _TINY and -_TINY <= top < bottom <= height + _TINY):
        raise ValueError(f"the box {box} is not inside {width}x{height}")
    if min(size) < 1 or filter not in ("area", "lanczos"):
        raise ValueError(f"cannot resize to {size} with {filter!r}")
    across, down = (right - left) / size[0], (bottom - top) / size[1]
    whole = _whole(box)
    if whole is not None:
        region_HWC = pixels_HWC[whole[1] : whole[3], whole[0] : whole[2]]
        if region_HWC.shape[:2] == size[::-1]:
            return np.ascontiguousarray(region_HWC)
        if filter == "area" and min(across, down) >= 1 and across.is_integer() and down.is_integer():
            # the same mathematics as below, faster
            return np.asarray(cv2.resize(region_HWC, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if filter == "area" and min(across, down) >= 1 - _TINY:
        return _shrunk(pixels_HWC, box, size)
    return _resample(pixels_HWC, _lanczos(left, right, size[0], width), _lanczos(top, bottom, size[1], height))


def _shrunk(pixels_HWC: Pixels, box: Box, size: tuple[int, int]) -> Pixels:
    """The mean over each output pixel's own rectangle: rows first, then columns."""
    height, width, _ = pixels_HWC.shape
    left, top, right, bottom = box
    x0, x1 = max(0, math.floor(left + _TINY)), min(width, math.ceil(right - _TINY))
    y0, y1 = max(0, math.floor(top + _TINY)), min(height, math.ceil(bottom - _TINY))
    lines = np.ascontiguousarray(pixels_HWC[y0:y1, x0:x1]).reshape(y1 - y0, -1)
    rows_HWC = _means(lines, top - y0, bottom - y0, size[1]).reshape(size[1], x1 - x0, 3)
    if max(abs(left - x0), abs(right - x1)) < _TINY:
        # twice as fast as what follows, but for whole pixels only
        return _rounded(np.asarray(cv2.resize(rows_HWC, size, interpolation=cv2.INTER_AREA), dtype=np.float32))
    columns = np.ascontiguousarray(rows_HWC.transpose(1, 0, 2)).reshape(x1 - x0, -1)
    means_WHC = _means(columns, left - x0, right - x0, size[0]).reshape(size[0], size[1], 3)
    return np.ascontiguousarray(_rounded(means_WHC).transpose(1, 0, 2))


def _whole(box: Box) -> tuple[int, int, int, int] | None:
    left, top, right, bottom = (round(edge) for edge in box)
    off = max(abs(edge - whole) for edge, whole in zip(box, (left, top, right, bottom), strict=True))
    return (left, top, right, bottom) if off < _TINY else None


def _means(lines_NK: NDArray[np.uint8] | NDArray[np.float32], low: float, high: float, count: int) -> Values:
    """The means of `count` equal parts of low..high along the first axis, (count, K).

    A few of them are a small matrix times a few of the lines, which takes a third of the time of OpenCV's area filter.
    """
    length, wide = lines_NK.shape
    step = (high - low) / count
    taken = min(length, math.ceil(_ROWS * step) + 2)
    blocks = -(-count // _ROWS)
    first_B = np.floor(low + np.arange(blocks) * _ROWS * step).astype(np.int64).clip(0, length - taken)
    start_BO1 = low + step * np.arange(blocks * _ROWS).reshape(blocks, _ROWS, 1)
    line_B1N = (first_B[:, None] + np.arange(taken))[:, None]
    weight_BON = np.minimum(start_BO1 + step, line_B1N + 1) - np.maximum(start_BO1, line_B1N)
    weight_BON = np.maximum(weight_BON, 0)
    # a box may reach outside by a last bit; the rows beyond `count` weigh nothing and are thrown away
    weight_BON = (weight_BON / np.maximum(weight_BON.sum(axis=2, keepdims=True), _TINY)).astype(np.float32)
    means = np.empty((blocks * _ROWS, wide), dtype=np.float32)
    # not more at a time: beyond it the product would be shared out to threads, which takes longer
    part = max(1, _PRODUCT // (_ROWS * taken))
    for number, first in enumerate(first_B):
        some_NK = lines_NK[first : first + taken].astype(np.float32, copy=False)
        place = slice(number * _ROWS, (number + 1) * _ROWS)
        for left in range(0, wide, part):
            np.matmul(weight_BON[number], some_NK[:, left : left + part], out=means[place, left : left + part])
    return means[:count]


def _rounded(values_HWC: NDArray[np.float32]) -> Pixels:
    np.rint(values_HWC, out=values_HWC)
    np.clip(values_HWC, 0, 255, out=values_HWC)
    return values_HWC.astype(np.uint8)


def _lanczos(low: float, high: float, count: int, length: int) -> Weights:
    """For each of `count` equal parts of low..high, the value of the Lanczos window around its middle."""
    step = (high - low) / count
    stretch = max(step, 1.0)
    middle = low + (np.arange(count)[:, None] + 0.5) * step
    reach = _LOBES * stretch
    pixel_ON = np.floor(middle - reach).astype(np.int64) + np.arange(math.ceil(2 * reach) + 1)
    x_ON = (pixel_ON + 0.5 - middle) / stretch
    weight_ON = np.where(np.abs(x_ON) < _LOBES, np.sinc(x_ON) * np.sinc(x_ON / _LOBES), 0.0)
    return _rows(pixel_ON, weight_ON, length)


def _rows(pixel_ON: NDArray[np.int64], weight_ON: NDArray[np.float64], length: int) -> Weights:
    """Sparse rows that add up to one; what falls outside the picture is left out."""
    weight_ON = np.where((pixel_ON >= 0) & (pixel_ON < length), weight_ON, 0.0)
    weight_ON /= weight_ON.sum(axis=1, keepdims=True)
    count, taps = pixel_ON.shape
    row = np.arange(0, count * taps + 1, taps)
    column = np.clip(pixel_ON, 0, length - 1).ravel()
    return sparse.csr_array((weight_ON.astype(np.float32).ravel(), column, row), shape=(count, length))


def _resample(pixels_HWC: Pixels, across: Weights, down: Weights) -> Pixels:
    """Both passes in float32: rows first, in blocks, then columns."""
    left, right = int(across.indices.min()), int(across.indices.max()) + 1
    height, width = down.shape[0], right - left
    taps = int(down.indptr[1])
    rows_HWC = np.empty((height, width, 3), dtype=np.float32)
    block = max(1, _BLOCK // (3 * width * taps))
    for first in range(0, height, block):
        part = down[first : first + block]
        top, bottom = int(part.indices.min()), int(part.indices.max()) + 1
        source = np.ascontiguousarray(pixels_HWC[top:bottom, left:right]).reshape(bottom - top, -1)
        rows_HWC[first : first + block] = (part[:, top:bottom] @ source.astype(np.float32)).reshape(-1, width, 3)
    columns_WHC = (across[:, left:right] @ rows_HWC.transpose(1, 0, 2).reshape(width, -1)).reshape(-1, height, 3)
    return np.ascontiguousarray(_rounded(columns_WHC).transpose(1, 0, 2))


def encode_png(pixels_HWC: Pixels) -> bytes:
    """RGB as a PNG file, by OpenCV's default parameters: several times faster than Pillow's at nearly the size."""
    done, encoded = cv2.imencode(".png", cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError("OpenCV could not write a PNG")
    return encoded.tobytes()


def encode_webp_lossless(pixels_HWC: Pixels) -> bytes:
    """RGB as a lossless WebP file, by the fastest method: a tenth smaller than the PNG at about its speed."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "WEBP", lossless=True, method=0, quality=0, exact=True)
    return buffer.getvalue()
