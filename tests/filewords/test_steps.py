"""Kinds, implications, conflicts and presets."""

from __future__ import annotations

import pytest
from hypothesis import given

from capprep.facts import TagScore
from capprep.filewords import TextRules, Vocabulary, Words, compose, conflicts, implications, kinds
from capprep.filewords.words import key
from tests.filewords.strategies import scores, tags


def dropped(*named: tuple[str, float] | str, **rules: object) -> dict[str, str]:
    """What is dropped of tags, and by which step."""
    text = compose(Words(tags=scores(*named)), Vocabulary.of(TextRules(**rules)))  # type: ignore[arg-type]
    return {piece.given: piece.step for piece in text.dropped}


@pytest.mark.parametrize(
    ("names", "gone"),
    [
        (("white shirt", "shirt"), {"shirt"}),
        (("shirt", "t-shirt"), {"shirt"}),
        (("hair flower", "flower", "hair ornament"), {"hair ornament"}),
        (("pink hair flower", "hair flower", "flower"), {"hair flower"}),
        (("shirt", "shirtless"), set()),
        (("hot dog", "dog"), set()),
        (("no pants", "pants", "big stuffed bear", "bear"), set()),
        (("sword on back", "on back", "hand on hip", "hip", "lying"), {"lying"}),
        (("absurdly long hair", "very long hair", "long hair"), {"very long hair", "long hair"}),
        (("red katana", "weapon"), {"weapon"}),
        (("cat",), set()),
    ],
)
def test_a_tag_that_another_says_too_is_left_out(names: tuple[str, ...], gone: set[str]) -> None:
    assert dropped(*names) == dict.fromkeys(gone, "implied")
    assert dropped(*names, drop_implied=False) == {}


@given(tags)
def test_what_is_left_out_as_implied_is_implied_by_a_tag_that_is_not(given_: tuple[TagScore, ...]) -> None:
    keys = {key(tag.name) for tag in given_} - {""}
    told = implications.redundant(keys)
    assert all(by in keys - told.keys() and one in implications.implied(by) for one, by in told.items())
    assert implications.redundant(keys - told.keys()) == {}


def test_names_have_no_kinds() -> None:
    said = Words(tags=(TagScore("saber alter", "character", 0.9), TagScore("alter", "character", 0.9)))
    assert not compose(said, Vocabulary.of(TextRules())).dropped


def test_the_table_of_kinds_goes_round_in_no_circle_and_says_nothing_that_the_last_words_say() -> None:
    for special, generals in implications.IMPLIES.items():
        assert special == key(special)
        assert not any(special in implications.implied(general) for general in implications.implied(special))
        for general in generals:
            assert general == key(general)
            assert general not in set(implications.ends(special)), (special, general)


def test_no_tag_conflicts_with_what_it_implies() -> None:
    groups = (*conflicts.COUNTS, *conflicts.GROUPS)
    for special in implications.IMPLIES:
        for general in implications.implied(special):
            for group in groups:
                at = [{n for n, value in enumerate(group.values) if each in value} for each in (special, general)]
                assert at[0] == at[1] or not all(at), (special, general)


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        ((("day", 0.9), ("night", 0.6)), {"night"}),
        ((("day", 0.6), ("night", 0.9), ("night_sky", 0.55)), {"day"}),
        ((("day", 0.9), ("night", 0.85)), set()),  # too close to call
        ((("indoors", 0.7), ("outdoors", 0.6)), {"outdoors"}),
        (("solo", "1girl", ("blue_hair", 0.9), ("red_hair", 0.6)), {"red_hair"}),
        (("solo", ("blue_hair", 0.9), ("light_blue_hair", 0.6)), set()),
        (("solo", ("blue_hair", 0.9), ("red_hair", 0.6), "multicolored_hair"), set()),
        (("solo", ("blue_eyes", 0.9), ("red_eyes", 0.6), "heterochromia"), set()),
        (("2girls", ("blue_hair", 0.9), ("red_hair", 0.6)), set()),
        (("1girl", "1boy", ("long_hair", 0.9), ("short_hair", 0.6)), set()),
        ((("long_hair", 0.9), ("short_hair", 0.6)), set()),  # nobody is said to be there
        (("1girl", ("long_hair", 0.6), ("short_hair", 0.9)), {"long_hair"}),
        ((("1girl", 0.99), ("2girls", 0.55), ("red_hair", 0.9), ("blue_hair", 0.5)), {"2girls", "blue_hair"}),
        ((("solo", 0.6), ("2girls", 0.95)), {"solo"}),
        ((("no_humans", 0.9), ("1girl", 0.5)), {"1girl"}),
        ((("1girl", 0.9), ("closed_eyes", 0.9), ("looking_at_viewer", 0.5)), {"looking_at_viewer"}),
    ],
)
def test_of_what_cannot_both_be_true_the_clearly_less_probable_goes(
    named: tuple[tuple[str, float] | str, ...], gone: set[str]
) -> None:
    assert dropped(*named, drop_implied=False) == dict.fromkeys(gone, "conflicts")
    assert dropped(*named, drop_implied=False, drop_conflicts=False) == {}


EVERYTHING = (
    "1girl", "solo", "blue_hair", "twintails", "hair_ribbon", "blue_eyes", "half-closed_eyes", "large_breasts",
    "cat_ears", "red_dress", "smile", "beach", "watercolor_(medium)", "monochrome", "highres", "signature",
)  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "gone"),
    [
        ("none", set()),
        ("character", {"blue_hair", "twintails", "blue_eyes", "large_breasts", "cat_ears", "highres", "signature"}),
        ("style", {"watercolor_(medium)", "monochrome", "highres", "signature"}),
        ("concept", {"red_dress", "highres", "signature"}),
    ],
)
def test_a_preset_leaves_out_what_the_net_is_to_learn_without_words(preset: str, gone: set[str]) -> None:
    concept = {"concept": "red dress"} if preset == "concept" else {}
    assert dropped(*EVERYTHING, preset=preset, **concept) == dict.fromkeys(gone, "preset")


def test_of_several_people_nobody_knows_whose_the_hair_is() -> None:
    assert dropped("2girls", "blue_hair", "red_hair", preset="character") == {}


def test_a_concept_takes_what_it_implies_with_it_and_leaves_people() -> None:
    rules = {"preset": "concept", "concept": "katana, 1girl"}
    assert dropped("sword", "weapon", "1girl", "red katana", drop_implied=False, **rules) == {
        "sword": "preset",
        "weapon": "preset",
    }


def test_an_artist_belongs_to_a_style() -> None:
    said = Words(tags=(TagScore("someone", "artist", 0.9), TagScore("hat", "general", 0.9)))
    assert compose(said, Vocabulary.of(TextRules(preset="style"))).text == "hat"


def test_no_tag_is_of_two_parts_of_a_character_and_all_are_spelt_as_compared() -> None:
    tables = (kinds.PEOPLE, kinds.HAIR, kinds.EYES, kinds.BODY, kinds.MEDIUM, kinds.FILE)
    assert all(one == key(one) for table in tables for one in table)
    assert sum(map(len, tables)) == len(frozenset().union(*tables))
