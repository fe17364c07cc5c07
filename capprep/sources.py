"""The files pictures come from, texts beside them, and the subjects they are: whole pictures, and cuts of them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capprep.images import entries
from capprep.images.entries import Entry
from capprep.stage import Cut

SUBJECTS = (
    "SELECT id, picture, number, part FROM ("
    " SELECT id, id AS picture, number, 0 AS part FROM picture WHERE id NOT IN (SELECT picture FROM cut)"
    " UNION ALL SELECT cut.id, picture, number, part FROM cut JOIN picture ON picture.id = cut.picture)"
    " WHERE picture IN (SELECT id FROM source)"
)
"""Every picture that has a source, as itself or as what was cut from it: id, picture, number, part."""


PAGE = 500
"""Rows read at once."""

_SCRATCH = (
    # what a search found, in the order in which it is read; key is the path as in `source`
    """CREATE TEMP TABLE IF NOT EXISTS found (
        path BLOB, place INTEGER, member BLOB, key BLOB, bytes INTEGER, stamp INTEGER, reason TEXT, message TEXT,
        PRIMARY KEY (path, place, member)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS temp.found_key ON found (key)",
    "CREATE TEMP TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY) WITHOUT ROWID",
    # the texts that a search found; file is path and member as in `beside`
    """CREATE TEMP TABLE IF NOT EXISTS neighbour (
        source BLOB PRIMARY KEY, path BLOB, place INTEGER, member BLOB, file BLOB,
        bytes INTEGER, stamp INTEGER, reason TEXT, message TEXT
    ) WITHOUT ROWID""",
)
"""Tables of the connection alone, which SQLite keeps in a file of its own: memory holds a page of them."""

TEXTS_AT_ONCE = 256
"""Texts that are read before they are stored."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a picture came from.

    Attributes:
        key: The file's path, absolute, as the system's bytes; for a file in an archive the archive's path, a NUL and
            the member's name. A path need not be text.
        id: SHA-256 of its bytes, or None where it could not be read.
        bytes, stamp: Size and time (in ns) when it was read; equal ones mean that it need not be read again.
        reason, message: Why it could not be read, or "".
    """

    key: bytes
    id: str | None
    bytes: int
    stamp: int
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that lies beside a file that a picture came from.

    Attributes:
        source: The picture's file, as in `Source.key`.
        file: The text's, in the same form.
        bytes, stamp: Size and time (in ns) when it was read; equal ones mean that it need not be read again.
        content: What it says, or None where it cannot be used.
        message: Why it cannot, or "".
    """

    source: bytes
    file: bytes
    bytes: int
    stamp: int
    content: str | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fact of a picture is about.

    Attributes:
        id: The picture's own, or of what was cut from it.
        picture: SHA-256 of the source's bytes.
        number: The picture's, in order of arrival.
        part: How many-eth part of it, from 1; 0 for a picture that was not split.
    """

    id: str
    picture: str
    number: int
    part: int


def cut_id(picture: str, cut: Cut) -> str:
    """The id of a part of a picture as a subject."""
    edges = ",".join(repr(float(edge)) for edge in cut.box)
    return hashlib.sha256(f"{picture}:{cut.part}:{edges}".encode()).hexdigest()


