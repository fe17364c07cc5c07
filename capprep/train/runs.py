"""Run folders: which run is which, where it stands, and what it was made from."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capprep.errors import CapprepError, CheckpointError, ConfigError
from capprep.files import locked, write_atomically
from capprep.train import checkpoint
from capprep.train.checkpoint import HypernetworkFile

RECORD = "run.json"
RUNNING, FINISHED = "running", "finished"


@dataclass(frozen=True)
class Run:
    """One folder of a training run.

    Attributes:
        folder: `runs/NAME-YYYY-MM-DD`.
        name: Of the hypernetwork.
        record: What `run.json` says.
    """

    folder: Path
    name: str
    record: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """The finished hypernetwork."""
        return self.folder / f"{self.name}.pt"

    @property
    def finished(self) -> bool:
        """True if it came to its end and its file is still there."""
        return self.record.get("state") == FINISHED and self.weights.is_file()

    @property
    def metrics(self) -> Path:
        """One row for each step."""
        return self.folder / "metrics.csv"

    def checkpoint(self, step: int) -> Path:
        """The file of one checkpoint."""
        return self.folder / "checkpoints" / f"{self.name}-{step}.pt"

    def preview(self, step: int) -> Path:
        """The picture of one preview."""
        return self.folder / "previews" / f"{self.name}-{step}.png"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Steps and files of all checkpoints, the last first."""
        pattern = re.compile(re.escape(self.name) + r"-(\d+)\.pt")
        folder = self.folder / "checkpoints"
        files = list(folder.iterdir()) if folder.is_dir() else []
        matches = ((pattern.fullmatch(file.name), file) for file in files)
        return sorted(((int(match[1]), file) for match, file in matches if match), reverse=True)

    def resume_point(self) -> tuple[HypernetworkFile, dict[str, Any], dict[str, Any]] | None:
        """The last checkpoint that is whole: network, optimizer state, our extra; None where there is none."""
        for _step, path in self.checkpoints():
            try:
                file = checkpoint.read(path)
            except CheckpointError:
                continue  # the one before it is good: they are written whole, each after the other
            state = checkpoint.read_optimizer(path, file.sha256)
            if state is not None:
                return file, *state
        return None

    def write_record(self, changes: Mapping[str, Any]) -> Run:
        """The same run with changes in its record, written."""
        record = {**self.record, **changes}
        text = json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n"
        write_atomically(self.folder / RECORD, text.encode())
        return Run(self.folder, self.name, record)


def check_name(name: str) -> None:
    """Refuse a name that cannot be a file's stem and the webui's `<hypernet:NAME:1>` at once.

    Raises:
        ConfigError: It is one.
    """
    allowed = all(letter.isalnum() or letter in "._- " for letter in name)
    if not name or not allowed or name != name.strip(" .") or name == "None" or len(name.encode()) > 100:
        raise ConfigError(
            f"name = {name!r} is not possible",
            "use letters, digits, and . _ - or spaces inside, up to 100, and not None",
        )


@contextmanager
def alone(runs: Path, name: str) -> Iterator[None]:
    """Keep other processes from training a hypernetwork of this name here.

    Raises:
        CapprepError: One already does.
    """
    runs.mkdir(parents=True, exist_ok=True)
    busy = CapprepError(
        f"{name} is being trained in {runs} by another process", "wait until it is done, or give another --name"
    )
    lock = locked(runs / f".{name}.lock", busy)
    try:
        yield
    finally:
        lock.release()


def digest(content: Any) -> str:
    """SHA-256 (hex) of a value as canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def find(runs: Path, identity: str) -> Run | None:
    """The run with an identity, the finished one first, then the one touched last."""
    same = [run for run in _all(runs) if run.record.get("identity") == identity]
    return max(same, key=lambda run: (run.finished, _touched(run)), default=None)


def others_unfinished(runs: Path, name: str, identity: str) -> list[Run]:
    """Unfinished runs of the same name that are not this one, the one touched last first."""
    found = [run for run in _all(runs) if run.name == name and run.record.get("identity") != identity]
    return sorted((run for run in found if not run.finished), key=_touched, reverse=True)


def create(runs: Path, name: str, today: datetime.date, record: Mapping[str, Any]) -> Run:
    """A new folder `NAME-YYYY-MM-DD`, with -2, -3 where that is taken."""
    runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = runs / f"{name}-{today.isoformat()}{f'-{number}' if number > 1 else ''}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return Run(folder, name, {}).write_record({"name": name, "state": RUNNING, **record})


def _touched(run: Run) -> float:
    return (run.folder / RECORD).stat().st_mtime


def _all(runs: Path) -> list[Run]:
    """The runs of a folder; a record that is damaged or not of its folder is no run of ours."""
    found = []
    for path in sorted(runs.glob(f"*/{RECORD}")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            run = Run(path.parent, str(record["name"]), record)
            # the name becomes a path: it must be the one this folder was made for
            check_name(run.name)
            ours = re.fullmatch(re.escape(run.name) + r"-\d{4}-\d\d-\d\d(-\d+)?", path.parent.name)
            if ours and (not run.finished or isinstance(record.get("result", {}), dict)):
                found.append(run)
        except (OSError, ValueError, KeyError, TypeError, ConfigError):
            continue
    return found
