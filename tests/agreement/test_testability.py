"""What a tag speaks of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.agreement import class_of, reference_texts, reference_version
from capprep.agreement.testability import COUNT, META, NAME, NEGATION, REASONS, VISUAL, WORDLESS
from capprep.toybox.world import COUNTS, TAGS


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (COUNT, "1girl;2girls;6+boys;multiple girls;solo;three objects;one object;two stars;5 cats;couple"),
        (NEGATION, "no humans;no headwear;without a hat;not dressed;invisible chair"),
        (
            META,
            "highres;absurdres;masterpiece;best quality;english commentary;translation request;bad pixiv id",
        ),
        (META, "rating:safe;nsfw;artist name;signature;very aesthetic;sample watermark"),
        (NAME, "saber (fate);hatsune miku (cosplay of x)"),
        (WORDLESS, ":d;^ ^;!?;+++;1;"),
        (
            VISUAL,
            "long hair;red house;two-tone hair;sleeveless;watercolor (medium);heart (symbol);crowd at night",
        ),
        (VISUAL, "night;notebook;nobleman;one-piece swimsuit;multicolored hair;猫;looking at viewer;a red cat"),
    ],
)
def test_counts_negations_quality_words_and_names_are_told_from_what_is_to_be_seen(kind: str, texts: str) -> None:
    assert {text: class_of(text) for text in texts.split(";")} == dict.fromkeys(texts.split(";"), kind)


def test_the_taggers_category_tells_names_and_what_is_of_the_file() -> None:
    assert class_of("hatsune miku", "character") == class_of("vocaloid", "copyright") == NAME
    assert class_of("anything at all", "meta") == class_of("safe", "rating") == META
    assert class_of("pixel art", "meta") == class_of("Oil_Painting (medium)", "meta") == VISUAL


def test_of_the_drawn_world_only_counts_and_the_negation_are_not_judged() -> None:
    general = [tag for tag, category in TAGS.items() if category == "general"]
    kinds = {tag: class_of(tag) for tag in general}
    assert {tag for tag in general if kinds[tag] == COUNT} == {*COUNTS.values(), "multiple_objects"}
    assert {tag for tag in general if kinds[tag] not in (COUNT, VISUAL)} == {"no_humans"}


@given(st.text(max_size=300), st.sampled_from(["general", "meta", "written", "character", "?"]))
def test_any_text_has_a_class(text: str, category: str) -> None:
    assert class_of(text, category) in {VISUAL, *REASONS}


def test_the_reference_vocabulary_is_plain_words_each_of_which_can_be_judged() -> None:
    texts = reference_texts()
    assert 200 <= len(texts) <= 500
    assert len(set(texts)) == len(texts)
    assert {class_of(text) for text in texts} == {VISUAL}
    assert all(text == text.strip().lower() for text in texts)
    assert reference_version() == "reference vocabulary 1"
