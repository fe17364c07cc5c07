"""The command line: a group that loads a command when it is used, and the one place where errors become text."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click

from capprep import __version__
from capprep.errors import CapprepError

COMMANDS = {
    "ingest": "Turn folders of pictures into exact squares, with a reason for each one left out.",
    "caption": "Caption and tag the pictures, score how well the words fit, write the text files.",
    "score": "Score again how well captions and tags fit their pictures.",
    "review": "Write one HTML page with every picture, its words, scores and reasons.",
    "train": "Train a hypernetwork on the curated pictures.",
    "status": "Say what is done, what is missing and what failed.",
    "models": "List, fetch and check the models.",
    "demo": "Draw sample pictures and take them the whole way, offline.",
}
"""Every command with its line in `capprep --help`; each lives in the module of its name."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is used: `capprep --help` has to answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"capprep.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CapprepError as error:
            click.secho(f"error: {error.message}", fg="red", err=True)
            if error.hint:
                click.echo(f"  what to do: {error.hint}", err=True)
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on from here", err=True)
            ctx.exit(130)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with a folder of pictures, here raw/:  capprep ingest raw/ ;  capprep caption --blip --booru ; "
    " capprep review report.html ;  capprep train",
)
@click.version_option(__version__, "-V", "--version", prog_name="capprep")
def cli() -> None:
    """Curated pictures, honest captions and a trained hypernetwork from a folder of raw pictures."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0 done, 1 error, 2 usage, 3 done but some pictures failed."""
    cli.main(args=None if arguments is None else list(arguments), prog_name="capprep")
