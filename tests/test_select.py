"""Selection: facts, decisions and thresholds in; exact texts and reasons out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.candidates import PIXELS, TEXT, Candidate, LeftOut, Policy
from capprep.curate import curate
from capprep.errors import ConfigError
from capprep.facts import PictureFact, TagScore
from capprep.select import Judgements, Selection, edited_pixels, judge, select
from capprep.toybox.world import scene
from capprep.wording import Wordings, Words, vocabulary

PICTURE = PictureFact(640, 512, "JPEG", "RGB", 1, 1, (64.0, 0.0, 576.0, 512.0), 1.0, 512)
TAGS = (
    TagScore("long_hair", "general", 0.9),
    TagScore("slime_(substance)", "general", 0.6),
    TagScore("hat", "general", 0.3),
    TagScore("rating:safe", "rating", 0.99),
)


def candidate(number: int = 1, **changes: object) -> Candidate:
    values = {
        "id": f"id{number}",
        "number": number,
        "sources": (f"raw/cat {number}.jpg",),
        "picture": PICTURE,
        "crop": "c0",
        "caption": "a cat, sitting",
        "tags": TAGS,
        **changes,
    }
    return Candidate(**values)  # type: ignore[arg-type]


def selected(
    candidates: Sequence[Candidate], unreadable: Sequence[LeftOut], decisions: dict, policy: Policy
) -> Selection:
    curation = curate(candidates, decisions, policy)
    chosen = [candidates[place] for place in curation.places]
    return select(chosen, curation, unreadable, Judgements(), decisions, Wordings(policy)).held()


def chosen(*candidates: Candidate, policy: Policy | None = None, decisions: dict | None = None):
    return selected(candidates, [], decisions or {}, policy or Policy())


def words_of(one: Candidate, decisions: dict, **policy: object) -> Words:
    return Wordings(Policy(**policy)).words_of(one, decisions)  # type: ignore[arg-type]


def test_the_text_is_the_caption_then_the_tags_over_the_threshold() -> None:
    (example,) = chosen(candidate()).examples
    assert example.text == r"a cat sitting, long hair, slime \(substance\)"
    assert example.name == "00001-cat_1"


def test_every_tag_left_out_has_its_reason() -> None:
    (example,) = chosen(candidate()).examples
    reasons = {tag.name: tag.reason for tag in example.tags if not tag.kept}
    assert set(reasons) == {"hat", "rating:safe"}
    assert "under the threshold 0.5" in reasons["hat"]
    assert "ratings" in reasons["rating:safe"]


def test_another_threshold_changes_the_text_and_needs_no_model() -> None:
    assert (
        chosen(candidate(), policy=Policy(booru_threshold="0.2")).examples[0].text
        == r"a cat sitting, long hair, slime \(substance\), hat"
    )
    assert chosen(candidate(), policy=Policy(booru_threshold="0.95")).examples[0].text == "a cat sitting"


@pytest.mark.parametrize("text", ["0.01", "1.5", "nan", "half", "character=", "a=0.5,a=0.6", "Odd!=0.5"])
def test_thresholds_that_are_none_are_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="booru_threshold") as error:
        Policy(booru_threshold=text)
    assert error.value.hint


def test_a_persons_text_wins_whatever_the_models_say() -> None:
    (example,) = chosen(candidate(), decisions={("id1", TEXT): "my words (exactly), ok"}).examples
    assert (example.text, example.edited) == ("my words (exactly), ok", True)
    (silent,) = chosen(candidate(caption=None, tags=None), decisions={("id1", TEXT): "mine"}).examples
    assert silent.text == "mine"


@pytest.mark.parametrize(
    ("text", "caption", "tags"),
    [
        ("a red cat on a mat, cat, red cat", "a red cat on a mat", ("cat", "red cat")),
        ("a red cat, cat", None, ("a red cat", "cat")),
        ("a cat sitting, cat", "a cat sitting", ("cat",)),  # short, but the captioner's own
        (r"slime \(substance\), long_hair, o_o, hat, hat", None, ("slime (substance)", "long hair", "o_o", "hat")),
        ("two dogs that look at a cat", "two dogs that look at a cat", ()),
        ("", None, ()),
    ],
)
def test_a_persons_text_is_cut_into_a_sentence_and_tags(text: str, caption: str | None, tags: tuple[str, ...]) -> None:
    words = words_of(candidate(), {("id1", TEXT): text})
    assert (words.caption, words.tags) == (caption, tags)
    (example,) = chosen(candidate(), decisions={("id1", TEXT): text}).examples
    assert (example.text, example.caption) == (text, caption)
    assert tuple(tag.text for tag in example.tags if tag.kept) == tags


def test_without_a_persons_text_the_words_are_the_models_as_they_are_written() -> None:
    words = words_of(candidate(), {("another", TEXT): "mine"}, booru_threshold="0.7")
    assert (words.caption, words.tags) == ("a cat sitting", ("long hair",))
    assert words_of(candidate(caption=None, tags=None), {}).caption is None


def test_what_a_person_took_out_and_put_in_is_told_from_what_the_models_said() -> None:
    other = candidate(2, tags=(TagScore("red_cat", "character", 0.9),))
    decisions = {("id1", TEXT): "the best hat of all, hat, red cat, my own"}
    example, _ = chosen(candidate(), other, decisions=decisions).examples
    assert [(tag.name, tag.category, tag.probability, tag.kept, tag.reason) for tag in example.tags] == [
        ("hat", "general", 0.3, True, ""),
        ("red_cat", "character", None, True, ""),
        ("my own", "written", None, True, ""),
        ("long_hair", "general", 0.9, False, "not in the text written by hand"),
        ("slime_(substance)", "general", 0.6, False, "not in the text written by hand"),
        ("rating:safe", "rating", 0.99, False, "ratings describe the picture, not what is on it"),
    ]
    assert example.replaced == "a cat sitting"
    (kept,) = chosen(candidate(), decisions={("id1", TEXT): "a cat sitting, hat"}).examples
    assert kept.replaced is None


def test_a_persons_pixels_win() -> None:
    (example,) = chosen(candidate(), decisions={("id1", PIXELS): edited_pixels(512, "c9")}).examples
    assert (example.crop, example.pixels_edited) == ("c9", True)
    (other,) = chosen(candidate(), decisions={("id1", PIXELS): edited_pixels(768, "c9")}).examples
    assert (other.crop, other.pixels_edited) == ("c0", False)


def test_there_is_no_text_before_a_caption_or_tags() -> None:
    assert chosen(candidate(caption=None, tags=None)).examples[0].text is None
    assert chosen(candidate(caption=None)).examples[0].text == r"long hair, slime \(substance\)"
    assert chosen(candidate(tags=None)).examples[0].text == "a cat sitting"


def test_a_failed_picture_is_left_out_with_its_reason_and_files_that_never_opened_are_too() -> None:
    failed = candidate(2, picture=None, crop=None, failures=(("picture", "truncated", "it ends early"),))
    gone = LeftOut(("raw/gone.jpg",), "source", "unreadable", "it cannot be opened")
    selection = selected([candidate(), failed], [gone], {}, Policy())
    assert len(selection.examples) == 1
    assert [left.reason for left in selection.left_out] == ["unreadable", "truncated"]
    assert selection.left_out[1].to_json()["sources"] == ("raw/cat 2.jpg",)


def test_how_much_a_picture_may_be_enlarged_is_policy() -> None:
    small = candidate(picture=dataclasses.replace(PICTURE, scale=0.4))
    (left,) = chosen(small).left_out
    assert left.reason == "too_small"
    assert "enlarged 2.50 times for 512x512; --max-upscale is 1" in left.message
    assert len(chosen(small, policy=Policy(max_upscale=2.5)).examples) == 1


@given(st.text(), st.integers(1, 99999))
def test_names_are_safe_unique_and_short_whatever_the_source_is_called(stem: str, number: int) -> None:
    name = candidate(number, sources=(f"raw/{stem}.jpg",)).name
    assert name.startswith(f"{number:05d}-")
    assert len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\n\0')
    assert not name.endswith(".")


def known(candidates: Sequence[Candidate], decisions: dict, **policy: object) -> list[str]:
    wordings = Wordings(Policy(**policy))  # type: ignore[arg-type]
    return vocabulary(candidates, decisions, wordings)


def test_the_vocabulary_is_every_caption_and_tag_but_no_rating() -> None:
    assert known([candidate()], {}) == ["a cat sitting", "hat", "long hair", "slime (substance)"]


def test_the_vocabulary_holds_a_persons_words_and_still_the_models_so_that_they_can_come_back() -> None:
    before = known([candidate()], {})
    now = known([candidate()], {("id1", TEXT): "two dogs look at me, dog, hat"})
    assert set(now) - set(before) == {"two dogs look at me", "dog"}
    assert set(before) <= set(now)


def test_agreement_judges_what_is_written_and_leaves_out_pictures_without_a_vector() -> None:
    rng = np.random.default_rng(0)
    axis = np.eye(4, dtype=np.float32)
    pictures = [
        candidate(
            n,
            caption=f"picture {n}",
            tags=(TagScore("cat" if n % 2 else "dog", "general", 0.9), TagScore("hat", "general", 0.3)),
            embedding=axis[n % 2] + 0.05 * rng.normal(size=4).astype(np.float32),
        )
        for n in range(12)
    ]
    vectors = {"cat": axis[1], "dog": axis[0], "hat": axis[2], **{f"picture {n}": axis[n % 2] for n in range(12)}}
    wordings = Wordings(Policy())
    judgements = judge([*pictures, candidate(99)], {}, vectors, wordings)
    assert {name: verdict.state for name, verdict in judgements.tags.items()} == {
        "cat": "supported",
        "dog": "supported",
    }
    assert set(judgements.captions) == {f"id{n}" for n in range(12)}
    assert judge([candidate()], {}, {}, wordings) == Judgements()
    assert judge(pictures, {}, {}, wordings) == Judgements()
    assert judge(pictures, {}, {f"picture {n}": axis[0] for n in range(12)}, wordings).tags == {}
    assert judge(pictures, {}, {"cat": axis[1], "dog": axis[0]}, wordings).captions == {}


def drawn(oracle) -> list[Candidate]:
    """Twenty pictures of the drawn world with all that is true of them."""
    scenes = [scene(seed) for seed in range(20)]
    return [
        candidate(
            n,
            caption=shown.caption,
            tags=tuple(TagScore(tag, "general", 0.9) for tag in shown.tags),
            embedding=oracle(shown.caption),
        )
        for n, shown in enumerate(scenes)
    ]


def verdicts(oracle, pictures: list[Candidate], decisions: dict[tuple[str, str], str]) -> Judgements:
    vectors = {text: oracle(text) for text in known(pictures, decisions)}
    return judge(pictures, decisions, vectors, Wordings(Policy()))


def test_exchanged_texts_are_weak_and_all_others_supported(oracle) -> None:
    pictures = drawn(oracle)
    before = verdicts(oracle, pictures, {})
    assert {verdict.state for verdict in before.captions.values()} == {"supported"}
    texts = [example.text or "" for example in chosen(*pictures).examples]
    for one, other in ((0, 1), (2, 7), (19, 4)):
        decisions = {(f"id{one}", TEXT): texts[other], (f"id{other}", TEXT): texts[one]}
        after = verdicts(oracle, pictures, decisions).captions
        weak = {name: verdict for name, verdict in after.items() if verdict.state != "supported"}
        assert set(weak) == {f"id{one}", f"id{other}"}
        for verdict in weak.values():
            assert verdict.kind == "weak"
            assert "of the 19 other pictures fit this caption better" in verdict.reason


def test_a_person_is_judged_by_the_tags_they_wrote_and_not_by_the_taggers(oracle) -> None:
    pictures = drawn(oracle)
    right = {n for n, picture in enumerate(pictures) if "sandy_beach" in {tag.name for tag in picture.tags or ()}}
    wrong = set(range(20)) - right
    decisions = {(f"id{n}", TEXT): "sandy beach" if n in wrong else "elsewhere" for n in range(20)}
    judged = verdicts(oracle, pictures, decisions)
    assert verdicts(oracle, pictures, {}).tags["sandy beach"].state == "supported"
    assert judged.tags["sandy beach"].state == "contradicted"
    assert (judged.tags["sandy beach"].carriers, set(judged.tags)) == (len(wrong), {"elsewhere", "sandy beach"})
    assert judged.captions == {}


def test_a_text_without_a_vector_gets_no_verdict_and_is_not_judged_as_the_models_text(oracle) -> None:
    pictures = drawn(oracle)
    vectors = {text: oracle(text) for text in known(pictures, {})}
    decisions = {("id3", TEXT): "words that nobody has read, dragon"}
    judged = judge(pictures, decisions, vectors, Wordings(Policy()))
    assert set(judged.captions) == {f"id{n}" for n in range(20)} - {"id3"}
    assert "dragon" not in judged.tags
