"""One sitting of a training run: updates, rows, checkpoints and previews up to the end or an interruption."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from PIL import Image

from capprep.errors import CapprepError
from capprep.train import metrics, previews
from capprep.train.checkpoint import Description
from capprep.train.diffusion import attached
from capprep.train.examples import parked
from capprep.train.interrupts import held
from capprep.train.runs import Run
from capprep.train.trainer import Trainer


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: Updates made.
        steps: Updates the whole run makes.
        loss: Of the last batch.
        smoothed_loss: Smoothed over the last hundred steps or so.
        learn_rate: Of the last update.
        steps_per_second: Mean of this sitting.
    """

    step: int
    steps: int
    loss: float
    smoothed_loss: float
    learn_rate: float
    steps_per_second: float


@dataclass(frozen=True)
class Pace:
    """When things happen and who hears of them.

    Attributes:
        save_every: Steps between checkpoints.
        preview_every: Steps between previews, 0 for one at the end only.
        prompt: What previews show.
        seed: Of previews.
        progress: Called after each update, or None.
    """

    save_every: int
    preview_every: int
    prompt: str
    seed: int
    progress: Callable[[Progress], None] | None = None


class Session:
    """A run being trained.

    Args:
        run: Its folder.
        trainer: At the run's last checkpoint, or at its start.
        description: What its files say of it, but for the step.
        pace: When things happen.
    """

    def __init__(self, run: Run, trainer: Trainer, description: Description, pace: Pace) -> None:
        self.run, self.trainer, self.description, self.pace = run, trainer, description, pace
        self.preview: Path | None = None
        self.notes: list[str] = []
        self._saved = trainer.step
        self._spent = 0.0
        self._first = (trainer.step, 0.0)
        self._bare: Image.Image | None = None

    def go(self) -> None:
        """Train to the end and write the finished file.

        Raises:
            CapprepError: The network broke; no file was written of it.
            KeyboardInterrupt: As asked for; a checkpoint was written first.
        """
        trainer, end = self.trainer, self.trainer.schedule.end
        rows, self._spent = metrics.open_after(self.run.metrics, trainer.step)
        self._first = (trainer.step, self._spent)
        with rows, parked(trainer.base):
            try:
                for stop in self._stops():
                    with attached(trainer.base.unet, trainer.network):
                        self._until(stop, rows)
                    if stop < end:
                        self._draw_preview()
            except KeyboardInterrupt:
                if trainer.step > self._saved and trainer.finite():
                    self._save(self.run.checkpoint(trainer.step))
                raise

    def finish(self) -> None:
        """Write the finished file; the run counts as finished from here on."""
        self._save(self.run.weights)

    def draw_last_preview(self) -> None:
        """One more preview, of the finished network."""
        with parked(self.trainer.base):
            self._draw_preview()

    def _stops(self) -> list[int]:
        """The steps at which training pauses: for each preview to come, and the end."""
        end = self.trainer.schedule.end
        every = self.pace.preview_every or end
        return [*(step for step in range(every, end, every) if step > self.trainer.step), end]

    def _until(self, stop: int, rows: TextIO) -> None:
        """Updates up to number `stop`, each with its row and, when it is time, its checkpoint."""
        trainer = self.trainer
        zero = time.perf_counter() - self._spent
        while trainer.step < stop:
            with held():
                row = self._step(zero)
                metrics.append(rows, row)
                # the last step is saved as the finished file
                if row.step % self.pace.save_every == 0 and row.step < trainer.schedule.end:
                    self._save(self.run.checkpoint(row.step))
            self._tell(row)
        # previews are drawn outside the clock
        self._spent = time.perf_counter() - zero

    def _step(self, zero: float) -> metrics.Row:
        """One update; `zero` is the clock's time at which uninterrupted training would have begun."""
        update = self.trainer.update()
        if not math.isfinite(update.loss):
            raise self._diverged(f"the loss is {update.loss} at step {update.step}")
        seconds = time.perf_counter() - zero
        return metrics.Row(update.step, update.epoch, update.loss, self.trainer.smoothed_loss, update.rate, seconds)

    def _tell(self, row: metrics.Row) -> None:
        if self.pace.progress is None:
            return
        first, spent = self._first
        pace = (row.step - first) / max(row.seconds - spent, 1e-9)
        end = self.trainer.schedule.end
        self.pace.progress(Progress(row.step, end, row.loss, row.smoothed_loss, row.learn_rate, pace))

    def _save(self, path: Path) -> None:
        trainer = self.trainer
        if not trainer.finite():
            raise self._diverged(f"weights are not finite numbers at step {trainer.step}")
        trainer.save(path, dataclasses.replace(self.description, step=trainer.step))
        self._saved = trainer.step

    def _diverged(self, what: str) -> CapprepError:
        kept = self.run.checkpoints()
        last = f"the last good checkpoint is {kept[0][1]}" if kept else "no checkpoint had been saved yet"
        return CapprepError(
            f"training broke: {what}, so the learning rate is too high; {last}",
            "lower --learn-rate, for instance every rate by 10, and start again",
        )

    def _draw_preview(self) -> None:
        """Base model left, hypernetwork right; whatever goes wrong is noted and stops nothing."""
        base, step = self.trainer.base, self.trainer.step
        path = self.run.preview(step)
        try:
            if self._bare is None:
                self._bare = previews.sample(base, self.pace.prompt, seed=self.pace.seed)
            taught = previews.sample(base, self.pace.prompt, hypernetwork=self.trainer.network, seed=self.pace.seed)
            previews.write_picture(path, previews.side_by_side(self._bare, taught))
            self.preview = path
        except Exception as error:  # a preview is never worth a training run
            self.notes.append(f"The preview at step {step} failed: {str(error) or type(error).__name__}.")
