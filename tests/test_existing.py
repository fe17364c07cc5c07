"""A text beside the source in a picture's own: used as the policy says, judged like any other words, never lost."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capprep.candidates import TEXT, Beside, Policy
from capprep.facts import TagScore
from capprep.filewords import split, tag_text
from capprep.wording import Wordings, needs_words, vocabulary
from tests.filewords.strategies import hostile
from tests.test_wording import candidate, example, reasons
from tests.test_wording import tags as tag_lists

TAGS = (TagScore("1girl", "general", 0.95), TagScore("red_hat", "general", 0.9), TagScore("mat", "general", 0.2))
MODES = ["ignore", "keep", "prepend", "append"]


def beside(text: str, **more: object):
    return candidate(**{"tags": TAGS, "beside": Beside("raw/a.txt", text), **more})


@pytest.mark.parametrize(
    ("existing", "text", "caption", "tags"),
    [
        ("ignore", "a cat sitting, 1girl, red hat", "a cat sitting", ("1girl", "red hat")),
        ("keep", "my cat on a mat, red_hat, mat", "my cat on a mat", ("red hat", "mat")),
        (
            "prepend",
            "my cat on a mat, red_hat, mat, a cat sitting, 1girl",
            "a cat sitting",
            ("my cat on a mat", "red hat", "mat", "1girl"),
        ),
        (
            "append",
            "a cat sitting, 1girl, my cat on a mat, red_hat, mat",
            "a cat sitting",
            ("1girl", "my cat on a mat", "red hat", "mat"),
        ),
    ],
)
def test_the_words_that_are_judged_are_those_of_the_text_whoever_wrote_them(
    existing: str, text: str, caption: str, tags: tuple[str, ...]
) -> None:
    one = beside("my cat on a mat, red_hat\nmat")
    made = example(one, existing=existing)
    assert (made.text, made.caption, made.edited) == (text, caption, False)
    wordings = Wordings(made_policy(existing))
    words = wordings.words_of(one, {})
    assert (words.caption, words.tags) == (caption, tags)
    assert {caption, *tags} <= set(vocabulary([one], {}, wordings))
    assert [tag.text for tag in made.tags if tag.kept] == list(tags)


def made_policy(existing: str) -> Policy:
    return Policy(existing=existing)


def test_a_tag_that_the_text_beside_says_is_in_the_text_whatever_the_rules_or_its_probability() -> None:
    made = example(beside("Red_Hat, mat, book"), existing="prepend", blacklist="red hat")
    assert made.text == "Red_Hat, mat, book, a cat sitting, 1girl"
    assert {tag.name: (tag.text, tag.category) for tag in made.tags if tag.kept} == {
        "1girl": ("1girl", "general"),
        "red_hat": ("Red Hat", "general"),
        "mat": ("mat", "general"),
        "book": ("book", "written"),
    }
    assert reasons(made) == {}


def test_under_keep_the_models_words_are_left_out_with_a_reason() -> None:
    made = example(beside("my cat"), existing="keep", trigger="zwx")
    assert (made.text, made.caption) == ("zwx, my cat", None)
    assert reasons(made) == {
        "1girl": "the text beside the picture is kept as it is",
        "red_hat": "the text beside the picture is kept as it is",
        "mat": "its probability is under the threshold 0.5",
    }


@pytest.mark.parametrize("existing", ["keep", "prepend", "append"])
def test_a_picture_with_a_text_beside_it_is_captioned_before_any_model_ran(existing: str) -> None:
    one = beside("my cat (red)", caption=None, tags=None)
    assert example(one, existing=existing).text == r"my cat \(red\)"
    assert example(one).text is None


@pytest.mark.parametrize("text", ["", " , ,\n", "\x00"])
def test_a_text_that_says_nothing_is_none(text: str) -> None:
    assert example(beside(text, caption=None, tags=None), existing="keep").text is None
    assert example(beside(text), existing="keep").text == "a cat sitting, 1girl, red hat"
    assert needs_words(beside(text), made_policy("keep"))


def test_only_a_picture_whose_text_is_kept_needs_no_models_words() -> None:
    assert [needs_words(beside("my cat"), made_policy(mode)) for mode in MODES] == [True, False, True, True]
    assert needs_words(candidate(), made_policy("keep"))


def test_a_text_that_cannot_be_used_is_said_where_it_was_asked_for() -> None:
    one = candidate(tags=TAGS, beside=Beside("raw/a.txt", "", "it is not UTF-8 text"))
    assert example(one).remarks == ()
    for mode in MODES[1:]:
        made = example(one, existing=mode)
        assert made.remarks == ("the text beside the picture, raw/a.txt, is left out: it is not UTF-8 text",)
        assert made.text == "a cat sitting, 1girl, red hat"


@pytest.mark.parametrize("mode", MODES)
def test_a_persons_own_text_stands_above_the_one_beside_the_source(mode: str) -> None:
    made = example(beside("my cat"), {("id1", TEXT): "mine alone"}, existing=mode)
    assert (made.text, made.edited) == ("mine alone", True)


@given(hostile, tag_lists, st.sampled_from(MODES[1:]), st.sampled_from(["webui", "kohya"]))
def test_every_word_beside_the_source_is_in_the_text_and_every_tag_has_its_place_or_reason(
    said: str, tags: tuple[TagScore, ...], mode: str, escape: str
) -> None:
    one = candidate(tags=tags, beside=Beside("raw/a.txt", said))
    made = example(one, existing=mode, escape=escape)
    theirs = split(said.replace("\r", ",").replace("\n", ","))
    assume(theirs)
    assert made.text is not None
    written = split(made.text) if escape == "webui" else [" ".join(piece.split()) for piece in made.text.split(",")]
    known = {tag_text(piece).casefold() for piece in written}
    assert {tag_text(piece).casefold() for piece in theirs} <= known
    assert sum(tag.probability is not None for tag in made.tags) == len(tags)
    assert all(tag.kept != bool(tag.reason) for tag in made.tags)
