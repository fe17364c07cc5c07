"""`capprep ingest`: folders of pictures to exact squares."""

from __future__ import annotations

import os
from pathlib import Path

import click

from capprep import pipeline
from capprep.cli.answers import left_out_lines, plural, selection_data
from capprep.cli.session import Session, config_options, session_options, shown_path
from capprep.engines.local import LocalEngine
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED
from capprep.stages.picture import Picture


@click.command()
@click.argument("places", metavar="SRC...", nargs=-1, required=True, type=click.Path(path_type=Path))
@session_options
@config_options(Picture, "ingest")
@click.option(
    "--workers", type=click.IntRange(min=0), default=None, metavar="N",
    help="Processes to decode with; 0 for none but this one  [default: one for each core]",
)
def ingest(session: Session, places: tuple[Path, ...], picture: Picture, workers: int | None) -> None:
    """Turn folders of pictures into exact squares, with a reason for each one left out.

    SRC are folders, searched to the bottom, or files. The squares are written to dataset/ as PNG; the
    sources are never touched. Run it again after adding or taking away pictures: only what is new is read.
    """
    step = pipeline.Step(picture, LocalEngine(workers=os.cpu_count() or 1 if workers is None else workers))
    with session.open(create=True) as workspace:
        with session.progress() as watch:
            tally = pipeline.ingest(workspace, places, step, watch)
        refreshed = pipeline.refresh(workspace)
        selection = refreshed.selection
        lost = [left for left in selection.left_out if left.stage in ("source", picture.name)]
        enlarged = [example.sources[0] for example in selection.examples if example.picture.scale < 1]
        lines = [
            f"{plural(len(selection.examples), 'picture')} of {picture.size}x{picture.size} in"
            f" {shown_path(workspace.dataset)}/  ({tally.computed} read now, {tally.known} known before)"
        ]
        if enlarged:
            lines.append(f"{plural(len(enlarged), 'picture')} had to be enlarged: {', '.join(enlarged[:5])}"
                         + (", ..." if len(enlarged) > 5 else ""))
        lines += left_out_lines(lost)
        if selection.examples:
            lines.append("next: capprep caption --blip --booru")
        session.answer("\n".join(lines), {**selection_data(refreshed), "computed": tally.computed, "known": tally.known})
    click.get_current_context().exit(EXIT_SOME_FAILED if lost else EXIT_DONE)
