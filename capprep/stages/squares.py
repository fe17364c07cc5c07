"""Stages that read the stored squares: a batch of them in, one outcome a row out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from capprep.facts import CROP, PICTURE
from capprep.images.files import open_square
from capprep.images.unusable import Unusable
from capprep.stage import Failure, Outcome, Row, Value

Squares = Sequence[NDArray[np.uint8]]


def read_squares(rows: Sequence[Row], learn: Callable[[Squares], Iterable[Value]]) -> list[Outcome]:
    """What is learnt of the rows' squares; a square that cannot be read costs only its own row.

    Args:
        rows: With the picture fact each.
        learn: Takes squares of shape (H, W, 3), uint8 RGB, and gives a value for each, in order.
    """
    squares: list[NDArray[np.uint8]] = []
    failures: dict[int, Failure] = {}
    for number, row in enumerate(rows):
        try:
            squares.append(open_square(row.facts[PICTURE].blobs[CROP]))
        except Unusable as unusable:
            # whoever mends the file has it read by the next run
            failures[number] = Failure(unusable.reason, unusable.message, retry=True)
    values = iter(learn(squares) if squares else ())
    return [failures[number] if number in failures else next(values) for number in range(len(rows))]
