"""The files pictures come from, and the subjects they are: whole pictures, and cuts of them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from capprep.stage import Cut

SUBJECTS = (
    "SELECT id, picture, number, part FROM ("
    " SELECT id, id AS picture, number, 0 AS part FROM picture WHERE id NOT IN (SELECT picture FROM cut)"
    " UNION ALL SELECT cut.id, picture, number, part FROM cut JOIN picture ON picture.id = cut.picture)"
    " WHERE picture IN (SELECT id FROM source)"
)
"""Every picture that has a source, as itself or as what was cut from it: id, picture, number, part."""


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
        base = os.fsencode(self.root) + b"/"
        for path, *rest in rows:
            yield Source(path if path.startswith(b"/") else base + path, *rest)

    def __len__(self) -> int:
        (count,) = self.db.execute("SELECT count(*) FROM source").fetchone()
        return int(count)

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

    def forget(self, keys: Iterable[bytes]) -> None:
        """Forget files that are no longer there; what was learnt of their pictures is kept for their return."""
        with self.transaction():
            self.db.executemany("DELETE FROM source WHERE path = ?", [(self.relative(key),) for key in keys])

    def pictures(self) -> set[str]:
        """The id of each picture that has a source."""
        return {picture for (picture,) in self.db.execute("SELECT DISTINCT id FROM source WHERE id IS NOT NULL")}

    def subjects(self) -> Iterator[Subject]:
        """What facts of pictures are about, in order of number and part."""
        for row in self.db.execute(f"{SUBJECTS} ORDER BY number, part"):
            yield Subject(*row)

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
