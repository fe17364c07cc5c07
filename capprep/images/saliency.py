"""How much each part of a picture stands out: the spectral residual and the rarity of colour, contrast and edges.

No model is used, and the same pixels give the same answer. Array names carry their dimensions: H rows and W columns
of cells, C colour channels or features, N cells.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from capprep.images import Pixels

Floats = NDArray[np.float32]

CELLS = 64
"""Cells of a map along the picture's short side."""

_LONGEST = 16 * CELLS
_FLAT = 0.5
"""A standard deviation in Lab units below which a channel shows nothing but rounding."""


def saliency(pixels_HWC: Pixels) -> Floats:
    """A map of what stands out, never negative, with a mean of 1; 0 everywhere where nothing does.

    The sum of two maps of equal weight. The spectral residual (Hou and Zhang 2007) of L, a and b, each weighted by
    its standard deviation, finds what breaks the picture's overall spectrum. The Mahalanobis distance of each
    cell's local mean, standard deviation and gradient from those of the whole picture finds what is unlike the
    rest, where a busy background has a flat spectrum itself.

    Args:
        pixels_HWC: RGB of any size; it is reduced to `CELLS` along its short side.

    Returns:
        Shape (H, W): `CELLS` along the short side, the long side in proportion up to 16 times that.
    """
    lab_HWC = _reduced_lab(pixels_HWC)
    if max(_spreads(lab_HWC)) < _FLAT:
        return np.zeros(lab_HWC.shape[:2], np.float32)
    return _shared([_residual(lab_HWC), _rarity(lab_HWC)])


def _reduced_lab(pixels_HWC: Pixels) -> Floats:
    """CIE Lab, L from 0 to 100, at the map's size."""
    height, width = pixels_HWC.shape[:2]
    # halving is many times faster than averaging by a fraction; an odd last line is too thin to matter
    while min(height, width) >= 4 * CELLS:
        height, width = height // 2, width // 2
        even_HWC = pixels_HWC[: 2 * height, : 2 * width]
        pixels_HWC = np.asarray(cv2.resize(even_HWC, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    scale = CELLS / min(height, width)
    size = min(_LONGEST, round(width * scale)), min(_LONGEST, round(height * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small_HWC = cv2.resize(pixels_HWC, size, interpolation=filter_)
    return np.asarray(cv2.cvtColor(small_HWC.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _spreads(lab_HWC: Floats) -> list[float]:
    return [float(lab_HWC[..., channel].std()) for channel in range(3)]


def _shared(maps: list[Floats]) -> Floats:
    """The mean of maps that are brought to a mean of 1 first."""
    return np.asarray(sum(x_HW / max(float(x_HW.mean()), 1e-12) for x_HW in maps) / len(maps), np.float32)


def _above_background(x_HW: Floats) -> Floats:
    """Less the level that four fifths of a picture exceed, and no cell more than the strongest hundredth."""
    low, high = np.percentile(x_HW, (20, 99))
    return np.asarray(np.clip(x_HW - low, 0, max(high - low, 1e-12)), np.float32)


def _residual(lab_HWC: Floats) -> Floats:
    total_HW = np.zeros(lab_HWC.shape[:2], np.float32)
    for channel, spread in enumerate(_spreads(lab_HWC)):
        if spread < _FLAT:
            continue
        x_HW = lab_HWC[..., channel]
        spectrum_HW = np.fft.fft2(x_HW - x_HW.mean())
        amplitude_HW = np.abs(spectrum_HW)
        # relative, so that a brighter copy of a picture has the same residual
        log_HW = np.log(amplitude_HW + 1e-6 * amplitude_HW.mean())
        # the spectrum wraps around
        wrapped_HW = np.pad(log_HW, 1, mode="wrap")
        residual_HW = log_HW - cv2.blur(wrapped_HW, (3, 3))[1:-1, 1:-1]
        phase_HW = spectrum_HW / np.maximum(amplitude_HW, 1e-12)
        energy_HW = np.abs(np.fft.ifft2(np.exp(residual_HW) * phase_HW)) ** 2
        smooth_HW = _above_background(np.asarray(cv2.GaussianBlur(energy_HW, (0, 0), 2.5), np.float32))
        total_HW += smooth_HW * (spread / max(float(smooth_HW.mean()), 1e-12))
    return total_HW


def _rarity(lab_HWC: Floats) -> Floats:
    mean_HWC = cv2.GaussianBlur(lab_HWC, (0, 0), 2)
    variance_HWC = cv2.GaussianBlur(lab_HWC * lab_HWC, (0, 0), 2) - mean_HWC * mean_HWC
    light_HW = np.ascontiguousarray(lab_HWC[..., 0])
    gradient_HW = np.hypot(cv2.Sobel(light_HW, cv2.CV_32F, 1, 0), cv2.Sobel(light_HW, cv2.CV_32F, 0, 1))
    features_HWC = np.dstack([mean_HWC, np.sqrt(np.maximum(variance_HWC, 0)), cv2.GaussianBlur(gradient_HW, (0, 0), 2)])
    x_NC = features_HWC.reshape(-1, features_HWC.shape[2]).astype(np.float64)
    x_NC -= x_NC.mean(axis=0)
    # one unit of Lab is about what an eye tells apart: smaller differences are not made to count
    covariance_CC = x_NC.T @ x_NC / len(x_NC) + np.eye(x_NC.shape[1])
    distance_N = np.einsum("nc,nc->n", x_NC, np.linalg.solve(covariance_CC, x_NC.T).T)
    return _above_background(distance_N.reshape(lab_HWC.shape[:2]).astype(np.float32))
