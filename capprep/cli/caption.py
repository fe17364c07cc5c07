"""`capprep caption`: BLIP captions, booru tags, agreement scores and text files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capprep import pipeline
from capprep.candidates import WORDING
from capprep.cli import resolve
from capprep.cli.answers import answer_words, note_changes
from capprep.cli.session import Session, config_options, policy_options, session_options
from capprep.stages.blip import Blip


@click.command()
@session_options
@click.option("--blip/--no-blip", "with_blip", default=None, help="Write a sentence for each picture with BLIP.")
@click.option("--booru/--no-booru", "with_booru", default=None, help="Tag each picture with DeepDanbooru.")
@config_options(Blip, "caption")
@policy_options("caption", *WORDING)
@resolve.device_option
@resolve.caption_model_option
@resolve.booru_model_option
@resolve.booru_labels_option
@resolve.booru_spec_option
@resolve.match_model_option
def caption(
    session: Session,
    with_blip: bool | None,
    with_booru: bool | None,
    blip: Blip,
    policy: dict[str, Any],
    device: str,
    caption_model: str | None,
    booru_model: str | None,
    booru_labels: Path | None,
    booru_spec: str | None,
    match_model: str | None,
) -> None:
    """Caption and tag the pictures, and score the words.

    With neither --blip nor --booru both are made. Every picture in dataset/ gets a NAME.txt beside its
    NAME.png: the sentence, then the tags. A .txt you edit by hand is never overwritten. Run it again after
    adding pictures: only what is missing is computed.
    """
    # naming one asks for that one; naming none, or only what is not wanted, asks for the others
    otherwise = not (with_blip or with_booru)
    with session.workspace() as workspace:
        wanted = pipeline.changed_policy(workspace, policy)  # what does not go together is said before a model runs
        steps = []
        if otherwise if with_blip is None else with_blip:
            steps.append(resolve.caption_step(session, blip, caption_model, device))
        if otherwise if with_booru is None else with_booru:
            steps.append(resolve.booru_step(session, booru_model, booru_labels, device, booru_spec))
        images, texts = resolve.match_steps(session, match_model, device, blip.dtype)
        note_changes(session, workspace, [*steps, images])
        with session.progress() as watch:
            tallies = pipeline.caption(workspace, steps, watch, wanted)
            scored, refreshed = pipeline.score(workspace, images, texts, policy, watch)
        answer_words(session, workspace, [*steps, images, texts], tallies | scored, refreshed)
