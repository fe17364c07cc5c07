"""A search as `capprep ingest` makes it: what is found, in the order in which it is read, each file once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path

from capprep.images import files
from capprep.images.entries import Entry
from capprep.schema import migrate
from capprep.sources import Sources


def scan(places: Iterable[Path], skip: Iterable[Path] = (), *, recursive: bool = True) -> list[Entry]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        sources = Sources(db, Path("/nowhere"), nullcontext)
        sources.begin_search()
        sources.find(files.scan(places, skip, recursive=recursive))
        return [entry for page in sources.to_read() for entry, _ in page]
