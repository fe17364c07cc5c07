"""models.lock, and what is remembered of files on this machine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from capprep.errors import ConfigError, ModelMissing
from capprep.lock import Model, Pin, read_lock
from capprep.store import Store

WEIGHTS, LABELS = b"weights" * 1000, b"name,category\ncat,0\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_check_is_remembered_until_the_file_changes_and_can_be_done_again(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(WEIGHTS)
    read: list[int] = []
    assert Store(tmp_path / "state").sha256(path, read.append) == sha(WEIGHTS)
    assert read == [len(WEIGHTS)]
    assert Store(tmp_path / "state").sha256(path, read.append) == sha(WEIGHTS)
    assert read == [len(WEIGHTS)]
    assert Store(tmp_path / "state", trust=False).sha256(path, read.append) == sha(WEIGHTS)
    assert read == [len(WEIGHTS)] * 2
    path.write_bytes(LABELS)
    assert Store(tmp_path / "state").sha256(path, read.append) == sha(LABELS)


def test_without_network_and_file_one_message_names_file_size_way_and_offline_profile(tmp_path: Path) -> None:
    store = Store(tmp_path / "state", tmp_path / "cache", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ModelMissing) as caught:
        store.find(read_lock().named("deepdanbooru"))
    assert time.monotonic() - started < 20
    assert "deepdanbooru/deepdanbooru.onnx (644 MB)" in caught.value.message
    for part in ("capprep models pull deepdanbooru", "--booru-model", "--profile tiny", "deepghs/imgutils-models@"):
        assert part in caught.value.hint


def test_many_processes_remember_all_their_checks(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from capprep.store import Store\n"
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
    with pytest.raises(ModelMissing, match=r"no\.onnx, and it is gone"):
        Store(tmp_path).find(entry)


def test_the_state_folder_follows_the_desktop_standard() -> None:
    code = "from capprep.store import default_state; print(default_state())"
    for variables, expected in (({"XDG_STATE_HOME": "/x"}, "/x/capprep"), ({"HOME": "/h"}, "/h/.local/state/capprep")):
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_the_lock_is_plain_toml() -> None:
    assert tomllib.loads(Path(__file__).parent.parent.joinpath("models.lock").read_text())["version"] == 1
