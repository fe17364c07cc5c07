"""SIGKILL at any moment, to the command or to a worker: the next run ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from .corpus import JOBS, Done, Ingest, State, blocks, encoded, ingest, referred, running, snapshot, state, tables

ARGUMENTS = ("raw", JOBS, "2", "--size", "512", "--max-upscale", "2", "--duplicates", "none", "--json")

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")


def put(raw: Path, numbers: Iterable[int]) -> None:
    """Pictures whose order by name is the order of their numbers, and files among them that are none."""
    raw.mkdir(exist_ok=True)
    for number in numbers:
        if number % 8 == 5:
            (raw / f"{number:02d}.jpg").write_bytes(b"<html>not found %d" % number)
        elif number % 4 == 0:
            (raw / f"{number:02d}.png").write_bytes(encoded(blocks(number), "PNG", compress_level=1))
        else:
            (raw / f"{number:02d}.jpg").write_bytes(encoded(blocks(number), "JPEG", quality=90))


@dataclass(frozen=True)
class Baseline:
    """A run that nobody disturbed.

    Attributes:
        folder: Where; `raw/` in it is what other runs copy.
        seconds: How long it took.
        state: What it left.
    """

    folder: Path
    seconds: float
    state: State


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    folder = tmp_path_factory.mktemp("whole")
    put(folder / "raw", range(40))
    done = ingest(folder, *ARGUMENTS, expect=3)
    return Baseline(folder, done.seconds, state(folder))


def fresh(folder: Path, whole: Baseline, *, part: bool = False) -> Path:
    """A new folder with a copy of the sources, times included, or of part of them."""
    (folder / "raw").mkdir(parents=True)
    for path in (whole.folder / "raw").iterdir():
        if not part or 10 <= int(path.stem) < 34:
            shutil.copy2(path, folder / "raw")
    return folder


def some(pattern: str, count: int = 1) -> Callable[[Path], bool]:
    """Whether that many files of a pattern are in a folder, also one that has yet to be made."""
    return lambda folder: sum(1 for _ in folder.glob(pattern)) >= count


BLOB = ".capprep/blobs/*/[0-9a-f]*"

MOMENTS: dict[str, Callable[[Path], bool]] = {
    "a blob is half written": some(".capprep/blobs/*/.tmp-*"),
    "the first blob is there": some(BLOB),
    "the twentieth blob is there": some(BLOB, 20),
    "the database appears": some(".capprep/capprep.db"),
    "dataset is made": some("dataset"),
    "a square is half written": lambda folder: some("dataset/*.png", 5)(folder) and some("dataset/.tmp-*")(folder),
    "the first square is there": some("dataset/*.png"),
    "ten squares are there": some("dataset/*.png", 10),
}
"""What may be seen in the folder just before the kill."""


def killed_when(folder: Path, seen: Callable[[Path], bool]) -> None:
    with Ingest(folder, *ARGUMENTS) as command:
        assert command.until(lambda: seen(folder)), "it ended before"
        command.kill()
        assert command.process.returncode == -signal.SIGKILL


def killed_after(folder: Path, seconds: float) -> bool:
    """Killed so long after the start; False where it had ended by itself."""
    with Ingest(folder, *ARGUMENTS) as command:
        running_still = command.lasts(seconds)
        command.kill()
        return running_still


def finished(folder: Path, whole: Baseline) -> Done:
    """Run to the end, and check all that must be as if there had been one run."""
    done = ingest(folder, *ARGUMENTS, expect=3)
    after = state(folder)
    assert snapshot(folder / "raw") == snapshot(whole.folder / "raw")
    assert sorted(after.files) == sorted(whole.state.files)
    assert after.files == whole.state.files
    assert after.tables == whole.state.tables
    check_blobs(after)
    return done


def check_blobs(after: State) -> None:
    """Every blob is whole, and something refers to it."""
    assert after.blobs
    assert after.blobs == {name: name for name in after.blobs}
    assert set(after.blobs) <= referred(after.tables)


def numbers(folder: Path) -> dict[str, int]:
    """The number of each picture, of a database nobody closed: read from a copy, so that it stays as it is."""
    if not (folder / ".capprep" / "capprep.db").exists():
        return {}
    copy = folder.parent / "looked-at"
    shutil.copytree(folder / ".capprep", copy, ignore=shutil.ignore_patterns("blobs"))
    rows = tables(copy / "capprep.db").get("picture", [])
    shutil.rmtree(copy)
    return {row["id"]: row["number"] for row in rows}


def unordered(facts: list[dict[str, object]]) -> list[dict[str, object]]:
    """Facts without the order in which they were learnt."""
    rows = [{name: value for name, value in row.items() if name != "number"} for row in facts]
    return sorted(rows, key=lambda row: (str(row["key"]), str(row["id"])))


def finished_grown(folder: Path, whole: Baseline) -> None:
    """Run to the end with more pictures than before; all is as if they had been there from the start, but numbers."""
    before = numbers(folder)
    for path in (whole.folder / "raw").iterdir():
        if not (folder / "raw" / path.name).exists():
            shutil.copy2(path, folder / "raw")
    ingest(folder, *ARGUMENTS, expect=3)
    after = state(folder)
    assert snapshot(folder / "raw") == snapshot(whole.folder / "raw")
    assert {**numbers(folder), **before} == numbers(folder)
    arrived = sorted(numbers(folder).values())
    assert arrived == list(range(1, len(arrived) + 1))
    assert unnumbered(after.squares) == unnumbered(whole.state.squares)
    assert after.blobs == whole.state.blobs
    for name in ("source", "recipe", "current", "setting"):
        assert after.tables[name] == whole.state.tables[name], name
    assert unordered(after.tables["fact"]) == unordered(whole.state.tables["fact"])
    assert len(after.files) == len(whole.state.files)
    check_blobs(after)


def unnumbered(squares: dict[str, str]) -> dict[str, str]:
    names = {re.sub(r"^\d+-", "", name): digest for name, digest in squares.items()}
    assert len(names) == len(squares)
    return names


def test_killed_again_and_again_the_next_run_ends_as_one_run_would(tmp_path: Path, baseline: Baseline) -> None:
    folder = fresh(tmp_path / "work", baseline)
    # what one leaves, the next finds
    killed_when(folder, MOMENTS["a blob is half written"])
    killed_when(folder, some(BLOB, random.Random(7).randint(8, 30)))
    killed_when(folder, MOMENTS["a square is half written"])
    assert finished(folder, baseline).json["computed"] == 0


def test_killed_while_a_blob_is_written_nothing_half_done_stays(tmp_path: Path, baseline: Baseline) -> None:
    for number in range(20):
        folder = fresh(tmp_path / str(number), baseline)
        killed_when(folder, MOMENTS["a blob is half written"])
        if half_written(folder):  # it may have been finished before the signal came
            break
    assert half_written(folder)
    finished(folder, baseline)
    assert half_written(folder) == []


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]


def test_pictures_that_arrive_after_a_kill_are_as_if_always_there(tmp_path: Path, baseline: Baseline) -> None:
    folder = fresh(tmp_path / "work", baseline, part=True)
    killed_when(folder, some(BLOB, 6))
    finished_grown(folder, baseline)


@pytest.mark.slow
@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_killed_when_something_appears_the_next_run_ends_as_one_run_would(
    moment: str, tmp_path: Path, baseline: Baseline
) -> None:
    folder = fresh(tmp_path / "work", baseline)
    killed_when(folder, MOMENTS[moment])
    finished(folder, baseline)


@pytest.mark.slow
def test_killed_at_fifty_random_moments_the_next_run_ends_as_one_run_would(tmp_path: Path, baseline: Baseline) -> None:
    random_, hit, seconds = random.Random(50), 0, baseline.seconds
    while hit < 50:
        part = hit % 5 == 4
        folder = fresh(tmp_path / "work", baseline, part=part)
        if not killed_after(folder, random_.uniform(0, seconds)):
            seconds *= 0.95  # it ended by itself: the machine is not as busy as it was at first
        elif part:
            hit += 1
            finished_grown(folder, baseline)
        else:
            hit += 1
            finished(folder, baseline)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(tmp_path: Path, baseline: Baseline) -> None:
    folder = fresh(tmp_path / "work", baseline)
    with Ingest(folder, *ARGUMENTS) as command:
        assert command.until(lambda: some(BLOB, 6)(folder))
        os.kill(random.Random(3).choice(command.workers()), signal.SIGKILL)
        done = command.done()
    assert done.status == 3
    assert done.json["computed"] == 40
    assert state(folder) == baseline.state


def test_a_picture_that_kills_its_worker_is_tried_again_alone_and_the_run_goes_on(tmp_path: Path) -> None:
    put(tmp_path / "raw", (1, 2, 6, 7))
    # 64 million pixels, the only file here that takes much memory; the content decides what it is
    large = encoded(Image.new("RGB", (8000, 8000), "teal"), "TIFF", compression="tiff_lzw")
    (tmp_path / "raw" / "04-large.png").write_bytes(large)
    killed: list[int] = []

    def out_of_memory(command: Ingest) -> bool:
        """As the kernel does: end whichever worker has taken too much."""
        workers = set(command.workers())
        for process in running():
            if process.pid in workers - set(killed) and process.resident > LIMIT:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
        return False

    with Ingest(tmp_path, *ARGUMENTS) as command:
        command.until(lambda: out_of_memory(command))
        done = command.done()
    assert done.status == 3
    # with others, then alone, and once more where others had been in that process before it
    assert len(killed) in (2, 3)
    assert done.reasons == {"raw/04-large.png": "crashed"}
    assert done.json["pictures"] == 4
    # it may have been no fault of the file: the next run tries it again, and nothing else
    again = ingest(tmp_path, *ARGUMENTS)
    assert (again.json["computed"], again.json["pictures"]) == (1, 5)


LIMIT = 160 << 20
"""Bytes of a worker at which it is killed; without a large picture it has about half of that."""
