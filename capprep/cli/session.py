"""What every command shares: where it works, which models, how it answers; and dataclasses as options."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from capprep import workspace as workspaces
from capprep.candidates import Policy
from capprep.config import Config, Option, options
from capprep.errors import ConfigError
from capprep.filewords import inlined
from capprep.lock import Lock, Profile, read_lock
from capprep.run import Watch, unwatched
from capprep.workspace import Workspace

SETTINGS = "capprep.toml"

_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Session:
    """One call of the program.

    Attributes:
        root: The folder the workspace is, or will be, in.
        profile_name: Which models are used unless named one by one.
        lock: The models known.
        settings: What `capprep.toml` says, by section.
        as_json: True to answer with one JSON object.
    """

    root: Path
    profile_name: str
    lock: Lock
    settings: Mapping[str, Mapping[str, Any]]
    as_json: bool

    @property
    def profile(self) -> Profile:
        """The profile by that name."""
        return self.lock.profile(self.profile_name)

    @contextmanager
    def workspace(self, *, create: bool = False, write: bool = True, rehearse: bool = False) -> Iterator[Workspace]:
        """The workspace; locked against other commands if it is going to be written."""
        with Workspace(self.root, create=create, read_only=not write, rehearse=rehearse) as opened:
            if write and not rehearse:
                opened.lock()
            yield opened

    def answer(self, text: str, data: Mapping[str, Any]) -> None:
        """Say what came of it: text for people, or one JSON object for programs."""
        # a path that is no text holds lone surrogates; as escapes they are JSON and mean the very same name
        said = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        click.echo(said if self.as_json else text)

    def note(self, text: str) -> None:
        """Something to know on the way, on stderr."""
        if not self.as_json:
            click.secho(text, fg="yellow", err=True)

    @contextmanager
    def progress(self, *, of_bytes: bool = False) -> Iterator[Watch]:
        """A bar for each stage with rate and time left, if a person watches."""
        if self.as_json or not sys.stderr.isatty():
            yield unwatched
            return
        from capprep.cli.progress import bars

        with bars(of_bytes=of_bytes) as watch:
            yield watch


_COMMON = (
    click.option(
        "-w",
        "--workspace",
        "workspace_folder",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The folder to work in  [default: the nearest one with a workspace, from here upwards, or here]",
    ),
    click.option(
        "--profile",
        "profile_name",
        default="default",
        show_default=True,
        envvar="CAPPREP_PROFILE",
        metavar="NAME",
        help="Which models: default (the pinned real ones) or tiny (small, built in, offline).",
    ),
    click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object, for programs."),
)


def session_options(command: Command) -> Command:
    """Add -w, --profile and --json, last in the help, and call the command with the `Session` they make."""

    @functools.wraps(command)
    def wrapped(*args: Any, workspace_folder: Path | None, profile_name: str, as_json: bool, **kwargs: Any) -> Any:
        here = Path.cwd()
        root = (workspace_folder or workspaces.find(here) or here).absolute()
        lock = read_lock()
        lock.profile(profile_name)
        session = Session(root, profile_name, lock, _read_settings(root), as_json)
        return command(session, *args, **kwargs)

    def bare() -> None:
        """Takes the common options."""

    for add in reversed(_COMMON):
        add(bare)
    # Click shows what was added last first; these go before the command's own and so come after them
    common: Any = bare
    decorated: Any = wrapped
    decorated.__click_params__ = [*common.__click_params__, *getattr(command, "__click_params__", ())]
    return wrapped  # type: ignore[return-value]  # functools.wraps keeps the name, not the type


def config_options(cls: type[Config], section: str) -> Callable[[Command], Command]:
    """Add a dataclass's options to a command and call it with the dataclass built.

    A value comes from the command line, else from the section of `capprep.toml`, else from the profile, else
    it is the default. Place it below `session_options`.
    """
    return _options(cls, section, [field.name for field, _ in options(cls)], build=lambda values: cls(**values))


def policy_options(section: str, *names: str, quietly: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Add some options of `Policy` to a command and call it with those that are set, as `policy`.

    What is not set by the command line, `capprep.toml` or the profile stays as it was last used.

    Args:
        section: Where `capprep.toml` and the profile set them.
        names: The options.
        quietly: Fields that only `capprep.toml` and the profile set here.
    """

    def build(values: dict[str, Any]) -> dict[str, Any]:
        read = inlined(values)
        Policy(**read)  # a bad value fails here
        return read

    return _options(Policy, section, names, build, quietly)


