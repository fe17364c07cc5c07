"""`capprep demo`: drawn sample pictures the whole way, offline."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from capprep.select import Example

PICTURES = 20
"""Among so many a caption that fits its picture better than all others is no chance, and the second best may be."""

SEED = 132
"""Of pictures among which a wrong word can show: a set speaks against a text only by pictures that fit it better."""
BROKEN = "broken.jpg"

PLANTED = "demo.planted"
"""The name under which the workspace remembers the wrong texts: picture name -> text."""


@click.command()
@click.argument("folder", metavar="[DIR]", default="capprep-demo", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--count", default=PICTURES, show_default=True, type=click.IntRange(1, 1000), help="How many pictures to draw."
)
@click.option("--steps", default=60, show_default=True, type=click.IntRange(1), help="How long to train.")
@session_options
def demo(session: Session, folder: Path, count: int, steps: int) -> None:
    """Take drawn sample pictures the whole way, offline.

    DIR (capprep-demo if not named) gets a raw/ folder and all that the commands make of it. Between captioning
    and scoring, three texts are made wrong, as a hurried person might; the end says which of them the scores
    gave away. Run it again: what is known is not computed twice. It always uses the tiny profile.
    """
    from capprep.toybox.samples import draw_samples

    session = dataclasses.replace(session, root=folder.absolute(), profile_name="tiny")
    raw = folder / "raw"
    drawn = draw_samples(raw, count, seed=SEED)
    _break_one(drawn[0], raw / BROKEN)
    report = folder / "report.html"
    common = ["-w", str(folder), "--profile", "tiny"]
    # a program reads one JSON object; what a person would see goes to stderr then
    with contextlib.redirect_stdout(sys.stderr) if session.as_json else contextlib.nullcontext():
        click.echo(f"{shown_path(raw.absolute())}/: {len(drawn)} drawn pictures and one broken file")
        _run(["ingest", str(raw), *common])
        _run(["caption", "--blip", "--booru", *common])
        _plant(session)
        _run(["score", *common])
        _run(["review", str(report), *common])
        _run(["train", "--name", "demo", "--steps", str(steps), *common])
    made = [folder / "dataset", report, *sorted(folder.glob("runs/*/*.pt"))]
    lines = ["\nmade:", *(f"  {shown_path(path.absolute())}" for path in made)]
    found, data = _found(session)
    session.answer("\n".join([*lines, *found]), {"made": [str(path.absolute()) for path in made], **data})


def _break_one(picture: Path, broken: Path) -> None:
    """A file cut in half, as a download that broke off leaves one."""
    if not broken.exists():
        content = picture.read_bytes()
        broken.write_bytes(content[: len(content) // 2])


def _run(arguments: list[str]) -> None:
    """One command as a person would type it, shown before it runs."""
    from capprep.cli import cli

    click.secho(f"\n$ capprep {' '.join(arguments)}", bold=True)
    here = click.get_current_context()
    status = cli.main(args=arguments, prog_name="capprep", standalone_mode=False, parent=here)
    if status not in (None, EXIT_DONE, EXIT_SOME_FAILED):
        here.exit(status)


def _plant(session: Session) -> None:
    """Make some texts wrong by hand, once."""
    from capprep import pipeline
    from capprep.cli.mistakes import mistakes
    from capprep.files import write_atomically

    with session.workspace() as workspace:
        if workspace.setting(PLANTED) is not None:
            return
        examples = [e for e in pipeline.selected(workspace).examples if e.caption and e.text and not e.edited]
        made = mistakes({e.name: e.caption or "" for e in examples}, {e.name: e.text or "" for e in examples})
        if not made.texts:
            return
        workspace.set_setting(PLANTED, made.texts)
        for name, text in made.texts.items():
            write_atomically(workspace.dataset / f"{name}.txt", text.encode())
    click.echo(f"\nas a hurried person might: {made.said}")


def _found(session: Session) -> tuple[list[str], dict[str, Any]]:
    """What was planted and is still there, and what the scores say of it and of all others: lines and JSON data."""
    from capprep import pipeline
    from capprep.cli.answers import plural
    from capprep.review.rows import doubts

    with session.workspace(write=False) as workspace:
        planted = workspace.setting(PLANTED) or {}
        examples = pipeline.selected(workspace).examples
    wrong = [example for example in examples if planted.get(example.name) == example.text]
    found = [{"name": e.name, "text": e.text, "flagged": bool(doubts(e)), "reason": _reason(e)} for e in wrong]
    flagged = sum(bool(doubts(e)) for e in wrong)
    others, besides = len(examples) - len(wrong), sum(bool(doubts(e)) for e in examples) - flagged
    count = plural(len(wrong), "wrong text")
    lines = [f"planted: {count}; flagged: {flagged} of {len(wrong)}, and {besides} of the {others} others"]
    lines += [f"  {e['name']}.txt  {'' if e['flagged'] else 'not '}flagged: {e['reason']}" for e in found]
    data = {"planted": found, "flagged": flagged, "others": others, "others_flagged": besides}
    return lines, {**data, "notice": session.profile.notice}


def _reason(example: Example) -> str:
    """What the scores say of a text."""
    from capprep.review.rows import doubts

    verdict = example.caption_verdict
    return next(iter(doubts(example)), verdict.reason if verdict else "its caption was not scored")
