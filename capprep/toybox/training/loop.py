"""The training loop of the readers: any device, killed and resumed at will, every hundred steps in a log."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers

from capprep.errors import ConfigError
from capprep.files import locked, write_atomically
from capprep.toybox.training.pool import Batch, Pool

LOG_EVERY = 50
SAVE_EVERY = 5 * LOG_EVERY
"""Steps between two lines of the log and between two checkpoints, where a line of the log always ends."""

_WARM_UP = 300  # steps
_CLIP = 1.0
_HELD_BACK = 1024  # pictures at the pool's end that are only measured on
_MEASURED = 64  # of them at once, four times for every line of the log


@dataclass(frozen=True)
class Settings:
    """How long and how fast.

    Attributes:
        samples: Pictures in all, counting repetitions.
        batch: Pictures in a step.
        rate: The learning rate after the warm-up; falls to zero along a cosine.
        decay: AdamW's weight decay.
        seed: Of the first weights and of the order of the pictures.
    """

    samples: int
    batch: int = 64
    rate: float = 1e-3
    decay: float = 0.05
    seed: int = 0

    @property
    def steps(self) -> int:
        """Steps in all."""
        return math.ceil(self.samples / self.batch)


class Task(Protocol):
    """Something to be trained."""

    @property
    def net(self) -> torch.nn.Module:
        """All that learns, heads that are thrown away afterwards included."""
        ...

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """The parts of the loss, already weighted; their sum is what is minimised."""
        ...

    def measures(self, batch: Batch) -> dict[str, float]:
        """What the log says of pictures that are not trained on."""
        ...


def train(task: Task, pool: Pool, settings: Settings, folder: Path, device: str = "cpu") -> None:
    """Train until the settings' last step, from the folder's checkpoint where there is one.

    Writes `checkpoint.pt`, `log.csv` (a line for every `LOG_EVERY` steps) and `run.json` (seeds, versions, seconds).
    bfloat16 is used wherever autocast allows it: twice as fast as float32 on a CPU that has it.

    Raises:
        ConfigError: Another process trains in that folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    busy = ConfigError(f"another process is training in {folder}", "wait for it, or name another folder with --work")
    lock = locked(folder / "lock", busy)
    task.net.to(device).train()
    optimizer = torch.optim.AdamW(_groups(task.net, settings.decay), lr=settings.rate, betas=(0.9, 0.98))
    step, seconds = _resume(folder, task.net, optimizer)
    started, sums = time.monotonic(), _Means()
    while step < settings.steps:
        rng = np.random.RandomState([settings.seed, step])
        indices = rng.randint(0, pool.count - _HELD_BACK, settings.batch)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * _schedule(step, settings.steps)
        with torch.autocast(device, dtype=torch.bfloat16):
            losses = task.losses(pool.batch(indices.tolist(), rng), rng)
            total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(task.net.parameters(), _CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        sums.add({name: loss.item() for name, loss in losses.items()})
        if step % LOG_EVERY == 0 or step == settings.steps:
            spent = seconds + time.monotonic() - started
            row = sums.taken() | _measured(task, pool, device)
            _log(folder, {"step": step, "samples": step * settings.batch, "seconds": round(spent, 1)} | row)
            minutes = spent / step * settings.steps / 60
            sys.stderr.write(f"{folder.name} {step}/{settings.steps} {_said(row)} {minutes:.0f} min in all\n")
        if step % SAVE_EVERY == 0 or step == settings.steps:
            spent = seconds + time.monotonic() - started
            _save(folder, task.net, optimizer, step, spent)
            _record(folder, settings, step, spent, device)
    lock.release()


def _schedule(step: int, steps: int) -> float:
    """The share of the learning rate: a linear warm-up, then half a cosine down to zero."""
    warm_up = min(_WARM_UP, max(1, steps // 10))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _groups(net: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices only."""
    matrices = [weight for weight in net.parameters() if weight.requires_grad and weight.ndim > 1]
    others = [weight for weight in net.parameters() if weight.requires_grad and weight.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


class _Means:
    """Means of the numbers since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def taken(self) -> dict[str, float]:
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


def _measured(task: Task, pool: Pool, device: str) -> dict[str, float]:
    """The task's measures, means over a part of the pictures held back."""
    task.net.eval()
    means = _Means()
    first = pool.count - _HELD_BACK
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        for start in itertools.islice(range(first, pool.count, _MEASURED), 4):
            means.add(task.measures(pool.batch(range(start, start + _MEASURED))))
    task.net.train()
    return means.taken()


def _said(row: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in row.items())


def _log(folder: Path, row: Mapping[str, float]) -> None:
    path = folder / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})


def _save(folder: Path, net: torch.nn.Module, optimizer: Any, step: int, seconds: float) -> None:
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
    data = io.BytesIO()
    torch.save(state, data)
    write_atomically(folder / "checkpoint.pt", data.getvalue())


def _resume(folder: Path, net: torch.nn.Module, optimizer: Any) -> tuple[int, float]:
    """Load the checkpoint and cut the log back to it; its step and seconds, or zeros where there is none."""
    path, log = folder / "checkpoint.pt", folder / "log.csv"
    if not path.exists():
        log.unlink(missing_ok=True)
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    header, *rows = log.read_text().splitlines(keepends=True)
    kept = [row for row in rows if int(row.split(",", 1)[0]) <= state["step"]]
    write_atomically(log, "".join([header, *kept]).encode())
    return state["step"], state["seconds"]


def _record(folder: Path, settings: Settings, step: int, seconds: float, device: str) -> None:
    facts = {
        **asdict(settings),
        "step": step,
        "seconds": round(seconds),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    write_atomically(folder / "run.json", (json.dumps(facts, indent=2) + "\n").encode())
