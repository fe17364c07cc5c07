"""What the texts of a set teach: counts, evidence, and each word of prompts in one list of the answer."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capprep import filewords
from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, Verdict
from capprep.coverage import Answer, answer, coverage, coverage_data, parts, taught
from capprep.facts import PictureFact
from capprep.filewords.prompts import pieces, tokens
from capprep.filewords.subjects import STOP_WORDS
from capprep.select import Example, TagChoice

PICTURE = PictureFact(640, 512, "JPEG", "RGB", 1, 1, (64.0, 0.0, 576.0, 512.0), 1.0, 512)
LISTS = ("unseen", "near", "apart", "contradicted", "few", "taught", "aside")
WORDS = "red blue hat hats old house cat cats kitten long hair t-shirt man of the on".split()


def verdict(state: str | None) -> Verdict | None:
    return None if state is None else Verdict(state, "fits", "", 0.5, 0.5, 1, 9)


def picture(
    number: int,
    caption: str | None = None,
    tags: dict[str, str | None] | tuple[str, ...] = (),
    *,
    said: str | None = None,
    category: str = "general",
    **changes: object,
) -> Example:
    """A picture with its tags and the states of them and of its caption, and the text that says so."""
    states = tags if isinstance(tags, dict) else dict.fromkeys(tags)
    text = filewords.join(caption, map(filewords.escape, states))
    values = {
        "id": hashlib.sha256(str(number).encode()).hexdigest(),
        "name": f"{number:05}",
        "sources": (),
        "picture": PICTURE,
        "crop": "c",
        "caption": caption,
        "caption_verdict": verdict(said),
        "tags": tuple(
            TagChoice(tag, tag, category, 0.9, kept=True, reason="", verdict=verdict(state))
            for tag, state in states.items()
        ),
        "text": text,
        **changes,
    }
    return Example(**values)  # type: ignore[arg-type]


hostile = st.text(st.characters(), max_size=30) | st.text(r"ab,()[]{}<>\_|: .1-'BREAKAND" + "\n#", max_size=30)
sentences = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)
states = st.sampled_from([None, SUPPORTED, CONTRADICTED, UNKNOWN])
names = st.sampled_from(["red hat", "hat", "long hair", "old red hat", "house", "slime (hat)", "cat", ">_<", "o_o"])
pictures = st.builds(
    picture,
    st.integers(1, 9),
    st.none() | sentences | hostile,
    st.dictionaries(names | hostile.map(filewords.tag_text).filter(bool), states, max_size=4),
    said=states,
)
prompts = st.lists(st.lists(sentences | names | hostile, max_size=4).map(", ".join), max_size=4)


def listed(found: Answer) -> dict[str, list[str]]:
    return {name: [asked.text for asked in getattr(found, name)] for name in LISTS}


@settings(max_examples=150, deadline=None)
@given(st.lists(pictures, max_size=4), prompts)
def test_every_word_of_a_prompt_is_in_exactly_one_list(examples: list[Example], asked: list[str]) -> None:
    known = taught(examples)
    found = listed(answer(known, asked))
    for prompt in asked:
        split = list(parts(known, prompt))
        said = [word for piece in pieces(prompt) for word in tokens(piece)]
        assert [word for part in split for word in part] == said
        for part in split:
            key = " ".join(part)
            text = known.terms[key].text if key in known.terms else key
            assert sum(found[name].count(text) for name in LISTS) == 1
    told = {word for text in (text for name in LISTS for text in found[name]) for word in tokens(text) or (text,)}
    assert told == {word for prompt in asked for piece in pieces(prompt) for word in tokens(piece)}


@settings(max_examples=150, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=4))
def test_a_prompt_that_is_one_of_the_sets_own_texts_is_covered(examples: list[Example]) -> None:
    known = taught(examples)
    for text in (example.text for example in examples):
        found = answer(known, [text or ""])
        assert (found.unseen, found.near, found.apart, found.within) == ((), (), (), 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(pictures, max_size=3), pictures, prompts)
def test_another_picture_never_takes_a_word_away(before: list[Example], more: Example, asked: list[str]) -> None:
    first, then = taught(before), taught([*before, more])
    for key, term in first.terms.items():
        assert then.terms[key].pictures >= term.pictures
    assert first.pairs <= then.pairs

    earlier, later = answer(first, asked), answer(then, asked)
    strange = {word for each in (*earlier.unseen, *earlier.near) for word in each.text.split()}
    assert {each.text for each in later.unseen} <= strange


@given(st.lists(pictures, max_size=4))
def test_the_evidence_of_a_word_adds_up_to_its_pictures(examples: list[Example]) -> None:
    for term in taught(examples).terms.values():
        assert term.supported + term.contradicted + term.unknown + term.unscored == term.pictures > 0


@given(st.lists(st.tuples(sentences, st.lists(st.sampled_from(["red", "old house", "long hair"]), max_size=3))))
def test_a_word_is_on_as_many_pictures_as_have_it_in_their_text(drawn: list[tuple[str, list[str]]]) -> None:
    examples = [picture(n, caption, tuple(tags)) for n, (caption, tags) in enumerate(drawn)]
    terms = taught(examples).terms
    for word in set(WORDS) - STOP_WORDS:
        found = sum(bool(re.search(rf"(?<![\w-]){word}(?![\w-])", example.text or "")) for example in examples)
        assert found == (terms[word].pictures if word in terms else 0)
    for tag in ("old house", "long hair"):
        assert sum(tag in tags for _, tags in drawn) == (terms[tag].pictures if tag in terms else 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(pictures, max_size=4), st.none() | prompts)
def test_all_of_it_can_be_written_as_json(examples: list[Example], asked: list[str] | None) -> None:
    found = coverage(examples, asked)
    data = json.loads(json.dumps(coverage_data(found)))
    assert len(data["words"]) == len(found.taught.shown)
    assert (data["prompts"] is None) is (asked is None)


def test_a_tag_stands_before_the_caption_in_what_is_known_of_a_word() -> None:
    caption = {"caption": "a red hat on a mat", "said": SUPPORTED}
    examples = [picture(1, tags={"red hat": CONTRADICTED, "cap": UNKNOWN}, **caption), picture(2, **caption)]
    terms = taught(examples).terms
    assert (terms["hat"].contradicted, terms["hat"].supported) == (1, 1)
    assert (terms["mat"].supported, terms["red hat"].contradicted, terms["cap"].unknown) == (2, 1, 1)
    assert terms["red hat"].pictures == 1


def test_the_better_of_two_tags_counts_for_a_word_that_both_have() -> None:
    terms = taught([picture(1, tags={"red hat": CONTRADICTED, "old hat": SUPPORTED, "hat": UNKNOWN})]).terms
    assert (terms["hat"].supported, terms["red"].contradicted) == (1, 1)


def test_where_a_tag_was_not_scored_the_captions_evidence_counts() -> None:
    terms = taught([picture(1, "a hat", {"red hat": None}, said=SUPPORTED)]).terms
    assert (terms["hat"].supported, terms["red"].unscored) == (1, 1)


def test_a_tag_that_was_left_out_of_the_text_is_none_of_its_tags() -> None:
    example = picture(1, "a red hat", ("red hat",))
    left = replace(example, tags=(replace(example.tags[0], kept=False, reason="no"),), text="a red hat")
    assert taught([left]).terms.keys() == {"red", "hat"}
    assert not taught([left]).terms["red"].tag


def test_the_longest_tag_is_looked_for_first_and_long_stretches_are_words() -> None:
    known = taught([picture(1, tags=("red hat", "red hat band", "old", "sea", "man"))])
    assert list(parts(known, "a red hat band, red hat on")) == [("a",), ("red", "hat", "band"), ("red", "hat"), ("on",)]
    assert list(parts(known, "old sea man")) == [("old", "sea", "man")]
    assert list(parts(known, "old sea man old")) == [("old",), ("sea",), ("man",), ("old",)]


def test_a_prompt_that_says_a_word_twice_is_one_prompt() -> None:
    (asked,) = answer(taught([picture(1, "a cat")]), ["fox, a fox", "cat"]).unseen
    assert (asked.text, asked.prompts) == ("fox", 1)


def test_a_trigger_is_taught_and_not_scored_and_a_mirrored_copys_own_text_is_its_pictures() -> None:
    example = picture(1, "a cat", said=SUPPORTED)
    example = replace(example, text=f"zwx, {example.text}")
    copy = replace(example, text="a dog in a basket")
    known = taught([replace(example, mirror=copy), picture(2, text=None)])
    assert known.pictures == 1
    assert known.fixed == {"zwx", "dog", "basket"}
    assert (known.terms["zwx"].unscored, known.terms["cat"].supported, known.terms["cat"].pictures) == (1, 1, 1)


def test_words_that_are_only_parts_of_tags_are_taught_and_not_shown() -> None:
    known = taught([picture(1, "a long road", ("long hair", "blue eyes"))])
    assert [term.text for term in known.shown] == ["blue eyes", "long", "long hair", "road"]
    assert {"hair", "blue", "eyes"} <= known.terms.keys()


def examples_of(*texts: str, count: int = 4) -> list[Example]:
    return [picture(n * 100 + m, text) for n, text in enumerate(texts) for m in range(count)]


def test_each_list_of_an_answer_has_what_it_says() -> None:
    examples = [
        *examples_of("a red house", "an old hat", "the t-shirt"),
        *(picture(n, tags={"blue_eyes": CONTRADICTED, "night sky": SUPPORTED}) for n in range(3)),
        picture(7, tags=("bird",)),
    ]
    asked = [
        "(Blue Eyes:1.2), a red hat of a knight, night sky",
        "hats, houes, t shirt, bird \\(blue\\), knight, animals",
    ]
    found = answer(taught(examples), asked)
    assert listed(found) == {
        "unseen": ["knight"],
        "near": ["animals", "hats", "houes", "t shirt"],
        "apart": ["bird blue", "red hat"],
        "contradicted": ["blue_eyes"],
        "few": [],
        "taught": ["night sky"],
        "aside": ["a", "of"],
    }
    assert found.unseen[0].prompts == 2
    assert [near.text for asked in found.near for near in asked.near] == ["bird", "hat", "house", "t-shirt"]
    assert found.within == 0


def test_few_is_two_pictures_and_one_in_a_hundred_of_a_large_set() -> None:
    small = [*examples_of("house"), picture(900, "fish"), picture(901, "fish")]
    assert [asked.text for asked in answer(taught(small), ["fish, house"]).few] == ["fish"]
    large = [*examples_of("house", count=397), *examples_of("fish", count=3)]
    assert taught(large).few == 4
    assert [asked.text for asked in answer(taught(large), ["fish, house"]).few] == ["fish"]


def test_a_word_whose_evidence_is_mixed_is_contradicted_only_where_more_and_half_of_it_is_against() -> None:
    def doubtful(*each: str | None) -> bool:
        return taught(picture(n, tags={"hat": state}) for n, state in enumerate(each)).terms["hat"].doubtful

    assert doubtful(CONTRADICTED, UNKNOWN)
    assert doubtful(CONTRADICTED, CONTRADICTED, SUPPORTED)
    assert not doubtful(CONTRADICTED, SUPPORTED)
    assert not doubtful(CONTRADICTED, UNKNOWN, None)


def test_a_set_of_one_kind_asked_for_another_is_told_so() -> None:
    examples = examples_of("a city at night", "a city street", "houses of a city", "a tower and a tree", count=5)
    told = coverage(examples, ["a portrait of a woman", "2girls, long hair", "city with trees", "no humans, city"])
    assert told.sentences == (
        "Nearly every text speaks of buildings and streets (20 of 20).",
        "Some speak of plants (5 of 20).",
        "No text speaks of people (2 of 4 prompts do).",
    )
    (counted,) = [each for each in told.kinds if each.kind == "people"]
    assert (counted.pictures, counted.prompts) == (0, 2)
    more = [*examples, picture(999, "a man in a city"), *examples_of("a city", count=5)]
    assert coverage(more, ["a woman"]).sentences == (
        'In nearly every text: "city" (21 of 26).',
        "Nearly every text speaks of buildings and streets (26 of 26).",
        "Some speak of plants (5 of 26), people (1 of 26).",
        "Few texts speak of people (1 of 26; 1 of 1 prompt does).",
    )
    assert coverage(examples_of("a bird", "a car")).sentences == (
        "The texts speak of animals (4 of 8), vehicles (4 of 8).",
    )
    two = [replace(example, text=f"zwx, {example.text}") for example in [*more, picture(998, "two men")]]
    sentences = coverage(two, ["a woman"]).sentences
    assert sentences[-1] == "Few texts speak of people (2 of 27; 1 of 1 prompt does)."
    assert "zwx" not in " ".join(sentences)


def test_a_name_of_a_character_speaks_of_people() -> None:
    examples = [picture(n, tags=("zelda (series)",), category="character") for n in range(3)]
    assert "people (3 of 3)" in " ".join(coverage(examples).sentences)


@pytest.mark.parametrize(
    "letters", ["<a:", "__a/", "(((((", "[a:[b|", "a:1.", "1$$2::", "AND :1 ", "embedding:", "-'", "\\"]
)
def test_a_prompt_made_to_take_long_takes_no_longer_than_others(letters: str) -> None:
    known = taught(examples_of("a red house", "an old hat"))
    begun = time.process_time()
    answer(known, [letters * (5000 // len(letters))])
    assert time.process_time() - begun < 1
