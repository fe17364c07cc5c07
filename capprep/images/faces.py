"""Faces in a picture, found by OpenCV's detector with a model file that the user has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import Box, Pixels

_LONGEST = 640
"""Pixels are reduced to that for the detector, which was made for faces of 10 to 300 pixels."""

_HINT = "give the ONNX file of OpenCV's YuNet face detector, or choose another crop, such as auto"


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        box: Left, top, right and bottom in pixels of the full-size picture, inside it.
        score: The detector's confidence, 0 to 1.
    """

    box: Box
    score: float


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV's engine for networks warns of its own unfinished parts on stderr."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


class FaceDetector:
    """OpenCV's `FaceDetectorYN`, read once and used for any number of pictures by one thread.

    Args:
        model: The detector's ONNX file.
        threshold: The least confidence of a face.

    Raises:
        ConfigError: No file was given, it cannot be read, or it is not such a detector.
    """

    def __init__(self, model: Path | None, threshold: float = 0.8) -> None:
        if model is None:
            raise ConfigError("the crop by faces needs a model file, and none was given", _HINT)
        try:
            content = np.fromfile(model, dtype=np.uint8)
        except OSError as error:
            raise ConfigError(f"{model} cannot be read: {error.strerror}", _HINT) from error
        try:
            with _quiet():
                self._detector = cv2.FaceDetectorYN.create(
                    "onnx", content, np.empty(0, np.uint8), (320, 320), score_threshold=threshold, nms_threshold=0.3
                )
            # a network with other outputs loads, and fails at its first picture
            self.faces(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise ConfigError(f"{model} is not a face detector that OpenCV can use", _HINT) from error

    def faces(self, pixels_HWC: Pixels, size: tuple[int, int] | None = None) -> list[Face]:
        """The faces in a picture, the surest first.

        Args:
            pixels_HWC: RGB, the picture or a smaller copy of it.
            size: Width and height of the full-size picture; by default those of the pixels.
        """
        height, width = pixels_HWC.shape[:2]
        full = size or (width, height)
        scale = min(1.0, _LONGEST / max(width, height))
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        small_HWC = cv2.resize(pixels_HWC, (wide, high), interpolation=cv2.INTER_AREA)
        with _quiet():
            self._detector.setInputSize((wide, high))
            _, found = self._detector.detect(cv2.cvtColor(small_HWC, cv2.COLOR_RGB2BGR))
        across, down = full[0] / wide, full[1] / high
        faces = []
        rows = cast("NDArray[np.float32] | None", found)  # OpenCV's own types do not know that it may be None
        for row in () if rows is None else rows:
            x, y, w, h, score = float(row[0]), float(row[1]), float(row[2]), float(row[3]), float(row[14])
            left, right = (min(max(edge * across, 0.0), float(full[0])) for edge in (x, x + w))
            top, bottom = (min(max(edge * down, 0.0), float(full[1])) for edge in (y, y + h))
            if right > left and bottom > top:
                faces.append(Face((left, top, right, bottom), min(score, 1.0)))
        return sorted(faces, key=lambda face: (-face.score, face.box))
