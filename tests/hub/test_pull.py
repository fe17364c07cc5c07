"""`capprep models pull` as a person runs it, with a hub that the client finds through its own variables."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capprep.hub import PARTIAL
from capprep.lock import read_lock

from .fake_hub import FakeHub, Fault
from .test_hub import KEPT, LARGE, sha

MODEL = read_lock().named("blip-itm-base")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """All files of a model for which the lock knows no digest."""
    files = {(MODEL.repository, MODEL.revision, pin.name): f"{pin.name}\n".encode() * 9 for pin in MODEL.files}
    files[MODEL.repository, MODEL.revision, MODEL.files[0].name] = LARGE
    with FakeHub(files).running() as running:
        yield running


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path, hub: FakeHub) -> dict[str, str]:
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "XDG_STATE_HOME": str(tmp_path / "state")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE"))}
    return {**kept, **own, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def capprep(tmp_path: Path, environment: dict[str, str]) -> Run:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "capprep", "models", *arguments],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_model_is_pulled_listed_and_verified_and_needs_no_hub_then(
    tmp_path: Path, hub: FakeHub, capprep: Run
) -> None:
    pulled = capprep("pull", MODEL.name)
    assert (pulled.returncode, pulled.stderr) == (0, "")  # no terminal, no bars
    assert f"{MODEL.name} is ready: hf{os.sep}hub{os.sep}" in pulled.stdout
    assert "no SHA-256 was known for pytorch_model.bin, config.json" in pulled.stdout
    asked = len(hub.requests)
    offline = {"HF_HUB_OFFLINE": "1"}
    again = json.loads(capprep("pull", MODEL.name, "--json", **offline).stdout)["models"][MODEL.name]
    assert (again["recorded"], again["put_aside"]) == ([], [])
    assert Path(again["path"], "pytorch_model.bin").read_bytes() == LARGE
    listed = {entry["name"]: entry["here"] for entry in json.loads(capprep("list", "--json").stdout)["models"]}
    assert (listed[MODEL.name], listed["blip-base"]) == (True, False)
    assert f"{MODEL.name}: ok\n" in capprep("verify", **offline).stdout
    assert len(hub.requests) == asked
    Path(again["path"], "vocab.txt").resolve().write_text("spoilt")
    spoilt = capprep("verify", MODEL.name)
    assert spoilt.returncode == 1
    assert "vocab.txt of blip-itm-base has the SHA-256" in spoilt.stdout
    assert f"  to put it aside and fetch it again: capprep models pull {MODEL.name}\n" in spoilt.stdout
    mended = capprep("pull", MODEL.name)
    assert mended.returncode == 0
    assert f"state{os.sep}capprep{os.sep}quarantine{os.sep}{sha(b'spoilt')}-vocab.txt" in mended.stdout
    assert f"{MODEL.name}: ok\n" in capprep("verify").stdout


def test_the_clients_own_variables_say_where_models_lie_and_that_nothing_is_fetched(
    tmp_path: Path, hub: FakeHub, capprep: Run
) -> None:
    refused = capprep("pull", MODEL.name, HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert "it could not be fetched: HF_HUB_OFFLINE is set" in refused.stderr
    assert "unset HF_HUB_OFFLINE" in refused.stderr
    assert hub.requests == []
    assert capprep("pull", MODEL.name, HF_HUB_CACHE=str(tmp_path / "models")).returncode == 0
    assert len(list((tmp_path / "models").glob("*/snapshots/*/pytorch_model.bin"))) == 1
    assert not (tmp_path / "hf" / "hub").exists()


def test_ctrl_c_keeps_what_came_and_the_same_command_fetches_only_the_rest(
    tmp_path: Path, hub: FakeHub, capprep: Run, environment: dict[str, str]
) -> None:
    hub.faults = [Fault("GET", stall=KEPT + 1000)]
    process = subprocess.Popen(
        [sys.executable, "-m", "capprep", "models", "pull", MODEL.name],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert hub.reached.wait(60)
    pause = threading.Event()
    for _ in range(600):  # what was sent may still be on its way to the disk
        if any(path.stat().st_size == KEPT for path in (tmp_path / "hf").rglob(f"*{PARTIAL}")):
            break
        pause.wait(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "stopped; run the same command again to go on from here")
    assert capprep("pull", MODEL.name).returncode == 0
    assert [r.range for r in hub.gets("pytorch_model.bin")] == ["", f"bytes={KEPT}-"]


def test_on_a_terminal_a_bar_shows_bytes_rate_and_time(
    tmp_path: Path, hub: FakeHub, environment: dict[str, str]
) -> None:
    try:
        driver, terminal = pty.openpty()
    except OSError as error:
        pytest.skip(f"this machine has no pseudo-terminals: {error}")
    hub.faults = [Fault("HEAD", 503)]
    process = subprocess.Popen(
        [sys.executable, "-m", "capprep", "models", "pull", MODEL.name],
        cwd=tmp_path,
        env={**environment, "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(driver, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(driver)
    assert process.wait(60) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"blip-itm-base +━+ 25\.1/25\.1 MB", plain)
    assert re.search(r"[0-9.]+ [kMG]B/s", plain)
    assert "the hub is busy (status 503); again in 1 s" in plain
    assert "\nblip-itm-base" not in plain.split("25.1/25.1 MB")[-1]  # one bar a model
