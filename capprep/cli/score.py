"""`capprep score`: agreement of captions and tags with their pictures, again."""

from __future__ import annotations

import click

from capprep import pipeline
from capprep.cli import resolve
from capprep.cli.answers import answer_words
from capprep.cli.session import Session, config_options, session_options
from capprep.select import Policy
from capprep.stages.blip import DTYPES


@click.command()
@session_options
@config_options(Policy, "caption")
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(DTYPES), help="Number format.")
@resolve.device_option
@resolve.match_model_option
def score(session: Session, policy: Policy, dtype: str, device: str, match_model: str | None) -> None:
    """Score captions and tags again.

    `capprep caption` does this by itself; use `score` after a change of the threshold or of the matcher.
    """
    with session.workspace() as workspace:
        images, texts = resolve.match_steps(session, match_model, device, dtype)
        with session.progress() as watch:
            tallies = pipeline.score(workspace, images, texts, watch)
        answer_words(session, workspace, [images, texts], tallies, pipeline.refresh(workspace, policy))
