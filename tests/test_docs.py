"""The docs cannot lie: every command and option is documented, commands shown exist, links resolve."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from capprep.cli import COMMANDS
from capprep.cli.sections import SECTIONS, known_fields

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, subcommands too."""
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"capprep.cli.{name}"), name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", nested) for sub, nested in command.commands.items())


def section(name: str) -> str:
    """The part of docs/cli.md under a command's heading."""
    text = (ROOT / "docs" / "cli.md").read_text()
    found = re.search(rf"^#+ `capprep {re.escape(name)}`$(.*?)(?=^#+ `capprep |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no heading for `capprep {name}`"
    return found.group(1)


COMMON = {"--workspace", "-w", "--profile", "--json", "--help"}


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_documented(name: str, command: click.Command) -> None:
    text = section(name)
    for parameter in command.params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("-") and option not in COMMON:
                assert f"`{option}" in text or f"/{option}" in text, f"`capprep {name}` {option} is not in docs/cli.md"
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} has no help"


def test_the_options_of_every_command_are_documented_once() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for option in COMMON - {"--help"}:
        assert f"`{option}" in text


@pytest.mark.parametrize(("name", "command"), [item for item in commands() if " " not in item[0]], ids=str)
def test_the_line_in_the_list_is_the_first_line_of_the_commands_own_help(name: str, command: click.Command) -> None:
    assert (command.help or "").splitlines()[0] == COMMANDS[name]


def test_no_option_is_documented_that_does_not_exist() -> None:
    known = {option for _, command in commands() for p in command.params for option in [*p.opts, *p.secondary_opts]}
    known |= COMMON | {"--version", "-V", "-h"}
    for option in re.findall(r"`(--[a-z][a-z-]*)", (ROOT / "docs" / "cli.md").read_text()):
        assert option in known, f"docs/cli.md documents {option}, which no command has"


def shown_commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every capprep command in a console block."""
    for page in PAGES:
        for block in re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                if re.match(r"(\$ )?(capprep|make) ", line):
                    yield page.name, line.removeprefix("$ ").split("  #")[0].strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(shown_commands())))
def test_every_command_shown_is_one_the_program_or_the_makefile_takes(page: str, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(argument for argument in arguments if "=" not in argument) in targets
        return
    assert arguments[0] in COMMANDS, line
    command = getattr(importlib.import_module(f"capprep.cli.{arguments[0]}"), arguments[0])
    rest = arguments[1:]
    if isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    known = {option for p in command.params for option in [*p.opts, *p.secondary_opts]} | {"--help"}
    for argument in rest:
        if argument.startswith("-"):
            assert argument.split("=")[0] in known, line


def test_every_link_in_the_docs_resolves() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http:", "https:")):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_key_of_the_settings_file_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    settings = text[text.index("## capprep.toml") :]
    for name, fields in known_fields().items():
        assert f"[{name}]" in settings
        for field in fields:
            assert f"`{field}`" in settings, f"[{name}] {field} is not documented"
    assert set(SECTIONS) <= set(COMMANDS)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert page.name == "README.md" or f"({page.name})" in index


def test_every_module_begins_with_a_sentence_that_says_what_lives_there() -> None:
    for path in sorted((ROOT / "capprep").rglob("*.py")):
        first = path.read_text().lstrip().splitlines()[0]
        assert re.match(r'r?"""[A-Z`"].*[.:]?', first), path


def test_files_and_functions_stay_readable() -> None:
    import ast

    for path in sorted((ROOT / "capprep").rglob("*.py")):
        source = path.read_text()
        assert source.count("\n") <= 440, f"{path} is long"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                start = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                assert (node.end_lineno or 0) - (start or 0) <= 60, f"{path}: {node.name} is long"
