"""The default engine: this process, or a pool of processes on this machine."""

from __future__ import annotations

import functools
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from capprep.stage import Failure, Loads, Outcome, Reader, Row, Runtime, learn

CRASHED = Failure(
    "crashed", "reading it killed the worker process twice: it is broken, or needs too much memory", retry=True
)

AHEAD = 4
"""Batches under way for each worker: enough that none waits while a slow batch is the next to be handed out."""

MAX_BYTES_AHEAD = 256_000_000
"""Above so many bytes of contents under way each worker gets but one batch: files may be very large."""

ON_CPU, ON_GPU = 16, 32
"""Rows at a time: a CPU gains nothing from more; on a GPU a captioner's beams take some 4 GB for so many."""

Batch = Sequence[Row]


@dataclass(frozen=True)
class LocalEngine:
    """Runs a stage here.

    Attributes:
        runtime: What the stage's `load` is given.
        workers: How many processes; 0 for this one, which is right where one model does the work.
    """

    runtime: Runtime = field(default_factory=Runtime)
    workers: int = 0

    @property
    def batch(self) -> int:
        """How many rows a network is given at a time, if they fit: a GPU is not busy with as few as a CPU."""
        return ON_CPU if self.runtime.device == "cpu" else ON_GPU

    @property
    def reads_files(self) -> bool:
        """Whether contents on disk should be left there: sending them to another process takes longer than reading."""
        return self.workers > 0

    def __call__(self, stage: Loads, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Sequence[Outcome]]]:
        """Yield each batch with its outcomes, in order."""
        if self.workers > 0:
            yield from self._in_processes(stage, batches)
            return
        yield from self._here(stage, iter(batches))

    def _here(self, stage: Loads, batches: Iterator[Batch]) -> Iterator[tuple[Batch, Sequence[Outcome]]]:
        batch = next(batches, None)
        if batch is None:
            return
        # loaded with the first batch: where nothing is missing no model is read
        read = stage.load(self.runtime)
        while batch is not None:
            following = _following(read, batch, batches)
            yield batch, learn(read, batch)
            batch = following or next(batches, None)

    def _in_processes(self, stage: Loads, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Sequence[Outcome]]]:
        """As many batches under way as keep every worker busy, and no more: memory stays bounded."""
        pending: deque[tuple[Batch, Future[Sequence[Outcome]]]] = deque()
        pool = _pool(self.workers)
        remaining = iter(batches)
        try:
            while True:
                try:
                    while self._has_room(pending) and (batch := next(remaining, None)) is not None:
                        pending.append((batch, _submit(pool, stage, self.runtime, batch)))
                    if not pending:
                        return
                    done = pending[0][0], pending[0][1].result()
                except BrokenProcessPool:
                    # whichever row killed a worker, what was under way is lost: do it again row by row
                    pool.shutdown(wait=True, cancel_futures=True)
                    yield from self._one_by_one(stage, pending)
                    pending.clear()
                    pool = _pool(self.workers)
                else:
                    pending.popleft()
                    yield done
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _has_room(self, pending: Iterable[tuple[Batch, object]]) -> bool:
        under_way = [sum(row.size for row in batch) for batch, _ in pending]
        return len(under_way) < self.workers * (AHEAD if sum(under_way) < MAX_BYTES_AHEAD else 1)

    def _one_by_one(
        self, stage: Loads, lost: Iterable[tuple[Batch, Future[Sequence[Outcome]]]]
    ) -> Iterator[tuple[Batch, Sequence[Outcome]]]:
        """What was done before the pool broke, and every other row alone: one that kills costs only itself."""
        with _Alone(stage, self.runtime) as alone:
            for batch, future in lost:
                finished = not future.cancelled() and future.exception() is None
                yield batch, future.result() if finished else [alone.read(row) for row in batch]


def _following(read: Reader, batch: Batch, remaining: Iterator[Batch]) -> Batch | None:
    """The batch behind this one, if the reader begins with what it can while this one is under way.

    Others are not asked for it: a batch of files may be large, and one in memory is enough.
    """
    ahead: Callable[[Batch], None] | None = getattr(read, "ahead", None)
    if ahead is None:
        return None
    ahead(batch)
    following = next(remaining, None)
    if following is not None:
        ahead(following)
    return following


class _Alone:
    """One process that reads one row at a time, and another in its place when that has died."""

    def __init__(self, stage: Loads, runtime: Runtime) -> None:
        self._stage = stage
        self._runtime = runtime
        self._process = _pool(1)
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown(wait=True, cancel_futures=True)

    def read(self, row: Row) -> Outcome:
        """A row's outcome; it has crashed only if it did so as the first in its process: no other can be at fault."""
        while True:
            try:
                outcome = _submit(self._process, self._stage, self._runtime, [row]).result()[0]
            except BrokenProcessPool:
                self._process.shutdown(wait=True, cancel_futures=True)
                self._process, again, self._used = _pool(1), self._used, False
                if not again:
                    return CRASHED
            else:
                self._used = True
                return outcome


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a fork would copy the locks of other threads (the progress bar's) in whatever state they are
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)


def _submit(pool: ProcessPoolExecutor, stage: Loads, runtime: Runtime, batch: Batch) -> Future[Sequence[Outcome]]:
    """A batch handed to the pool; where the pool is already broken, a future that says so when it is asked."""
    try:
        with _without_interrupts():
            return pool.submit(_work, stage, runtime, batch)
    except BrokenProcessPool as error:
        broken: Future[Sequence[Outcome]] = Future()
        broken.set_exception(error)
        return broken


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C waiting: a worker started meanwhile inherits that, until it ignores it by itself."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    # Ctrl-C goes to every process of the terminal; the driver alone decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.lru_cache(maxsize=1)
def _loaded(stage: Loads, runtime: Runtime) -> Reader:
    return stage.load(runtime)


def _work(stage: Loads, runtime: Runtime, batch: Batch) -> Sequence[Outcome]:
    """In a worker: learn the facts of a batch, loading the stage with the first one."""
    return learn(_loaded(stage, runtime), batch)
