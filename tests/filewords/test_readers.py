"""The trainers' readers restated: what they make of a file is exactly the intended prompt, however long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.filewords import TextRules, Vocabulary, Words, compose
from capprep.filewords.chunks import chunks
from tests.filewords.strategies import clip, options, scores, words

CLOSING = {")": ("(", 1.1), "]": ("[", 1 / 1.1)}
"""What each bracket closes, and by how much it raises the weight of what is between."""


def webui_prompt(prompt: str) -> list[tuple[str, float]]:
    """The webui's emphasis, character by character with its weight: (x), [x], (x:1.5), and backslashes."""
    done: list[tuple[str, float]] = []
    opened: list[tuple[str, int]] = []
    at = 0
    while at < len(prompt):
        here = prompt[at]
        number = re.match(r":\s*([+-]?[.\d]+)\s*\)", prompt[at:])
        if here == "\\" and prompt[at + 1 : at + 2] in set("()[]\\"):
            done.append((prompt[at + 1], 1.0))
            at += 1
        elif here in "([":
            opened.append((here, len(done)))
        elif number and closed("(", float(number[1]), done, opened):
            at += number.end() - 1
        elif here != "\\" and not (here in CLOSING and closed(*CLOSING[here], done, opened)):
            done.append((here, 1.0))
        at += 1
    for bracket, factor in CLOSING.values():
        while closed(bracket, factor, done, opened):
            pass
    return done


def closed(bracket: str, factor: float, done: list[tuple[str, float]], opened: list[tuple[str, int]]) -> bool:
    """Weigh what follows the last open bracket of a kind; False where none is open."""
    for place in range(len(opened) - 1, -1, -1):
        if opened[place][0] == bracket:
            _, start = opened.pop(place)
            done[start:] = [(character, weight * factor) for character, weight in done[start:]]
            return True
    return False


def webui_reads(content: bytes, order: list[int] | None = None, name: str = "NET") -> str:
    """From the file to the prompt: the whole text, cut and shuffled at commas, in the template, then the name."""
    pieces = content.decode("utf-8").split(",")
    shuffled = pieces if order is None else [pieces[n] for n in order]
    return "[filewords]".replace("[filewords]", ",".join(shuffled)).replace("[name]", name)


def kohya_reads(content: bytes, keep_tokens: int = 0) -> tuple[list[str], list[str]]:
    """From the file to what stays in front and what is shuffled: the first line, stripped, cut at commas."""
    caption = content.decode("utf-8").split("\n")[0].strip()
    pieces = [piece.strip() for piece in caption.split(",")]
    return pieces[:keep_tokens], pieces[keep_tokens:]


def test_the_restated_emphasis_is_the_webuis() -> None:
    assert webui_prompt(r"a\)") == [("a", 1.0), (")", 1.0)]
    assert [weight for _, weight in webui_prompt("(a)[b]c(d:1.5)")] == pytest.approx([1.1, 1 / 1.1, 1.0, 1.5])
    assert webui_prompt("(a") == [("a", 1.1)]


@given(words, options(escape="webui"))
def test_the_webui_reads_exactly_the_pieces_that_were_kept_without_any_emphasis(said: Words, rules: TextRules) -> None:
    text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "merge": "caption, tags"})))
    prompt = webui_reads(text.text.encode())
    read = webui_prompt(prompt)
    assert "".join(character for character, _ in read) == ", ".join(piece.text for piece in text.kept)
    assert {weight for _, weight in read} <= {1.0}
    assert not re.search(r"\bBREAK\b", prompt)


@given(words, options(escape="webui"), st.randoms(use_true_random=False))
def test_the_webui_shuffles_pieces_and_breaks_none(said: Words, rules: TextRules, chance: object) -> None:
    text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "merge": "caption, tags"})))
    order = list(range(text.text.count(",") + 1))
    chance.shuffle(order)  # type: ignore[attr-defined]
    read = "".join(character for character, _ in webui_prompt(webui_reads(text.text.encode(), order)))
    assert (
        sorted(piece.strip() for piece in read.split(",")) == sorted(piece.text for piece in text.kept) or not text.kept
    )


def test_the_webui_fills_in_the_name_where_a_person_asked_for_it_and_nowhere_else() -> None:
    text = compose(Words("[name] tag", scores("[name]")), Vocabulary.of(TextRules(trigger="[name] style")))
    read = "".join(character for character, _ in webui_prompt(webui_reads(text.text.encode())))
    assert read == "NET style, [name] tag, [name]"


