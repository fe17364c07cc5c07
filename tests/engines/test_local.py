"""The local engine: processes agree with this process, and one that dies costs one row."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from capprep.engines.local import AHEAD, CRASHED, MAX_BYTES_AHEAD, LocalEngine
from capprep.stage import Failure, OnDisk, Outcome, Reader, Row, Runtime, Stage, Value
from capprep.stages.picture import Picture


@dataclass(frozen=True)
class Deadly(Stage):
    """Kills its process on the content b"kill", as the kernel does when memory runs out."""

    name: ClassVar[str] = "deadly"
    version: ClassVar[int] = 1

    def load(self, runtime: Runtime) -> Reader:
        return _read


def _read(rows: Sequence[Row]) -> list[Outcome]:
    for row in rows:
        if row.content == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
    return [Value({"n": int(row.id)}) for row in rows]


_read_here: list[bytes] = []


@dataclass(frozen=True)
class Spoilt(Stage):
    """Reads b"spoil", after which b"tender" kills the process."""

    name: ClassVar[str] = "spoilt"
    version: ClassVar[int] = 1

    def load(self, runtime: Runtime) -> Reader:
        return _read_tenderly


def _read_tenderly(rows: Sequence[Row]) -> list[Outcome]:
    for row in rows:
        if row.content == b"tender" and b"spoil" in _read_here:
            os.kill(os.getpid(), signal.SIGKILL)
        _read_here.append(row.content or b"")
    return [Value({"n": int(row.id)}) for row in rows]


def batches(contents: Sequence[bytes], size: int) -> list[list[Row]]:
    rows = [Row(str(n), content) for n, content in enumerate(contents)]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def test_processes_and_this_process_agree_and_keep_the_order(pictures: list[bytes]) -> None:
    work = batches([*pictures, b"not a picture", *pictures], 3)
    here = list(LocalEngine()(Picture(size=64), work))
    there = list(LocalEngine(workers=2)(Picture(size=64), work))
    assert here == there
    assert [batch for batch, _ in there] == work


def test_a_row_that_kills_its_worker_costs_only_itself(tmp_path) -> None:
    contents = [b"fine"] * 4 + [b"kill"] + [b"fine"] * 9
    done = list(LocalEngine(workers=2)(Deadly(), batches(contents, 2)))
    outcomes = [outcome for _, of_batch in done for outcome in of_batch]
    assert outcomes == [CRASHED if content == b"kill" else Value({"n": n}) for n, content in enumerate(contents)]


def test_a_killer_in_the_last_batch_costs_only_itself() -> None:
    done = list(LocalEngine(workers=2)(Deadly(), batches([b"fine", b"fine", b"kill"], 1)))
    assert [outcome for _, of_batch in done for outcome in of_batch][-1] == CRASHED


def test_nothing_to_do_loads_nothing() -> None:
    class Heavy(Deadly):
        def load(self, runtime: Runtime) -> Reader:
            raise AssertionError("loaded")

    assert list(LocalEngine()(Heavy(), [])) == []


def test_a_worker_that_dies_before_the_next_batch_comes_costs_only_its_row() -> None:
    def slowly():
        for batch in batches([b"kill"] + [b"fine"] * 7, 1):
            yield batch
            # long enough for the pool to notice that its worker is dead
            deadline = time.monotonic() + 0.4
            while time.monotonic() < deadline:
                pass

    done = list(LocalEngine(workers=1)(Deadly(), slowly()))
    assert [outcome for _, of_batch in done for outcome in of_batch] == [
        CRASHED,
        *(Value({"n": n}) for n in range(1, 8)),
    ]


def test_a_row_that_dies_of_the_one_before_it_is_no_crash() -> None:
    done = list(LocalEngine(workers=1)(Spoilt(), batches([b"spoil", b"tender", b"tender"], 3)))
    assert done[0][1] == [Value({"n": n}) for n in range(3)]


def test_large_contents_are_not_taken_ahead_of_the_workers() -> None:
    taken = []

    def large():
        for batch in batches([bytes(MAX_BYTES_AHEAD // 2)] * 6, 1):
            taken.append(batch)
            yield batch

    ahead = [len(taken) - done for done, _ in enumerate(LocalEngine(workers=1)(Deadly(), large()))]
    assert len(ahead) == 6
    assert max(ahead) <= 2


def test_small_contents_are_taken_ahead_but_not_all_of_them() -> None:
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield [Row(str(number), b"fine")]

    for done, _ in enumerate(LocalEngine(workers=2)(Deadly(), endless())):
        assert len(taken) - done <= 2 * AHEAD
        if done == 50:
            break


@dataclass(frozen=True)
class Length(Stage):
    """Learns how long the content is."""

    name: ClassVar[str] = "length"
    version: ClassVar[int] = 1

    def load(self, runtime: Runtime) -> Reader:
        return partial(_lengths)


def _lengths(rows: Sequence[Row]) -> list[Outcome]:
    return [Value({"length": len(row.content or b"")}) for row in rows]


@pytest.mark.parametrize("workers", [0, 1])
def test_contents_on_disk_are_read_where_the_work_is_done_and_must_be_what_was_hashed(
    workers: int, tmp_path: Path
) -> None:
    rows = []
    for name in ("whole", "changed", "gone", "folder"):
        path = tmp_path / name
        path.write_bytes(name.encode())
        rows.append(Row(name, on_disk=OnDisk(str(path), hashlib.sha256(name.encode()).hexdigest(), len(name))))
    (tmp_path / "changed").write_bytes(b"CHANGED")
    (tmp_path / "gone").unlink()
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    ((_, outcomes),) = LocalEngine(workers=workers)(Length(), [[*rows, Row("here", b"12")]])
    assert [outcomes[0], outcomes[4]] == [Value({"length": 5}), Value({"length": 2})]
    for outcome in outcomes[1:4]:
        assert isinstance(outcome, Failure)
        assert (outcome.reason, outcome.retry) == ("unreadable", True)
