from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
import torch

from capprep.errors import ConfigError
from capprep.train import checkpoint
from capprep.train.checkpoint import Description
from capprep.train.hypernetwork import Structure, build
from capprep.train.runs import FINISHED, Run, check_name, create, find, others_unfinished

DAY = datetime.date(2024, 5, 6)


def save(run: Run, step: int) -> Path:
    network = build([8], Structure(), "Normal", torch.Generator())
    path = run.checkpoint(step)
    sha256 = checkpoint.write(path, network, Description(step))
    checkpoint.write_optimizer(path, sha256, torch.optim.AdamW(network.parameters()), {})
    return path


@pytest.mark.parametrize("name", ["toy", "my style 2", "Ünï-1.5_b", "x" * 100])
def test_a_name_may_be_what_the_webui_allows(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "None", "a/b", "..", ".a", "a.", " a", "a:1", "a<b>", "a\n", "x" * 101])
def test_a_name_that_cannot_be_a_file_or_a_prompt_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        check_name(name)


def test_folders_of_one_day_are_numbered(tmp_path: Path) -> None:
    names = [create(tmp_path / "runs", "toy", DAY, {}).folder.name for _ in range(3)]
    assert names == ["toy-2024-05-06", "toy-2024-05-06-2", "toy-2024-05-06-3"]


def test_a_run_is_found_by_its_identity_the_last_touched_first(tmp_path: Path) -> None:
    first, second = (create(tmp_path, "toy", DAY, {"identity": "i"}) for _ in range(2))
    os.utime(second.folder / "run.json", (1, 1))
    found = find(tmp_path, "i")
    assert found is not None
    assert found.folder == first.folder
    assert find(tmp_path, "j") is None
    assert find(tmp_path / "nowhere", "i") is None


def test_a_finished_run_counts_only_with_its_file(tmp_path: Path) -> None:
    first, _second = (create(tmp_path, "toy", DAY, {"identity": "i"}) for _ in range(2))
    run = first.write_record({"state": FINISHED})
    assert not run.finished
    run.weights.write_bytes(b"x")
    os.utime(run.folder / "run.json", (1, 1))
    found = find(tmp_path, "i")
    assert found is not None
    assert found.finished


def test_unfinished_runs_of_the_name_with_another_identity_are_named(tmp_path: Path) -> None:
    other = create(tmp_path, "toy", DAY, {"identity": "other"})
    create(tmp_path, "toy", DAY, {"identity": "mine"})
    create(tmp_path, "toy2", DAY, {"identity": "other"})
    assert [run.folder for run in others_unfinished(tmp_path, "toy", "mine")] == [other.folder]


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff"])
def test_a_folder_of_something_else_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_bytes(content.encode("latin-1"))
    assert find(tmp_path, "i") is None


def test_the_record_says_what_was_given_and_changes_keep_the_rest(tmp_path: Path) -> None:
    run = create(tmp_path, "toy", DAY, {"identity": "i"}).write_record({"state": FINISHED})
    said = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    assert said == {"name": "toy", "state": "finished", "identity": "i"}


def test_a_run_goes_on_from_its_last_whole_checkpoint(tmp_path: Path) -> None:
    run = create(tmp_path, "toy", DAY, {})
    assert run.resume_point() is None
    for step in (9, 10, 11, 12):
        save(run, step)
    run.checkpoint(12).write_bytes(b"torn")
    checkpoint.optimizer_path(run.checkpoint(11)).unlink()
    (run.folder / "checkpoints" / "toy-2-99.pt").write_bytes(b"another's")
    point = run.resume_point()
    assert point is not None
    assert point[0].description.step == 10
    assert [step for step, _ in run.checkpoints()] == [12, 11, 10, 9]


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        '{"identity": "i"}',
        '{"identity": "i", "name": "../../../pwned", "state": "running"}',
        '{"identity": "i", "name": "other", "state": "running"}',
    ],
)
def test_a_record_that_is_damaged_or_names_another_place_is_no_run_of_ours(tmp_path: Path, record: str) -> None:
    run = create(tmp_path, "toy", DAY, {"identity": "i"})
    (run.folder / "run.json").write_text(record)
    assert find(tmp_path, "i") is None