@given(words, options(escape="kohya"))
def test_kohya_reads_exactly_the_pieces_that_were_kept_and_keeps_the_trigger_in_front(
    said: Words, rules: TextRules
) -> None:
    text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "merge": "caption, tags"})))
    triggers = [piece.text for piece in text.kept if piece.kind == "trigger"]
    front, rest = kohya_reads(text.text.encode(), keep_tokens=len(triggers))
    assert front == triggers
    assert [*front, *rest] == ([piece.text for piece in text.kept] or [""])


def webui_length(tokens: list[int]) -> int:
    """Up to where a text reaches in chunks of 75: full ones that back off to a comma are padded."""
    start, seen_from, filled = 0, 0, 0
    while len(tokens) - start > 75:
        commas = [place for place in range(max(seen_from, start), start + 75) if tokens[place] == 267]
        # the very place at which a chunk starts anew has not been looked at unless it was moved there
        near = [place for place in commas if place > start or seen_from > start or start == 0]
        back = near and start + 75 - near[-1] <= 20 and tokens[start + 75] != 267
        end = near[-1] + 1 if back else start + 75
        start, seen_from, filled = end, start + 75, filled + 75
    return filled + len(tokens) - start


BUDGETS = st.integers(8, 80) | st.sampled_from([75, 150, 200, 225])


@given(words, options(trigger="zwx", merge="caption, tags"), BUDGETS)
@settings(max_examples=150)
def test_a_text_is_never_longer_than_the_budget_says(said: Words, rules: TextRules, budget: int) -> None:
    text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "budget": budget})), clip())
    plain = "".join(character for character, _ in webui_prompt(text.text)) if rules.escape == "webui" else text.text
    tokens = list(clip()(plain))
    assert len(tokens) <= budget
    assert text.tokens is not None
    assert len(tokens) <= text.tokens <= budget
    if budget <= 75:
        assert text.tokens == len(tokens)


@given(
    st.lists(
        st.sampled_from(["red star", "a", "slime (substance)", "a girl with a very long name of words"]), max_size=60
    )
)
@settings(max_examples=60)
def test_the_length_is_counted_with_the_webuis_chunks(names: list[str]) -> None:
    unlike = [f"{name} {n}" for n, name in enumerate(names)]
    text = compose(Words(tags=scores(*unlike)), Vocabulary.of(TextRules(drop_implied=False, escape="kohya")), clip())
    assert text.tokens == webui_length(list(clip()(text.text)))


def test_what_falls_behind_the_first_chunk_is_told() -> None:
    many = scores(*((f"red star number {n}", 0.9 - n / 1000) for n in range(30)))
    text = compose(Words("a picture", many), Vocabulary.of(TextRules(drop_implied=False)), clip())
    first = ", ".join(piece.text for piece in text.kept if piece.chunk == 0) + ","
    more = first + " " + text.behind[0].text
    assert len(clip()(first)) <= 75 < len(clip()(more)) + 1
    assert [piece.text for piece in text.kept] == text.text.split(", ")
    assert {piece.chunk for piece in text.kept} == set(range(text.chunks or 0))


def test_the_least_probable_tags_go_first_and_how_many_people_there_are_last() -> None:
    said = Words("a cat", scores("hat", ("mat", 0.7), ("1girl", 0.5), ("bat", 0.6)))
    texts = [compose(said, Vocabulary.of(TextRules(budget=n)), clip()).text for n in (11, 10, 8)]
    assert texts == ["a cat, hat, mat, bat, 1girl", "a cat, hat, mat, 1girl", "a cat, hat, 1girl"]


def test_a_tag_that_cannot_fit_takes_no_other_with_it() -> None:
    said = Words(tags=scores(("very long " * 20, 0.99), "hat"))
    assert compose(said, Vocabulary.of(TextRules(budget=8)), clip()).text == "hat"


def test_a_caption_over_the_budget_is_cut_at_a_word_and_says_so() -> None:
    text = compose(Words("one two three four five six seven eight nine"), Vocabulary.of(TextRules(budget=8)), clip())
    assert text.text == "one two three four five six seven eight"
    assert text.kept[0].reason == "behind the budget of 8 tokens"


@pytest.mark.parametrize(("place", "first"), [(54, 75), (55, 56), (74, 75)])
def test_a_chunk_backs_off_to_a_comma_at_most_twenty_tokens_back(place: int, first: int) -> None:
    tokens = [1] * 100
    tokens[place] = 267
    assert [len(chunk) for chunk in chunks(tokens, 267)] == [first, 100 - first]


@given(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 267]), max_size=400))
def test_chunks_lose_and_reorder_nothing(tokens: list[int]) -> None:
    cut = chunks(tokens, 267)
    assert [token for chunk in cut for token in chunk] == tokens
    assert all(len(chunk) <= 75 for chunk in cut)
