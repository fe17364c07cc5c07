"""Texts made wrong: which pictures, which word."""

from __future__ import annotations

from capprep.cli.mistakes import mistakes

CAPTIONS = {
    "house": "a red house on a green field",
    "pets": "a red cat left of a blue fish on a green field",
    "cars": "two red cars on a sandy beach",
    "birds": "three white birds on a sandy beach at night",
}
TEXTS = {
    "house": "a red house on a green field, house, red house, day",
    "pets": "a red cat left of a blue fish on a green field, cat, fish, day",
    "cars": "two red cars on a sandy beach, car, red car, day",
    "birds": "three white birds on a sandy beach at night, bird, night",
}
STRANGERS = {"sea": "white bird at sea", "night": "pink stars by night"}


def test_the_texts_with_least_in_common_are_exchanged() -> None:
    made = mistakes(CAPTIONS, TEXTS)
    assert (made.texts["pets"], made.texts["birds"]) == (TEXTS["birds"], TEXTS["pets"])
    assert made.said.startswith("exchanged pets.txt and birds.txt, ")


def test_one_kind_is_wrong_in_sentence_and_tags_where_another_picture_shows_it_better() -> None:
    made = mistakes(CAPTIONS, TEXTS)
    assert made.texts["house"] == "a red cat on a green field, cat, red cat, day"
    assert made.said.endswith(', wrote "cat" for "house" in house.txt')
    assert set(made.texts) == {"pets", "birds", "house"}


def test_what_was_many_stays_many() -> None:
    captions = {**STRANGERS, "cars": "two red cars on snow", "boats": "two red boats and a cat on snow"}
    assert mistakes(captions, captions).texts["cars"] == "two red boats on snow"


def test_a_wrong_sentence_is_never_another_pictures_own() -> None:
    captions = {**STRANGERS, "house": "a red house on snow", "car": "a red car on snow"}
    wrong = mistakes(captions, captions).texts
    (third,) = wrong.keys() - STRANGERS.keys()
    assert wrong[third] not in captions.values()


def test_a_kind_that_has_no_plural_of_its_own_is_left_alone() -> None:
    captions = {**STRANGERS, "fish": "two red fish on snow", "boats": "two red things on snow"}
    assert mistakes(captions, captions).texts.keys() == STRANGERS.keys()


def test_where_nothing_can_be_made_wrong_nothing_is() -> None:
    assert mistakes({}, {}).texts == {}
    same = {"1": "a thing on snow", "2": "a thing on snow"}
    made = mistakes(same, same)
    assert (made.texts, made.said) == ({}, "")
