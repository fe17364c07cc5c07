"""`capprep review`: one HTML page with everything, as a file or served on this machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capprep import pipeline
from capprep.candidates import Policy
from capprep.cli.answers import plural, selection_data, shortened, verdict_counts
from capprep.cli.resolve import shipped_digests
from capprep.cli.session import Session, session_options, shown_path
from capprep.cli.taught import coverage_lines
from capprep.decisions import read
from capprep.engines.local import LocalEngine
from capprep.errors import DatasetError
from capprep.facts import BLIP, BOORU, MATCH_IMAGE, PICTURE
from capprep.filewords import prompts
from capprep.models.tagger_spec import TaggerSpec
from capprep.thresholds import Thresholds
from capprep.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capprep.review.report import Report


@click.command()
@click.argument("destination", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@session_options
@click.option("--serve", "served", is_flag=True, help="Serve the page to this machine's browser instead of writing it.")
@click.option(
    "--apply",
    "decisions",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="First take the decisions of a .json or .csv file: pictures in or out, other crops, texts.",
)
@click.option(
    "--prompts",
    "prompt_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Intended prompts, one a line: say which of their words the texts do not teach.",
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), metavar="N", help="Port of --serve  [default: any]")
def review(
    session: Session,
    destination: Path | None,
    served: bool,
    decisions: Path | None,
    prompt_file: Path | None,
    port: int,
) -> None:
    """Write one HTML page with everything.

    Every picture, its words, their scores and the reasons. FILE is report.html beside
    .capprep/ if not named; it needs no network and nothing beside it. With --serve it is made anew at each
    load, until Ctrl-C.
    """
    from capprep.coverage import coverage_data
    from capprep.review import report, server

    asked = None if prompt_file is None else prompts.read(prompt_file)
    if decisions is not None:
        _apply(session, decisions)
    if served:
        _report(session, asked)  # a workspace without pictures is said here, not in the browser

        def ready(address: str) -> None:
            session.answer(f"open {address}\nCtrl-C ends it", {"address": address})
            click.launch(address)

        server.serve(lambda: report.render(_report(session, asked)[0]), port, ready)
        return
    destination = destination or session.root / "report.html"
    made, refreshed = _report(session, asked)
    report.write(made, destination)
    summary, left_out = refreshed.summary, refreshed.selection.left_out
    size = destination.stat().st_size
    text = (
        f"{shown_path(destination.absolute())}: {plural(summary.pictures, 'picture')}, {len(left_out)} left out,"
        f" {size / 1e6:.1f} MB"
    )
    coverage = made.coverage
    lines = coverage_lines(coverage) if coverage else []
    counts = verdict_counts(summary)
    data = {**selection_data(refreshed), "report": str(destination.absolute()), "bytes": size, "verdicts": counts}
    data |= {"coverage": coverage and coverage_data(coverage)}
    session.answer("\n".join([text, *lines, "open it in a browser; next: capprep train"]), data)


def _apply(session: Session, path: Path) -> None:
    """Take a file's decisions, and cut anew what they ask for."""
    given = read(path)
    with session.workspace() as workspace:
        painted = pipeline.decide(workspace, given)
        with session.progress() as watch:
            pipeline.recut(workspace, LocalEngine(), watch)
    session.note(f"{plural(len(given), 'decision')} taken from {shown_path(path.absolute())}")
    if painted:
        session.note(f"painted over, so the crop shows once you delete the file in dataset/: {shortened(painted)}")


def _report(session: Session, asked: Sequence[str] | None) -> tuple[Report, pipeline.Refreshed]:
    """The report on the workspace as it now stands, and on the prompts that were given."""
    from capprep.coverage import coverage
    from capprep.review.report import Report
    from capprep.review.rows import left_out_counts

    with session.workspace() as workspace:
        refreshed = pipeline.refresh(workspace, count=True)
        selection = refreshed.selection.held()
        squares = [example.crop for example in selection.training] + [item.crop for item in selection.left_out]
        left = left_out_counts(selection.left_out)
        if not selection.examples and not selection.left_out:
            raise DatasetError("there is no picture to report on", "run `capprep ingest FOLDER` first")
        report = Report(
            selection=selection,
            crops={digest: workspace.blobs.path(digest) for digest in squares if digest},
            title=f"{workspace.root.name}: pictures and their words",
            facts=_facts(workspace) + ([("left out", ", ".join(left))] if left else []),
            notices=_notices(session, workspace),
            made=datetime.now().astimezone(),
            coverage=coverage(selection.examples, asked),
        )
    return report, refreshed


def _facts(workspace: Workspace) -> list[tuple[str, str]]:
    """How the words were made: models with their digests, prompts, thresholds."""
    picture, blip, booru, match = map(workspace.fields, (PICTURE, BLIP, BOORU, MATCH_IMAGE))
    rows = []
    if picture:
        rows.append(("squares", f"{picture['size']}x{picture['size']}, background {picture['background']}"))
    if blip:
        rows.append(("captions", f"BLIP {_short(blip)}, {blip['num_beams']} beams, prompt {blip['prompt']!r}"))
    if booru:
        rows.append(("tags", f"tagger {_short(booru)}, {_kept(booru, pipeline.current_policy(workspace))}"))
    if match:
        rows.append(("scores", f"BLIP image-text contrast {_short(match)}"))
    return rows


def _kept(booru: dict[str, Any], policy: Policy) -> str:
    """From which probability on the tags of a tagger are written."""
    own = TaggerSpec.from_text(booru["spec"]).thresholds if "spec" in booru else Thresholds()
    thresholds = own.overridden(policy.booru_threshold)
    besides = "".join(f", {category} tags from {least:g}" for category, least in thresholds.categories.items())
    said = f"kept from probability {thresholds.default:g}{besides}"
    return f"cut at the largest gap of each picture, else {said}" if policy.mcut else said


def _short(fields: dict[str, Any]) -> str:
    """The first digits of the weights' digest."""
    return str(fields["weights"][:12])


def _notices(session: Session, workspace: Workspace) -> list[str]:
    """The notice of every profile whose models were used, whichever profile this call runs under."""
    used = {workspace.fields(name).get("weights") for name in (BLIP, BOORU, MATCH_IMAGE)}
    return [
        profile.notice
        for name, profile in session.lock.profiles.items()
        if profile.notice and used & shipped_digests(session, name)
    ]
