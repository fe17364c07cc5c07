"""A whole training run: from a manifest and a base model to a hypernetwork file, stopped and continued at will."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

import capprep
from capprep.errors import CapprepError, CheckpointError
from capprep.manifest import Manifest
from capprep.models.stable_diffusion import BaseModel
from capprep.train import hypernetwork, text
from capprep.train import runs as run_folders
from capprep.train.batches import generator_of
from capprep.train.checkpoint import Description, Provenance
from capprep.train.config import TrainConfig
from capprep.train.diffusion import check_bare
from capprep.train.examples import Examples, prepare
from capprep.train.plan import NetworkPlan, describe
from capprep.train.runs import FINISHED, Run
from capprep.train.session import Pace, Progress, Session
from capprep.train.trainer import Trainer

__all__ = ["NetworkPlan", "Progress", "TrainResult", "describe", "train"]


@dataclass(frozen=True)
class TrainResult:
    """What a run made.

    Attributes:
        folder: The run's folder.
        weights: The finished hypernetwork, with its optimizer state beside it.
        steps: Updates made in all.
        resumed_from: The step it went on from, or None if it began at the start.
        already_done: True if the run had been finished before and nothing was done.
        smoothed_loss: At the end.
        preview: The last preview, base model left and hypernetwork right, or None if it failed.
        parameters: Numbers learnt.
        note: What people should know besides, or "".
    """

    folder: Path
    weights: Path
    steps: int
    resumed_from: int | None
    already_done: bool
    smoothed_loss: float
    preview: Path | None
    parameters: int
    note: str


def train(
    manifest: Manifest,
    base: BaseModel,
    base_sha256: str,
    config: TrainConfig,
    runs: Path,
    name: str,
    *,
    restart: bool = False,
    today: datetime.date,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train a hypernetwork, or go on with the run of the same settings, pictures, base model and name.

    On the CPU the same settings and seed give the same weights bit for bit, whether the run was stopped in
    between or not; a GPU may add in another order each time. A run on other pictures or texts is never
    continued: a new one begins.

    Args:
        manifest: The training set.
        base: The bare base model; nothing in it is changed.
        base_sha256: Of its weights, hex.
        config: All settings.
        runs: Where run folders are made.
        name: Of the hypernetwork and its file.
        restart: Begin anew even if there is a run to go on with.
        today: For the folder's name.
        progress: Called after each update.

    Raises:
        CapprepError: Another training of this name is under way, the loss is no number any more, or something
            given cannot be used; see its subclasses.
        KeyboardInterrupt: As asked for; a checkpoint was written first.
    """
    run_folders.check_name(name)
    check_bare(base.unet)
    with run_folders.alone(runs, name):
        return _train_alone(manifest, base, base_sha256, config, runs, name, restart, today, progress)


def _train_alone(
    manifest: Manifest,
    base: BaseModel,
    base_sha256: str,
    config: TrainConfig,
    runs: Path,
    name: str,
    restart: bool,
    today: datetime.date,
    progress: Callable[[Progress], None] | None,
) -> TrainResult:
    """See `train`; nobody else trains this name meanwhile."""
    plan = describe(config, base)
    template = text.read_template(config.template)
    # the dtype itself: "auto" is another one on another machine
    settings = {**config.learnt_from(), "template": list(template), "precision": str(base.dtype)}
    identity = run_folders.digest([settings, manifest.digest, base_sha256, name])
    run = None if restart else run_folders.find(runs, identity)
    if run is not None and run.finished:
        return _result(run, None, already_done=True)
    provenance = Provenance(run_folders.digest(settings), manifest.digest, base_sha256, config.seed)
    description = Description(0, config.weight_init, base_sha256[:10], base.name, provenance)
    prompt = config.preview_prompt or text.fill(template[0], manifest.entries[0].text, name)
    pace = Pace(config.save_every, config.preview_every, prompt, config.seed, progress)
    with _in_words(runs):
        # before there is a folder: pictures that cannot be used leave nothing behind
        trainer = _trainer(base, plan, config, prepare(manifest, base, template, name, config.seed))
        notes = []
        if run is None:
            notes = _notes_on_others(runs, name, identity, manifest)
            record = _record(manifest, base, base_sha256, config, plan)
            run = run_folders.create(runs, name, today, {"identity": identity, "template": list(template), **record})
        resumed_from = trainer.resume(run)
        session = Session(run, trainer, description, pace)
        session.notes.extend(notes)
        return _to_the_end(session, plan, resumed_from)


