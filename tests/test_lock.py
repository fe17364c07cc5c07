"""models.lock: files found, fetched from a fake hub, verified, remembered."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from capprep.errors import ConfigError, ModelCorrupt, ModelMissing
from capprep.lock import Model, Pin, Store, read_lock

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS, LABELS = b"weights" * 1000, b"name,category\ncat,0\n"


class FakeHub(BaseHTTPRequestHandler):
    """Serves two files of one repository as the hub's resolve endpoint does."""

    files: ClassVar = {f"/us/model/resolve/{COMMIT}/w.onnx": WEIGHTS, "/us/model/resolve/main/labels.csv": LABELS}
    requests: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.requests.append(f"{self.command} {self.path}")
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
            content = b""
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    FakeHub.requests.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def model(weights: str | None = sha(WEIGHTS), size: int | None = len(WEIGHTS)) -> Model:
    pins = (
        Pin("w.onnx", weights, size, "7 kB", "", labels=False),
        Pin("labels.csv", None, None, "", "main", labels=True),
    )
    return Model("m", "booru", "a model", "us/model", COMMIT, "MIT", pins)


def test_a_model_is_fetched_at_its_revision_verified_and_then_found_without_the_hub(tmp_path: Path, hub: str) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", hub)
    found = store.find(model())
    assert found.path.read_bytes() == WEIGHTS
    assert found.labels is not None
    assert found.labels.read_bytes() == LABELS
    assert found.recorded == ("labels.csv",)  # no digest was known: recorded, and said so
    FakeHub.requests.clear()
    again = Store(tmp_path / "state", tmp_path / "cache", "http://127.0.0.1:9").find(model(), fetch=False)
    assert (again.path, again.sha256, again.recorded) == (found.path, found.sha256, ())
    assert FakeHub.requests == []


def test_a_file_with_the_wrong_digest_or_size_is_refused(tmp_path: Path, hub: str) -> None:
    for wrong in (model(weights="0" * 64), model(size=5)):
        with pytest.raises(ModelCorrupt, match="is damaged, or not the file") as caught:
            Store(tmp_path / "state", tmp_path / "cache", hub).find(wrong)
        assert "capprep models pull m" in caught.value.hint


def test_a_recorded_digest_holds_later_files_to_it(tmp_path: Path, hub: str) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", hub)
    found = store.find(model())
    assert found.labels is not None
    found.labels.resolve().write_bytes(b"name,category\nevil,0\n")
    with pytest.raises(ModelCorrupt, match=r"labels\.csv"):
        store.find(model())


def test_a_check_is_remembered_until_the_file_changes_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(WEIGHTS)
    store = Store(tmp_path / "state")
    assert store.sha256(path) == sha(WEIGHTS)
    read: list[object] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: read.append(a) or real(*a))
    assert Store(tmp_path / "state").sha256(path) == sha(WEIGHTS)
    assert read == []
    assert Store(tmp_path / "state", trust=False).sha256(path) == sha(WEIGHTS)
    assert len(read) == 1
    path.write_bytes(LABELS)
    assert store.sha256(path) == sha(LABELS)


def test_without_network_and_file_one_message_names_file_size_way_and_offline_profile(tmp_path: Path) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ModelMissing) as caught:
        store.find(read_lock().named("deepdanbooru"))
    assert time.monotonic() - started < 20
    assert "deepdanbooru/deepdanbooru.onnx (644 MB)" in caught.value.message
    for part in ("capprep models pull deepdanbooru", "--booru-model", "--profile tiny", "deepghs/imgutils-models@"):
        assert part in caught.value.hint


def test_model_files_that_the_lock_does_not_name_are_not_loaded_by_the_way(tmp_path: Path, hub: str) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", hub)
    found = store.find(model())
    (found.path.parent / "model.safetensors").write_bytes(b"planted")
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors lies beside"):
        store.find(model())


def test_verifying_records_nothing(tmp_path: Path, hub: str) -> None:
    Store(tmp_path / "state", tmp_path / "cache", hub).find(model())
    judge = Store(tmp_path / "other", tmp_path / "cache", hub, trust=False, record=False)
    for _ in range(2):
        assert judge.find(model(), fetch=False).recorded == ("labels.csv",)


def test_digests_recorded_before_are_not_forgotten_in_silence(tmp_path: Path, hub: str) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", hub)
    store.find(model())
    (tmp_path / "state" / "pins.json").write_text('{"half')
    with pytest.raises(ModelCorrupt, match=r"pins\.json"):
        store.find(model())


