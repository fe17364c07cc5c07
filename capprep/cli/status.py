"""`capprep status`: what is done, what is missing, what failed."""

from __future__ import annotations

import click

from capprep import pipeline
from capprep.cli.answers import left_out_lines, plural
from capprep.cli.session import Session, session_options, shown_path
from capprep.facts import BLIP, BOORU, MATCH_IMAGE, PICTURE
from capprep.stage import Fact

STAGES = (PICTURE, BLIP, BOORU, MATCH_IMAGE)


@click.command()
@session_options
@click.option("--failed", is_flag=True, help="List every file that was left out, and why.")
def status(session: Session, failed: bool) -> None:
    """Say what is done, what is missing, what failed.

    Reads only; it can be used while another command works.
    """
    with session.workspace(write=False) as workspace:
        selection = pipeline.selected(workspace)
        present = {subject.id for subject in workspace.sources.subjects()}
        total = len(present)
        done = {
            name: sum(isinstance(fact, Fact) and subject in present for subject, fact in workspace.facts(name).items())
            if workspace.current(name)
            else None
            for name in STAGES
        }
        texts = sum(example.text is not None for example in selection.examples)
        by_hand = sum(example.edited for example in selection.examples)
        lines = [f"{shown_path(workspace.root)}: {plural(total, 'picture')}"]
        lines += [
            f"  {name:<13} " + ("not made yet, or out of date" if count is None else f"{count} of {total}")
            for name, count in done.items()
        ]
        lines.append(f"  {'texts':<13} {texts} of {len(selection.examples)}, {by_hand} edited by hand")
        if failed:
            lines += left_out_lines(selection.left_out, all_of_them=True) or ["nothing was left out"]
        elif selection.left_out:
            lines.append(f"{plural(len(selection.left_out), 'file')} left out: capprep status --failed")
        session.answer(
            "\n".join(lines),
            {
                "root": str(workspace.root),
                "pictures": total,
                "stages": done,
                "texts": texts,
                "edited_by_hand": by_hand,
                "left_out": [left.to_json() for left in selection.left_out],
            },
        )
