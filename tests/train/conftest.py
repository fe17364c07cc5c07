"""The toy base model and a few drawn pictures to train on."""

from __future__ import annotations

import datetime
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from capprep.manifest import Entry, Manifest
from capprep.models.stable_diffusion import BaseModel, load_base
from capprep.toybox.diffusion import BASE
from capprep.train import previews
from capprep.train.config import TrainConfig
from capprep.train.loop import TrainResult, train

COLOURS = ("red", "green", "blue", "yellow", "purple")


@pytest.fixture(scope="session")
def base() -> BaseModel:
    return load_base(BASE, "cpu", torch.float32)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five squares of 80 pixels with a round thing on each, and a text beside each."""
    place = tmp_path_factory.mktemp("set")
    for number, colour in enumerate(COLOURS):
        picture = Image.new("RGB", (80, 80), "white")
        ImageDraw.Draw(picture).ellipse((10, 10, 40 + 6 * number, 60), fill=colour)
        picture.save(place / f"{number:05d}.png")
        (place / f"{number:05d}.txt").write_text(f"a {colour} circle, on white", encoding="utf-8")
    return place


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return Manifest(
        tuple(
            Entry(path, hashlib.sha256(path.read_bytes()).hexdigest(), path.with_suffix(".txt").read_text("utf-8"))
            for path in sorted(folder.glob("*.png"))
        )
    )


@pytest.fixture
def train_toy(
    base: BaseModel, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TrainResult]:
    """Train on the toy set; settings by name, `runs`, `manifest`, `progress` and `restart` as for `train`."""
    # a preview of two steps shows as much as one of twenty
    monkeypatch.setattr(previews, "sample", functools.partial(previews.sample, steps=2))

    def run(**given: Any) -> TrainResult:
        call = {name: given.pop(name) for name in ("progress", "restart") if name in given}
        data, runs = given.pop("manifest", manifest), given.pop("runs", tmp_path / "runs")
        model, name = given.pop("base", base), given.pop("name", "toy")
        settings = {"steps": 6, "learn_rate": "1e-3", "batch_size": 2, "save_every": 4, **given}
        return train(
            data, model, "5a" * 32, TrainConfig(**settings), runs, name, today=datetime.date(2024, 5, 6), **call
        )

    return run
