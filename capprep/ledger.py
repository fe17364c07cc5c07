"""The files of `dataset/`: as they were last written, as they are there, and as they are wanted; compared by SQL.

What is there and what is wanted are tables of the connection alone, which SQLite keeps in a file of its own: of any
number of pictures no more is in memory at once than a page of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")

PAGE = 500
"""Rows read at once."""

_SCRATCH = (
    "CREATE TEMP TABLE IF NOT EXISTS there (name TEXT PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER) WITHOUT ROWID",
    """CREATE TEMP TABLE IF NOT EXISTS wanted (
        name TEXT PRIMARY KEY, id TEXT, digest TEXT, text TEXT, edited INTEGER
    ) WITHOUT ROWID""",
)

_WRITTEN = "written.name, written.id, written.digest, written.previous, written.bytes, written.mtime_ns"


@dataclass(frozen=True, slots=True)
class Written:
    """A file of `dataset/` as it was last written.

    Attributes:
        name: The file's name in `dataset/`.
        id: The picture it belongs to.
        digest: SHA-256 of what was written.
        previous: The digest before, while a write is under way; None when it is done.
        bytes, mtime_ns: The file's size and time then; equal ones mean that nobody touched it since.
    """

    name: str
    id: str
    digest: str
    previous: str | None = None
    bytes: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that should be in `dataset/`.

    Attributes:
        name: The file's name.
        id: The picture it belongs to.
        digest: SHA-256 of what it should hold.
        text: That content where it is a text; None for a square, which is the blob with this digest.
        edited: True if a person wrote the text.
    """

    name: str
    id: str
    digest: str
    text: str | None = None
    edited: bool = False


@dataclass(frozen=True)
class Ledger:
    """The workspace's table of written files, and two of what is and what should be.

    Attributes:
        db: The workspace's database.
        transaction: Begins a transaction and ends it.
    """

    db: sqlite3.Connection
    transaction: Callable[[], AbstractContextManager[None]]

    # --- as written ------------------------------------------------------------------------------

    def written(self) -> Iterator[Written]:
        """The files as last written, by name."""
        return self._pages(f"SELECT {_WRITTEN} FROM written WHERE true", _written)

    def set(self, files: Iterable[Written]) -> None:
        """Remember files, in one transaction."""
        rows = ((file.name, file.id, file.digest, file.previous, file.bytes, file.mtime_ns) for file in files)
        with self.transaction():
            self.db.executemany(
                "INSERT OR REPLACE INTO written (name, id, digest, previous, bytes, mtime_ns)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def forget(self, names: Iterable[str]) -> None:
        """Forget files, in one transaction."""
        with self.transaction():
            self.db.executemany("DELETE FROM written WHERE name = ?", [(name,) for name in names])

    # --- as there --------------------------------------------------------------------------------

    def see(self, listing: Iterable[tuple[str, int, int]]) -> None:
        """Take in what is in the folder: name, size and time of each file, in place of what was seen before.

        A name that is no text is seen with its bytes as escapes; no file that was written has such a one.
        """
        rows = ((_shown(name), size, stamp) for name, size, stamp in listing)
        self._fill("there", 3, rows)

    def seen(self, beginning: str) -> list[str]:
        """The names there that begin so; few."""
        rows = self.db.execute("SELECT name FROM there WHERE substr(name, 1, ?) = ?", (len(beginning), beginning))
        return [name for (name,) in rows]

    def touched(self) -> Iterator[tuple[str, tuple[int, int], Written | None]]:
        """The files that are not as they were written, or were not: name, size and time now, and as written."""
        query = (
            f"SELECT there.name, there.bytes, there.mtime_ns, {_WRITTEN} FROM there LEFT JOIN written USING (name)"
            " WHERE (written.bytes IS NOT there.bytes OR written.mtime_ns IS NOT there.mtime_ns)"
        )
        for name, size, stamp, *rest in self._pages(query, lambda row: row, "there"):
            yield name, (size, stamp), _written(rest) if rest[0] is not None else None

    def vanished(self) -> Iterator[Written]:
        """The files that surely were there once and are not."""
        query = (
            f"SELECT {_WRITTEN} FROM written LEFT JOIN there USING (name)"
            " WHERE there.name IS NULL AND written.bytes IS NOT NULL"
        )
        return self._pages(query, _written)

    # --- as wanted -------------------------------------------------------------------------------

    def want(self, files: Iterable[Wanted]) -> int:
        """Take in what should be in the folder, in place of what was wanted before; how many files that is."""
        rows = ((file.name, file.id, file.digest, file.text, file.edited) for file in files)
        self._fill("wanted", 5, rows)
        (count,) = self.db.execute("SELECT count(*) FROM wanted").fetchone()
        return int(count)

    def due(self) -> Iterator[tuple[Wanted, Written | None, bool]]:
        """The files wanted that may have to be written, with what was written and whether one is there.

        Those of a person's texts are always among them: what the file says has to be read.
        """
        query = (
            "SELECT wanted.name, wanted.id, wanted.digest, wanted.text, wanted.edited, there.name IS NOT NULL,"
            f" {_WRITTEN} FROM wanted LEFT JOIN there USING (name) LEFT JOIN written USING (name)"
            " WHERE (there.name IS NULL OR wanted.edited OR written.digest IS NOT wanted.digest)"
        )
        for name, id_, digest, text, edited, is_there, *rest in self._pages(query, lambda row: row, "wanted"):
            known = _written(rest) if rest[0] is not None else None
            yield Wanted(name, id_, digest, text, bool(edited)), known, bool(is_there)

    def stale(self) -> Iterator[Written]:
        """The files that were written and are not wanted."""
        query = f"SELECT {_WRITTEN} FROM written LEFT JOIN wanted USING (name) WHERE wanted.name IS NULL"
        return self._pages(query, _written)

    def foreign(self) -> Iterator[str]:
        """The names there that are nobody's."""
        query = (
            "SELECT there.name FROM there LEFT JOIN wanted USING (name) LEFT JOIN written USING (name)"
            " WHERE wanted.name IS NULL AND written.name IS NULL"
        )
        return (name for (name,) in self._pages(query, lambda row: row, "there"))

    # ---------------------------------------------------------------------------------------------

    def _fill(self, table: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
        for statement in _SCRATCH:
            self.db.execute(statement)
        # a table of this connection alone: no other waits for it, and the rows may be made by reading others
        self.db.execute("BEGIN")
        try:
            self.db.execute(f"DELETE FROM temp.{table}")
            marks = ", ".join("?" * columns)
            self.db.executemany(f"INSERT OR REPLACE INTO temp.{table} VALUES ({marks})", rows)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _pages(self, query: str, made: Callable[[Sequence[Any]], Item], table: str = "written") -> Iterator[Item]:
        """The rows of a query in order of name, a page at a time: between two pages anything may be written."""
        last = ""
        while True:
            page = self.db.execute(
                f"{query} AND {table}.name > ? ORDER BY {table}.name LIMIT {PAGE}", (last,)
            ).fetchall()
            for row in page:
                yield made(row)
            if len(page) < PAGE:
                return
            last = page[-1][0]


def _written(row: Sequence[Any]) -> Written:
    return Written(*row)


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
