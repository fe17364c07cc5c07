"""The served report: for this machine and whoever knows the address, nobody else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from capprep.errors import CapprepError, MissingExtra
from capprep.review import server


@pytest.fixture
def served(tmp_path: Path):
    """(process, address, folder) of `capprep review --serve` over one picture."""
    (tmp_path / "raw").mkdir()
    Image.new("RGB", (600, 520), "teal").save(tmp_path / "raw" / "a.png")
    environment = {**os.environ, "CAPPREP_PROFILE": "tiny", "BROWSER": "true", "XDG_STATE_HOME": str(tmp_path / "s")}
    command = [sys.executable, "-m", "capprep"]
    subprocess.run([*command, "ingest", "raw"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "review", "--serve", "--json"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())["address"], tmp_path
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stdout.close()


def ask(address: str, path: str | None = None, host: str | None = None) -> tuple[int, str]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", path or parts.path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_the_page_is_made_anew_at_each_load_and_only_for_whoever_knows_the_address(served) -> None:
    process, address, folder = served
    status, body = ask(address)
    assert status == 200
    assert "00001-a" in body
    assert ask(address, "/")[0] == 404
    assert ask(address, host="evil.example")[0] == 400
    (folder / "dataset" / "00001-a.txt").write_text("words by hand")
    assert "words by hand" in ask(address)[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in (0, 130)


def test_a_port_that_is_taken_is_an_error_with_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        with pytest.raises(CapprepError, match="cannot be used") as caught:
            server.serve(str, taken.getsockname()[1], print)
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("package", ["starlette.applications", "uvicorn"])
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as caught:
        server.serve(str, 0, print)
    assert "capprep[serve]" in caught.value.hint
