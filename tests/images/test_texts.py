"""Texts beside pictures: which is found for which picture, and what is read of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.images import files
from capprep.images.entries import EXPORTED, Entry
from capprep.images.files import Opener
from capprep.images.texts import MAX_BYTES, read_text, with_texts
from capprep.images.unusable import Unusable
from tests.images.archiving import KINDS, packed


def put(folder: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def found(*places: Path) -> dict[str, str | None]:
    """The name of each picture's text, by the picture's name, members of archives too."""
    entries = with_texts(files.scan(places))
    return {_name(entry): entry.text and _name(entry.text) for entry in entries}  # type: ignore[misc]


def _name(entry: Entry) -> str:
    return entry.member or Path(entry.path).name


def text(entry: Entry) -> str:
    assert entry.text is not None
    with Opener() as opener:
        return read_text(entry.text, opener)


def one(folder: Path, content: bytes) -> Entry:
    put(folder, "a.jpg")
    (folder / "a.txt").write_bytes(content)
    (entry,) = with_texts(files.scan([folder]))
    return entry


NAMES = {
    "a.jpg": "a.txt",
    "b.png": "b.caption",
    "c.webp": "c.webp.txt",
    "D.JPG": "D.TXT",
    "deep/a.jpg": "deep/a.caption",
    "e.jpg": None,
    "f.v2.jpg": "f.v2.txt",
    "g.jpg": None,
}
BESIDE = (
    *("a.txt", "a.caption", "a.jpg.txt", "b.caption", "b.png.txt", "c.webp.txt", "D.TXT", "deep/a.caption"),
    *("e.text", "e.txt.bak", "other.txt", "f.v2.txt", "f.txt", "G.txt"),
)


def test_a_picture_has_the_text_of_its_own_name_before_the_others(tmp_path: Path) -> None:
    put(tmp_path, *NAMES, *BESIDE)
    expected = {(Path(name).name, beside and Path(beside).name) for name, beside in NAMES.items()}
    entries = list(with_texts(files.scan([tmp_path])))
    assert {(_name(entry), entry.text and _name(entry.text)) for entry in entries} == expected
    assert all(entry.text is None or Path(entry.text.path).parent == Path(entry.path).parent for entry in entries)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archives_picture_has_the_member_of_its_name_and_texts_are_no_pictures(tmp_path: Path, kind: str) -> None:
    names = [*NAMES, *BESIDE]
    path = packed(tmp_path, kind, {name: name.encode() for name in names})
    assert found(path) == NAMES
    entries = list(with_texts(files.scan([path])))
    assert [text(entry) for entry in entries if entry.text] == [entry.text.member for entry in entries if entry.text]


def test_a_name_in_the_exact_case_comes_before_another(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "a.TXT", "a.txt", "b.jpg", "b.Txt")
    assert found(tmp_path) == {"a.jpg": "a.txt", "b.jpg": "b.Txt"}


def test_a_folder_or_a_pipe_is_no_text_and_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    put(folder, *(f"{name}.jpg" for name in "abcdef"), "real.txt", "sub/real.txt")
    put(tmp_path, "secret.txt")
    (folder / "a.txt").mkdir()
    os.mkfifo(folder / "b.txt")
    (folder / "c.txt").symlink_to("real.txt")
    (folder / "d.txt").symlink_to("sub/real.txt")
    (folder / "e.txt").symlink_to("../secret.txt")
    (folder / "f.txt").symlink_to("nowhere.txt")
    entries = {_name(entry): entry for entry in with_texts(files.scan([folder]))}
    assert sorted(name for name, entry in entries.items() if entry.text is None) == ["a.jpg", "b.jpg", "f.jpg"]
    assert (text(entries["c.jpg"]), text(entries["d.jpg"])) == ("real.txt", "real.txt")
    with pytest.raises(Unusable, match="leads out of its folder"):
        text(entries["e.jpg"])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.booleans())
@settings(deadline=None)
def test_any_utf8_text_is_read_without_control_characters(tmp_path_factory: object, said: str, mark: bool) -> None:
    folder: Path = tmp_path_factory.mktemp("text")  # type: ignore[attr-defined]
    read = text(one(folder, said.encode("utf-8-sig" if mark else "utf-8")))
    lines = re.split(r"\r\n|\r|\n", said if mark else said.removeprefix("\ufeff"))
    kept = "\n".join("".join(c for c in line if c == "\t" or category(c) != "Cc") for line in lines)
    assert read == kept.strip()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbfa cat\r\nred hat\r\n", "a cat\nred hat"),
        (b"a\x00 c\x1bat\x07", "a cat"),
        (b"", ""),
        (b" \n ", ""),
        ("größe, 猫, 🐈".encode(), "größe, 猫, 🐈"),
        (b"x" * MAX_BYTES, "x" * MAX_BYTES),
    ],
)
def test_a_text_is_what_a_person_reads_in_it(tmp_path: Path, content: bytes, said: str) -> None:
    assert text(one(tmp_path, content)) == said


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        ("a cat".encode("utf-16"), "encoding", "not UTF-8"),
        (b"caf\xe9", "encoding", "not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "too_large", "at most 65,536"),
    ],
)
def test_what_is_no_text_of_a_picture_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, reason: str, said: str
) -> None:
    with pytest.raises(Unusable, match=said) as caught:
        text(one(tmp_path, content))
    assert caught.value.reason == reason


def test_a_folder_that_was_exported_is_passed_over_unless_it_is_named(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "out/b.jpg", "out/5_x/c.jpg", f"out/{EXPORTED}")
    assert set(found(tmp_path)) == {"a.jpg"}
    assert set(found(tmp_path / "out")) == {"b.jpg", "c.jpg"}
