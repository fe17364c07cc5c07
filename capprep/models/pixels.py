"""Bytes to a network's numbers where the network is: Pillow's own resize and the taggers' scaling, as torch operations.

A fact's key does not name the device, so the numbers must not depend on it: the resize is done in the integers that
Pillow computes with, and is the same to the bit on every device.
Suffixes: B pictures, S pixels of a side, C = 3 colours, K taps of a filter.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from capprep.models.binding import normalises
from capprep.models.tagger_spec import TaggerSpec

_BITS = 22
"""Pillow's fixed point for 8-bit channels: 32 bits less the pixel's 8 and 2 for the overshoot of the filter."""

_SUPPORT = 2.0  # the bicubic filter's, in pixels of the smaller picture


def resize_squares(x_BSSC: torch.Tensor, size: int) -> torch.Tensor:
    """Squares as `Image.resize((size, size), BICUBIC)` gives them, to the bit.

    Along the rows first, then along the columns, each time rounded to bytes. (Of what is no square some versions of
    Pillow do the columns first, with another result.)

    Args:
        x_BSSC: uint8, on any device.
        size: Side wanted.

    Returns:
        (B, size, size, C), uint8.
    """
    return _along(_along(x_BSSC, 2, size), 1, size)


def _along(x_BSSC: torch.Tensor, dimension: int, size: int) -> torch.Tensor:
    if x_BSSC.shape[dimension] == size:
        return x_BSSC
    first_S, weights_SK = _taps(x_BSSC.shape[dimension], size)
    columns_SK = np.minimum(first_S[:, None] + np.arange(weights_SK.shape[1]), x_BSSC.shape[dimension] - 1)
    shape = [1, 1, 1, 1]
    shape[dimension] = size
    total = torch.full((1,), 1 << (_BITS - 1), dtype=torch.int32, device=x_BSSC.device)
    for at_S, weight_S in zip(columns_SK.T, weights_SK.T, strict=True):
        index_S = torch.from_numpy(np.ascontiguousarray(at_S)).to(x_BSSC.device)
        weight = torch.from_numpy(np.ascontiguousarray(weight_S)).to(x_BSSC.device).view(shape)
        total = total + x_BSSC.index_select(dimension, index_S).int() * weight
    return (total >> _BITS).clamp_(0, 255).to(torch.uint8)


@functools.lru_cache(maxsize=16)
def _taps(before: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Which pixels each new one is made of: the first of them, and the weights of it and those behind it.

    Returns:
        (S,), and (S, K) in fixed point; weights of pixels behind the last are 0.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    centres_S = (np.arange(after) + 0.5) * scale
    first_S = np.maximum((centres_S - _SUPPORT * stretch + 0.5).astype(np.int64), 0)
    last_S = np.minimum((centres_S + _SUPPORT * stretch + 0.5).astype(np.int64), before)
    weights_SK = np.zeros((after, int((last_S - first_S).max())))
    for weights_K, first, last, centre in zip(weights_SK, first_S, last_S, centres_S, strict=True):
        own = _bicubic((np.arange(first, last) - centre + 0.5) / stretch)
        # summed one after the other as Pillow does: numpy's own sum adds in another order
        weights_K[: last - first] = own * (1.0 / functools.reduce(float.__add__, own.tolist(), 0.0))
    rounded_SK = np.where(weights_SK < 0, -0.5, 0.5) + weights_SK * (1 << _BITS)
    return first_S, rounded_SK.astype(np.int32)


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution with a = -0.5 (IEEE TASSP 29, 1981), which Pillow has as BICUBIC."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def to_numbers(bytes_BSSC: torch.Tensor, spec: TaggerSpec, out: torch.Tensor) -> None:
    """Write squares of the network's size as the numbers a tagger takes; the very ones of `write_numbers`.

    Args:
        bytes_BSSC: uint8 RGB, on any device.
        spec: Channel order, scale and normalisation.
        out: (B, S, S, C) or (B, C, S, S) float32, as `spec.layout` says, on the same device.
    """
    device = bytes_BSSC.device
    x_BSSC = bytes_BSSC.flip(-1) if spec.channels == "BGR" else bytes_BSSC
    # by a tensor: torch multiplies by the reciprocal of a plain number on CUDA, which is another result
    x_BSSC = x_BSSC.float() / torch.tensor([255 / spec.scale], dtype=torch.float32, device=device)
    if normalises(spec):
        order = slice(None) if spec.channels == "RGB" else slice(None, None, -1)
        x_BSSC -= torch.tensor(spec.mean[order], dtype=torch.float32, device=device)
        x_BSSC /= torch.tensor(spec.std[order], dtype=torch.float32, device=device)
    out.copy_(x_BSSC if spec.layout == "NHWC" else x_BSSC.permute(0, 3, 1, 2))
