"""Curation: every picture is in the set or out of it for a reason, and a person's word stands above every limit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep import curate as curating
from capprep.candidates import CURATING, KEEP, NO, PIXELS, TEXT, YES, Candidate, LeftOut, Policy
from capprep.curate import Group
from capprep.facts import PICTURE, Appearance, PictureFact
from capprep.images.duplicates import MIRROR, Fingerprint
from capprep.images.screening import Measures

FINE = Measures(
    sharpness=0.6, brightness=0.5, shadows=0.1, highlights=0.9, contrast=0.2, information=7.0, colourfulness=40.0,
    dark_border=0.0, light_border=0.0, blockiness=0.0,
)  # fmt: skip


def appearance(scene: int, copy: int = 0, mirrored: bool = False) -> Appearance:
    """How a scene looks; copies of it differ in a bit each and are saved anew, those of another scene in about half."""
    rng = np.random.default_rng(1000 + scene)
    words = [int(word) for word in rng.integers(0, 2**63, 4)]
    tint_HWC = rng.integers(-20, 20, (4, 4, 2))
    if mirrored:
        words = [word ^ int(flip) for word, flip in zip(words, MIRROR, strict=True)]
        tint_HWC = tint_HWC[:, ::-1]
    words[1] ^= 1 << copy
    first, second, third, fourth = words
    look_D = np.random.default_rng(9 * scene + copy).normal(size=24).astype(np.float32)
    print_ = Fingerprint((first, second, third, fourth), tuple(tint_HWC.ravel().tolist()))
    return Appearance.of(f"{scene:04x}{copy:02x}{mirrored:02x}", print_, look_D)


def candidate(
    number: int,
    scene: int | None = None,
    copy: int = 0,
    *,
    mirrored: bool = False,
    side: float = 600.0,
    like: str = "",
    **measured: float,
) -> Candidate:
    """A picture.

    Args:
        number: Its number.
        scene: What it shows; by default nothing that another one shows.
        copy: Copies of a scene with the same number have the same pixels.
        mirrored: Whether it is the scene's mirror image.
        side: Of what is cut out of it, in pixels; the squares have 512.
        like: Its id, where it is not to follow from its number.
        measured: What differs from a fine picture.
    """
    fact = PictureFact(
        1000, 1000, "PNG", "RGB", 1, 1, (0.0, 0.0, side, side), side / 512, 512, measures=replace(FINE, **measured)
    )
    return Candidate(
        like or f"id{number}",
        number,
        (f"raw/p{number}.png",),
        fact,
        f"crop{number}",
        appearance=appearance(1000 + number if scene is None else scene, copy, mirrored),
    )


@dataclass(frozen=True)
class Curation:
    """What was chosen, by ids instead of places."""

    kept: frozenset[str]
    left_out: tuple[LeftOut, ...] = ()
    groups: tuple[Group, ...] = ()
    flaws: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    sharper: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)


def curate(candidates: Sequence[Candidate], decisions: curating.Decisions, policy: Policy) -> Curation:
    found = curating.curate(candidates, decisions, policy)
    flaws = {each.id: found.flaws(place) for place, each in enumerate(candidates)}
    sharper = {each.id: found.sharper(place) for place, each in enumerate(candidates)}
    return Curation(
        frozenset(candidates[place].id for place in found.places),
        found.left_out,
        found.groups,
        {id_: flaw for id_, flaw in flaws.items() if flaw},
        {id_: share for id_, share in sharper.items() if share is not None},
        dict(found.chosen),
    )


def failed(number: int, *failures: tuple[str, str, str]) -> Candidate:
    return Candidate(f"id{number}", number, (f"raw/p{number}.png",), failures=failures)


def reasons(curation: Curation) -> dict[str, str]:
    return {left.name[7:]: left.reason for left in curation.left_out}


def decided(*pairs: tuple[int, str]) -> dict[tuple[str, str], str]:
    """What people decided of pictures by number: in, out, or a text or a square of their own."""
    kinds = {"yes": (KEEP, YES), "no": (KEEP, NO), "text": (TEXT, "words"), "pixels": (PIXELS, "512:ab:.png")}
    return {(f"id{number}", kinds[word][0]): kinds[word][1] for number, word in pairs}


SIDES = st.sampled_from([300.0, 511.0, 512.0, 540.0, 700.0, 1000.0])
POLICIES = st.builds(
    Policy,
    max_upscale=st.sampled_from([1.0, 2.0]),
    duplicates=st.sampled_from(["near", "exact", "none"]),
    keep=st.integers(0, 6),
    screen=st.sampled_from(["flag", "reject", "off"]),
    min_sharpness=st.sampled_from([0.0, 0.35, 0.7]),
)


@st.composite
def sets(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for number in range(1, draw(st.integers(0, 9)) + 1):
        if draw(st.integers(0, 9)) == 0:
            found.append(failed(number, *draw(st.sampled_from([(), ((PICTURE, "corrupt", "it is damaged"),)]))))
            continue
        made = candidate(
            number,
            draw(st.integers(0, 4)),
            draw(st.integers(0, 2)),
            mirrored=draw(st.booleans()),
            side=draw(SIDES),
            sharpness=draw(st.sampled_from([0.2, 0.5, 0.8])),
            contrast=draw(st.sampled_from([0.01, 0.1])),
        )
        found.append(made)
    return found


WORDS = st.dictionaries(st.integers(1, 9), st.sampled_from(["yes", "no", "text", "pixels"])).map(
    lambda words: decided(*words.items())
)
PROPERTY = settings(deadline=None, max_examples=60)


@PROPERTY
@given(sets(), WORDS, POLICIES)
def test_every_picture_is_either_kept_or_left_out_once_with_a_code_and_a_sentence(
    candidates: list[Candidate], decisions: dict[tuple[str, str], str], policy: Policy
) -> None:
    curation = curate(candidates, decisions, policy)
    out = [left.name for left in curation.left_out]
    kept = [c.name for c in candidates if c.id in curation.kept]
    assert sorted(kept + out) == sorted(c.name for c in candidates)
    for left in curation.left_out:
        assert left.reason.isidentifier()
        assert len(left.message) > 5
    assert set(curation.chosen) <= set(curation.kept)


@PROPERTY
@given(sets(), WORDS, POLICIES)
def test_a_persons_word_stands_above_every_limit(
    candidates: list[Candidate], decisions: dict[tuple[str, str], str], policy: Policy
) -> None:
    curation = curate(candidates, decisions, policy)
    usable = {c.id: c for c in candidates if c.picture is not None}
    for (id_, kind), payload in decisions.items():
        if id_ not in usable:
            continue
        if kind == KEEP:
            assert (id_ in curation.kept) == (payload == YES)
        elif id_ not in curation.kept:
            # what a person worked on can only be too small
            (why,) = [left.reason for left in curation.left_out if left.name == usable[id_].name]
            assert why == "too_small"


@PROPERTY
@given(sets(), WORDS, st.sampled_from(["near", "exact"]))
def test_of_each_group_one_is_kept_or_all_that_a_person_wants(
    candidates: list[Candidate], decisions: dict[tuple[str, str], str], which: str
) -> None:
    policy = Policy(duplicates=which, max_upscale=16, screen="off")
    kept = curate(candidates, decisions, policy).kept
    shown: dict[object, list[str]] = {}
    for each in candidates:
        if each.appearance is not None and decisions.get((each.id, KEEP)) != NO:
            pixels = each.appearance.pixels
            shown.setdefault(pixels if which == "exact" else pixels[:2], []).append(each.id)
    wanted = {id_ for id_, _ in decisions}
    for ids in shown.values():
        mine = wanted & set(ids)
        assert kept & set(ids) == mine if mine else len(kept & set(ids)) == 1


@PROPERTY
@given(sets(), WORDS, POLICIES)
def test_as_many_are_kept_as_are_asked_for_and_the_first_ones_are_the_same_for_any_number(
    candidates: list[Candidate], decisions: dict[tuple[str, str], str], policy: Policy
) -> None:
    everything = curate(candidates, decisions, replace(policy, keep=0)).kept
    wanted = {id_ for id_, _ in decisions} & everything
    before: frozenset[str] = frozenset()
    for number in range(1, len(candidates) + 2):
        kept = curate(candidates, decisions, replace(policy, keep=number)).kept
        assert len(kept) == min(max(number, len(wanted)), len(everything))
        assert wanted | before <= kept <= everything
        before = kept


@PROPERTY
@given(st.permutations(range(6)), st.integers(0, 4), st.data())
def test_in_which_order_pictures_came_changes_nothing(order: Sequence[int], keep: int, data: st.DataObject) -> None:
    # three scenes twice; the sizes are all different by more than a tenth of the pixels
    traits = [(scene, copy, 520 * 1.2**n) for n, (scene, copy) in enumerate(itertools.product(range(3), range(2)))]
    word = decided((data.draw(st.integers(0, 5)), data.draw(st.sampled_from(["yes", "no", "text"]))))

    def kept(numbers: Sequence[int]) -> frozenset[str]:
        made = [
            candidate(number, traits[k][0], traits[k][1], side=traits[k][2], like=f"id{k}", sharpness=0.4 + 0.05 * k)
            for number, k in enumerate(numbers, start=1)
        ]
        return curate(made, word, Policy(keep=keep)).kept

    assert kept(order) == kept(range(6))


@PROPERTY
@given(sets(), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_limit_only_takes_away(candidates: list[Candidate], one: float, other: float) -> None:
    policy = Policy(duplicates="none", screen="reject")
    loose, strict = sorted((one, other))
    assert (
        curate(candidates, {}, replace(policy, min_sharpness=strict)).kept
        <= curate(candidates, {}, replace(policy, min_sharpness=loose)).kept
    )


# --- one by one ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "code", "said"),
    [
        ({"information": 0.4}, "blank", "hardly anything (0.4 bits)"),
        ({"highlights": 0.1}, "dark", "very dark (brightest 0.10 of 1)"),
        ({"shadows": 0.99}, "bright", "very bright (darkest 0.99 of 1)"),
        ({"contrast": 0.01}, "flat", "hardly any contrast (0.010)"),
        ({"sharpness": 0.2}, "blurred", "blurred (sharpness 0.20, above 25 % of this set)"),
        ({"blockiness": 0.8}, "blocky", "JPEG's blocks show (0.80 of 1)"),
        ({"dark_border": 0.7}, "border", "70% of it are a dark margin"),
        ({"light_border": 0.75}, "border", "75% of it are a light margin"),
    ],
)
def test_each_flaw_is_flagged_rejected_or_let_be(measured: dict[str, float], code: str, said: str) -> None:
    both = [candidate(1, **measured), candidate(2)]
    flagged = curate(both, {}, Policy())
    ((found, sentence),) = flagged.flaws["id1"]
    assert found == code
    assert said in sentence
    assert (flagged.kept, list(flagged.flaws)) == ({"id1", "id2"}, ["id1"])
    rejected = curate(both, {}, Policy(screen="reject"))
    assert rejected.kept == {"id2"}
    assert [(left.reason, left.message, left.crop) for left in rejected.left_out] == [(code, sentence, "crop1")]
    assert curate(both, decided((1, "yes")), Policy(screen="reject")).kept == {"id1", "id2"}
    off = curate(both, {}, Policy(screen="off"))
    assert (off.kept, off.flaws) == ({"id1", "id2"}, {})


def test_every_flaw_of_a_picture_is_said() -> None:
    (left,) = curate([candidate(1, sharpness=0.1, contrast=0.01)], {}, Policy(screen="reject")).left_out
    assert left.reason == "flat"
    assert "; " in left.message


def test_the_percentile_is_among_all_that_could_be_measured() -> None:
    five = [candidate(n, sharpness=n / 10) for n in range(1, 6)]
    assert curate(five, {}, Policy()).sharper == pytest.approx({"id1": 10, "id2": 30, "id3": 50, "id4": 70, "id5": 90})
    # being left out as a duplicate, by choice or for its size changes no other picture's standing
    assert curate(five, decided((1, "no")), Policy(keep=1)).sharper == curate(five, {}, Policy()).sharper


def test_a_picture_is_enlarged_as_far_as_is_allowed_and_not_a_last_bit_less() -> None:
    box = (0.1, 0.3, 512.1, 512.3)
    side = 512.1 - 0.1 - 2**-40
    exact = candidate(1)
    assert exact.picture is not None
    exact = replace(exact, picture=replace(exact.picture, box=box, scale=side / 512))
    assert curate([exact], {}, Policy()).kept == {"id1"}
    small = candidate(2, side=511.0)
    (left,) = curate([small], {}, Policy()).left_out
    assert (left.reason, left.stage) == ("too_small", PICTURE)
    assert "enlarged 1.00 times for 512x512; --max-upscale is 1" in left.message
    assert curate([small], {}, Policy(max_upscale=1.002)).kept == {"id2"}


def test_a_file_that_was_never_read_says_how_to_read_it_and_one_that_failed_keeps_its_reason() -> None:
    broken = failed(2, (PICTURE, "truncated", "the file ends early"))
    curation = curate([failed(1), broken], decided((1, "yes"), (2, "yes")), Policy())
    assert curation.kept == frozenset()
    assert [(left.stage, left.reason) for left in curation.left_out] == [(PICTURE, "not_read"), (PICTURE, "truncated")]
    assert "capprep ingest" in curation.left_out[0].message


def test_a_failed_caption_is_said_and_costs_no_picture() -> None:
    silent = replace(candidate(1), failures=(("caption.blip", "square_lost", "its square is gone"),))
    curation = curate([silent], {}, Policy())
    assert curation.kept == {"id1"}
    assert curation.left_out == (
        LeftOut(silent.sources, "caption.blip", "square_lost", "its square is gone", silent.name),
    )


# --- duplicates ----------------------------------------------------------------------------------


def test_what_is_like_what_and_why_which_one_is_kept_is_said() -> None:
    four = [
        candidate(1, 0, side=600),
        candidate(2, 0, 0, side=900),
        candidate(3, 0, 1, side=600),
        candidate(4, 0, mirrored=True, side=600),
    ]
    curation = curate(four, {}, Policy())
    (group,) = curation.groups
    assert (group.keeper, group.reason) == ("id2", "it is the largest of 4")
    assert [(member.id, member.relation) for member in group.members] == [
        ("id1", "the same pixels"),
        ("id2", ""),
        ("id3", "nearly the same, 2 of 256 bits differ"),
        ("id4", "its mirror image, 0 of 256 bits differ"),
    ]
    assert [left.message for left in curation.left_out] == [
        f"00002-p2 shows the same ({member.relation}); that one is kept, because it is the largest of 4"
        for member in group.members
        if member.relation
    ]


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"sharpness": 0.5}, {"sharpness": 0.7}, "it is the sharpest of 2"),
        ({"blockiness": 0.4}, {"blockiness": 0.1}, "it is the least damaged by JPEG of 2"),
        ({}, {}, "all 2 are alike and it came first"),
    ],
)
def test_between_copies_of_one_size_the_better_one_is_kept(
    first: dict[str, float], second: dict[str, float], why: str
) -> None:
    curation = curate([candidate(1, 0, **first), candidate(2, 0, 1, **second)], {}, Policy())
    assert curation.kept == {"id2" if first else "id1"}
    assert why in curation.left_out[0].message


def test_without_the_best_one_the_next_is_kept_and_it_comes_back() -> None:
    three = [candidate(n, 0, n, side=500 + 100 * n) for n in (1, 2, 3)]
    assert curate(three, {}, Policy()).kept == {"id3"}
    assert curate(three, decided((3, "no")), Policy()).kept == {"id2"}
    assert curate(three, decided((3, "no"), (2, "no")), Policy()).kept == {"id1"}
    assert reasons(curate(three, decided((3, "no")), Policy())) == {"1": "duplicate", "3": "decided"}


@pytest.mark.parametrize(("word", "why"), [("yes", "you asked for it"), ("text", "you worked on it")])
def test_what_a_person_wants_is_kept_in_place_of_the_best_and_the_others_are_compared_with_it(
    word: str, why: str
) -> None:
    three = [
        candidate(1, 0, side=900),
        candidate(2, 0, mirrored=True, side=600),
        candidate(3, 0, mirrored=True, side=600),
    ]
    curation = curate(three, decided((2, word)), Policy())
    assert curation.kept == {"id2"}
    (group,) = curation.groups
    assert (group.keeper, group.reason) == ("id2", why)
    assert [left.message for left in curation.left_out] == [
        f"00002-p2 shows the same (its mirror image, 0 of 256 bits differ); that one is kept, because {why}",
        f"00002-p2 shows the same (the same pixels); that one is kept, because {why}",
    ]


def test_groups_are_known_even_where_all_are_kept() -> None:
    two = [candidate(1, 0), candidate(2, 0, 1)]
    curation = curate(two, {}, Policy(duplicates="none"))
    assert curation.kept == {"id1", "id2"}
    assert [len(group.members) for group in curation.groups] == [2]
    assert curate(two, {}, Policy(duplicates="exact")).groups == ()


# --- the best few --------------------------------------------------------------------------------


def test_each_of_the_best_says_why_and_the_others_say_that_they_are_not_of_them() -> None:
    five = [candidate(n, sharpness=0.4 + n / 20) for n in range(1, 6)]
    curation = curate(five, decided((1, "text")), Policy(keep=3))
    assert curation.chosen["id1"] == "it is kept by decision"
    assert all("different from those chosen before" in curation.chosen[id_] for id_ in curation.kept - {"id1"})
    assert set(reasons(curation).values()) == {"not_chosen"}
    assert "not among the best 3" in curation.left_out[0].message
    assert curate(five, {}, Policy(keep=1)).kept == {"id5"}
    assert curate(five, {}, Policy(keep=5)).chosen == {}


def test_a_flawed_picture_is_among_the_best_only_where_there_are_no_others_or_a_person_wants_it() -> None:
    six = [candidate(n, sharpness=0.1 if n < 4 else 0.4 + n / 20) for n in range(1, 7)]
    assert curate(six, {}, Policy(keep=3)).kept == {"id4", "id5", "id6"}
    for number in (4, 5):
        curation = curate(six, {}, Policy(keep=number))
        assert {"id4", "id5", "id6"} < curation.kept
        assert len(curation.kept) == number
        assert "by decision" not in "".join(curation.chosen.values())
    wanted = curate(six, decided((1, "text")), Policy(keep=3))
    assert "id1" in wanted.kept
    assert wanted.kept <= {"id1", "id4", "id5", "id6"}
    (blurred, *_) = [left.message for left in wanted.left_out if left.name == "00002-p2"]
    assert "looks blurred" in blurred
    assert len(curate(six, {}, Policy(keep=2, screen="off")).kept) == 2


def test_decisions_may_be_more_than_the_number_asked_for() -> None:
    five = [candidate(n) for n in range(1, 6)]
    assert curate(five, decided((1, "yes"), (2, "text"), (3, "pixels")), Policy(keep=2)).kept == {"id1", "id2", "id3"}


def test_nothing_comes_of_nothing() -> None:
    assert curate([], {}, Policy(keep=3)) == Curation(frozenset())


def test_every_threshold_that_chooses_is_offered_where_pictures_are_chosen() -> None:
    assert set(CURATING) == {
        "max_upscale", "duplicates", "keep", "screen", "min_sharpness", "min_highlights", "max_shadows",
        "min_contrast", "min_information", "max_blockiness", "max_border",
    }  # fmt: skip
