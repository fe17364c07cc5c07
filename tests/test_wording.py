"""The words of pictures: which a policy writes, what each text says, and why everything else is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.candidates import TEXT, Candidate, Policy
from capprep.curate import curate
from capprep.errors import ConfigError
from capprep.facts import PictureFact, TagScore
from capprep.models import clip_tokens
from capprep.select import Example, Judgements, select
from capprep.thresholds import Thresholds
from capprep.wording import Wordings, vocabulary

PICTURE = PictureFact(640, 512, "JPEG", "RGB", 1, 1, (64.0, 0.0, 576.0, 512.0), 1.0, 512)
TAGS = (
    TagScore("1girl", "general", 0.95),
    TagScore("long_hair", "general", 0.9),
    TagScore("hat", "general", 0.6),
    TagScore("saber_(fate)", "character", 0.45),
    TagScore("rating:safe", "rating", 0.99),
)
names = st.sampled_from(["long_hair", "hat", "cat_ears", "cap", "o_o", "white_hat", ",", "a_(b)", "1girl", "2girls"])
tags = st.lists(
    st.builds(
        TagScore, names, st.sampled_from(["general", "character", "rating"]), st.integers(1, 20).map(lambda p: p / 20)
    ),
    max_size=8,
).map(tuple)


def candidate(number: int = 1, **changes: object) -> Candidate:
    values = {
        "id": f"id{number}",
        "number": number,
        "sources": ("raw/0012-red cat.jpg",),
        "picture": PICTURE,
        "crop": "c0",
        "caption": "a cat, sitting",
        "tags": TAGS,
        **changes,
    }
    return Candidate(**values)  # type: ignore[arg-type]


def example(one: Candidate, decisions: dict | None = None, *, count: bool = False, **policy: object) -> Example:
    encode = clip_tokens.encoder() if count or policy.get("budget") else None
    wordings = Wordings(Policy(**policy), encode)  # type: ignore[arg-type]
    curation = curate([one], {}, wordings.policy)
    (made,) = select([one], curation, [], Judgements(), decisions or {}, wordings).examples
    return made


def reasons(made: Example) -> dict[str, str]:
    return {tag.name: tag.reason for tag in made.tags if not tag.kept}


def test_the_taggers_own_thresholds_count_unless_a_person_names_others() -> None:
    own = candidate(thresholds=Thresholds(0.92, {"character": 0.4}))
    assert example(own).text == r"a cat sitting, 1girl, saber \(fate\)"
    assert example(own, booru_threshold="general=0.7").text == r"a cat sitting, 1girl, long hair, saber \(fate\)"
    assert example(own, booru_threshold="0.7").text == "a cat sitting, 1girl, long hair"
    assert reasons(example(own, booru_threshold="0.7,character=0.5")) == {
        "hat": "its probability is under the threshold 0.7",
        "saber_(fate)": "its probability is under the threshold 0.5 for character tags",
        "rating:safe": "ratings describe the picture, not what is on it",
    }
    assert Policy(booru_threshold=0.7) == Policy(booru_threshold="0.7"), "a number counts as the same text"


def test_mcut_cuts_each_picture_at_its_largest_gap() -> None:
    sure = candidate(beneath={"general": 0.01, "character": 0.02})
    assert example(sure, mcut=True).text == r"a cat sitting, 1girl, long hair, hat, saber \(fate\)"
    split = candidate(tags=(*TAGS[:2], TagScore("hat", "general", 0.55)), beneath={"general": 0.45})
    assert example(split).text == "a cat sitting, 1girl, long hair, hat"
    cut = example(split, mcut=True)
    assert cut.text == "a cat sitting, 1girl, long hair"
    assert reasons(cut) == {"hat": "its probability is under the largest gap of this picture's general tags"}


@given(tags, st.sampled_from(["none", "character"]), st.booleans(), st.sampled_from(["", "cap = hat", "hat = cap"]))
def test_every_tag_is_in_the_text_or_has_a_reason_and_the_words_are_those_of_the_text(
    given_tags: tuple[TagScore, ...], preset: str, mcut: bool, alias: str
) -> None:
    one = candidate(tags=given_tags)
    made = example(one, preset=preset, mcut=mcut, alias=alias, escape="kohya", trigger="zwx")
    assert len(made.tags) == len(given_tags)
    assert all(tag.kept != bool(tag.reason) for tag in made.tags)
    written = (made.text or "").split(", ")
    assert written[:2] == ["zwx", "a cat sitting"]
    assert written[2:] == [tag.text for tag in made.tags if tag.kept]


def test_options_shape_the_text_and_every_step_says_why() -> None:
    rules = {"alias": "hat = cap", "blacklist": "1girl", "preset": "character", "trigger": "zwx"}
    made = example(candidate(), booru_threshold="0.3", **rules)
    assert made.text == r"zwx, a cat sitting, cap, saber \(fate\)"
    assert reasons(made) == {
        "1girl": "it is on the blacklist",
        "long_hair": "hair belongs to the character, which the net is to learn without the word",
        "rating:safe": "ratings describe the picture, not what is on it",
    }
    assert {tag.name: tag.text for tag in made.tags if tag.kept} == {"hat": "cap", "saber_(fate)": "saber (fate)"}


def test_a_caption_that_the_form_has_no_place_for_is_said_and_is_not_judged() -> None:
    made = example(candidate(), merge="tags")
    assert (made.text, made.caption, made.replaced) == ("1girl, long hair, hat", None, None)
    assert made.remarks == ("the caption is left out of the text: the form 'tags' has no place for it",)
    named = example(candidate(), merge="{name}, {tags}")
    assert named.text == "red cat, 1girl, long hair, hat"
    assert example(candidate(sources=("raw/B.TAR.gz!in/7 a_b.png",)), merge="{name}, {tags}").text == (
        "a b, 1girl, long hair, hat"
    )


@pytest.mark.parametrize("trigger", ["zwx", "zwx (x), art", "[name]", "a trigger of many words"])
def test_the_trigger_is_neither_the_sentence_nor_a_tag_of_a_persons_text(trigger: str) -> None:
    one, policy = candidate(), Policy(trigger=trigger)
    wordings = Wordings(policy)
    written = wordings.of(one).text or ""
    assert written.count(",") == 4 + trigger.count(",")
    edited = written.replace("long hair", "short hair")
    words = wordings.words_of(one, {("id1", TEXT): edited})
    assert (words.caption, words.tags) == ("a cat sitting", ("1girl", "short hair", "hat"))
    assert not any(piece in vocabulary([one], {("id1", TEXT): edited}, wordings) for piece in trigger.split(", "))


def test_a_templates_own_words_are_neither_but_a_part_with_the_caption_is_the_sentence() -> None:
    one, policy = candidate(), Policy(merge="art of the {trigger} school, a photo of {caption}, {tags}", trigger="zwx")
    wordings = Wordings(policy)
    text = wordings.of(one).text or ""
    assert text == "art of the zwx school, a photo of a cat sitting, 1girl, long hair, hat"
    assert wordings.words_of(one, {}).caption == "a cat sitting"
    words = wordings.words_of(one, {("id1", TEXT): text})
    assert (words.caption, words.tags) == ("a photo of a cat sitting", ("1girl", "long hair", "hat"))


def test_the_vocabulary_knows_an_aliass_target_whatever_the_threshold_and_what_it_stands_for() -> None:
    one = candidate()
    wordings = Wordings(Policy(alias="saber (fate) = altria", booru_threshold="0.9"))
    assert {"altria", "saber (fate)", "hat"} <= set(vocabulary([one], {}, wordings))


def test_rules_that_are_about_no_tag_of_any_picture_are_known() -> None:
    pictures = [candidate(1), candidate(2, tags=(TagScore("cat_ears", "general", 0.9),)), candidate(3, tags=None)]
    policy = Policy(blacklist="long hair, lnog hair", alias="cat_ears = ears, dog_ears = ears")
    wordings = Wordings(policy)
    for each in pictures:
        wordings.of(each)
    assert [rule.text for rule in wordings.unmatched] == ["dog_ears = ears", "lnog hair"]


def test_what_lies_behind_the_first_tokens_is_remarked_whoever_wrote_it() -> None:
    many = tuple(TagScore(f"word {n} of many", "general", 0.9) for n in range(10, 40))
    behind = example(candidate(tags=many), count=True).remarks
    assert len(behind) == 1
    assert behind[0].startswith("behind the first 75 tokens")
    assert "word 39 of many" in behind[0]
    assert "word 10 of many" not in behind[0]
    assert example(candidate(tags=many)).remarks == ()
    assert example(candidate(), count=True).remarks == ()
    by_hand = {("id1", TEXT): ", ".join(f"my word {n}" for n in range(10, 40))}
    (remark,) = example(candidate(), by_hand, count=True).remarks
    assert "my word 39" in remark
    assert "my word 10" not in remark
    assert example(candidate(tags=many), {("id1", TEXT): "short"}, count=True).remarks == ()


def test_a_budget_drops_the_least_probable_tags_and_says_so() -> None:
    made = example(candidate(), budget=8)
    assert made.text == "a cat sitting, 1girl"
    assert reasons(made)["hat"] == reasons(made)["long_hair"] == "behind the budget of 8 tokens"
    long = example(candidate(caption="a cat that sits on a very long mat of many colours", tags=()), budget=8)
    assert long.text == long.caption == "a cat that sits on a very long"
    assert long.remarks == ("the caption is cut short: behind the budget of 8 tokens",)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="concept"):
        Wordings(Policy(preset="concept"))
