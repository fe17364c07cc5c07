"""`capprep export`: what is known of every picture as a table, or the set as a folder for another trainer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from capprep.cli.answers import dataset_lines, plural, shortened
from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import ConfigError
from capprep.files import write_atomically

SUFFIXES = (".csv", ".jsonl")


@click.command()
@click.argument("destination", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@session_options
@click.option(
    "--to",
    "trainer",
    type=click.Choice(["webui", "kohya"]),
    help="Write pictures and texts to FOLDER as this trainer reads them, in place of a table.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="With --to kohya: how often each picture is shown in an epoch.  [default: 1]",
)
@click.option(
    "--name",
    metavar="WORD",
    help="With --to kohya: the second part of the inner folder's name, N_WORD.  [default: FOLDER's name]",
)
def export(session: Session, destination: Path, trainer: str | None, repeats: int | None, name: str | None) -> None:
    """Write what is known of every picture to a table, or the set to a folder.

    A table, FILE.csv or FILE.jsonl, has one row a picture: where it came from, what was cut from it and how,
    its measures, its words, and why it is in the set or not. With --to, FOLDER gets the pictures and texts as
    that trainer reads them; run it again after changes. What you put or changed there is left as it is.
    """
    if trainer != "kohya" and (repeats is not None or name is not None):
        raise ConfigError("--repeats and --name are for kohya's folders", "add --to kohya, or leave them out")
    if trainer is None:
        _table(session, destination)
    else:
        _folder(session, destination, trainer, repeats or 1, name or "")


def _folder(session: Session, destination: Path, trainer: str, repeats: int, name: str) -> None:
    from capprep import exports, pipeline

    target = exports.Target(trainer, destination.absolute(), repeats, name)
    with session.workspace() as workspace:
        refreshed = pipeline.refresh(workspace)
        done = exports.export(workspace, refreshed.selection, pipeline.current_policy(workspace), target)
    where = shown_path(target.folder)
    lines = [
        f"{plural(done.pictures, 'picture')} with texts for {trainer} in {where}/",
        f"files in {where}/: {done.written} written, {done.removed} taken away, {done.unchanged} as they are",
        *dataset_lines(refreshed),
    ]
    if done.edited:
        lines.append(f"changed by hand in {where}/, left as they are: {shortened(done.edited)}")
    if done.foreign:
        lines.append(f"not exported, but {trainer} would use them: {shortened(done.foreign)}")
    session.answer("\n".join(lines), {"folder": str(target.folder), "to": trainer, **asdict(done)})


def _table(session: Session, destination: Path) -> None:
    from capprep import provenance

    suffix = destination.suffix.lower()
    if suffix not in SUFFIXES:
        hint = f"use one of: {' '.join(SUFFIXES)}; for a folder of pictures and texts add --to webui or --to kohya"
        raise ConfigError(f"{destination} is no table that can be written", hint)
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
