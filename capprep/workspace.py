"""The workspace: one folder beside a user's pictures, its SQLite file and its blobs, written here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from filelock import FileLock

from capprep.blobs import Blobs, NoBlobs
from capprep.errors import WorkspaceError
from capprep.files import locked
from capprep.ledger import Ledger
from capprep.portions import portions
from capprep.schema import is_current, migrate, open_read_only
from capprep.sources import SUBJECTS, Sources
from capprep.stage import Fact, Failure, Json, Kept, Outcome, Row, Stage, key, recipe

FOLDER = ".capprep"
DATASET = "dataset"
RUNS = "runs"

_SUBJECTS = {
    "picture": (SUBJECTS, "subject.number, subject.part"),
    "text": ("SELECT id, content FROM text", "subject.content"),
}
"""What selects the subjects of a kind, and their order."""

_DIGESTS = msgspec.json.Decoder(dict[str, str])

_QUERY_LIMIT = 500
"""Ids in one `IN (...)`: well under SQLite's limit of host parameters in any build."""


def find(start: Path) -> Path | None:
    """The nearest folder holding a workspace, from `start` upwards, or None."""
    for folder in (start, *start.parents):
        if (folder / FOLDER / "capprep.db").is_file():
            return folder
    return None


def text_id(text: str) -> str:
    """The id of a text as a subject: SHA-256 (hex) of its UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


class Workspace:
    """Facts, texts, decisions and blobs of one folder.

    Facts are append-only: a fact is (id, stage, key) and never changes once it is a value.
    """

    def __init__(self, root: Path, *, create: bool = False, read_only: bool = False, rehearse: bool = False) -> None:
        """Open the workspace of a folder, or make one.

        Args:
            root: The folder that holds, or will hold, `.capprep/`.
            create: Make one where there is none.
            read_only: Change nothing at all on disk, so that it need not be writable.
            rehearse: Work on a copy that is thrown away; nothing is changed on disk either.

        Raises:
            WorkspaceError: There is none and `create` is False, or it cannot be opened.
        """
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.dataset = self.root / DATASET
        self.runs = self.root / RUNS
        self.blobs = Blobs(self.folder / "blobs")
        self._lock: FileLock | None = None
        file = self.folder / "capprep.db"
        if not create and not file.is_file():
            raise WorkspaceError(
                f"there is no capprep workspace in {self.root} or above it",
                "make one with `capprep ingest FOLDER`, or name it with -w DIR",
            )
        self.rehearsal = rehearse
        if rehearse:
            self.blobs = NoBlobs(self.blobs.folder)
        try:
            if rehearse:
                self._db = self._copied(file)
            else:
                self._db = self._read_only(file) if read_only else self._opened(file)
        except (sqlite3.Error, OSError) as error:
            raise WorkspaceError(
                f"{file} cannot be opened: {error}", "check the folder's permissions and that the disk is not full"
            ) from error
        self.sources = Sources(self._db, self.root, self._transaction)
        self.ledger = Ledger(self._db, self._transaction)

    def _opened(self, file: Path) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # a decision of a person must last through a loss of power; at one transaction a batch it costs little
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction():
            migrate(self._db)
        return self._db

    def _read_only(self, file: Path) -> sqlite3.Connection:
        db = open_read_only(file)
        if is_current(db):
            return db
        # made by an older version, and bringing it up to date here would write
        db.close()
        return self._copied(file)

    def _copied(self, file: Path) -> sqlite3.Connection:
        # a database without a name is a file that nobody sees and that is gone with the connection
        self._db = sqlite3.connect("", isolation_level=None)
        if file.is_file():
            with closing(open_read_only(file, traceless=True)) as original:
                original.backup(self._db)
        with self._transaction():
            migrate(self._db)
        return self._db

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise WorkspaceError(
                f"{self.folder / 'capprep.db'} cannot be read or written: {error}",
                "check that the disk is not full; if the file is damaged, move .capprep away and ingest again",
            ) from error

    def close(self) -> None:
        """Close the database and let another command work here."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def lock(self) -> None:
        """Keep other commands from writing here until `close`.

        Raises:
            WorkspaceError: Another command is at work.
        """
        busy = WorkspaceError(
            f"another capprep command is working in {self.root}", "wait until it is done, then try again"
        )
        self._lock = locked(self.folder / "lock", busy)
        self.blobs.sweep()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- texts -----------------------------------------------------------------------------------

    def set_texts(self, texts: Iterable[str]) -> None:
        """Make these the texts that are subjects, by the SHA-256 of their UTF-8; facts of others are kept."""
        rows = [(text_id(text), text) for text in texts]
        with self._transaction():
            self._db.execute("DELETE FROM text")
            self._db.executemany("INSERT OR IGNORE INTO text (id, content) VALUES (?, ?)", rows)

    # --- facts -----------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> str:
        """Note a stage's recipe and return its key.

        It becomes the current one with the first facts recorded under it, or with `make_current`: a stage
        that cannot even be loaded leaves what was known before in force.

        Raises:
            WorkspaceError: A fact that it reads has never been computed here.
        """
        reads = self._read_keys(stage)
        stage_key = key(stage, reads)
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO recipe (key, stage, recipe) VALUES (?, ?, ?)",
                (stage_key, stage.name, json.dumps(recipe(stage, reads), sort_keys=True)),
            )
        return stage_key

    def make_current(self, stage_key: str) -> None:
        """Make a recipe the one its stage is read with."""
        with self._transaction():
            self._make_current(stage_key)

    def _make_current(self, stage_key: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO current (stage, key) SELECT stage, key FROM recipe WHERE key = ?", (stage_key,)
        )

    def _current_or_raise(self, name: str, reader: str) -> str:
        current = self.current(name)
        if current is None:
            raise WorkspaceError(
                f"{reader} needs {name}, which has not been computed here", "run `capprep ingest FOLDER` first"
            )
        return current

    def current(self, name: str) -> str | None:
        """The key a stage was last run with, if the facts it reads are still current, else None."""
        row = self._db.execute(
            "SELECT key, recipe FROM current JOIN recipe USING (key) WHERE current.stage = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        current: str = row[0]
        reads: dict[str, str] = json.loads(row[1])["reads"]
        return current if all(self.current(read) == read_key for read, read_key in reads.items()) else None

    def fields(self, name: str) -> dict[str, Any]:
        """The parameters a stage was last run with, or {} where it never was."""
        row = self._db.execute(
            "SELECT recipe FROM current JOIN recipe USING (key) WHERE current.stage = ?", (name,)
        ).fetchone()
        return {} if row is None else dict(json.loads(row[0])["fields"])

    def known(self, stage_key: str, subjects: Iterable[str]) -> set[str]:
        """Those of some ids whose fact is known, as a lasting failure or as a value whose blobs are there."""
        found: set[str] = set()
        for some in portions(subjects, _QUERY_LIMIT):
            query = f"SELECT id, blobs FROM fact WHERE key = ? AND NOT retry AND id IN ({_marks(some)})"
            found.update(id_ for id_, blobs in self._db.execute(query, (stage_key, *some)) if self._are_there(blobs))
        return found

    def _are_there(self, blobs: str | None) -> bool:
        return not blobs or all(map(self.blobs.has, _DIGESTS.decode(blobs).values()))

    def missing(self, stage: Stage, stage_key: str, only: Container[str] | None = None) -> tuple[list[str], int]:
        """Ids whose fact is not known although all that the stage reads is, in order: the one set difference.

        Args:
            stage: Whose fact.
            stage_key: Its key.
            only: The subjects that count; None for all there are.

        Returns:
            The ids, and of how many others the fact is known.
        """
        subjects, order = _SUBJECTS[stage.subject]
        read_keys = self._read_keys(stage)
        reads = "".join(
            " AND EXISTS (SELECT 1 FROM fact WHERE fact.key = ? AND fact.id = subject.id AND data IS NOT NULL)"
            for _ in read_keys
        )
        rows = self._db.execute(
            f"SELECT subject.id, own.id IS NOT NULL, own.blobs FROM ({subjects}) AS subject"
            " LEFT JOIN fact AS own ON own.key = ? AND own.id = subject.id AND NOT own.retry"
            f" WHERE true{reads} ORDER BY {order}",
            (stage_key, *read_keys.values()),
        )
        missing, known = [], 0
        for subject, there, blobs in rows:
            if only is not None and subject not in only:
                continue
            if there and self._are_there(blobs):
                known += 1
            else:
                missing.append(subject)
        return missing, known

    def _read_keys(self, stage: Stage) -> dict[str, str]:
        return {name: self._current_or_raise(name, stage.name) for name in stage.reads}

    def rows(self, stage: Stage, subjects: Iterable[str]) -> Iterator[Row]:
        """The rows of a stage that reads facts or texts, with all it reads, in the order given."""
        read_keys = self._read_keys(stage)
        for chunk in portions(subjects, _QUERY_LIMIT):
            facts = {name: self._facts(read_key, chunk) for name, read_key in read_keys.items()}
            contents = self._texts(chunk) if stage.subject == "text" else {}
            for subject in chunk:
                yield Row(subject, contents.get(subject), {name: facts[name][subject] for name in read_keys})

    def _texts(self, subjects: Sequence[str]) -> dict[str, bytes]:
        query = f"SELECT id, content FROM text WHERE id IN ({_marks(subjects)})"
        return {subject: content.encode() for subject, content in self._db.execute(query, subjects)}

    def _facts(self, stage_key: str, subjects: Sequence[str]) -> dict[str, Fact]:
        query = f"SELECT id, data, blobs FROM fact WHERE key = ? AND data IS NOT NULL AND id IN ({_marks(subjects)})"
        return {
            subject: Fact(json.loads(data), self._blobs(blobs))
            for subject, data, blobs in self._db.execute(query, (stage_key, *subjects))
        }

    def facts(self, name: str) -> dict[str, Fact | Failure]:
        """Every current fact of a stage by id, failures too; {} where it is not current."""
        return {
            subject: record
            if isinstance(record, Failure)
            else Fact(record[0], {blob: self.blobs.path(digest) for blob, digest in record[1].items()})
            for subject, record in self.records(name)
        }

    def stored(self, stage_key: str, subjects: Sequence[str]) -> dict[str, tuple[str, str] | Failure]:
        """The facts of some subjects as they are stored, data and digests of blobs as JSON; see `records`."""
        query = f"SELECT id, data, blobs, reason, message, retry FROM fact WHERE key = ? AND id IN ({_marks(subjects)})"
        return {
            subject: Failure(reason, message, bool(retry)) if data is None else (data, blobs)
            for subject, data, blobs, reason, message, retry in self._db.execute(query, (stage_key, *subjects))
        }

    def records(self, name: str) -> Iterator[tuple[str, tuple[dict[str, Any], dict[str, str]] | Failure]]:
        """Every current fact of a stage, one by one: its id, and its data with the digest of each blob."""
        rows = self._db.execute(
            "SELECT id, data, blobs, reason, message, retry FROM fact WHERE key = ?", (self.current(name) or "",)
        )
        for subject, data, blobs, reason, message, retry in rows:
            if data is None:
                yield subject, Failure(reason, message, bool(retry))
            else:
                yield subject, (json.loads(data), json.loads(blobs))

    def record(self, stage_key: str, batch: Sequence[Row], outcomes: Sequence[Outcome]) -> None:
        """Store what a stage learnt of a batch, in one transaction; blobs go to disk before it."""
        rows = [(stage_key, row.id, *self._columns(outcome)) for row, outcome in zip(batch, outcomes, strict=True)]
        with self._transaction():
            self._make_current(stage_key)
            self._db.executemany(
                "INSERT OR REPLACE INTO fact (key, id, data, blobs, reason, message, retry)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def _columns(self, outcome: Outcome) -> tuple[str | None, str | None, str | None, str | None, bool]:
        if isinstance(outcome, Failure):
            return None, None, outcome.reason, outcome.message, outcome.retry
        blobs = {
            name: content.sha256 if isinstance(content, Kept) else self.blobs.add(content)
            for name, content in outcome.blobs.items()
        }
        return json.dumps(outcome.data), json.dumps(blobs), None, None, False

    def _blobs(self, column: str) -> dict[str, Path]:
        return {name: self.blobs.path(digest) for name, digest in json.loads(column).items()}

    # --- settings --------------------------------------------------------------------------------

    def set_setting(self, name: str, value: Json) -> None:
        """Remember a choice that is part of no fact."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, json.dumps(value)))

    def setting(self, name: str) -> Json:
        """A choice as last remembered, or None."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    # --- decisions -------------------------------------------------------------------------------

    def decide(self, subject: str, kind: str, payload: str | None) -> None:
        """Add a person's decision on a picture to the journal; None takes back the one before."""
        self.decide_all([(subject, kind, payload)])

    def decide_all(self, decisions: Iterable[tuple[str, str, str | None]]) -> None:
        """Add a person's decisions to the journal, each (picture id, kind, payload), in one transaction."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction():
            self._db.executemany(
                "INSERT INTO decision (at, id, kind, payload) VALUES (?, ?, ?, ?)",
                [(now, *decision) for decision in decisions],
            )

    def decisions(self) -> Mapping[tuple[str, str], str]:
        """The payload that holds for each (picture id, kind): the last one decided."""
        rows = self._db.execute("SELECT id, kind, payload FROM decision ORDER BY number")
        last = {(subject, kind): payload for subject, kind, payload in rows}
        return {key: payload for key, payload in last.items() if payload is not None}


def _marks(subjects: Sequence[str]) -> str:
    return ", ".join("?" * len(subjects))
