"""The one loop: compute whatever a stage has not learnt yet, batch by batch, and store it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from capprep.blobs import Blobs
from capprep.engines import Engine
from capprep.images.entries import Entry, split
from capprep.images.files import Opener, revisit, sha256
from capprep.images.unusable import Unusable
from capprep.portions import portions
from capprep.sources import Source
from capprep.stage import Cut, Failure, Kept, OnDisk, Outcome, Reader, Row, Runtime, Stage, Value
from capprep.workspace import Workspace

Item = TypeVar("Item")


class Watch(Protocol):
    """Told how far a stage is: at its start, after each batch, at its end."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """`detail` is a word on how it goes, such as a loss."""


BATCH = 16
"""Rows at a time for a network where its engine names no other number."""

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


def run(
    workspace: Workspace,
    stage: Stage,
    engine: Engine,
    *,
    only: Container[str] | None = None,
    batch: int | None = None,
    watch: Watch = unwatched,
) -> Tally:
    """Bring one stage's facts up to date for every subject that has all the stage reads.

    Args:
        workspace: Where.
        stage: What is learnt.
        engine: Where it is run.
        only: The subjects that count; None for all there are.
        batch: Rows at a time; None for as many as the engine wants.
        watch: Told of the progress.

    Raises:
        WorkspaceError: A fact that the stage reads was never computed.
    """
    key = workspace.begin(stage)
    missing, known = workspace.missing(stage, key, only)
    tally = Tally(known=known)
    rows = workspace.rows(stage, missing)
    size = batch or int(getattr(engine, "batch", BATCH))
    _compute(workspace, stage, key, rows, engine, size, tally, watch, tally.known + len(missing))
    return tally


def run_sources(
    workspace: Workspace, stage: Stage, engine: Engine, *, batch: int = FILES, watch: Watch = unwatched
) -> Tally:
    """Bring a stage that reads files' bytes up to date for the files found, each opened at most once.

    See `Sources.find`. A file whose size and time are as last seen is not opened at all where its fact is known.
    """
    key = workspace.begin(stage)
    tally = Tally()
    with Opener() as opener:
        rows = _source_rows(workspace, key, _Reading(opener, _reads_files(engine)), tally)
        _compute(workspace, stage, key, rows, engine, batch, tally, watch, workspace.sources.found())
    return tally


def run_cuts(
    workspace: Workspace, stage: Stage, engine: Engine, *, batch: int = FILES, watch: Watch = unwatched
) -> Tally:
    """Bring a stage that reads files' bytes up to date for what stands for pictures, see `Sources.set_cuts`."""
    key = workspace.begin(stage)
    cuts = workspace.sources.cuts()
    known = workspace.known(key, [id_ for id_, _, _ in cuts])
    due = [cut for cut in cuts if cut[0] not in known]
    tally = Tally(known=len(cuts) - len(due))
    with Opener() as opener:
        rows = _cut_rows(workspace, due, opener)
        _compute(workspace, stage, key, rows, engine, batch, tally, watch, len(cuts))
    return tally


@dataclass(frozen=True)
class _Keeping:
    """A stage whose large parts are kept where they are made: sending them back would take longer.

    Blobs are named by their content and written whole, so it does not matter who writes them, nor how often.
    """

    stage: Stage
    blobs: Blobs

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        return partial(_kept, self.stage.load(runtime), self.blobs)


def _kept(reader: Reader, blobs: Blobs, rows: Sequence[Row]) -> list[Outcome]:
    return [
        replace(outcome, blobs={name: _add(blobs, blob) for name, blob in outcome.blobs.items()})
        if isinstance(outcome, Value)
        else outcome
        for outcome in reader(rows)
    ]


