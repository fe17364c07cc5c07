"""`capprep export`: what is known of every picture, as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from capprep.cli.answers import plural
from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import ConfigError
from capprep.files import write_atomically

SUFFIXES = (".csv", ".jsonl")


@click.command()
@click.argument("destination", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@session_options
def export(session: Session, destination: Path) -> None:
    """Write what is known of every picture to a table.

    Where each came from, what was cut from it and how, its measures, its words, and why it is in the set or
    not: one row a picture, in FILE.csv or FILE.jsonl. Reads only.
    """
    from capprep import provenance

    suffix = destination.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{destination} is no table that can be written", f"use one of: {' '.join(SUFFIXES)}")
    with session.workspace(write=False) as workspace:
        rows = list(provenance.rows(workspace))
    content = _csv(rows, provenance.COLUMNS) if suffix == ".csv" else "".join(json.dumps(row) + "\n" for row in rows)
    write_atomically(destination.absolute(), content.encode("utf-8", "backslashreplace"))
    text = f"{shown_path(destination.absolute())}: {plural(len(rows), 'row')}, {len(provenance.COLUMNS)} columns"
    session.answer(text, {"file": str(destination.absolute()), "rows": len(rows)})


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    table = io.StringIO()
    # with the line ends of RFC 4180, so that a carriage return in a name is quoted too
    writer = csv.DictWriter(table, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _flat(value) for name, value in row.items()} for row in rows)
    return table.getvalue()


def _flat(value: object) -> object:
    """A value as a cell; what a spreadsheet would take for a formula becomes text."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n"):
        return "'" + value
    return value
