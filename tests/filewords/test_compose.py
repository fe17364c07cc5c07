"""What holds of every text, whatever the words and options."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capprep.errors import ConfigError
from capprep.facts import TagScore
from capprep.filewords import Text, TextRules, Vocabulary, Words, caption_text, compose, unescape
from tests.filewords.strategies import CATEGORIES, clip, names, options, scores, tags, words


def made(said: Words, counted: bool = False, **rules: object) -> Text:
    return compose(said, Vocabulary.of(TextRules(**rules)), clip() if counted else None)  # type: ignore[arg-type]


@given(words, options())
def test_every_tag_is_kept_or_dropped_once_and_every_drop_has_its_step_and_sentence(
    said: Words, rules: TextRules
) -> None:
    text = compose(said, Vocabulary.of(rules))
    assert [piece.given for piece in text.tags] == [tag.name for tag in said.tags]
    assert all(piece.step and piece.reason for piece in text.dropped)
    assert all(piece.reason or not piece.step for piece in text.kept)


@given(words, options())
def test_a_captioned_picture_has_a_text(said: Words, rules: TextRules) -> None:
    assume(caption_text(said.caption or ""))
    assert compose(said, Vocabulary.of(rules)).text


@given(words, options(), st.integers(8, 20))
@settings(max_examples=50)
def test_a_captioned_picture_has_a_text_within_the_tightest_budget(said: Words, rules: TextRules, budget: int) -> None:
    assume(caption_text(said.caption or ""))
    values = {**vars(rules), "trigger": "", "merge": "caption, tags", "budget": budget}
    assert compose(said, Vocabulary.of(TextRules(**values)), clip()).text


@given(words, options())
def test_a_text_is_one_line_of_utf8_without_space_around_pieces(said: Words, rules: TextRules) -> None:
    text = compose(said, Vocabulary.of(rules)).text
    assert text.encode("utf-8").decode("utf-8") == text
    assert text == text.strip()
    assert text.isprintable()
    pieces = text.split(", ") if text else []
    assert all(pieces)
    assert not any("," in piece for piece in pieces)


@given(words, options(), st.integers(0))
def test_the_order_in_which_tags_are_given_changes_nothing(said: Words, rules: TextRules, seed: int) -> None:
    shuffled = random.Random(seed).sample(said.tags, len(said.tags))
    other = Words(said.caption, tuple(shuffled), said.existing, said.name)
    assert compose(said, Vocabulary.of(rules)).text == compose(other, Vocabulary.of(rules)).text


def test_of_equal_tags_the_same_one_stays_in_whatever_order_they_come() -> None:
    twins = (TagScore("Red_hat", "general", 0.5), TagScore("red hat", "meta", 0.5), TagScore("red_hat", "general", 0.5))
    kept = [[piece.given for piece in made(Words(tags=each)).kept] for each in (twins, twins[::-1])]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 1


@given(words, options(), st.sampled_from(["score", "people", "alphabetical"]))
def test_the_order_in_which_tags_are_written_changes_nothing_in_what_is_kept(
    said: Words, rules: TextRules, order: str
) -> None:
    other = TextRules(**{**vars(rules), "order": order})
    kept, also = (compose(said, Vocabulary.of(each)).kept for each in (rules, other))
    assert sorted(kept, key=repr) == sorted(also, key=repr)


@given(words, options(concept="", preset="none") | options(concept="", preset="character"))
def test_a_text_made_from_what_was_kept_is_the_same_text(said: Words, rules: TextRules) -> None:
    vocabulary = Vocabulary.of(rules)
    once = compose(said, vocabulary)
    kept = [piece for piece in once.kept if piece.kind == "tag"]
    # what kept others out by being there: the tags that say how many there are, or that hair has many colours
    assume(all(piece.step != "implied" or not piece.text.startswith("multi") for piece in once.dropped))
    again = tuple(TagScore(piece.text, piece.category, piece.probability) for piece in kept)
    caption = next((piece.text for piece in once.kept if piece.kind == "caption"), None)
    assume(not any(piece.kind == "caption" for piece in once.dropped))
    assert compose(Words(caption, again, said.existing, said.name), vocabulary).text == once.text


@given(words, options(merge="caption, tags", escape="webui"), st.sampled_from(["keep", "prepend", "append"]))
def test_a_text_found_beside_its_own_picture_is_not_added_again(said: Words, rules: TextRules, existing: str) -> None:
    first = compose(said, Vocabulary.of(TextRules(**{**vars(rules), "existing": "ignore"})))
    beside = Words(said.caption, said.tags, first.text, said.name)
    assert compose(beside, Vocabulary.of(TextRules(**{**vars(rules), "existing": existing}))).text == first.text


@given(words, options(), names, st.sampled_from(["blacklist", "whitelist", "keep_tags"]), st.data())
def test_a_rule_is_the_same_in_every_spelling(
    said: Words, rules: TextRules, name: str, field: str, data: st.DataObject
) -> None:
    words_of = " ".join(name.replace("_", " ").split())
    # a comma, a line end, a comment or a file name cannot be in a rule; a face is one in its own spelling only
    assume(words_of and name.isprintable() and not set(name) & set(",#\r\n") and "BREAK" not in name)
    escaped = (
        words_of.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").replace("[", r"\[").replace("]", r"\]")
    )
    spellings = [words_of, escaped, words_of.replace(" ", "_"), escaped.replace(" ", "_"), words_of.upper()]
    # a backslash before a bracket that is a tag's own reads as an escape of the rule too
    assume("\\" not in name and name.casefold() == name.upper().casefold())
    assume(not any(spelling in {"o_o", ">_<", "(o)_(o)"} for spelling in (name, *spellings)))
    said = Words(said.caption, (*said.tags, TagScore(name, "general", 0.9)), said.existing)
    results = []
    for spelling in (name, data.draw(st.sampled_from(spellings))):
        text = compose(said, Vocabulary.of(TextRules(**{**vars(rules), field: spelling})))
        results.append((text.text, text.pieces, len(text.matched)))
    assert results[0] == results[1]


def test_faces_are_named_in_rules_as_they_are_or_escaped() -> None:
    said = Words(tags=scores("(o)_(o)", "o_o", "hat"))
    assert made(said, blacklist=r"\(o\)_\(o\), o_o").text == "hat"


LOOKS = "blue_hair red_hair long_hair short_hair blue_eyes red_eyes closed_eyes looking_at_viewer".split()
SEVERAL = "multiple_boys 2girls couple solo_focus multiple_views".split()


@given(tags, st.permutations(LOOKS), st.sampled_from(SEVERAL))
def test_looks_are_never_settled_where_there_may_be_several_people(
    drawn: tuple[TagScore, ...], looks: list[str], several: str
) -> None:
    looking = scores(*((name, 1 - n / 8) for n, name in enumerate(looks)))
    # beside a tag that is as probable no count is ruled out
    text = made(Words(tags=(TagScore(several, "general", 1.0), *looking, *drawn)))
    assert not {piece.given for piece in text.dropped if piece.step == "conflicts"} & set(LOOKS)


@pytest.mark.parametrize("length", [10_000, 100_000])
def test_a_tag_of_ten_thousand_characters_is_left_out_and_a_caption_of_as_many_is_cut(length: int) -> None:
    text = made(Words("x" * length, scores("(" * length, "hat")), counted=True, budget=75)
    assert text.text.endswith("x")
    assert (text.tags[0].kept, text.tags[0].reason) == (False, "it is longer than 500 characters")
    assert text.tokens is not None
    assert text.tokens <= 75
    long = made(Words("a cat", (), "y, " * length), existing="append")
    assert long.text == "a cat, y"
    assert any("longer than 20,000 characters" in piece.reason for piece in long.dropped)


def test_many_tags_take_no_long_time() -> None:
    many = tuple(TagScore(f"{'very ' * 90}{n}", CATEGORIES[0], 0.5) for n in range(500))
    assert len(made(Words(tags=many), counted=True, budget=75).kept) == 0


@pytest.mark.parametrize(
    ("existing", "text"),
    [
        ("ignore", "zwx, a cat on a mat, cat, hat"),
        ("keep", "zwx, my cat, hat"),
        ("prepend", "zwx, my cat, hat, a cat on a mat, cat"),
        ("append", "zwx, a cat on a mat, cat, my cat, hat"),
    ],
)
def test_a_text_beside_the_source_is_honoured_and_nothing_is_said_twice(existing: str, text: str) -> None:
    said = Words("a cat on a mat", scores("cat", ("hat", 0.8)), "\ufeffmy cat\nhat,\r\n")
    assert made(said, trigger="zwx", existing=existing).text == text


def test_words_beside_the_source_are_a_persons_and_no_rule_drops_them() -> None:
    said = Words(None, scores("white_shirt"), "shirt, blue hair, highres")
    assert (
        made(said, existing="prepend", preset="style", blacklist="shirt").text
        == "shirt, blue hair, highres, white shirt"
    )


@pytest.mark.parametrize(
    ("merge", "text"),
    [
        ("caption, tags", "zwx, a cat, hat, mat"),
        ("CAPTION,tags", "zwx, a cat, hat, mat"),
        ("tags", "zwx, hat, mat"),
        ("caption", "zwx, a cat"),
        ("{tags}, drawn by {trigger}, {caption}", "hat, mat, drawn by zwx, a cat"),
        ("a picture of {caption} with {tags} [name]", r"zwx, a picture of a cat with hat, mat [name]"),
        ("{name}, {tags}", "zwx, my cat, hat, mat"),
        ("hat, {tags}", "zwx, hat, mat"),
    ],
)
def test_a_form_says_what_is_written_and_where(merge: str, text: str) -> None:
    assert (
        made(Words("a cat", scores("hat", ("mat", 0.8)), name="00017-my_cat"), trigger="zwx", merge=merge).text == text
    )


def test_a_part_of_a_template_whose_places_are_empty_is_left_out() -> None:
    assert made(Words(None, scores("hat")), merge="a picture of {caption}, {tags}, art").text == "hat, art"


def test_where_what_was_asked_for_is_missing_the_rest_stands_in() -> None:
    assert made(Words("a cat"), merge="tags").text == "a cat"
    assert made(Words(None, scores("hat")), merge="caption").text == "hat"


def test_a_trigger_may_be_the_name_that_the_webui_fills_in() -> None:
    assert made(Words("a [name] (cat)"), trigger="[name] (x)").text == r"[name] \(x\), a \[name\] \(cat\)"


def test_brackets_are_escaped_for_the_webui_and_not_for_kohya() -> None:
    said = Words("a [cat]", scores("slime_(substance)"))
    assert made(said).text == r"a \[cat\], slime \(substance\)"
    assert made(said, escape="kohya").text == unescape(made(said).text) == "a [cat], slime (substance)"


def test_the_order_of_tags_is_by_score_by_people_or_by_letters() -> None:
    said = Words(tags=(*scores("zebra", ("ant", 0.7), ("1girl", 0.6)), TagScore("saber", "character", 0.5)))
    assert made(said).text == "zebra, ant, 1girl, saber"
    assert made(said, order="people").text == "1girl, saber, zebra, ant"
    assert made(said, order="alphabetical").text == "1girl, ant, saber, zebra"


def test_a_budget_needs_a_tokenizer_and_room_for_the_trigger() -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        made(Words("a cat"), budget=75)
    with pytest.raises(ConfigError, match="trigger"):
        made(Words("a cat"), counted=True, budget=8, trigger="one two three four five six seven eight nine")
