"""`capprep demo`: drawn sample pictures the whole way, offline."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED

PICTURES = 14
BROKEN = "broken.jpg"


@click.command()
@click.argument("folder", metavar="[DIR]", default="capprep-demo", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--count", default=PICTURES, show_default=True, type=click.IntRange(1, 1000), help="How many pictures to draw."
)
@click.option("--steps", default=60, show_default=True, type=click.IntRange(1), help="How long to train.")
@session_options
def demo(session: Session, folder: Path, count: int, steps: int) -> None:
    """Take drawn sample pictures the whole way, offline.

    DIR (capprep-demo if not named) gets a raw/ folder and all that the four commands make of it. Run it
    again: what is known is not computed twice. It always uses the tiny profile.
    """
    from capprep.toybox.world import draw_samples

    raw = folder / "raw"
    drawn = draw_samples(raw, count, seed=1)
    _break_one(drawn[0], raw / BROKEN)
    report = folder / "report.html"
    common = ["-w", str(folder), "--profile", "tiny"]
    # a program reads one JSON object; what a person would see goes to stderr then
    with contextlib.redirect_stdout(sys.stderr) if session.as_json else contextlib.nullcontext():
        click.echo(f"{shown_path(raw.absolute())}/: {len(drawn)} drawn pictures and one broken file")
        _run(["ingest", str(raw), *common])
        _run(["caption", "--blip", "--booru", *common])
        _run(["review", str(report), *common])
        _run(["train", "--name", "demo", "--steps", str(steps), *common])
    made = [folder / "dataset", report, *sorted(folder.glob("runs/*/*.pt"))]
    session.answer(
        "\nmade:\n" + "\n".join(f"  {shown_path(path.absolute())}" for path in made),
        {"made": [str(path.absolute()) for path in made]},
    )


def _break_one(picture: Path, broken: Path) -> None:
    """A file cut in half, as a download that broke off leaves one."""
    if not broken.exists():
        content = picture.read_bytes()
        broken.write_bytes(content[: len(content) // 2])


def _run(arguments: list[str]) -> None:
    """One command as a person would type it, shown before it runs."""
    from capprep.cli import cli

    click.secho(f"\n$ capprep {' '.join(arguments)}", bold=True)
    status = cli.main(args=arguments, prog_name="capprep", standalone_mode=False)
    if status not in (None, EXIT_DONE, EXIT_SOME_FAILED):
        click.get_current_context().exit(status)
