"""Stages that read the stored squares: a batch of them in, one outcome a row out, the next batch opened meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capprep.facts import CROP, PICTURE
from capprep.images.files import open_square
from capprep.models.batches import AdaptiveBatch
from capprep.stage import Outcome, Row, Value, learn_each

Square = NDArray[np.uint8]
Squares = Sequence[Square]

SIZE = 512
"""Side of a square whose fact does not say it, in pixels."""

MAX_OPENERS = 8
"""Threads that open squares for a GPU: together they open some two thousand squares of 512 pixels a second."""

MAX_BYTES_AHEAD = 256_000_000
"""No square is opened ahead of its batch while so many bytes of others wait: squares may be large."""


class SquareReader:
    """Opens rows' squares in threads and has a network learn of them, as many at a time as fit into memory.

    Args:
        learn: Takes squares of shape (H, W, 3), uint8 RGB, and gives a value for each, in order.
        device: Where the network runs. On the CPU few threads open squares: more would take the cores from it.
        fit: What is done to each square in its thread, such as a resize.

    Attributes:
        batch: How many that are.
    """

    def __init__(
        self,
        learn: Callable[[Squares], Iterable[Value]],
        device: str = "cpu",
        fit: Callable[[Square], Square] | None = None,
    ) -> None:
        self.batch = AdaptiveBatch()
        self._learn = learn
        self._fit = fit
        most = 2 if device == "cpu" else MAX_OPENERS
        self._threads = ThreadPoolExecutor(min(most, os.cpu_count() or 1), thread_name_prefix="squares")
        self._waiting: dict[Path, tuple[int, Future[Square]]] = {}

    def ahead(self, rows: Sequence[Row]) -> None:
        """Begin to open the squares of rows that are read next, as far as `MAX_BYTES_AHEAD` allows."""
        held = sum(size for size, _ in self._waiting.values())
        for row in rows:
            path, size = _path(row), _bytes(row)
            if path in self._waiting:
                continue
            if held + size > MAX_BYTES_AHEAD:
                return
            held += size
            self._waiting[path] = size, self._threads.submit(self._open, path)

    def __call__(self, rows: Sequence[Row]) -> list[Outcome]:
        """What is learnt of the rows' squares; a square that cannot be read costs only its own row."""
        self.ahead(rows)
        return learn_each(rows, self._opened, lambda squares: self.batch(squares, self._learn))

    def _opened(self, row: Row) -> Square:
        path = _path(row)
        _, future = self._waiting.pop(path, (0, None))
        return self._open(path) if future is None else future.result()

    def _open(self, path: Path) -> Square:
        square = open_square(path)
        return square if self._fit is None else self._fit(square)


def read_squares(rows: Sequence[Row], learn: Callable[[Squares], Iterable[Value]]) -> list[Outcome]:
    """What is learnt of the rows' squares, all at once; see `SquareReader` for many batches.

    Args:
        rows: With the picture fact each.
        learn: See `SquareReader`.
    """
    return learn_each(rows, lambda row: open_square(_path(row)), learn)


def _path(row: Row) -> Path:
    return row.facts[PICTURE].blobs[CROP]


def _bytes(row: Row) -> int:
    side: int = row.facts[PICTURE].data.get("size", SIZE)
    return 3 * side * side