@contextmanager
def _in_words(runs: Path) -> Iterator[None]:
    """What a full disk or a full GPU says, for people."""
    try:
        yield
    except OSError as error:
        raise CapprepError(
            f"{error.filename or runs} cannot be written: {error.strerror or error}",
            "make room or allow it, then run the same command again: it goes on from the last checkpoint",
        ) from error
    except torch.OutOfMemoryError as error:
        raise CapprepError(
            "the GPU does not have enough memory for this",
            "lower --batch-size, train fewer --widths, or close other programs that use the GPU",
        ) from error


def _trainer(base: BaseModel, plan: NetworkPlan, config: TrainConfig, examples: Examples) -> Trainer:
    network = hypernetwork.build(plan.widths, plan.structure, config.weight_init, generator_of(config.seed, "init"))
    return Trainer(
        base,
        network.to(base.device),
        examples,
        schedule=config.schedule(),
        batch_size=config.batch_size,
        seed=config.seed,
    )


def _to_the_end(session: Session, plan: NetworkPlan, resumed_from: int | None) -> TrainResult:
    session.go()
    session.finish()
    trainer = session.trainer
    result = {
        "steps": trainer.step,
        "smoothed_loss": trainer.smoothed_loss,
        "parameters": plan.parameters,
        "preview": None,
        "note": "",
    }
    # finished before the last preview: that may fail, or be waited for no longer
    run = session.run.write_record({"state": FINISHED, "result": result})
    session.draw_last_preview()
    preview = session.preview.relative_to(run.folder).as_posix() if session.preview else None
    return _result(
        run.write_record({"result": {**result, "preview": preview, "note": " ".join(session.notes)}}),
        resumed_from,
        already_done=False,
    )


def _result(run: Run, resumed_from: int | None, *, already_done: bool) -> TrainResult:
    result = run.record["result"]
    try:
        return TrainResult(
            folder=run.folder,
            weights=run.weights,
            steps=int(result["steps"]),
            resumed_from=resumed_from,
            already_done=already_done,
            smoothed_loss=float(result["smoothed_loss"]),
            preview=run.folder / "previews" / Path(result["preview"]).name if result["preview"] else None,
            parameters=int(result["parameters"]),
            note=str(result["note"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{run.folder / run_folders.RECORD} is damaged ({error!r})", "use --restart to train anew"
        ) from error


def _notes_on_others(runs: Path, name: str, identity: str, manifest: Manifest) -> list[str]:
    """Why an unfinished run of the same name is left alone, if there is one."""
    others = run_folders.others_unfinished(runs, name, identity)
    if not others:
        return []
    same_data = others[0].record.get("manifest") == manifest.digest
    what = "the settings or the base model" if same_data else "the pictures or their texts"
    return [f"{others[0].folder} was not continued, because {what} changed since; a new run was started."]


def _record(
    manifest: Manifest, base: BaseModel, base_sha256: str, config: TrainConfig, plan: NetworkPlan
) -> Mapping[str, Any]:
    """Everything a run was made from, for people and for reproducing it."""
    return {
        "manifest": manifest.digest,
        "pictures": len(manifest.entries),
        "base": {
            "name": base.name,
            "path": str(base.path),
            "sha256": base_sha256,
            "kind": base.kind,
            "vae": base.vae_name,
            "prediction_type": base.prediction_type,
            "resolution": base.resolution,
            "device": str(base.device),
            "dtype": str(base.dtype).removeprefix("torch."),
        },
        "settings": asdict(config),
        "network": {"widths": plan.widths, "parameters": plan.parameters},
        "clip_skip": 1,
        "versions": {
            "capprep": capprep.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
        },
    }
