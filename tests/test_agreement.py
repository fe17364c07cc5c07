"""Agreement: verdicts with error control."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep import agreement
from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, WEAK, caption_verdicts, centred, tag_verdicts


def scores(pictures: int, tags: int, carried: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with main effects of pictures and texts; carriers of each tag are shifted."""
    rng = np.random.default_rng(seed)
    carriers = np.zeros((pictures, tags), dtype=bool)
    for m in range(tags):
        carriers[rng.choice(pictures, carried, replace=False), m] = True
    noise = rng.normal(size=(pictures, tags)) + rng.normal(size=(pictures, 1)) + 2 * rng.normal(size=(1, tags))
    return noise + shift * carriers, carriers


def test_tags_that_fit_are_supported_and_swapped_ones_contradicted() -> None:
    similarity, carriers = scores(60, 20, 12, 3.0, 0)
    similarity[:, 10:] = similarity[:, 10:] - 6.0 * carriers[:, 10:]
    states = [verdict.state for verdict in tag_verdicts(similarity, carriers)]
    assert states[:10].count(SUPPORTED) >= 9
    assert states[10:].count(CONTRADICTED) >= 9


def test_under_the_null_few_tags_are_called_supported() -> None:
    false = sum(
        verdict.state == SUPPORTED for seed in range(20) for verdict in tag_verdicts(*scores(30, 30, 6, 0.0, seed))
    )
    assert false / 600 < 0.02


def test_p_and_auc_equal_full_enumeration_on_a_small_set() -> None:
    similarity, carriers = scores(8, 3, 3, 1.5, 4)
    verdicts = tag_verdicts(similarity, carriers)
    residual = centred(similarity)
    for m, verdict in enumerate(verdicts):
        own = residual[carriers[:, m], m]
        rest = residual[~carriers[:, m], m]
        auc = np.mean([a > b for a, b in itertools.product(own, rest)])
        assert verdict.auc == pytest.approx(auc, abs=1e-4)
        ranks = residual[:, m].argsort().argsort()
        sums = [sum(ranks[list(chosen)]) for chosen in itertools.combinations(range(8), 3)]
        observed = ranks[carriers[:, m]].sum()
        upper = np.mean([s >= observed for s in sums])
        lower = np.mean([s <= observed for s in sums])
        assert verdict.p is not None
        assert min(abs(verdict.p - upper), abs(verdict.p - lower)) < 1e-9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.permutations(range(12)))
def test_the_order_of_the_pictures_does_not_matter(seed: int, order: list[int]) -> None:
    similarity, carriers = scores(12, 4, 4, 1.0, seed)
    assert tag_verdicts(similarity, carriers) == tag_verdicts(similarity[order], carriers[order])


def test_what_belongs_to_a_picture_or_a_text_alone_has_no_influence() -> None:
    similarity, carriers = scores(20, 5, 6, 1.0, 1)
    moved = similarity + np.arange(20)[:, None] * 10 - np.arange(5)[None, :] * 7
    assert [v.auc for v in tag_verdicts(similarity, carriers)] == [v.auc for v in tag_verdicts(moved, carriers)]


def test_too_few_or_too_many_carriers_are_said_to_tell_nothing() -> None:
    similarity = np.random.default_rng(0).normal(size=(10, 4))
    carriers = np.zeros((10, 4), dtype=bool)
    carriers[:, 0] = True
    carriers[:8, 1] = True
    carriers[0, 2] = True
    verdicts = tag_verdicts(similarity, carriers)
    assert [verdict.kind for verdict in verdicts] == ["constant", "constant", "rare", "untested"]
    assert {verdict.state for verdict in verdicts} == {UNKNOWN}
    assert "on every picture" in verdicts[0].reason
    assert "1 picture of 10" in verdicts[2].reason
    assert verdicts[3].auc is None


def words(count: int) -> list[str]:
    return [f"caption {n}" for n in range(count)]


def test_captions_that_fit_are_supported_and_wrong_ones_contradicted() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 40))
    fit = caption_verdicts(noise + 6 * np.eye(40), words(40))
    assert [verdict.state for verdict in fit].count(SUPPORTED) >= 39
    assert fit[0].reason == "39 of the 39 other pictures fit this caption less well"
    wrong = caption_verdicts(noise - 6 * np.eye(40), words(40))
    assert [verdict.state for verdict in wrong].count(CONTRADICTED) >= 39
    assert "fit this caption better" in wrong[0].reason


