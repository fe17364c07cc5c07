"""The way from nothing to the readers' files, with a handful of pictures and steps instead of a hundred thousand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from capprep.models.blip import BlipCaptioner
from capprep.models.match import BlipMatcher
from capprep.models.tagger import OnnxTagger
from capprep.toybox.__main__ import main
from capprep.toybox.training import loop, pool, run


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of two steps on sixteen pictures."""
    monkeypatch.setattr(pool, "CHUNK", 16)
    monkeypatch.setattr(run, "PICTURES", 32)
    monkeypatch.setattr(loop, "_HELD_BACK", 16)
    monkeypatch.setattr(loop, "_MEASURED", 8)
    monkeypatch.setattr(run, "RUNS", {name: replace(s, samples=16, batch=8) for name, s in run.RUNS.items()})


def test_one_command_makes_all_readers_and_a_second_one_trains_nothing(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "all", "--work", str(tmp_path), "--device", "cpu", "--workers", "1"]
    main(command)
    weights = tmp_path / "weights"
    assert capsys.readouterr().out.split() == [str(weights / role) for role in ("caption", "match", "booru")]
    grey = [np.full((512, 512, 3), 128, np.uint8)]
    assert len(BlipCaptioner(weights / "caption").captions(grey, max_new_tokens=5)) == 1
    assert BlipMatcher(weights / "match").image_embeddings(grey).shape == (1, 96)
    assert OnnxTagger(weights / "booru" / "model.onnx", weights / "booru" / "labels.csv").probabilities(grey).size
    for name, settings in run.RUNS.items():
        record = json.loads((tmp_path / name / "run.json").read_text())
        assert (record["step"], record["seed"]) == (2, settings.seed)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    main(command)
    assert {path: path.read_bytes() for path in before} == before


def test_two_trainings_in_one_folder_are_refused(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = run.train

    def twice(task: object, pictures: object, settings: object, folder: Path, device: str) -> None:
        from capprep.errors import ConfigError
        from capprep.files import locked

        folder.mkdir(parents=True)
        lock = locked(folder / "lock", ConfigError("never", "raised"))
        try:
            train(task, pictures, settings, folder, device)  # type: ignore[arg-type]
        finally:
            lock.release()

    monkeypatch.setattr(run, "train", twice)
    with pytest.raises(SystemExit) as caught:
        main(["train", "tagger", "--work", str(tmp_path), "--device", "cpu", "--workers", "1"])
    assert caught.value.code == 2
    assert "another process is training" in capsys.readouterr().err


def test_curves_are_drawn_from_the_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "work" / "tagger"
    log.mkdir(parents=True)
    rows = {"step": [50, 100], "samples": [3200, 6400], "f1": [0.5, 0.9], "f1_kinds": [0.4, 0.8]}
    pd.DataFrame({**rows, "f1_coloured": [0.3, 0.7], "f1_counts": [0.6, 0.95]}).to_csv(log / "log.csv", index=False)
    (log / "run.json").write_text('{"seed": 4}')
    main(["curves", "--work", str(tmp_path / "work"), str(tmp_path / "docs")])
    assert capsys.readouterr().out == f"tagger.svg in {tmp_path / 'docs'}\n"
    drawn = (tmp_path / "docs" / "tagger.svg").read_text()
    assert drawn.count('id="line2d_') > 4
    assert pd.read_csv(tmp_path / "docs" / "tagger.csv")["f1"].tolist() == [0.5, 0.9]
    assert json.loads((tmp_path / "docs" / "tagger.json").read_text()) == {"seed": 4}
    main(["curves", "--work", str(tmp_path / "work"), str(tmp_path / "docs")])
    assert (tmp_path / "docs" / "tagger.svg").read_text() == drawn


def test_a_sheet_shows_every_style(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "styles.png"
    main(["sheet", str(path), "--seed", "3"])
    assert capsys.readouterr().out == f"{path}\n"
    with Image.open(path) as sheet:
        columns = np.asarray(sheet.convert("RGB"), int)[30:180]
    parts = [columns[:, 6 + 166 * number : 166 + 166 * number] for number in range(8)]
    assert all(np.abs(one - two).mean() > 1 for i, one in enumerate(parts) for two in parts[:i])
