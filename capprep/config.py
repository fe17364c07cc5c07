"""Options as fields of frozen dataclasses: described once, checked when the object is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from capprep.errors import ConfigError


@dataclass(frozen=True)
class Option:
    """How one field is offered to people, on the command line and in `capprep.toml`.

    Attributes:
        help: One sentence for `--help`.
        choices: The allowed values, or () for any.
        minimum, maximum: The allowed range of a number, inclusive; None for no bound.
        flag: The command line's name where it is not the field's ("--size").
        metavar: What stands for the value in `--help`.
        numeric: True of a text that may be given as a number where types are told apart.
    """

    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    flag: str | None = None
    metavar: str | None = None
    numeric: bool = False


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    flag: str | None = None,
    metavar: str | None = None,
    numeric: bool = False,
) -> Any:
    """A dataclass field that is also an option; see `Option` for the arguments."""
    described = Option(help, choices, minimum, maximum, flag, metavar, numeric)
    return dataclasses.field(default=default, metadata={"option": described})


@dataclass(frozen=True)
class Config:
    """A frozen dataclass whose options are checked when it is built."""

    def __post_init__(self) -> None:
        for field, described in options(type(self)):
            _check(field.name, getattr(self, field.name), described)


def options(cls: type[Config]) -> Iterator[tuple[dataclasses.Field[Any], Option]]:
    """The fields of a dataclass that are options, in order, each with its description."""
    for field in dataclasses.fields(cls):
        described = field.metadata.get("option")
        if described is not None:
            yield field, described


def _check(name: str, value: Any, described: Option) -> None:
    """Raise `ConfigError` naming field, value and range where the value is out of it."""
    if value is None:
        return
    if described.choices and value not in described.choices:
        allowed = ", ".join(described.choices)
        raise ConfigError(f"{name} = {value!r} is not possible", f"choose one of: {allowed}")
    low, high = described.minimum, described.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        ends = [f"at least {low:,}" if low is not None else "", f"at most {high:,}" if high is not None else ""]
        raise ConfigError(f"{name} = {value!r} is out of range", f"it must be {' and '.join(filter(None, ends))}")
