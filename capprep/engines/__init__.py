"""Where a stage's work is done: an engine takes (stage, batches) and yields (batch, outcomes)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from capprep.stage import Loads, Outcome, Row

Engine = Callable[[Loads, Iterable[Sequence[Row]]], Iterator[tuple[Sequence[Row], Sequence[Outcome]]]]
"""Batches go in lazily and come out in the same order, each with one outcome for each row."""