def test_of_an_exchanged_caption_it_is_said_how_many_others_fit_it_better() -> None:
    similarity = np.eye(20) + 0.1 * np.random.default_rng(0).random((20, 20))
    exchanged = similarity[:, [1, 0, *range(2, 20)]]
    # without a reference's means the order of the fits is that of the similarities
    first, second, *others = caption_verdicts(exchanged, words(20), reference_NR=np.zeros((20, 2)))
    assert {verdict.state for verdict in others} == {SUPPORTED}
    assert (first.state, first.kind) == (second.state, second.kind) == (UNKNOWN, WEAK)
    better = int((exchanged[:, 0] > exchanged[0, 0]).sum())
    assert better > 1
    assert first.reason == f"{better} of the 19 other pictures fit this caption better"


def test_a_weak_caption_that_fits_best_of_all_is_not_said_to_fit_worse() -> None:
    similarity = np.diag([9.0, *np.zeros(7)]) + np.random.default_rng(0).random((8, 8))
    first = caption_verdicts(similarity, words(8))[0]
    assert (first.kind, first.auc) == (WEAK, 1.0)
    assert first.reason == "none of the 7 other pictures fits this caption better, which may be chance"


def test_one_picture_that_fits_better_is_said_in_the_singular() -> None:
    similarity = np.eye(12)
    similarity[1, 0] = 2.0
    first = caption_verdicts(similarity, words(12), reference_NR=np.zeros((12, 2)))[0]
    assert first.reason == "1 of the 11 other pictures fits this caption better"


def test_under_the_null_few_captions_get_a_verdict() -> None:
    states = [
        verdict.state
        for seed in range(20)
        for verdict in caption_verdicts(np.random.default_rng(seed).normal(size=(30, 30)), words(30))
    ]
    assert states.count(SUPPORTED) / len(states) < 0.02
    assert states.count(CONTRADICTED) / len(states) < 0.02


def test_pictures_that_share_a_caption_do_not_count_against_each_other() -> None:
    groups = np.repeat(np.arange(4), 5)
    similarity = (groups[:, None] == groups[None, :]) + 0.01 * np.random.default_rng(0).normal(size=(20, 20))
    shared = caption_verdicts(similarity, [f"group {group}" for group in groups])
    assert {verdict.state for verdict in shared} == {SUPPORTED}
    assert {verdict.others for verdict in shared} == {15}


def test_near_copies_do_not_count_against_each_others_captions() -> None:
    groups = np.repeat(np.arange(5), 4)
    similarity = (groups[:, None] == groups[None, :]) + 0.01 * np.random.default_rng(0).normal(size=(20, 20))
    grouped = caption_verdicts(similarity, words(20), groups_N=groups)
    assert {verdict.state for verdict in grouped} == {SUPPORTED}
    assert {verdict.others for verdict in grouped} == {16}
    assert UNKNOWN in {verdict.state for verdict in caption_verdicts(similarity, words(20))}


def test_a_caption_among_few_pictures_has_no_evidence() -> None:
    (first, *_) = caption_verdicts(np.eye(3), words(3))
    assert (first.state, first.kind) == (UNKNOWN, "rare")
    (alone, _) = caption_verdicts(np.zeros((2, 2)), ["the same", "the same"])
    assert (alone.state, alone.others) == (UNKNOWN, 0)


def test_no_tag_at_all_is_no_verdict() -> None:
    assert tag_verdicts(np.zeros((5, 0)), np.zeros((5, 0), dtype=bool)) == []
    assert caption_verdicts(np.zeros((0, 0)), []) == []


def test_one_tag_alone_is_judged_against_the_reference_vocabulary() -> None:
    similarity, carriers = scores(40, 30, 10, 3.0, 2)
    (alone,) = tag_verdicts(similarity[:, :1], carriers[:, :1], reference_NR=similarity)
    assert alone.state == SUPPORTED
    (bare,) = tag_verdicts(similarity[:, :1], carriers[:, :1])
    assert bare.auc is not None
    assert bare.auc > 0.6


def test_vectors_are_scaled_to_length_one() -> None:
    vectors = agreement.unit([np.array([3, 4], np.float32), np.array([0, 0], np.float32)])
    assert np.allclose(vectors, [[0.6, 0.8], [0, 0]])
