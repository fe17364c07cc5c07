"""Thresholds by category and MCut: which tags count, and why the others do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capprep.errors import ConfigError
from capprep.facts import TagScore
from capprep.thresholds import FLOOR, MCUT_LEAST, Thresholds, mcut, over

CATEGORIES = ("general", "character", "copyright", "rating")

tags = st.lists(
    st.builds(TagScore, st.text("abc_", min_size=1), st.sampled_from(CATEGORIES), st.floats(0, 1)), max_size=30
)
thresholds = st.builds(
    Thresholds, st.floats(FLOOR, 1), st.dictionaries(st.sampled_from(CATEGORIES), st.floats(FLOOR, 1))
)


def gap_by_arrays(values: list[float]) -> float:
    """MCut as Largeron, Moulin and Géry define it, in NumPy."""
    falling = np.sort(np.array(values))[::-1]
    place = int(np.argmax(falling[:-1] - falling[1:]))
    return float((falling[place] + falling[place + 1]) / 2)


@settings(deadline=None)
@given(tags, thresholds)
def test_a_tag_counts_exactly_from_the_threshold_of_its_category_on(some: list[TagScore], given_: Thresholds) -> None:
    reasons = over(some, given_)
    assert len(reasons) == len(some)
    for tag, reason in zip(some, reasons, strict=True):
        least = given_.categories.get(tag.category, given_.default)
        assert (reason == "") == (tag.probability >= least)
        assert not reason or f"{least:g}" in reason


def test_the_reason_names_the_category_where_it_has_its_own_threshold() -> None:
    some = [TagScore("a", "general", 0.4), TagScore("b", "character", 0.8), TagScore("c", "general", 0.5)]
    assert over(some, Thresholds(0.5, {"character": 0.85})) == (
        "its probability is under the threshold 0.5",
        "its probability is under the threshold 0.85 for character tags",
        "",
    )


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_mcut_is_the_middle_of_the_largest_gap(values: list[float]) -> None:
    assert mcut(values) == gap_by_arrays(values)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_mcut_does_not_depend_on_the_order_and_parts_at_the_largest_gap(values: list[float], random: object) -> None:
    cut = mcut(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mcut(shuffled) == cut
    falling = sorted(values, reverse=True)
    widest = max(high - low for high, low in itertools.pairwise(falling))
    above = [value for value in values if value >= cut]
    below = [value for value in values if value < cut]
    assert above
    assert not below or min(above) - max(below) == widest


@pytest.mark.parametrize("values", [[], [0.5], [0.5, float("nan")]])
def test_mcut_of_less_than_two_numbers_is_an_error(values: list[float]) -> None:
    with pytest.raises(ValueError, match="between two numbers"):
        mcut(values)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CATEGORIES[:2]), st.floats(0, 1)), min_size=1, max_size=40))
def test_mcut_of_what_is_stored_keeps_what_mcut_of_all_tags_keeps(outputs: list[tuple[str, float]]) -> None:
    """As long as the gap is wider than the floor: a narrower one can lie among what is not stored."""
    own = Thresholds(0.5)
    every = [TagScore(f"tag_{n}", category, p) for n, (category, p) in enumerate(outputs)]
    stored = [tag for tag in every if tag.probability >= FLOOR]
    beneath: dict[str, float] = {}
    for tag in every:
        if tag.probability < FLOOR:
            beneath[tag.category] = max(tag.probability, beneath.get(tag.category, 0))
    reasons = over(stored, own, by_mcut=True, beneath=beneath)
    kept = {tag for tag, reason in zip(stored, reasons, strict=True) if not reason}
    for category in {tag.category for tag in stored}:
        values = [tag.probability for tag in every if tag.category == category]
        if len(values) == 1:
            cut = own.default
        else:
            falling = sorted(values, reverse=True)
            assume(max(high - low for high, low in itertools.pairwise(falling)) > FLOOR)
            cut = max(gap_by_arrays(values), MCUT_LEAST)
        assert {tag for tag in kept if tag.category == category} == {
            tag for tag in stored if tag.category == category and tag.probability >= cut
        }


def test_mcut_keeps_nothing_of_a_category_that_is_not_on_the_picture() -> None:
    some = [TagScore("solo", "general", 0.9), TagScore("sky", "general", 0.8), TagScore("alice", "character", 0.12)]
    reasons = over(some, Thresholds(), by_mcut=True, beneath={"general": 0.04, "character": 0.001})
    assert reasons == ("", "", "its probability is under the largest gap of this picture's character tags")


def test_mcut_without_a_gap_leaves_the_threshold() -> None:
    some = [TagScore("solo", "general", 0.4)]
    assert over(some, Thresholds(0.3), by_mcut=True) == ("",)
    assert over(some, Thresholds(0.5), by_mcut=True) == ("its probability is under the threshold 0.5",)


@settings(deadline=None)
@given(thresholds)
def test_thresholds_come_back_from_a_facts_data(some: Thresholds) -> None:
    assert Thresholds.from_json(some.to_json()) == some


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Thresholds(0.26, {"character": 0.85})),
        (" , ", Thresholds(0.26, {"character": 0.85})),
        ("0.35", Thresholds(0.35)),
        ("character=0.9", Thresholds(0.26, {"character": 0.9})),
        ("general = 0.3 , rating=1", Thresholds(0.26, {"character": 0.85, "general": 0.3, "rating": 1.0})),
        ("default=0.3", Thresholds(0.3, {"character": 0.85})),
        ("0.35,character=0.9", Thresholds(0.35, {"character": 0.9})),
        ("character=0.9,0.35", Thresholds(0.35, {"character": 0.9})),
    ],
)
def test_a_person_changes_all_thresholds_or_those_they_name(text: str, expected: Thresholds) -> None:
    assert Thresholds(0.26, {"character": 0.85}).overridden(text) == expected


WRONG = (
    "high",
    "=0.5",
    "character=",
    "0.3,0.4",
    "0.3,default=0.4",
    "a=0.3,a=0.4",
    "1.5",
    "0.01",
    "nan",
    "a=nan",
    "C=1",
)


@pytest.mark.parametrize("text", [*WRONG, "a b=0.5", "x" * 999])
def test_what_cannot_be_thresholds_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        Thresholds().overridden(text)


@settings(deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(["0.3", "=", ",", "a", " ", "default"])).map("".join))
def test_any_text_gives_possible_thresholds_or_an_error_with_a_way_out(text: str) -> None:
    said = ""
    try:
        read = Thresholds().overridden(text)
    except ConfigError as error:
        said = error.hint
    assert said or all(FLOOR <= value <= 1 for value in read.to_json().values())
