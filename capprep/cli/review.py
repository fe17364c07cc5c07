"""`capprep review`: one HTML page with everything."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from capprep import pipeline
from capprep.cli.answers import plural, selection_data, verdict_counts
from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import DatasetError
from capprep.facts import BLIP, BOORU, MATCH_IMAGE, PICTURE
from capprep.workspace import Workspace


@click.command()
@click.argument("destination", metavar="[FILE]", default="report.html", type=click.Path(dir_okay=False, path_type=Path))
@session_options
def review(session: Session, destination: Path) -> None:
    """Write one HTML page with everything.

    Every picture, its words, their scores and the reasons. FILE is report.html if not named. It needs no network and nothing beside it; open it in any browser.
    """
    from capprep.review.report import Report, write

    with session.workspace() as workspace:
        refreshed = pipeline.refresh(workspace)
        selection = refreshed.selection
        if not selection.examples and not selection.left_out:
            raise DatasetError("there is no picture to report on", "run `capprep ingest FOLDER` first")
        made = datetime.now().astimezone()
        report = Report(
            selection=selection,
            crops={example.crop: workspace.blob(example.crop) for example in selection.examples},
            title=f"{workspace.root.name}: pictures and their words",
            facts=_facts(workspace),
            notices=_notices(session, workspace),
            made=made,
        )
        write(report, destination)
    size = destination.stat().st_size
    text = (
        f"{shown_path(destination.absolute())}: {plural(len(selection.examples), 'picture')},"
        f" {len(selection.left_out)} left out, {size / 1e6:.1f} MB\n"
        "open it in a browser; next: capprep train"
    )
    data = {
        **selection_data(refreshed),
        "report": str(destination),
        "bytes": size,
        "verdicts": verdict_counts(selection),
    }
    session.answer(text, data)


def _facts(workspace: Workspace) -> list[tuple[str, str]]:
    """How the words were made: models with their digests, prompts, thresholds."""
    picture, blip = workspace.fields(PICTURE), workspace.fields(BLIP)
    booru, match = workspace.fields(BOORU), workspace.fields(MATCH_IMAGE)
    policy = pipeline.current_policy(workspace)
    rows = [("squares", f"{picture['size']}x{picture['size']}, background {picture['background']}")] if picture else []
    if blip:
        rows.append(("captions", f"BLIP {_short(blip)}, {blip['num_beams']} beams, prompt {blip['prompt']!r}"))
    if booru:
        rows.append(("tags", f"DeepDanbooru {_short(booru)}, kept from probability {policy.booru_threshold:g}"))
    if match:
        rows.append(("scores", f"BLIP image-text contrast {_short(match)}"))
    return rows


def _short(fields: dict[str, str]) -> str:
    return fields["weights"][:12]


def _notices(session: Session, workspace: Workspace) -> list[str]:
    """The notice of every profile whose models were used, whichever profile this call runs under."""
    used = {workspace.fields(name).get("weights") for name in (BLIP, BOORU, MATCH_IMAGE)}
    from capprep.cli.resolve import shipped_digests

    return [
        profile.notice
        for name, profile in session.lock.profiles.items()
        if profile.notice and used & shipped_digests(session, name)
    ]
