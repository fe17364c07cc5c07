import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capprep.toybox.training import loop, pool
from capprep.toybox.training.loop import Settings, train
from capprep.toybox.training.pool import Batch, Pool, draw_pool

SETTINGS = Settings(samples=160, batch=8, rate=1e-2, seed=5)


class Brightness:
    """A network with one layer that learns a picture's mean colour, and may be killed while at it."""

    def __init__(self, killed_at: int | None = None) -> None:
        torch.manual_seed(1)
        self.net = torch.nn.Linear(3, 1)
        self._killed_at = killed_at
        self.seen = 0

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """How far off it is."""
        if self.seen == self._killed_at:
            raise KeyboardInterrupt
        self.seen += 1
        means = torch.from_numpy(batch.images_NSSC.mean(axis=(1, 2)) / 255).float()
        noise = torch.from_numpy(rng.random_sample(len(means))).float()
        return {"far": (self.net(means)[:, 0] - means.mean(dim=1) - 0.01 * noise).square().mean()}

    def measures(self, batch: Batch) -> dict[str, float]:
        """Nothing but the number of pictures."""
        return {"pictures": float(len(batch.scenes))}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A hundred training pictures and some to measure on."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "CHUNK", 64)
        draw_pool(folder, 384, workers=1)
        patch.undo()
        patch.setattr(pool, "CHUNK", 64)
        return Pool(folder, 384)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log and save often enough for twenty steps."""
    monkeypatch.setattr(pool, "CHUNK", 64)
    for name, value in (("LOG_EVERY", 4), ("SAVE_EVERY", 8), ("_HELD_BACK", 256)):
        monkeypatch.setattr(loop, name, value)


def rows(folder: Path) -> list[dict[str, Any]]:
    with (folder / "log.csv").open() as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


def test_it_learns_and_says_so_in_the_log(pictures: Pool, tmp_path: Path) -> None:
    task = Brightness()
    train(task, pictures, SETTINGS, tmp_path)
    assert task.seen == SETTINGS.steps == 20
    log = rows(tmp_path)
    assert [row["step"] for row in log] == [4, 8, 12, 16, 20]
    assert log[-1]["samples"] == 160
    assert log[-1]["far"] < log[0]["far"] / 2
    assert log[0]["pictures"] == 64
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["seed"], record["step"], record["torch"]) == (5, 20, torch.__version__)


@pytest.mark.parametrize("killed_at", [3, 8, 11, 19])
def test_killed_and_resumed_equals_uninterrupted(pictures: Pool, tmp_path: Path, killed_at: int) -> None:
    whole = Brightness()
    train(whole, pictures, SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Brightness(killed_at), pictures, SETTINGS, tmp_path / "parts")
    resumed = Brightness()
    train(resumed, pictures, SETTINGS, tmp_path / "parts")
    assert resumed.seen == SETTINGS.steps - killed_at // 8 * 8
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    for one, two in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(one, two)


def test_what_is_finished_is_not_trained_again(pictures: Pool, tmp_path: Path) -> None:
    train(Brightness(), pictures, SETTINGS, tmp_path)
    again = Brightness(killed_at=0)
    train(again, pictures, SETTINGS, tmp_path)
    assert again.seen == 0
    assert len(rows(tmp_path)) == 5
