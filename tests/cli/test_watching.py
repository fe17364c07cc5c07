"""What a person who watches sees: bars on a terminal, and what Ctrl-C does."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from capprep.cli import progress

from .conftest import Person


def on_a_terminal(person: Person, *arguments: str, interrupt_at: str | None = None) -> tuple[int, str]:
    """Exit status and all that appeared on a terminal; Ctrl-C once a text has appeared."""
    try:
        driver, terminal = pty.openpty()
    except OSError as error:
        pytest.skip(f"this machine has no pseudo-terminals: {error}")
    process = subprocess.Popen(
        [sys.executable, "-m", "capprep", *arguments],
        cwd=person.folder,
        env={**os.environ, **person.environment, "TERM": "xterm", "COLUMNS": "120"},
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown, interrupted = b"", False
    while True:
        try:
            part = os.read(driver, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        shown += part
        if interrupt_at is not None and not interrupted and interrupt_at.encode() in shown:
            process.send_signal(signal.SIGINT)
            interrupted = True
    os.close(driver)
    return process.wait(60), shown.decode(errors="replace")


def plain(shown: str) -> str:
    """Without the terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


@pytest.fixture
def small_set(person: Person) -> Person:
    person.file("set").mkdir()
    for n in range(3):
        Image.effect_noise((80, 80), 20 + n).convert("RGB").save(person.file("set") / f"{n}.png")
        (person.file("set") / f"{n}.txt").write_text(f"noise {n}")
    return person


def test_a_person_who_watches_sees_counts_rate_and_loss(small_set: Person) -> None:
    status, shown = on_a_terminal(small_set, "train", "set", "--steps", "40", "--name", "n")
    assert status == 0
    assert "40/40" in plain(shown)
    assert "/s" in plain(shown)
    assert "loss " in plain(shown)
    assert "trained 40 steps" in plain(shown)


def test_stopped_with_ctrl_c_training_goes_on_where_it_was_to_the_same_bits(small_set: Person) -> None:
    common = ("train", "set", "--steps", "150", "--save-every", "1000")
    whole = small_set.types(*common, "--name", "n", "-w", "whole", "--json").json
    status, shown = on_a_terminal(small_set, *common, "--name", "n", "-w", "cut", interrupt_at="/150")
    assert status == 130
    assert "run the same command again to go on" in plain(shown)
    cut = small_set.types(*common, "--name", "n", "-w", "cut", "--json").json
    assert 0 < cut["resumed_from"] < 150
    assert Path(cut["weights"]).read_bytes() == Path(whole["weights"]).read_bytes()


def test_killed_between_checkpoints_training_ends_with_the_same_bits(small_set: Person) -> None:
    common = ("train", "set", "--steps", "40", "--save-every", "5")
    whole = small_set.types(*common, "--name", "n", "-w", "whole", "--json").json
    process = subprocess.Popen(
        [sys.executable, "-m", "capprep", *common, "--name", "n", "-w", "cut"],
        cwd=small_set.folder,
        env={**os.environ, **small_set.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(small_set.folder.glob("cut/runs/*/checkpoints/*-15.pt.optim")):
        time.sleep(0.005)
    process.kill()
    process.wait()
    cut = small_set.types(*common, "--name", "n", "-w", "cut", "--json").json
    assert cut["resumed_from"] >= 15
    assert Path(cut["weights"]).read_bytes() == Path(whole["weights"]).read_bytes()


def test_bars_appear_only_for_what_has_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.StringIO()
    real = progress.Console
    monkeypatch.setattr(progress, "Console", lambda stderr: real(file=console, force_terminal=True, width=120))
    with progress.bars() as watch:
        watch("picture", 5, 5)
        watch("caption.blip", 1, 4)
        watch("caption.blip", 4, 4)
        watch("train", 0, 2)
        watch("train", 2, 2, "loss 0.1")
    shown = plain(console.getvalue())
    assert "picture" not in shown
    assert "caption.blip" in shown
    assert "4/4" in shown
    assert "loss 0.1" in shown
