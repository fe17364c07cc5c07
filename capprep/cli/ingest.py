"""`capprep ingest`: folders of pictures to exact squares."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from capprep import pipeline
from capprep.cli.answers import (
    dataset_lines,
    left_out_lines,
    note_changes,
    plural,
    selection_data,
    shortened,
)
from capprep.cli.session import Session, config_options, policy_options, session_options, shown_path
from capprep.engines import Engine
from capprep.engines.local import LocalEngine
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED
from capprep.run import Tally
from capprep.select import LeftOut
from capprep.stages.picture import Picture
from capprep.workspace import Workspace


@click.command()
@click.argument("places", metavar="SRC...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@session_options
@config_options(Picture, "ingest")
@policy_options("ingest", "max_upscale")
@click.option(
    "--workers",
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
    policy: dict[str, Any],
    workers: int | None,
    engine_name: str,
) -> None:
    """Turn folders of pictures into exact squares.

    SRC are folders, searched to the bottom, or files. The squares are written to dataset/ as PNG; whatever
    cannot be used is named with its reason. The sources are never touched. Run it again after adding or
    taking away pictures: only what is new is read.
    """
    step = pipeline.Step(picture, _engine(engine_name, os.cpu_count() or 1 if workers is None else workers))
    with session.workspace(create=True) as workspace:
        note_changes(session, workspace, [step])
        with session.progress() as watch:
            tally = pipeline.ingest(workspace, places, step, watch)
        refreshed = pipeline.refresh(workspace, policy)
        lost = [left for left in refreshed.selection.left_out if left.stage in ("source", picture.name)]
        data = {**selection_data(refreshed), "computed": tally.computed, "known": tally.known}
        session.answer("\n".join(_lines(workspace, picture.size, refreshed, tally, lost)), data)
    click.get_current_context().exit(EXIT_SOME_FAILED if lost else EXIT_DONE)


def _engine(name: str, workers: int) -> Engine:
    if name == "local":
        return LocalEngine(workers=workers)
    from capprep.engines.ray import RayEngine

    return RayEngine(workers=max(workers, 1))


def _lines(
    workspace: Workspace, size: int, refreshed: pipeline.Refreshed, tally: Tally, lost: Sequence[LeftOut]
) -> list[str]:
    examples = refreshed.selection.examples
    pictures = f"{plural(len(examples), 'picture')} of {size}x{size} in {shown_path(workspace.dataset)}/"
    lines = [f"{pictures}  ({tally.computed} read now, {tally.known} known before)"]
    enlarged = [f"{e.sources[0]} {1 / e.picture.scale:.2f}x" for e in examples if e.picture.scale < 1]
    if enlarged:
        lines.append(f"enlarged, so less sharp than they could be: {shortened(enlarged)}")
    lines += dataset_lines(refreshed)
    lines += left_out_lines(lost)
    if examples:
        lines.append("next: capprep caption --blip --booru")
    return lines