def _options(
    cls: type[Config],
    section: str,
    names: Sequence[str],
    build: Callable[[dict[str, Any]], Any],
    quietly: Sequence[str] = (),
) -> Callable[[Command], Command]:
    prefix = cls.__name__.lower()

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(session: Session, *args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(f"{prefix}_{name}") for name in names}
            context = click.get_current_context()
            typed = {
                name: value
                for name, value in given.items()
                if context.get_parameter_source(f"{prefix}_{name}") is ParameterSource.COMMANDLINE
            }
            built = build({**_configured(session, cls, section, (*names, *quietly)), **typed})
            # some policy may come from one section and some from another
            kwargs[prefix] = {**kwargs[prefix], **built} if prefix in kwargs else built
            return command(session, *args, **kwargs)

        decorated: Any = wrapped
        for field, described in reversed(list(options(cls))):
            if field.name in names:
                decorated = _click_option(prefix, field, described)(decorated)
        return decorated  # type: ignore[no-any-return]  # the decorated function still is the command

    return decorate


def _click_option(prefix: str, field: dataclasses.Field[Any], described: Option) -> Callable[[Command], Command]:
    flag = described.flag or "--" + field.name.replace("_", "-")
    kind: Any = type(field.default)
    if described.choices:
        kind = click.Choice(described.choices)
    if kind is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    return click.option(
        flag,
        f"{prefix}_{field.name}",
        type=None if kind is bool else kind,
        default=field.default,
        show_default=field.default != "",
        metavar=described.metavar,
        help=described.help,
    )


def _configured(session: Session, cls: type[Config], section: str, names: Sequence[str]) -> dict[str, Any]:
    """The fields that the profile and, before it, `capprep.toml` set."""
    fields = {field.name: field for field, _ in options(cls) if field.name in names}
    numeric = {field.name for field, described in options(cls) if described.numeric}
    profile = session.profile.settings.get(section, {})
    written = session.settings.get(section, {})
    values = {name: value for name, value in {**profile, **written}.items() if name in fields}
    for name, value in values.items():
        wanted = type(fields[name].default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif name in numeric and isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = str(value)
        elif type(value) is not wanted:
            raise ConfigError(
                f"{SETTINGS}: {section}.{name} = {value!r} is not possible", f"it must be {_KINDS[wanted]}"
            )
    return values


def _read_settings(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """What `capprep.toml` in the workspace's folder says; {} without one.

    Raises:
        ConfigError: It is not TOML, or has a section or a field that no command knows.
    """
    path = root / SETTINGS
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "mend it, or take it away") from error
    from capprep.cli.sections import known_fields

    known = known_fields()
    for section, values in settings.items():
        if section not in known or not isinstance(values, dict):
            raise ConfigError(f"{path} has the section {section!r}", f"choose from: {', '.join(known)}")
        for name in values:
            if name not in known[section]:
                raise ConfigError(
                    f"{path}: [{section}] has no {name!r}", f"choose from: {', '.join(sorted(known[section]))}"
                )
    return settings


def shown_path(path: Path) -> str:
    """A path as a person would type it: relative to where they are, if it lies below."""
    here = Path.cwd()
    text = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    return printable(os.fsencode(text).decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """Text from files as a terminal may see it: control characters, which could move the cursor, are spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