def _add(blobs: Blobs, blob: bytes | Kept) -> Kept:
    return blob if isinstance(blob, Kept) else Kept(blobs.add(blob))


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
    working = _Keeping(stage, workspace.blobs) if _reads_files(engine) else stage
    for batch, outcomes in engine(working, portions(rows, size, lambda row: row.size, BATCH_BYTES)):
        workspace.record(key, batch, outcomes)
        tally.computed += len(batch)
        tally.failed.update(outcome.reason for outcome in outcomes if isinstance(outcome, Failure))
        watch(stage.name, tally.known + tally.computed, total)
    workspace.make_current(key)
    if tally.computed and working is not stage:
        workspace.blobs.sweep()  # what a worker was writing when it died
    watch(stage.name, total, total)
    tally.seconds = time.perf_counter() - started


def _reads_files(engine: Engine) -> bool:
    """Whether an engine reads and writes this machine's files itself, where it works."""
    return bool(getattr(engine, "reads_files", False))


Read = tuple[Source, Row | None]
"""A file as it was found: what is to be remembered of it, and its row where it could be read."""


@dataclass(frozen=True)
class _Reading:
    """How files become rows.

    Attributes:
        opener: Reads them.
        there: Whether the engine reads plain files itself, where it works: then their bytes are not sent there.
    """

    opener: Opener
    there: bool

    def __call__(self, entry: Entry) -> Read:
        """A file with what is remembered of it; without a row where it cannot be read."""
        try:
            if self.there and not entry.member and not entry.reason:
                row = self._on_disk(entry)
            else:
                content = self.opener.read(entry)
                row = Row(hashlib.sha256(content).hexdigest(), content)
        except Unusable as unusable:
            return Source(entry.key, None, 0, 0, unusable.reason, unusable.message), None
        # size and time are from before the bytes were read: a change in between is seen by the next run
        return Source(entry.key, row.id, entry.bytes, entry.stamp), row

    def _on_disk(self, entry: Entry) -> Row:
        digest = sha256(entry.path)
        return Row(digest, on_disk=OnDisk(entry.path, digest, entry.bytes))


def _source_rows(workspace: Workspace, key: str, reading: _Reading, tally: Tally) -> Iterator[Row]:
    """Rows for the files whose fact is missing; new and changed files are registered on the way."""
    read = _changed(workspace, key, reading, tally)
    # as many as are registered in one transaction
    for some in portions(read, FILES, lambda each: each[1].size if each[1] else 0, BATCH_BYTES):
        workspace.sources.add(source for source, _, before in some if source != before)
        known = workspace.known(key, [row.id for _, row, _ in some if row is not None])
        for source, row, _ in some:
            if row is None:
                tally.failed[source.reason] += 1
            elif row.id in known or not workspace.sources.take(row.id):
                # the same bytes under two names are one picture
                tally.known += 1
            else:
                yield row


def _changed(
    workspace: Workspace, key: str, reading: _Reading, tally: Tally
) -> Iterator[tuple[Source, Row | None, Source | None]]:
    """The files that are not as they were last seen, read, and as what they were remembered."""
    for page in workspace.sources.to_read():
        known = workspace.known(
            key, [source.id for entry, source in page if source and source.id and _same(entry, source)]
        )
        for entry, source in page:
            if source is not None and _same(entry, source) and source.id in known:
                tally.known += 1
            else:
                yield *reading(entry), source


def _same(entry: Entry, source: Source) -> bool:
    return (source.bytes, source.stamp) == (entry.bytes, entry.stamp)


def _cut_rows(workspace: Workspace, cuts: Iterable[tuple[str, str, Cut]], opener: Opener) -> Iterator[Row]:
    """Rows for cuts; those of one picture follow each other with the very same bytes."""
    picture, content = "", None
    for id_, of, cut in cuts:
        if of != picture:
            picture, content = of, _content(workspace, of, opener)
        if content is not None:
            yield Row(id_, content, cut=cut)


def _content(workspace: Workspace, picture: str, opener: Opener) -> bytes | None:
    """A picture's bytes from the first of its files that still has them; None where none has."""
    for source in workspace.sources.of(picture):
        for entry in revisit(split(source.key)[0]):
            if entry.key != source.key:
                continue
            try:
                content = opener.read(entry)
            except Unusable:
                continue
            if hashlib.sha256(content).hexdigest() == picture:
                return content
    return None
