"""`capprep ingest`: folders of pictures to exact squares."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import click

from capprep import pipeline
from capprep.candidates import CURATING
from capprep.cli.answers import (
    beside_data,
    beside_lines,
    curation_lines,
    dataset_lines,
    left_out_lines,
    note_changes,
    plural,
    selection_data,
)
from capprep.cli.session import Session, config_options, policy_options, session_options, shown_path
from capprep.engines import Engine
from capprep.engines.local import LocalEngine
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED, ConfigError
from capprep.run import Tally
from capprep.stage import Runtime
from capprep.stages.picture import Picture
from capprep.store import Store
from capprep.workspace import Workspace

RATED = 100
"""Pictures from which on a rate is worth saying."""


@click.command()
@click.argument("places", metavar="SRC...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@session_options
@config_options(Picture, "ingest")
@click.option(
    "--face-model",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="OpenCV's face detector YuNet as an .onnx file, for --crop face.",
)
@policy_options("ingest", "split", "mirror")
@policy_options("select", "max_upscale", "duplicates", "keep", "screen", quietly=CURATING)
@click.option("--recursive/--no-recursive", default=True, help="Look into folders within folders.  [default: yes]")
@click.option("--dry-run", is_flag=True, help="Read everything and say what would come of it; write nothing.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Processes to decode with; 0 for none but this one  [default: one for each core]",
)
@click.option(
    "--engine",
    "engine_name",
    default="local",
    show_default=True,
    type=click.Choice(["local", "ray"]),
    help="Where to decode: on this machine, or on the Ray cluster that RAY_ADDRESS names.",
)
def ingest(
    session: Session,
    places: tuple[Path, ...],
    picture: Picture,
    face_model: Path | None,
    policy: dict[str, Any],
    recursive: bool,
    dry_run: bool,
    jobs: int | None,
    engine_name: str,
) -> None:
    """Turn folders of pictures into exact squares.

    SRC are folders, searched to the bottom, archives (.zip, .tar), or files. The squares are written to
    dataset/; of duplicates only the best one, and whatever cannot be used is named with its reason. The
    sources are never touched. Run it again after adding or taking away pictures: only what is new is read.
    """
    if picture.crop == "face":
        picture = dataclasses.replace(picture, weights=_weights(face_model))
    runtime = Runtime(model=face_model)
    step = pipeline.Step(picture, _engine(engine_name, runtime, os.cpu_count() or 1 if jobs is None else jobs))
    with session.workspace(create=True, rehearse=dry_run) as workspace:
        note_changes(session, workspace, [step])
        with session.progress() as watch:
            tally = pipeline.ingest(workspace, places, step, watch, recursive=recursive, policy=policy)
        refreshed = pipeline.foresee(workspace) if dry_run else pipeline.refresh(workspace)
        data = {
            **selection_data(refreshed),
            "computed": tally.computed,
            "known": tally.known,
            "seconds": tally.seconds,
            "beside": beside_data(workspace),
            "dry_run": dry_run,
        }
        session.answer("\n".join(_lines(workspace, picture.size, refreshed, tally, dry_run)), data)
        lost = any(left.stage in ("source", picture.name) for left in refreshed.selection.left_out)
    click.get_current_context().exit(EXIT_SOME_FAILED if lost else EXIT_DONE)


def _weights(face_model: Path | None) -> str:
    if face_model is None:
        raise ConfigError(
            "--crop face needs a face detector, and none is built in",
            "name the ONNX file of OpenCV's YuNet with --face-model FILE, or use --crop auto",
        )
    return Store().sha256(face_model)


def _engine(name: str, runtime: Runtime, jobs: int) -> Engine:
    if name == "local":
        return LocalEngine(runtime, workers=jobs)
    from capprep.engines.ray import RayEngine

    return RayEngine(runtime, workers=max(jobs, 1))


def _lines(workspace: Workspace, size: int, refreshed: pipeline.Refreshed, tally: Tally, dry_run: bool) -> list[str]:
    selection = refreshed.selection
    pictures = plural(refreshed.summary.pictures, "picture")
    # over a few pictures it would be the time it takes to start
    rate = f", {tally.computed / tally.seconds:.0f}/s" if tally.computed >= RATED and tally.seconds else ""
    read = f"({tally.computed} read now{rate}, {tally.known} known before)"
    where = shown_path(workspace.dataset)
    if dry_run:
        made = refreshed.rendered
        lines = [
            f"dry run, nothing was written: {pictures} of {size}x{size} would be in {where}/  {read}",
            f"files in {where}/: {made.written} to write, {made.removed} to take away, {made.unchanged} as they are",
        ]
    else:
        lines = [f"{pictures} of {size}x{size} in {where}/  {read}"]
    lines += curation_lines(refreshed)
    lines += beside_lines(workspace)
    lines += dataset_lines(refreshed)
    lines += left_out_lines([left for left in selection.left_out if left.stage in ("source", Picture.name)])
    if refreshed.summary.pictures and not dry_run:
        lines.append("next: capprep caption --blip --booru")
    return lines
