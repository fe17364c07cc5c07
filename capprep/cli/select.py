"""`capprep select`: which pictures are in the set, chosen anew without reading one."""

from __future__ import annotations

from typing import Any

import click

from capprep import pipeline
from capprep.candidates import CURATING, KEEP, NO, YES
from capprep.cli.answers import curation_lines, dataset_lines, left_out_lines, plural, selection_data
from capprep.cli.session import Session, policy_options, session_options, shown_path
from capprep.decisions import Decision


@click.command()
@session_options
@policy_options("select", *CURATING)
@click.option("--include", multiple=True, metavar="PICTURE", help="Have this picture whatever the limits say.")
@click.option("--exclude", multiple=True, metavar="PICTURE", help="Leave this picture out.")
@click.option("--undecide", multiple=True, metavar="PICTURE", help="Take back an --include or --exclude.")
def select(
    session: Session,
    policy: dict[str, Any],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    undecide: tuple[str, ...],
) -> None:
    """Choose the pictures of the set.

    Nothing is read or computed, and nothing is deleted: every limit and every choice can be taken back. A
    PICTURE is named as in the report: by its name (00017-cat), its number, or the path of its source.
    """
    decided = [Decision(name, KEEP, YES) for name in include]
    decided += [Decision(name, KEEP, NO) for name in exclude]
    decided += [Decision(name, KEEP, None) for name in undecide]
    with session.workspace() as workspace:
        pipeline.decide(workspace, decided)
        refreshed = pipeline.refresh(workspace, policy)
        summary = refreshed.summary
        lines = [f"{plural(summary.pictures, 'picture')} in {shown_path(workspace.dataset)}/"]
        lines += [f"  {name}: {reason}" for name, reason in summary.chosen.items()]
        lines += curation_lines(refreshed)
        lines += dataset_lines(refreshed)
        lines += left_out_lines([left for left in refreshed.selection.left_out if left.reason == "too_small"])
        silent = summary.pictures - summary.texts
        if silent and summary.texts:
            lines.append(f"{plural(silent, 'picture')} without words yet: capprep caption --blip --booru")
        session.answer("\n".join(lines), selection_data(refreshed))
