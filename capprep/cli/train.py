"""`capprep train`: the curated pictures to a hypernetwork."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capprep import dataset, manifest, pipeline
from capprep.cli import resolve
from capprep.cli.answers import notice_lines, plural
from capprep.cli.session import Session, config_options, session_options, shown_path
from capprep.train.config import TrainConfig
from capprep.workspace import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from capprep.train.loop import NetworkPlan, Progress, TrainResult


@click.command()
@click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(file_okay=False, path_type=Path))
@session_options
@config_options(TrainConfig, "train")
@click.option("--name", metavar="NAME", help="The hypernetwork's name  [default: the name of the folder worked in]")
@click.option(
    "--base-model",
    "base_model",
    metavar="NAME|PATH",
    help="The base model: one of `capprep models list`, a diffusers folder, a .safetensors or a .ckpt file.",
)
@resolve.device_option
@click.option("--restart", is_flag=True, help="Begin anew even where a run could be continued or is finished.")
def train(
    session: Session,
    folder: Path | None,
    trainconfig: TrainConfig,
    name: str | None,
    base_model: str | None,
    device: str,
    restart: bool,
) -> None:
    """Train a hypernetwork on the curated pictures.

    FOLDER is any folder of pictures with a .txt beside each; without it the pictures of this workspace are
    used. The result is runs/NAME-DATE/NAME.pt, for the webui's models/hypernetworks folder. A run that was
    stopped goes on where it was; one that is finished is not done again.
    """
    from capprep.models.device import torch_device
    from capprep.models.stable_diffusion import load_base
    from capprep.train import loop
    from capprep.train.diffusion import base_dtype

    examples, runs, workspace_name = _training_set(session, folder)
    found = resolve.find_model(session, "base", base_model)
    where = torch_device(device)
    base = load_base(found.path, where, base_dtype(trainconfig.precision, where))
    plan = loop.describe(trainconfig, base)
    _say_beforehand(session, examples, f"{found.name} on {where}", plan)
    with _bar(session) as progress:
        result = loop.train(
            examples,
            base,
            found.sha256,
            trainconfig,
            runs,
            _name(name or workspace_name),
            restart=restart,
            today=datetime.now().astimezone().date(),
            progress=progress,
        )
    session.answer("\n".join([*notice_lines(session), *_lines(result)]), _data(result))


def _say_beforehand(session: Session, examples: manifest.Manifest, base: str, plan: NetworkPlan) -> None:
    """What will be trained on what, how much room it takes, and what looks wrong."""
    disk = plan.checkpoint_bytes * plan.checkpoints
    session.note(
        f"{plural(len(examples.entries), 'picture')}, base model {base}, {plan.parameters:,} parameters:"
        f" a file of {_size(plan.file_bytes)}, {_size(plan.training_bytes)} of memory beside the base model,"
        f" {_size(disk)} on disk in {plural(plan.checkpoints, 'checkpoint')}"
    )
    # the folder itself may still have to be made
    there = next(folder for folder in (session.root, *session.root.parents) if folder.exists())
    room = shutil.disk_usage(there).free
    if disk > room:
        session.note(f"there are only {_size(room)} of disk left: raise --save-every, or make room")
    silent = sum(not entry.text.strip() for entry in examples.entries)
    if silent:
        session.note(f"{plural(silent, 'picture')} without words: trained on with an empty text")


def _size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _lines(result: TrainResult) -> list[str]:
    steps = plural(result.steps, "step")
    if result.already_done:
        first = f"this run was finished before, after {steps}; --restart trains anew"
    elif result.resumed_from is not None:
        first = f"trained {steps}, going on from step {result.resumed_from}; loss {result.smoothed_loss:.4f}"
    else:
        first = f"trained {steps}; loss {result.smoothed_loss:.4f}"
    lines = [first, f"weights: {shown_path(result.weights)}  (put it into the webui's models/hypernetworks)"]
    if result.preview is not None:
        lines.append(f"preview: {shown_path(result.preview)}  (left the base model, right with the hypernetwork)")
    return [*lines, f"note: {result.note}"] if result.note else lines


def _data(result: TrainResult) -> dict[str, Any]:
    return {
        field.name: str(value) if isinstance(value := getattr(result, field.name), Path) else value
        for field in dataclasses.fields(result)
    }


def _training_set(session: Session, folder: Path | None) -> tuple[manifest.Manifest, Path, str]:
    """The manifest, where runs go, and what to call the network."""
    if folder is not None:
        return manifest.from_folder(folder), session.root / RUNS, folder.absolute().name
    with session.workspace() as workspace:
        selection = pipeline.refresh(workspace).selection
        return dataset.manifest(workspace, selection), workspace.runs, workspace.root.name


def _name(text: str) -> str:
    """A name that the webui's prompt syntax and any file system take: letters, digits, "._-"."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._-") or "hypernetwork"


@contextmanager
def _bar(session: Session) -> Iterator[Callable[[Progress], None] | None]:
    with session.progress() as watch:
        yield lambda progress: watch("train", progress.step, progress.steps, f"loss {progress.smoothed_loss:.4f}")
