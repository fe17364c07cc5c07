"""The README's set-up commands, on a fresh clone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_make_demo_alone_sets_everything_up_and_a_second_one_computes_no_fact(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}

    def make(target: str) -> str:
        done = subprocess.run(["make", target], cwd=clone, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    first, second = make("demo"), make("demo")
    assert "20 pictures of 512x512" in first
    assert sorted(path.suffix for path in (clone / "demo" / "dataset").iterdir()) == [".png"] * 20 + [".txt"] * 20
    assert (clone / "demo" / "report.html").is_file()
    assert list((clone / "demo").glob("runs/*/*.pt"))
    assert "0 read now, 21 known before" in second
    assert second.count("nothing to compute") == 6


def test_every_target_has_a_line_of_help() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "slow", "bench", "clean"):
        assert f"make {target} " in shown
