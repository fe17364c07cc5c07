"""`capprep ingest` as a process that is watched and may be killed, and what it left in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image, ImageOps

from capprep.cli import cli

JOBS = "--jobs"
"""The option that says how many processes decode."""

STALLED = 10.0
"""Seconds in which a command at work must do something."""

# one thread is fastest for small work, and nothing here may reach a network
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}

_VARIES = {"written": ("mtime_ns",), "decision": ("at",)}
"""Columns by table that say when something was done, and so are never the same twice."""


@dataclass(frozen=True)
class Done:
    """What a finished command left: status, stdout, stderr, seconds."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def reasons(self) -> dict[str, str]:
        """The reason by the path of each file left out."""
        return {source: left["reason"] for left in self.json["left_out"] for source in left["sources"]}


class Ingest:
    """`capprep ingest` at work in a folder, with its worker processes in a process group of its own."""

    def __init__(self, folder: Path, *arguments: str, before: Sequence[str] = ()) -> None:
        self.folder = folder
        self._started = time.monotonic()
        # not pipes: nobody reads them while the command is watched; closed by `__exit__`
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "capprep", "ingest", "-w", ".", *arguments],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._out.close()
        self._err.close()

    def until(self, seen: Callable[[], bool], within: float = 60.0) -> bool:
        """Wait until something is seen, looking often; False where the command ended before it was."""
        deadline = time.monotonic() + within
        while self.process.poll() is None:
            if seen():
                return True
            assert time.monotonic() < deadline, "what was waited for never came"
            self._wait(0.0005)
        return False

    def lasts(self, seconds: float) -> bool:
        """Wait so long after the start; False where the command ended before."""
        self._wait(max(0.0, self._started + seconds - time.monotonic()))
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the command and its workers, and wait until none of them runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        deadline = time.monotonic() + 30
        while any(process.group == self.process.pid for process in running()):
            assert time.monotonic() < deadline, "a worker outlived SIGKILL"
            self._wait(0.001)

    def done(self, within: float = 600.0) -> Done:
        """Wait for the end; a command that does nothing for `STALLED` seconds fails the test."""
        begun = moved = time.monotonic()
        last: object = None
        while self.process.poll() is None:
            self._wait(0.05)
            now, state = time.monotonic(), _progress(self.folder)
            moved, last = (now, state) if state != last else (moved, last)
            if now - moved > STALLED or now - begun > within:
                self.kill()
                raise AssertionError(
                    f"no progress for {now - moved:.0f} s, {now - begun:.0f} s in all: {self._texts()}"
                )
        out, err = self._texts()
        assert "Traceback" not in err, err
        return Done(self.process.returncode, out, err, time.monotonic() - self._started)

    def workers(self) -> list[int]:
        """The worker processes' ids."""
        return [p.pid for p in running() if p.parent == self.process.pid and b"spawn_main" in p.command]

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def _texts(self) -> tuple[str, str]:
        return _text(self._out), _text(self._err)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()  # whatever it says is UTF-8


def ingest(folder: Path, *arguments: str, before: Sequence[str] = (), expect: int = 0) -> Done:
    """`capprep ingest` to its end."""
    with Ingest(folder, *arguments, before=before) as command:
        done = command.done()
    assert done.status == expect, done
    return done


def types(folder: Path, *arguments: str, expect: int = 0) -> tuple[str, str]:
    """Any command, in this process: stdout and stderr."""
    with contextlib.chdir(folder):
        result = CliRunner(catch_exceptions=False).invoke(cli, arguments, prog_name="capprep", env=_ENVIRONMENT)
    assert result.exit_code == expect, (result.stdout, result.stderr)
    return result.stdout, result.stderr


def _progress(folder: Path) -> list[tuple[str, int, int]]:
    """Something that changes whenever a command records or writes anything."""
    seen = []
    for place in (folder / ".capprep", folder / "dataset"):
        with contextlib.suppress(FileNotFoundError):
            paths = [place, *place.iterdir()] if place.name != "dataset" else [place]
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    seen.append((path.name, status.st_size, status.st_mtime_ns))
    return seen


@dataclass(frozen=True)
class Process:
    """A process of this machine that still runs."""

    pid: int
    parent: int
    group: int
    command: bytes
    resident: int


