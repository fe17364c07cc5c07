"""`capprep export`: what is known of every picture, as a table."""

from __future__ import annotations

import json
from pathlib import Path

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
    if suffix == ".jsonl":
        content = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        import pandas as pd

        flat = [{name: _flat(value) for name, value in row.items()} for row in rows]
        content = pd.DataFrame(flat, columns=list(provenance.COLUMNS)).to_csv(index=False, lineterminator="\n")
    write_atomically(destination.absolute(), content.encode("utf-8", "backslashreplace"))
    text = f"{shown_path(destination.absolute())}: {plural(len(rows), 'row')}, {len(provenance.COLUMNS)} columns"
    session.answer(text, {"file": str(destination.absolute()), "rows": len(rows)})


def _flat(value: object) -> object:
    """A value as a cell; what a spreadsheet would take for a formula becomes text."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
