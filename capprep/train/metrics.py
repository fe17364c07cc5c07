"""`metrics.csv`: one row for each step, written as training goes and cut back on a resume."""

from __future__ import annotations

import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

import pandas as pd

from capprep.files import write_atomically

WINDOW = 100
"""The smoothed loss is a plain mean over the first steps and forgets with this time constant after them."""


@dataclass(frozen=True)
class Row:
    """What is known after one update.

    Attributes:
        step: Updates made, from 1.
        epoch: How often the whole set had been seen before this batch.
        loss: Mean squared error of the batch.
        smoothed_loss: The same, smoothed over the steps.
        learn_rate: The rate of this update.
        seconds: Time spent training up to here, over all sessions.
    """

    step: int
    epoch: int
    loss: float
    smoothed_loss: float
    learn_rate: float
    seconds: float


COLUMNS = tuple(field.name for field in fields(Row))


def smoothed(before: float, loss: float, step: int) -> float:
    """The smoothed loss after update number `step`, counted from 1."""
    return before + (loss - before) / min(step, WINDOW)


def open_after(path: Path, step: int) -> tuple[TextIO, float]:
    """The file ready for rows after `step`, without any later ones it held; the seconds spent up to there."""
    rows = pd.DataFrame(columns=list(COLUMNS), dtype=str)
    if path.is_file() and step > 0:
        # as text, so that what is kept stays to the letter; a row torn by a kill has fields missing
        rows = pd.read_csv(path, dtype=str, on_bad_lines="skip").reindex(columns=list(COLUMNS)).dropna()
        steps = pd.to_numeric(rows["step"], errors="coerce")
        rows = rows[steps.le(step)]
    text = io.StringIO()
    rows.to_csv(text, index=False, lineterminator="\n")
    write_atomically(path, text.getvalue().encode())
    spent = float(rows["seconds"].iloc[-1]) if len(rows) else 0.0
    # line by line: whatever ends the run, the rows up to its last checkpoint are there
    return path.open("a", encoding="utf-8", newline="", buffering=1), spent


def append(file: TextIO, row: Row) -> None:
    """Write one row; floats with all their digits, seconds to the millisecond."""
    *exact, seconds = astuple(row)
    file.write(",".join([*map(repr, exact), f"{seconds:.3f}"]) + "\n")
