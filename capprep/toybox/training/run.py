"""From nothing to the readers' weights: draw the pictures, train one after the other, write what ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from capprep.toybox.readers import write_blip
from capprep.toybox.training.captioner import CaptionerTask
from capprep.toybox.training.loop import Settings, train
from capprep.toybox.training.match import MatchTask
from capprep.toybox.training.pool import Pool, draw_pool
from capprep.toybox.training.tagger import TaggerTask, write_tagger
from capprep.toybox.training.tower import TowerTask

PICTURES = 122_880
"""How many different pictures the readers are trained on."""

RUNS = {
    "tower": Settings(samples=130_000, rate=1e-3, seed=1),
    "captioner": Settings(samples=280_000, rate=6e-4, seed=2),
    "match": Settings(samples=180_000, rate=6e-4, seed=3),
    "tagger": Settings(samples=160_000, rate=2e-3, seed=4),
}
"""How each is trained; captioner and match start from the finished tower."""

READERS = ("captioner", "match", "tagger")


def train_readers(names: Sequence[str], work: Path, device: str, workers: int | None = None) -> list[Path]:
    """Train readers and write their files under `work/weights`; what was begun goes on, what is done is kept.

    Args:
        names: Some of `READERS`.
        work: Holds the drawn pictures, checkpoints, logs and weights; several gigabytes.
        device: "cpu" or "cuda".
        workers: Processes that draw.

    Returns:
        The folders with the finished weights.
    """
    draw_pool(work / "pictures", PICTURES, workers)
    pool = Pool(work / "pictures", PICTURES)
    return [_trained(name, work, pool, device) for name in names]


def _trained(name: str, work: Path, pool: Pool, device: str) -> Path:
    if name == "tagger":
        torch.manual_seed(RUNS[name].seed)
        tagger = TaggerTask()
        train(tagger, pool, RUNS[name], work / name, device)
        write_tagger(tagger.model, work / "weights" / "booru")
        return work / "weights" / "booru"
    torch.manual_seed(RUNS["tower"].seed)
    tower = TowerTask()
    train(tower, pool, RUNS["tower"], work / "tower", device)
    torch.manual_seed(RUNS[name].seed)
    task = CaptionerTask(tower) if name == "captioner" else MatchTask(tower)
    folder = work / "weights" / ("caption" if name == "captioner" else "match")
    train(task, pool, RUNS[name], work / name, device)
    write_blip(task.model, folder)
    return folder