@dataclass(frozen=True)
class Sources:
    """The workspace's tables of files, pictures and cuts.

    Attributes:
        db: The workspace's database.
        root: The workspace's folder; files in it are stored relative to it, so that it may be moved as a whole.
        transaction: Begins a transaction and ends it.
    """

    db: sqlite3.Connection
    root: Path
    transaction: Callable[[], AbstractContextManager[None]]

    def __iter__(self) -> Iterator[Source]:
        """Every file known, in the order in which their paths are stored."""
        return self._found("")

    def unreadable(self) -> Iterator[Source]:
        """The files that could not be read."""
        return self._found("WHERE id IS NULL")

    def of(self, picture: str) -> Iterator[Source]:
        """The files with this content."""
        return self._found("WHERE id = ?", picture)

    def _found(self, where: str, *values: str) -> Iterator[Source]:
        rows = self.db.execute(
            f"SELECT path, id, bytes, mtime_ns, reason, message FROM source {where} ORDER BY path", values
        )
        for path, *rest in rows:
            yield Source(self._absolute(path), *rest)

    def __len__(self) -> int:
        return self._count("source")

    def _count(self, table: str) -> int:
        (count,) = self.db.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)

    def _absolute(self, path: bytes) -> bytes:
        return path if path.startswith(b"/") else os.fsencode(self.root) + b"/" + path

    def relative(self, key: bytes) -> bytes:
        """A file's key as it is stored: relative to the workspace's folder where it lies in it."""
        return key.removeprefix(os.fsencode(self.root) + b"/")

    def add(self, sources: Iterable[Source]) -> None:
        """Remember files, and number their pictures if they are new ones, in one transaction."""
        with self.transaction():
            for source in sources:
                if source.id is not None:
                    # not INSERT OR IGNORE: an ignored row uses up a number, and numbers would depend on restarts
                    self.db.execute(
                        "INSERT INTO picture (id) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM picture WHERE id = ?1)",
                        (source.id,),
                    )
                row = (self.relative(source.key), source.id, source.bytes, source.stamp, source.reason, source.message)
                self.db.execute(
                    "INSERT OR REPLACE INTO source (path, id, bytes, mtime_ns, reason, message)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )

    # --- what a search found ---------------------------------------------------------------------

    def begin_search(self) -> None:
        """Nothing is found yet, and nothing taken."""
        for statement in _SCRATCH:
            self.db.execute(statement)
        self.db.execute("DELETE FROM temp.found")
        self.db.execute("DELETE FROM temp.taken")
        self.db.execute("DELETE FROM temp.neighbour")

    def find(self, entries: Collection[Entry]) -> None:
        """Take in what a search found, with the texts beside it; of one found twice, that which can be read."""
        rows = ((*each.order, self.relative(each.key), *_facts(each)) for each in entries)
        with self._scratching():
            self.db.executemany(
                "INSERT INTO temp.found (path, place, member, key, bytes, stamp, reason, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path, place, member) DO UPDATE"
                " SET bytes = excluded.bytes, stamp = excluded.stamp, reason = '', message = ''"
                " WHERE reason <> '' AND excluded.reason = ''",
                rows,
            )
            self.db.executemany(
                "INSERT OR REPLACE INTO temp.neighbour VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (self.relative(each.key), *text.order, self.relative(text.key), *_facts(text))
                    for each in entries
                    if (text := each.text) is not None
                ),
            )

    def found(self) -> int:
        """How many files were found."""
        return self._count("temp.found")

    def absent(self) -> Iterator[bytes]:
        """The keys of known files that were not found, in the order of their paths."""
        query = (
            "SELECT source.path FROM source LEFT JOIN temp.found ON found.key = source.path"
            f" WHERE found.key IS NULL AND source.path > ? ORDER BY source.path LIMIT {PAGE}"
        )
        last = b""
        while page := self.db.execute(query, (last,)).fetchall():
            for (path,) in page:
                yield self._absolute(path)
            (last,) = page[-1]

    def to_read(self) -> Iterator[list[tuple[Entry, Source | None]]]:
        """What was found, in order, a page at a time; each with what is known of it."""
        query = (
            "SELECT found.path, place, member, key, found.bytes, stamp, found.reason, found.message,"
            " source.path, source.id, source.bytes, source.mtime_ns, source.reason, source.message"
            " FROM temp.found LEFT JOIN source ON source.path = found.key"
            f" WHERE (found.path, place, member) > (?, ?, ?) ORDER BY found.path, place, member LIMIT {PAGE}"
        )
        last: tuple[bytes, int, bytes] = (b"", 0, b"")
        while page := self.db.execute(query, last).fetchall():
            yield [(_entry(row), None if row[8] is None else Source(self._absolute(row[8]), *row[9:])) for row in page]
            last = page[-1][:3]

    def take(self, picture: str) -> bool:
        """Whether a picture is met for the first time since the search began."""
        return self.db.execute("INSERT OR IGNORE INTO temp.taken VALUES (?)", (picture,)).rowcount == 1

    @contextmanager
    def _scratching(self) -> Iterator[None]:
        """A transaction of the connection's own tables: it keeps nobody waiting."""
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # ---------------------------------------------------------------------------------------------

    def forget(self, keys: Iterable[bytes]) -> None:
        """Forget files that are no longer there; what was learnt of their pictures is kept for their return."""
        with self.transaction():
            self.db.executemany("DELETE FROM source WHERE path = ?", [(self.relative(key),) for key in keys])

    def any(self) -> bool:
        """Whether a file is known that could be read."""
        return self.db.execute("SELECT 1 FROM source WHERE id IS NOT NULL LIMIT 1").fetchone() is not None

    # --- texts beside pictures -------------------------------------------------------------------

    def forget_texts(self) -> None:
        """Forget every text that was not found."""
        self.db.execute("DELETE FROM beside WHERE path NOT IN (SELECT source FROM temp.neighbour)")

    def texts_to_read(self) -> Iterator[list[tuple[bytes, Entry]]]:
        """The texts found that are not as they were last read, each with its picture's file, a page at a time."""
        query = (
            "SELECT source, neighbour.path, place, member, neighbour.bytes, stamp, reason, neighbour.message"
            " FROM temp.neighbour LEFT JOIN beside ON beside.path = source"
            " WHERE (beside.file IS NOT neighbour.file OR beside.bytes IS NOT neighbour.bytes OR mtime_ns IS NOT stamp)"
            " AND (neighbour.path, place, source) > (?, ?, ?)"
            f" ORDER BY neighbour.path, place, source LIMIT {TEXTS_AT_ONCE}"
        )
        last: tuple[bytes, int, bytes] = (b"", -1, b"")
        while page := self.db.execute(query, last).fetchall():
            yield [(self._absolute(row[0]), _text_entry(row)) for row in page]
            last = page[-1][1], page[-1][2], page[-1][0]

    def texts(self, pictures: Iterable[str]) -> Iterator[tuple[str, Text]]:
        """A picture's id and a text beside one of its files, for some pictures, in the order of the files' paths."""
        wanted = tuple(pictures)
        rows = self.db.execute(
            "SELECT id, path, file, beside.bytes, beside.mtime_ns, content, beside.message FROM beside"
            f" JOIN source USING (path) WHERE id IN ({', '.join('?' * len(wanted))}) ORDER BY path",
            wanted,
        )
        for id_, path, file, *rest in rows:
            yield id_, Text(self._absolute(path), self._absolute(file), *rest)

    def with_text(self) -> int:
        """How many pictures have a text beside one of their files that says something."""
        (count,) = self.db.execute(
            "SELECT count(DISTINCT id) FROM beside JOIN source USING (path) WHERE content <> ''"
        ).fetchone()
        return int(count)

    def unusable_texts(self) -> Iterator[tuple[bytes, str]]:
        """The file of each text that cannot be used, as it is stored, and why."""
        yield from self.db.execute("SELECT DISTINCT file, message FROM beside WHERE message <> '' ORDER BY file")

    def set_texts(self, texts: Iterable[Text]) -> None:
        """Remember texts, in one transaction."""
        rows = [
            (self.relative(text.source), self.relative(text.file), text.bytes, text.stamp, text.content, text.message)
            for text in texts
        ]
        with self.transaction():
            self.db.executemany(
                "INSERT OR REPLACE INTO beside (path, file, bytes, mtime_ns, content, message)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def pictures(self) -> set[str]:
        """The id of each picture that has a source."""
        return {picture for (picture,) in self.db.execute("SELECT DISTINCT id FROM source WHERE id IS NOT NULL")}

    def subjects(self) -> Iterator[Subject]:
        """What facts of pictures are about, in order of number and part."""
        for row in self.db.execute(f"{SUBJECTS} ORDER BY number, part"):
            yield Subject(*row)

    def paths(self, pictures: Iterable[str]) -> dict[str, list[bytes]]:
        """The files of some pictures, as they are stored, in order."""
        wanted = tuple(pictures)
        query = f"SELECT id, path FROM source WHERE id IN ({', '.join('?' * len(wanted))}) ORDER BY path"
        found: dict[str, list[bytes]] = {}
        for id_, path in self.db.execute(query, wanted):
            found.setdefault(id_, []).append(path)
        return found

    def set_cuts(self, cuts: Mapping[str, Iterable[Cut]]) -> None:
        """Make these the cuts that stand for their pictures, by picture; all others are whole again."""
        rows = [
            (cut_id(picture, cut), picture, cut.part, *map(float, cut.box)) for picture in cuts for cut in cuts[picture]
        ]
        with self.transaction():
            self.db.execute("DELETE FROM cut")
            self.db.executemany(
                "INSERT INTO cut (id, picture, part, left, top, right, bottom) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )

    def cuts(self) -> list[tuple[str, str, Cut]]:
        """(id, picture, cut) of what stands for pictures that have a source, in order of number and part."""
        rows = self.db.execute(
            "SELECT cut.id, picture, part, left, top, right, bottom FROM cut JOIN picture ON picture.id = picture"
            " WHERE picture IN (SELECT id FROM source) ORDER BY number, part"
        )
        return [(id_, picture, Cut(tuple(box), part)) for id_, picture, part, *box in rows]


def _facts(entry: Entry) -> tuple[int, int, str, str]:
    return entry.bytes, entry.stamp, entry.reason, entry.message


def _entry(row: Sequence[Any]) -> Entry:
    path, place, member, _, size, stamp, reason, message, *_ = row
    return Entry(os.fsdecode(path), entries.decoded(member), size, stamp, place, reason, message)


def _text_entry(row: Sequence[Any]) -> Entry:
    _, path, place, member, size, stamp, reason, message = row
    return Entry(os.fsdecode(path), entries.decoded(member), size, stamp, place, reason, message)
