"""What is wrong with a captioner's sentence is found by its words alone, whatever the sentence is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.filewords.artefacts import CUT_OFF, EMPTY, LONGEST, LOOP, MADE_UP, artefacts
from capprep.toybox.world import scene

words = st.text("bcdefghijklm", min_size=2, max_size=8)
different = st.lists(words, min_size=1, max_size=LONGEST, unique=True)


def codes(sentence: str, *, ended: bool = True) -> list[str]:
    return [each.code for each in artefacts(sentence, ended=ended)]


@pytest.mark.parametrize(
    ("sentence", "again"),
    [
        ("a bald bald bald man", "bald"),
        ("a man in ray ban ray ban", "ray ban"),
        ("a a red house", "a"),
        ("a dog on the the beach", "the"),
        ("A Red, red red car", "red"),
        ("a woman with a hat and a man with a hat and a dog with a hat", "with a hat"),
    ],
)
def test_a_loop_is_named_by_what_is_repeated(sentence: str, again: str) -> None:
    (found,) = artefacts(sentence)
    assert (found.code, found.message) == (LOOP, f'says "{again}" again and again')


@pytest.mark.parametrize(
    "sentence",
    [
        "a beach on bora bora",
        "a very very long dog",
        "a red car on a red road at a red house",
        "a man with a hat and a woman with a hat",
        "yasser arafat near the arafura sea",
        "a giraffe and another giraffe",
        "it's a dog's life",
    ],
)
def test_sentences_that_only_look_like_it_are_left_in_peace(sentence: str) -> None:
    assert codes(sentence) == []


@pytest.mark.parametrize("word", ["arafed", "araffe", "araffes", "Araffy", "arafura-like araffed", "arafly"])
def test_words_that_blip_made_up_are_found(word: str) -> None:
    assert codes(f"there is an {word} dog in the grass") == [MADE_UP]


@pytest.mark.parametrize("sentence", ["", "  ", "...", "- , -", "\u200b"])
def test_a_sentence_without_words_is_empty_and_nothing_else(sentence: str) -> None:
    assert codes(sentence) == codes(sentence, ended=False) == [EMPTY]


def test_a_sentence_that_reached_the_greatest_length_names_its_last_word() -> None:
    (found,) = artefacts("a dog that plays with a fris", ended=False)
    assert found.code == CUT_OFF
    assert '"fris" may be the half of a word' in found.message


@given(different, st.integers(2, 5), different)
def test_a_run_of_words_said_again_at_once_is_a_loop_wherever_it_stands(
    run: list[str], times: int, before: list[str]
) -> None:
    said = [*before, *(run * (times + (len(run) == 1))), *before]
    assert codes(" ".join(said)) == [LOOP]


@given(st.lists(words, min_size=1, max_size=40, unique=True))
def test_a_sentence_of_different_words_is_no_loop(said: list[str]) -> None:
    assert codes(" ".join(said)) == []
    assert codes(" ".join(said), ended=False) == [CUT_OFF]


@given(st.integers(0, 500))
def test_the_captions_of_the_drawn_world_have_no_artefact(seed: int) -> None:
    assert codes(scene(seed).caption) == []


@given(st.text(max_size=300), st.booleans())
def test_any_text_has_each_artefact_at_most_once_in_one_short_line(text: str, ended: bool) -> None:
    found = artefacts(text, ended=ended)
    assert len({each.code for each in found}) == len(found)
    assert (CUT_OFF in codes(text, ended=ended)) == (not ended and EMPTY not in codes(text, ended=ended))
    for each in found:
        assert each.message.isprintable()


LONG = ("a " * 100_000, "x" * 1_000_000, "araf" * 100_000, "ab ba " * 50_000, ("x" * 5_000 + " ") * 20, "\0" * 100_000)


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_a_very_long_text_takes_no_longer_than_a_long_one_and_is_not_quoted_whole(text: str) -> None:
    for each in artefacts(text, ended=False):
        assert len(each.message) < 1_000
