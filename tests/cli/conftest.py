"""The program as a person runs it: in a folder of its own, offline, with the tiny models."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from skimage import data as skimage_data

from capprep.cli import cli

# any attempt to reach a network ends at once at a port where nobody answers; one thread is fastest for tiny models
OFFLINE = {
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
    "OMP_NUM_THREADS": "1",
}

PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)


@dataclass(frozen=True)
class Done:
    """What a finished command left: status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


@dataclass(frozen=True)
class Person:
    """Types commands in a folder."""

    folder: Path
    environment: dict[str, str]

    def types(self, *arguments: str, expect: int | None = 0) -> Done:
        """A command, run in this process: the same code without the seconds that importing torch takes."""
        runner = CliRunner(catch_exceptions=False)
        with contextlib.chdir(self.folder):
            result = runner.invoke(cli, arguments, prog_name="capprep", env=self.environment)
        return self._done(arguments, result.exit_code, result.stdout, result.stderr, expect)

    def starts(self, *arguments: str, expect: int | None = 0) -> Done:
        """A command, run as a program of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "capprep", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return self._done(arguments, done.returncode, done.stdout, done.stderr, expect)

    @staticmethod
    def _done(arguments: Sequence[str], status: int, out: str, err: str, expect: int | None) -> Done:
        assert expect is None or status == expect, (arguments, status, out, err)
        assert "Traceback" not in err, err
        return Done(status, out, err)

    def without(self, *variables: str) -> Person:
        return Person(self.folder, {k: v for k, v in self.environment.items() if k not in variables})

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """A person in an empty folder, without network, with the tiny profile."""
    return make_person(tmp_path)


def make_person(folder: Path) -> Person:
    work = folder / "work"
    work.mkdir(parents=True)
    environment = {
        "CAPPREP_PROFILE": "tiny",
        "XDG_STATE_HOME": str(folder / "state"),
        "HF_HOME": str(folder / "hub"),
        **OFFLINE,
    }
    return Person(work, environment)


def photographs(raw: Path) -> None:
    """Real photographs in JPEG and PNG with odd sizes, one cut in half, one text file renamed."""
    raw.mkdir()
    source = Path(skimage_data.__file__).parent
    for name in PHOTOGRAPHS:
        (raw / name).write_bytes((source / name).read_bytes())
    content = (source / "retina.jpg").read_bytes()
    (raw / "cut.jpg").write_bytes(content[: len(content) // 2])
    (raw / "notes.jpg").write_text("these are my notes, not a picture")
