"""What holds of every text with words beside the source in it."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capprep.filewords import TextRules, Vocabulary, Words, compose, split
from tests.filewords.strategies import clip, options, words

used = st.sampled_from(["keep", "prepend", "append"])


def beside(said: Words) -> list[str]:
    return split(said.existing.replace("\r", ",").replace("\n", ","))


@given(words, options(), used)
def test_a_picture_with_words_beside_it_has_a_text_that_says_each_of_them(
    said: Words, rules: TextRules, existing: str
) -> None:
    assume(beside(said))
    text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "existing": existing})))
    assert text.text
    kept = [piece.text for piece in text.kept if piece.kind == "existing"]
    doubled = [piece.text for piece in text.dropped if piece.kind == "existing"]
    assert sorted(kept + doubled) == sorted(beside(said))
    assert all(piece.step == "merge" for piece in text.dropped if piece.kind == "existing")


@given(words, options(trigger="zwx", merge="caption, tags"), used, st.integers(8, 20))
@settings(max_examples=50, deadline=None)
def test_words_beside_a_picture_keep_the_tightest_budget_and_are_never_all_lost(
    said: Words, rules: TextRules, existing: str, budget: int
) -> None:
    assume(beside(said))
    values = {**vars(rules), "existing": existing, "budget": budget}
    text = compose(said, Vocabulary.of(TextRules(**values)), clip())
    assert text.tokens is not None
    assert text.tokens <= budget
    assert text.text


@given(words, options(), used)
def test_a_text_kept_once_is_kept_as_it_is_for_ever(said: Words, rules: TextRules, existing: str) -> None:
    fixed = {**vars(rules), "merge": "caption, tags", "escape": "webui"}
    first = compose(said, Vocabulary.of(TextRules(**{**fixed, "existing": existing}))).text
    again = compose(Words(existing=first), Vocabulary.of(TextRules(**{**fixed, "existing": "keep"}))).text
    assert again == first
