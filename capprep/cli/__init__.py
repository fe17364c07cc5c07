"""The command line: a group that loads a command when it is used, and the one place where errors become text."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Sequence
from typing import Any

import click

from capprep import __version__
from capprep.errors import EXIT_ERROR, CapprepError

COMMANDS = {
    "ingest": "Turn folders of pictures into exact squares.",
    "select": "Choose the pictures of the set.",
    "caption": "Caption and tag the pictures, and score the words.",
    "review": "Write one HTML page with everything.",
    "train": "Train a hypernetwork on the curated pictures.",
    "score": "Score captions and tags again.",
    "status": "Say what is done, what is missing, what failed.",
    "export": "Write what is known of every picture to a table, or the set to a folder.",
    "models": "List, fetch and check the models.",
    "demo": "Take drawn sample pictures the whole way, offline.",
}
"""Every command with its line in `capprep --help`; each lives in the module of its name."""

# \b keeps Click from joining the lines
EPILOG = """\b
Start in a folder that holds your pictures, here in raw/:
  capprep ingest raw/
  capprep caption --blip --booru
  capprep review report.html
  capprep train
No models yet, or no network? Add --profile tiny, or try: capprep demo
"""


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
            _say_error(error.message, error.hint)
            ctx.exit(error.exit_status)
        except OSError as error:
            # `main` of Click knows what a closed pipe means
            if error.errno == errno.EPIPE:
                raise
            what = f"{error.filename or 'a file'}: {error.strerror or error}"
            _say_error(what, "check that it may be read and written and that the disk is not full")
            ctx.exit(EXIT_ERROR)
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on from here", err=True)
            ctx.exit(130)


def _say_error(message: str, hint: str) -> None:
    """What is wrong, and what to do next; names of files in it cannot move the cursor."""
    from capprep.cli.session import printable

    click.secho(f"error: {printable(message)}", fg="red", err=True)
    for line in hint.splitlines():
        click.echo(f"  {printable(line)}", err=True)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, "-V", "--version", prog_name="capprep")
def cli() -> None:
    """Curated pictures, honest captions and a trained hypernetwork from a folder of raw pictures."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0 done, 1 error, 2 usage, 3 done but some pictures failed."""
    cli.main(args=None if arguments is None else list(arguments), prog_name="capprep")
