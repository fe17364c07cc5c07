"""Stages that read the stored squares: a batch of them in, one outcome a row out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from capprep.facts import CROP, PICTURE
from capprep.images.files import open_square
from capprep.stage import Outcome, Row, Value, learn_each

Squares = Sequence[NDArray[np.uint8]]


def read_squares(rows: Sequence[Row], learn: Callable[[Squares], Iterable[Value]]) -> list[Outcome]:
    """What is learnt of the rows' squares; a square that cannot be read costs only its own row.

    Args:
        rows: With the picture fact each.
        learn: Takes squares of shape (H, W, 3), uint8 RGB, and gives a value for each, in order.
    """
    return learn_each(rows, lambda row: open_square(row.facts[PICTURE].blobs[CROP]), learn)
