"""The workspace's tables, as an append-only list of steps; a step that has been released is never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from capprep.errors import WorkspaceError

_FIRST = (
    # every picture ever ingested, numbered in order of arrival; AUTOINCREMENT never reuses a number
    "CREATE TABLE picture (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)",
    # the files pictures come from, relative to the workspace where they lie in it; a path is bytes, since a
    # file's name need not be text; a NUL and the name in it follow an archive's. id is NULL where the file could not
    # be read; reason and message say why.
    """CREATE TABLE source (
        path BLOB PRIMARY KEY, id TEXT, bytes INTEGER, mtime_ns INTEGER, reason TEXT, message TEXT
    ) WITHOUT ROWID""",
    "CREATE INDEX source_id ON source (id)",
    "CREATE TABLE text (id TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE recipe (key TEXT PRIMARY KEY, stage TEXT NOT NULL, recipe TEXT NOT NULL) WITHOUT ROWID",
    # the recipe each stage was last run with: what is read until it is run with another one
    "CREATE TABLE current (stage TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES recipe (key)) WITHOUT ROWID",
    # data is NULL where the stage failed; reason and message say why
    """CREATE TABLE fact (
        key TEXT NOT NULL REFERENCES recipe (key), id TEXT NOT NULL,
        data TEXT, blobs TEXT, reason TEXT, message TEXT, retry INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (key, id)
    ) WITHOUT ROWID""",
    # the files of dataset/ as they were last written; previous is the digest before a write under way
    """CREATE TABLE written (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, digest TEXT NOT NULL, previous TEXT, bytes INTEGER, mtime_ns INTEGER
    ) WITHOUT ROWID""",
    # what was last chosen and is not part of a fact: the policy of the selection
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # what a person decided; the last one of a kind holds, and NULL takes it back
    """CREATE TABLE decision (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT
    )""",
)


def _first(db: sqlite3.Connection) -> None:
    # one by one: `executescript` would commit what came before and could leave half a schema behind
    for statement in _FIRST:
        db.execute(statement)


def _cuts(db: sqlite3.Connection) -> None:
    # what stands for a picture where a person gave a box (part 0) or where it was split (parts 1, 2, ...)
    db.execute(
        """CREATE TABLE cut (
            id TEXT PRIMARY KEY, picture TEXT NOT NULL REFERENCES picture (id), part INTEGER NOT NULL,
            left REAL NOT NULL, top REAL NOT NULL, right REAL NOT NULL, bottom REAL NOT NULL
        ) WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX cut_picture ON cut (picture)")


def _facts_in_order(db: sqlite3.Connection) -> None:
    # in the order in which they were learnt, which is that in which they are read: by their hashes every one of
    # thousands would be a page of its own; and what is asked for most comes before what is largest
    db.execute(
        """CREATE TABLE learnt (
            number INTEGER PRIMARY KEY, key TEXT NOT NULL REFERENCES recipe (key), id TEXT NOT NULL,
            retry INTEGER NOT NULL DEFAULT 0, blobs TEXT, reason TEXT, message TEXT, data TEXT,
            UNIQUE (key, id)
        )"""
    )
    db.execute(
        "INSERT INTO learnt (key, id, retry, blobs, reason, message, data)"
        " SELECT key, fact.id, retry, blobs, reason, message, data FROM fact LEFT JOIN picture USING (id)"
        " ORDER BY key, picture.number, fact.id"
    )
    db.execute("DROP TABLE fact")
    db.execute("ALTER TABLE learnt RENAME TO fact")


def _texts(db: sqlite3.Connection) -> None:
    # the text beside a source picture, by the picture's path; both paths as in `source`. content is NULL where it
    # cannot be used; message says why
    db.execute(
        """CREATE TABLE beside (
            path BLOB PRIMARY KEY, file BLOB NOT NULL, bytes INTEGER, mtime_ns INTEGER, content TEXT, message TEXT
        ) WITHOUT ROWID"""
    )


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _cuts, _facts_in_order, _texts)


def check_version(db: sqlite3.Connection) -> int:
    """How many steps a database has seen.

    Raises:
        WorkspaceError: A newer version of the program made it.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise WorkspaceError(
            f"this workspace was made by a newer capprep (schema {version}, this one knows {len(STEPS)})",
            "update capprep, or use another folder",
        )
    return int(version)


def is_current(db: sqlite3.Connection) -> bool:
    """Whether a database has seen every step.

    Raises:
        WorkspaceError: A newer version of the program made it.
    """
    return check_version(db) == len(STEPS)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database, new or old, to the newest step; the step count is SQLite's `user_version`.

    Raises:
        WorkspaceError: A newer version of the program made it.
    """
    version = check_version(db)
    for number, step in enumerate(STEPS[version:], start=version + 1):
        step(db)
        db.execute(f"PRAGMA user_version = {number}")


def open_read_only(file: Path, *, traceless: bool = False) -> sqlite3.Connection:
    """A connection that changes nothing, also where SQLite may not even make its shared memory file.

    Args:
        file: The database.
        traceless: Make no such file even where it may, if nobody is writing; for a short look.

    Raises:
        sqlite3.Error: It cannot be read.
        WorkspaceError: A newer version of the program made it.
    """
    modes = ("mode=ro", "mode=ro&immutable=1")
    # whoever writes has a log beside the file
    idle = traceless and not file.with_name(file.name + "-wal").exists()
    for mode in reversed(modes) if idle else modes:
        db = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, isolation_level=None)
        try:
            check_version(db)
        except sqlite3.OperationalError:
            db.close()
        else:
            return db
    raise sqlite3.OperationalError("it can neither be read nor made readable")
