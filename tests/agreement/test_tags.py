"""Verdicts on tags: which are tested, what near-copies count, and what is said of tags on every picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.agreement import CONTRADICTED, KINDS, SUPPORTED, UNKNOWN, Thresholds, distinct, tag_verdicts
from capprep.agreement.centring import Units, centred
from capprep.agreement.intervals import mean_interval
from capprep.agreement.tags import placed
from capprep.agreement.testability import COUNT, META, NEGATION, VISUAL
from tests.agreement.drawing import drawn

SETTINGS = settings(deadline=None, max_examples=20)


@SETTINGS
@given(st.integers(0, 1000), st.permutations(range(9)), st.permutations(range(20)))
def test_the_order_of_tags_and_pictures_does_not_matter(seed: int, tags: list[int], pictures: list[int]) -> None:
    made = drawn(20, 9, 1.5, seed)
    before = tag_verdicts(made.similarity_NM, made.tags_NM)
    order = np.ix_(pictures, tags)
    after = tag_verdicts(made.similarity_NM[order], made.tags_NM[order])
    assert after == [before[m] for m in tags]


@SETTINGS
@given(st.integers(0, 1000), st.lists(st.integers(0, 19), min_size=1, max_size=30))
def test_near_copies_that_are_said_to_be_such_change_nothing(seed: int, copied: list[int]) -> None:
    made = drawn(20, 8, 1.5, seed)
    once = tag_verdicts(made.similarity_NM, made.tags_NM)
    rows = [*range(20), *copied]
    again = tag_verdicts(made.similarity_NM[rows], made.tags_NM[rows], groups_N=np.array(rows))
    for before, after in zip(once, again, strict=True):
        assert (after.state, after.kind, after.auc, after.p, after.q) == (
            (before.state, before.kind, before.auc, before.p, before.q)
        )


def test_copies_that_nobody_groups_are_false_evidence() -> None:
    made = drawn(20, 60, 0.0, 3)
    rows = np.repeat(np.arange(20), 4)
    alone = [verdict.state for verdict in tag_verdicts(made.similarity_NM[rows], made.tags_NM[rows])]
    grouped = [v.state for v in tag_verdicts(made.similarity_NM[rows], made.tags_NM[rows], groups_N=rows)]
    assert alone.count(SUPPORTED) > 5
    assert grouped.count(SUPPORTED) == 0


def test_a_unit_carries_what_half_of_its_pictures_do() -> None:
    units = Units.of(5, np.array([7, 3, 7, 3, 3]))
    assert units.count == 2
    assert units.carriers(np.array([[True], [False], [False], [True], [False]])).tolist() == [[False], [True]]
    assert units.means(np.array([[1.0], [2], [3], [4], [6]])).tolist() == [[4.0], [2.0]]
    with pytest.raises(ValueError, match="3 labels for 5 pictures"):
        Units.of(5, np.arange(3))


def test_tags_that_cannot_be_tested_do_not_cost_the_others_power() -> None:
    made = drawn(30, 10, 2.0, 1)
    # of 500 more tags half are counts and half on one picture, whose p-value can be no smaller than 1/30
    more_NM, rare_NM = np.random.default_rng(0).normal(size=(30, 500)), np.zeros((30, 500), dtype=bool)
    rare_NM[:8, ::2] = True
    rare_NM[0, 1::2] = True
    similarity_NM, tags_NM = np.hstack([made.similarity_NM, more_NM]), np.hstack([made.tags_NM, rare_NM])
    classes = [VISUAL] * 10 + [COUNT, VISUAL] * 250
    few = tag_verdicts(made.similarity_NM, made.tags_NM, made.similarity_NM)
    many = tag_verdicts(similarity_NM, tags_NM, made.similarity_NM, Thresholds(attainable=0.01), classes)
    assert [verdict.q for verdict in many[:10]] == [verdict.q for verdict in few]
    assert {verdict.kind for verdict in many[10::2]} == {"untestable"}
    assert {verdict.kind for verdict in many[11::2]} == {"rare"}
    tested = tag_verdicts(similarity_NM, tags_NM, made.similarity_NM)
    best = min(range(10), key=lambda m: few[m].p or 1.0)
    assert (tested[best].q or 0.0) > 2 * (few[best].q or 0.0) > 0


def test_counts_negations_and_quality_words_are_never_judged() -> None:
    made = drawn(60, 12, 4.0, 0, carried=20)
    for similarity_NM in (made.similarity_NM, -made.similarity_NM):
        verdicts = tag_verdicts(similarity_NM, made.tags_NM, classes=[COUNT, NEGATION, META, VISUAL] * 3)
        assert {verdict.kind for m, verdict in enumerate(verdicts) if m % 4 != 3} == {"untestable"}
        assert {verdict.state for m, verdict in enumerate(verdicts) if m % 4 != 3} == {UNKNOWN}
        assert {verdict.state for verdict in verdicts[3::4]} <= {SUPPORTED, CONTRADICTED}
        assert verdicts[0].reason.startswith("a count: ")


def test_of_a_weak_tag_it_is_said_whether_chance_or_a_small_effect_is_the_reason() -> None:
    fit_N = np.arange(40.0)
    tags_NM = np.zeros((40, 3), dtype=bool)
    tags_NM[20, 0] = tags_NM[[19, 21], 0] = True  # in the middle
    tags_NM[[38, 22], 1] = True  # high, and only two
    tags_NM[12:32, 2] = True  # many, a little higher
    plain = np.zeros((40, 2))
    middle, two, _ = tag_verdicts(np.column_stack([fit_N] * 3), tags_NM, plain)
    assert middle.reason == "fits its 3 pictures no better than the 37 others (AUC 0.51, p = 0.48)"
    assert two.reason.startswith("fits its 2 pictures better than the 38 others, which may be chance (AUC 0.7")
    (slight,) = tag_verdicts(np.repeat(fit_N, 20)[:, None], np.repeat(tags_NM[:, 2:], 20, axis=0), np.zeros((800, 2)))
    assert (slight.kind, slight.q is not None and slight.q < 0.1) == ("weak", True)
    assert slight.reason.startswith("fits its 400 pictures only a little better than the 400 others (AUC 0.60")


def test_of_the_supported_at_most_a_tenth_are_false_and_of_the_contradicted_too() -> None:
    shares = []
    for seed in range(30):
        made = drawn(50, 60, 1.5, seed)
        false_M = np.arange(60) % 2 == 0
        similarity_NM = np.where(false_M, drawn(50, 60, 0.0, 1000 + seed).similarity_NM, made.similarity_NM)
        for state, scores_NM in ((SUPPORTED, similarity_NM), (CONTRADICTED, -similarity_NM)):
            said_M = np.array([verdict.state == state for verdict in tag_verdicts(scores_NM, made.tags_NM)])
            assert said_M.sum() > 10
            shares.append((said_M & false_M).sum() / said_M.sum())
    assert np.mean(shares) <= 0.10


def test_a_tag_on_every_picture_is_placed_among_other_words() -> None:
    rng = np.random.default_rng(0)
    reference_NR = rng.random((30, 99))
    similarity_NM = np.column_stack([np.full(30, 0.9), np.full(30, 2.0)])
    fits, best = tag_verdicts(similarity_NM, np.ones((30, 2), dtype=bool), reference_NR)
    assert (fits.state, fits.kind) == (best.state, best.kind) == (UNKNOWN, "constant")
    share = (reference_NR < 0.9).mean()
    assert f"on them it fits better than {round(100 * share)} % of other words (" in fits.reason
    assert best.reason.endswith("fits better than 100 % of other words (100 to 100 %)")


def test_the_place_is_the_mean_over_pictures_with_an_interval_that_near_copies_do_not_narrow() -> None:
    rng = np.random.default_rng(1)
    similarity_N, reference_NR, carriers_N = rng.random(12), rng.random((12, 40)), np.arange(12) > 1
    by_hand = np.mean([(reference_NR[n] < similarity_N[n]).mean() for n in range(2, 12)])
    once = placed(similarity_N, reference_NR, carriers_N, Units.of(12))
    rows = np.repeat(np.arange(12), 9)
    grouped = placed(similarity_N[rows], reference_NR[rows], carriers_N[rows], Units.of(108, rows))
    apart = placed(similarity_N[rows], reference_NR[rows], carriers_N[rows], Units.of(108))
    assert once is not None
    assert apart is not None
    assert once == grouped
    assert once.value == pytest.approx(by_hand)
    assert once.low < once.value < once.high
    assert apart.high - apart.low < (once.high - once.low) / 2
    assert placed(similarity_N, reference_NR[:, :1], carriers_N, Units.of(12)) is None


def test_intervals_hold_the_true_mean_nineteen_times_in_twenty() -> None:
    held = 0
    for seed in range(100):
        values = np.random.default_rng(seed).exponential(size=60)
        found = mean_interval(values, np.arange(60))
        held += found.low <= 1.0 <= found.high
    assert 0.90 <= held / 100 <= 0.98


def test_texts_that_cannot_be_told_apart_are_one_text_of_reference() -> None:
    rng = np.random.default_rng(0)
    vectors_RD = rng.normal(size=(6, 8))
    vectors_RD[[2, 4]] = vectors_RD[1] + 1e-8
    assert distinct(vectors_RD).tolist() == [0, 1, 3, 5]


def test_centring_takes_out_means_and_what_is_finer_than_rounding() -> None:
    similarity_NM = np.random.default_rng(0).normal(size=(9, 7)) * 1e-3
    residual_NM = centred(similarity_NM)
    expected_NM = similarity_NM - similarity_NM.mean(1, keepdims=True)
    expected_NM -= expected_NM.mean(0)
    assert np.allclose(residual_NM, expected_NM, atol=1e-12)
    jittered_NM = similarity_NM + 1e-17 * np.random.default_rng(1).normal(size=(9, 7))
    assert np.array_equal(residual_NM, centred(jittered_NM))


def test_every_kind_of_verdict_is_explained() -> None:
    made = drawn(30, 40, 1.0, 0, carried=4)
    assert {verdict.kind for verdict in tag_verdicts(made.similarity_NM, made.tags_NM)} <= set(KINDS)