def running() -> Iterator[Process]:
    """Every process, without those that are dead and only not collected by their parent (proc(5))."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # the command's name, in parentheses, may hold anything
            state, parent, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX":
                pages = int((folder / "statm").read_text().split()[1])
                command = (folder / "cmdline").read_bytes()
                yield Process(int(folder.name), int(parent), int(group), command, pages * os.sysconf("SC_PAGESIZE"))


def blocks(seed: int, width: int = 640, height: int = 560) -> Image.Image:
    """Smooth blotches of colour, other ones for each seed: pictures that no measure takes for the same."""
    coarse_HWC = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(coarse_HWC).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, container: str, **options: object) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, container, **options)
    return buffer.getvalue()


def picture(seed: int) -> Image.Image:
    """Another one of `blocks`, small."""
    return blocks(1000 + seed, 200, 160)


def squares(dataset: Path, size: int) -> dict[str, NDArray[np.uint8]]:
    """Every file of `dataset/` by name; each must be a square PNG of that size."""
    found = {}
    for path in dataset.iterdir():
        assert path.suffix == ".png"
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (size, size)), path
            found[path.name] = np.asarray(image)
    return found


def apart(square_HWC: NDArray[np.uint8], shown: Image.Image) -> float:
    """How far a square is from the middle of a picture, as the mean difference; under 6 for the same picture."""
    fitted = ImageOps.fit(shown, (square_HWC.shape[1], square_HWC.shape[0]), Image.Resampling.BICUBIC)
    return float(np.abs(np.asarray(fitted).astype(int) - square_HWC).mean())


def showing(found: dict[str, NDArray[np.uint8]], shown: Image.Image) -> list[str]:
    """The names of the squares that show the middle of a picture."""
    return [name for name, square_HWC in found.items() if apart(square_HWC, shown) < 6]


def snapshot(folder: Path) -> dict[bytes, str]:
    """SHA-256 of every regular file below a folder, by relative path."""
    top = os.fsencode(folder)
    return {
        os.path.relpath(path, top): digest
        for base, _, names in os.walk(top)
        for path in (os.path.join(base, name) for name in names)  # noqa: PTH118  # names need not be text
        if (digest := _file_digest(path))
    }


def _file_digest(path: bytes) -> str:
    if os.path.islink(path) or not os.path.isfile(path):  # noqa: PTH113, PTH114
        return ""
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamps(folder: Path) -> dict[str, int]:
    """The time of every file's last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


Rows = list[dict[str, Any]]


def tables(database: Path) -> dict[str, Rows]:
    """Every table of a workspace without what varies by nature, rows in a fixed order; changes nothing there."""
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in sorted(names):
            rows = [dict(row) for row in db.execute(f"SELECT * FROM {name}")]
            for row in rows:
                for column in _VARIES.get(name, ()):
                    del row[column]
            found[name] = sorted(rows, key=repr)
        return found


def referred(found: dict[str, Rows]) -> set[str]:
    """Everything in the tables that looks like the digest of a blob."""
    return set(re.findall(r"\b[0-9a-f]{64}\b", repr(found)))


_COMPARED_OTHERWISE = (".capprep/capprep.db", ".capprep/lock")


@dataclass(frozen=True)
class State:
    """All that a command leaves in a folder.

    Attributes:
        files: SHA-256 of every file by relative path, the database's and its lock's aside: those have "".
        tables: The database's rows.
    """

    files: dict[str, str]
    tables: dict[str, Rows]

    @property
    def blobs(self) -> dict[str, str]:
        """The blobs' digests, as computed, by name."""
        folder = ".capprep/blobs/"
        return {path.rpartition("/")[2]: digest for path, digest in self.files.items() if path.startswith(folder)}

    @property
    def squares(self) -> dict[str, str]:
        """The digests of the files of `dataset/` by name."""
        return {path.partition("/")[2]: digest for path, digest in self.files.items() if path.startswith("dataset/")}


def state(folder: Path) -> State:
    """What lies in a folder now."""
    read = tables(folder / ".capprep" / "capprep.db")
    files = {os.fsdecode(path): digest for path, digest in snapshot(folder).items()}
    return State({path: digest if path not in _COMPARED_OTHERWISE else "" for path, digest in files.items()}, read)
