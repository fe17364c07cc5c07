"""The `[filewords]` line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep import filewords


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("long_hair", "long hair"),
        ("o_o", "o_o"),
        (">_<", ">_<"),
        ("slime_(substance)", "slime (substance)"),
        ("a,b", "a b"),
        ("tag\nwith\x00control", "tag with control"),
        ("a_BREAK_dance", "a break dance"),
    ],
)
def test_a_tag_is_written_as_words_and_faces_stay_faces(name: str, text: str) -> None:
    assert filewords.tag_text(name) == text


def test_commas_leave_the_sentence_so_that_shuffling_cannot_shred_it() -> None:
    assert filewords.join("a cat, a dog,  and a hat", ["cat", "dog"]) == "a cat a dog and a hat, cat, dog"


def test_equal_pieces_are_written_once_and_empty_ones_never() -> None:
    assert filewords.join("cat", ["cat", "", "dog", "dog"]) == "cat, dog"
    assert filewords.join(None, ["cat"]) == "cat"
    assert filewords.join(None, []) == ""


def unescaped(text: str) -> str:
    """What the webui's prompt parser makes of escapes: a backslash takes the next bracket or backslash literally."""
    return re.sub(r"\\([\\()\[\]])", r"\1", text)


@given(st.one_of(st.text(r"ab\()[]"), st.text()))
def test_an_escaped_text_reads_back_as_itself(text: str) -> None:
    assert unescaped(filewords.escape(text)) == filewords.unescape(filewords.escape(text)) == text
    assert not re.search(r"(?<!\\)(?:\\\\)*[()\[\]]", filewords.escape(text))


@given(st.lists(st.text()))
def test_a_line_of_tags_is_cut_into_the_very_tags_it_was_joined_from(names: list[str]) -> None:
    tags = [filewords.tag_text(name) for name in names]
    line = filewords.join(None, map(filewords.escape, tags))
    assert filewords.split(line) == list(dict.fromkeys(tag for tag in tags if tag))


def test_a_line_that_a_person_wrote_is_cut_at_its_commas_whatever_the_space_around_them() -> None:
    assert filewords.split("  a cat,on a\tmat ,, a cat,\n \\(red\\) hat, ") == ["a cat", "on a mat", "(red) hat"]
    assert filewords.split("") == filewords.split(" ,") == []


@given(st.one_of(st.none(), st.text()), st.lists(st.text()))
def test_the_line_is_one_line_without_surrounding_space_whatever_the_words(
    caption: str | None, names: list[str]
) -> None:
    line = filewords.join(caption, [filewords.escape(filewords.tag_text(name)) for name in names])
    assert line == line.strip()
    assert line.isprintable() or not line
    assert "\n" not in line
