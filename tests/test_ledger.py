"""The files of dataset/, compared in tables: what a plain comparison of dictionaries says, for any number of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from capprep import ledger
from capprep.ledger import Ledger, Wanted, Written
from capprep.schema import migrate

NAMES = st.sampled_from([f"{n:05d}-p{suffix}" for n in range(4) for suffix in (".png", ".txt")] + ["it's; %.png"])
WRITTEN = st.dictionaries(
    NAMES,
    st.tuples(st.sampled_from("ab"), st.sampled_from([None, "x"]), st.sampled_from([(None, None), (1, 1), (2, 1)])),
)
THERE = st.dictionaries(NAMES, st.sampled_from([(1, 1), (2, 1), (1, 2)]))
WANTED = st.dictionaries(NAMES, st.tuples(st.sampled_from("ab"), st.sampled_from([None, "words"]), st.booleans()))


@contextmanager
def empty() -> Iterator[Ledger]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        yield Ledger(db, nullcontext)


@settings(deadline=None, max_examples=80)
@given(WRITTEN, THERE, WANTED, st.integers(1, 3))
def test_every_question_is_answered_as_a_comparison_of_dictionaries_would(
    written: dict, there: dict, wanted: dict, page: int
) -> None:
    files = {name: Written(name, "id", digest, before, *status) for name, (digest, before, status) in written.items()}
    due = {name: Wanted(name, "id", *rest) for name, rest in wanted.items()}
    before, ledger.PAGE = ledger.PAGE, page
    try:
        with empty() as book:
            book.set(files.values())
            book.see((name, *status) for name, status in there.items())
            assert book.want(due.values()) == len(wanted)
            assert list(book.written()) == [files[name] for name in sorted(files)]
            assert list(book.touched()) == [
                (name, there[name], files.get(name))
                for name in sorted(there)
                if name not in files or there[name] != (files[name].bytes, files[name].mtime_ns)
            ]
            assert list(book.vanished()) == [
                files[name] for name in sorted(files) if name not in there and files[name].bytes is not None
            ]
            assert list(book.due()) == [
                (due[name], files.get(name), name in there)
                for name in sorted(due)
                if name not in there
                or due[name].edited
                or files.get(name, due[name]).digest != due[name].digest
                or name not in files
            ]
            assert [file.name for file in book.stale()] == sorted(files.keys() - due.keys())
            assert list(book.foreign()) == sorted(there.keys() - files.keys() - due.keys())
    finally:
        ledger.PAGE = before


def test_what_is_asked_may_be_changed_on_the_way() -> None:
    with empty() as book:
        book.set(Written(f"{n:04d}.png", "id", "a") for n in range(1200))
        book.see([])
        book.want([])
        for file in book.stale():
            book.forget([file.name])
        assert list(book.written()) == []


def test_what_is_seen_and_wanted_takes_the_place_of_what_was_before() -> None:
    with empty() as book:
        book.see([("a.png", 1, 1)])
        assert book.want([Wanted("a.png", "id", "a")]) == 1
        book.see([("b.png", 1, 1)])
        assert book.want([]) == 0
        assert list(book.foreign()) == ["b.png"]


def test_a_name_that_is_no_text_is_seen_by_its_bytes_and_one_by_its_beginning() -> None:
    with empty() as book:
        book.see([("\udcff%_.png", 1, 1), (".tmp-1", 1, 1), ("tmp", 1, 1)])
        book.want([])
        assert book.seen(".tmp") == [".tmp-1"]
        assert "\\xff%_.png" in list(book.foreign())