def test_many_processes_remember_all_their_checks(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from capprep.lock import Store\n"
        "for path in sys.argv[2:]: Store(Path(sys.argv[1])).sha256(Path(path))"
    )
    files = [tmp_path / f"{n}.bin" for n in range(24)]
    for n, path in enumerate(files):
        path.write_bytes(bytes([n]))
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "state"), *map(str, files[n::3])])
        for n in range(3)
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert len(json.loads((tmp_path / "state" / "checks.json").read_text())) == 24


def test_the_weights_beside_a_graph_are_part_of_its_digest(tmp_path: Path) -> None:
    graph = tmp_path / "tagger.onnx"
    graph.write_bytes(WEIGHTS)
    alone = Store(tmp_path / "state").given(graph).sha256
    (tmp_path / "tagger.onnx_data").write_bytes(LABELS)
    assert Store(tmp_path / "state").given(graph).sha256 != alone


def test_a_file_the_hub_does_not_have_is_reported_likewise(tmp_path: Path, hub: str) -> None:
    pin = Pin("gone.bin", None, None, "", "", labels=False)
    with pytest.raises(ModelMissing, match=r"gone\.bin"):
        Store(tmp_path / "s", tmp_path / "c", hub).find(Model("m", "vae", "", "us/model", COMMIT, "MIT", (pin,)))


def test_a_torn_memory_of_checks_costs_a_check_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checks.json").write_text('{"half')
    path = tmp_path / "w.bin"
    path.write_bytes(WEIGHTS)
    assert Store(tmp_path / "state").sha256(path) == sha(WEIGHTS)


def test_a_model_given_by_path_has_a_digest_of_all_it_is_made_of(tmp_path: Path) -> None:
    folder = tmp_path / "blip"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "model.safetensors").write_bytes(WEIGHTS)
    store = Store(tmp_path / "state")
    whole = store.given(folder).sha256
    (folder / "README.md").write_text("words")
    assert store.given(folder).sha256 == whole
    (folder / "config.json").write_text('{"a": 1}')
    assert store.given(folder).sha256 != whole
    file = folder / "sub" / "model.safetensors"
    assert store.given(file).sha256 == sha(WEIGHTS)
    labels = tmp_path / "labels.csv"
    labels.write_bytes(LABELS)
    assert store.given(file, labels).sha256 != sha(WEIGHTS)
    for path, named in ((tmp_path / "nowhere", None), (file, tmp_path / "no.csv")):
        with pytest.raises(ModelMissing, match="there is no"):
            store.given(path, named)


def test_the_lock_is_complete_and_its_pins_are_well_formed() -> None:
    lock = read_lock()
    assert set(lock.profiles) == {"default", "tiny"}
    for profile in lock.profiles.values():
        assert set(profile.models) == {"caption", "match", "booru", "base"}
        assert {lock.named(name).role for name in profile.models.values()} == set(profile.models)
    for entry in lock.models.values():
        assert entry.package or re.fullmatch(r"[0-9a-f]{40}|main", entry.revision), entry.name
        assert entry.files
        assert entry.licence
        for pin in entry.files:
            assert pin.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", pin.sha256)
    assert lock.named("deepdanbooru").files[0].shown_size == "644 MB"
    with pytest.raises(ConfigError, match="no model"):
        lock.named("nothing")
    with pytest.raises(ConfigError, match="no profile"):
        lock.profile("nothing")


def test_every_model_of_the_tiny_profile_is_in_the_package_and_whole(tmp_path: Path) -> None:
    lock = read_lock()
    for name in lock.profile("tiny").models.values():
        found = Store(tmp_path).find(lock.named(name), fetch=False)
        assert found.path.exists()
        assert found.recorded == ()


def test_a_tiny_file_that_is_not_in_the_package_is_missing_not_fetched(tmp_path: Path) -> None:
    entry = Model("t", "booru", "", "", "", "MIT", (Pin("no.onnx", None, None, "", "", labels=False),), "toybox")
    with pytest.raises(ModelMissing, match="installed program"):
        Store(tmp_path).find(entry)


def test_the_state_folder_follows_the_desktop_standard() -> None:
    code = "from capprep.lock import default_state; print(default_state())"
    for variables, expected in (({"XDG_STATE_HOME": "/x"}, "/x/capprep"), ({"HOME": "/h"}, "/h/.local/state/capprep")):
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_the_lock_is_plain_toml() -> None:
    assert tomllib.loads(Path(__file__).parent.parent.joinpath("models.lock").read_text())["version"] == 1
