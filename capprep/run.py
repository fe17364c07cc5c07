"""The one loop: compute whatever a stage has not learnt yet, batch by batch, and store it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from capprep.engines import Engine
from capprep.images import files
from capprep.images.unusable import Unusable
from capprep.stage import Failure, Row, Stage
from capprep.workspace import Source, Workspace


class Watch(Protocol):
    """Told how far a stage is: at its start, after each batch, at its end."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """`detail` is a word on how it goes, such as a loss."""


BATCH = 16
"""Rows at a time for a network: enough to keep it busy, few enough for its memory."""

BATCH_BYTES = 8_000_000
"""A batch of this many bytes is full: memory must not depend on how large the files are that come together."""

FILES = 4
"""Files at a time: small, so that a few pictures are enough work for every process."""


def unwatched(stage: str, done: int, total: int, detail: str = "") -> None:
    """A `Watch` that looks away."""


@dataclass
class Tally:
    """What a run did.

    Attributes:
        computed: How many facts were computed in this run, failures included.
        known: How many were known before.
        failed: How many of the computed ones failed, by reason.
        seconds: How long it took.
    """

    computed: int = 0
    known: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def run(workspace: Workspace, stage: Stage, engine: Engine, *, batch: int = BATCH, watch: Watch = unwatched) -> Tally:
    """Bring one stage's facts up to date for every subject that has all the stage reads.

    Raises:
        WorkspaceError: A fact that the stage reads was never computed.
    """
    key = workspace.begin(stage)
    missing = workspace.missing(stage, key)
    tally = Tally(known=workspace.count(stage, key))
    rows = workspace.rows(stage, missing)
    _compute(workspace, stage, key, rows, engine, batch, tally, watch, tally.known + len(missing))
    return tally


def run_sources(
    workspace: Workspace,
    stage: Stage,
    engine: Engine,
    paths: Sequence[Path],
    *,
    batch: int = FILES,
    watch: Watch = unwatched,
) -> Tally:
    """Bring a stage that reads files' bytes up to date for the files given, each opened at most once.

    A file whose size and time are as last seen is not opened at all where its fact is known.
    """
    key = workspace.begin(stage)
    tally = Tally()
    rows = _source_rows(workspace, key, paths, tally)
    _compute(workspace, stage, key, rows, engine, batch, tally, watch, len(paths))
    return tally


def _compute(
    workspace: Workspace,
    stage: Stage,
    key: str,
    rows: Iterable[Row],
    engine: Engine,
    size: int,
    tally: Tally,
    watch: Watch,
    total: int,
) -> None:
    started = time.perf_counter()
    watch(stage.name, tally.known, total)
    for batch, outcomes in engine(stage, _batches(rows, size)):
        workspace.record(key, batch, outcomes)
        tally.computed += len(batch)
        tally.failed.update(outcome.reason for outcome in outcomes if isinstance(outcome, Failure))
        watch(stage.name, tally.known + tally.computed, total)
    workspace.make_current(key)
    watch(stage.name, total, total)
    tally.seconds = time.perf_counter() - started


def _batches(rows: Iterable[Row], size: int) -> Iterator[Sequence[Row]]:
    """Rows in order, at most `size` at a time and fewer where their contents are large."""
    batch: list[Row] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += len(row.content or b"")
        if len(batch) == size or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _source_rows(workspace: Workspace, key: str, paths: Sequence[Path], tally: Tally) -> Iterator[Row]:
    """Rows for the files whose fact is missing; new and changed files are registered on the way."""
    known = {source.path: source for source in workspace.sources()}
    under_way: set[str] = set()
    for path in paths:
        source = known.get(path)
        if source is not None and source.id is not None and _unchanged(source) and workspace.has(key, source.id):
            tally.known += 1
            continue
        registered = _register(workspace, path)
        if registered is None:
            tally.failed["unreadable"] += 1
            continue
        subject, content = registered
        # the same bytes under two names are one picture
        if subject in under_way or workspace.has(key, subject):
            tally.known += 1
            continue
        under_way.add(subject)
        yield Row(subject, content)


def _unchanged(source: Source) -> bool:
    return _status(source.path) == (source.bytes, source.mtime_ns)


def _status(path: Path) -> tuple[int, int] | None:
    """A file's size and time, or None where it cannot even be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _register(workspace: Workspace, path: Path) -> tuple[str, bytes] | None:
    """A file's id and bytes, remembered as a source; None where it cannot be read, remembered with the reason."""
    # the status is taken before the bytes: a change in between is seen by the next run
    before = _status(path)
    try:
        content = files.read(path)
    except Unusable as unusable:
        workspace.add_source(Source(path, None, 0, 0, unusable.reason, unusable.message))
        return None
    subject = hashlib.sha256(content).hexdigest()
    workspace.add_source(Source(path, subject, *(before or (len(content), 0))))
    return subject, content
