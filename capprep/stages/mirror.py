"""The mirror fact: a square's mirror image, for sets that are trained on with flipped copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from capprep.facts import CROP, MIRROR, PICTURE
from capprep.images.encode import encode
from capprep.images.files import open_square
from capprep.images.unusable import Unusable
from capprep.stage import Failure, Outcome, Reader, Row, Runtime, Stage, Value


@dataclass(frozen=True)
class Mirror(Stage):
    """The square as it looks in a mirror, stored in the same way."""

    name: ClassVar[str] = MIRROR
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        cv2.setNumThreads(1)
        return _read_all


def _read_all(rows: Sequence[Row]) -> list[Outcome]:
    return [_read(row) for row in rows]


def _read(row: Row) -> Outcome:
    fact = row.facts[PICTURE]
    try:
        return Value({}, {CROP: flipped(fact.blobs[CROP], fact.data["format_out"])})
    except Unusable as unusable:
        return Failure(unusable.reason, unusable.message, retry=True)


def flipped(square: Path, way: str) -> bytes:
    """The file of a square's mirror image.

    Args:
        square: The square's file.
        way: How it is stored, see `encode`.

    Raises:
        Unusable: `square_lost`: the file is gone or damaged.
    """
    return encode(np.asarray(cv2.flip(open_square(square), 1), np.uint8), way)
