"""`capprep score`: agreement of captions and tags with their pictures, again."""

from __future__ import annotations

from typing import Any

import click

from capprep import pipeline
from capprep.candidates import WORDING
from capprep.cli import resolve
from capprep.cli.answers import answer_words, note_changes
from capprep.cli.session import Session, policy_options, session_options
from capprep.facts import MATCH_IMAGE


@click.command()
@session_options
@policy_options("caption", "booru_threshold", "mcut", quietly=WORDING)
@resolve.device_option
@resolve.match_model_option
def score(session: Session, policy: dict[str, Any], device: str, match_model: str | None) -> None:
    """Score captions and tags again.

    `capprep caption` does this by itself; use `score` after you edited texts, or for another threshold or matcher.
    """
    with session.workspace() as workspace:
        dtype = workspace.fields(MATCH_IMAGE).get("dtype", "float32")
        images, texts = resolve.match_steps(session, match_model, device, dtype)
        note_changes(session, workspace, [images])
        with session.progress() as watch:
            tallies, refreshed = pipeline.score(workspace, images, texts, policy, watch)
        answer_words(session, workspace, [images, texts], tallies, refreshed)
