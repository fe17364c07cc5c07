"""Single pictures of a tag: what is said to be wrong or missing there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, Cells, cell_verdicts, centred, tag_verdicts
from capprep.agreement.testability import COUNT, VISUAL
from tests.agreement.drawing import Drawn, drawn


def judged(made: Drawn) -> Cells:
    verdicts = tag_verdicts(made.similarity_NM, made.tags_NM)
    return cell_verdicts(made.similarity_NM, made.tags_NM, verdicts)


def test_tags_at_wrong_pictures_are_found_and_those_that_are_missing() -> None:
    made = drawn(80, 40, 6.0, 0, wrong=0.15, carried=12)
    found = judged(made)
    wrong_NM, missing_NM = made.tags_NM & ~made.truth_NM, made.truth_NM & ~made.tags_NM
    assert (found.wrong_NM & wrong_NM).sum() > 0.5 * wrong_NM.sum()
    assert (found.wrong_NM & ~wrong_NM).sum() < 0.05 * found.wrong_NM.sum()
    assert (found.missing_NM & missing_NM).sum() > 0.3 * missing_NM.sum()
    assert (found.missing_NM & ~missing_NM).sum() < 0.05 * found.missing_NM.sum()


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("wrong", [0.0, 0.15])
def test_at_most_a_twentieth_of_the_true_tags_are_flagged_however_well_the_model_sees(
    effect: float, wrong: float
) -> None:
    flagged = true = 0
    for seed in range(12):
        made = drawn(50, 60, effect, seed, wrong=wrong, carried=8)
        flagged += (judged(made).wrong_NM & made.truth_NM).sum()
        true += (made.tags_NM & made.truth_NM).sum()
    assert flagged <= 0.05 * true


@pytest.mark.parametrize("effect", [1.0, 2.0, 4.0])
def test_hardly_a_tag_that_is_not_true_is_said_to_be_missing(effect: float) -> None:
    said = untrue = 0
    for seed in range(6):
        made = drawn(100, 60, effect, seed, wrong=0.1, carried=15)
        said += (judged(made).missing_NM & ~made.truth_NM).sum()
        untrue += (~made.tags_NM & ~made.truth_NM).sum()
    assert said <= 0.001 * untrue


def test_p_is_the_rank_among_the_pictures_without_the_tag() -> None:
    made = drawn(14, 5, 1.0, 2, carried=5)
    found, residual_NM = judged(made), centred(made.similarity_NM)
    for n in range(14):
        for m in range(5):
            others = [k for k in range(14) if k != n and not made.tags_NM[k, m]]
            as_well = sum(residual_NM[k, m] >= residual_NM[n, m] for k in others)
            assert found.p_NM[n, m] == pytest.approx((1 + as_well) / (1 + len(others)))


def test_where_chance_alone_decides_p_is_no_smaller_than_it_should_be() -> None:
    made = drawn(60, 200, 0.0, 0, carried=10)
    p = judged(made).p_NM[made.tags_NM]
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() <= level + 0.02


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.permutations(range(24)), st.permutations(range(6)))
def test_the_order_of_pictures_and_tags_does_not_matter(seed: int, pictures: list[int], tags: list[int]) -> None:
    made, order = drawn(24, 6, 3.0, seed, wrong=0.1), np.ix_(pictures, tags)
    before = judged(made)
    after = judged(Drawn(made.similarity_NM[order], made.truth_NM[order], made.tags_NM[order]))
    assert np.array_equal(after.p_NM, before.p_NM[order], equal_nan=True)
    assert np.array_equal(after.wrong_NM, before.wrong_NM[order])
    assert np.array_equal(after.missing_NM, before.missing_NM[order])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.lists(st.integers(0, 23), min_size=1, max_size=20))
def test_near_copies_that_are_said_to_be_such_change_nothing(seed: int, copied: list[int]) -> None:
    made, rows = drawn(24, 6, 3.0, seed, wrong=0.1), np.array([*range(24), *copied])
    similarity_NM, tags_NM = made.similarity_NM[rows], made.tags_NM[rows]
    verdicts = tag_verdicts(similarity_NM, tags_NM, groups_N=rows)
    before, after = judged(made), cell_verdicts(similarity_NM, tags_NM, verdicts, groups_N=rows)
    assert np.array_equal(after.p_NM, before.p_NM[rows], equal_nan=True)
    assert np.array_equal(after.wrong_NM, before.wrong_NM[rows])
    assert np.array_equal(after.missing_NM, before.missing_NM[rows])


def test_reasons_give_the_numbers() -> None:
    made = drawn(80, 40, 6.0, 0, wrong=0.15, carried=12)
    found, residual_NM = judged(made), centred(made.similarity_NM)
    n, m = np.argwhere(found.wrong_NM)[0]
    others_N = ~made.tags_NM[:, m]
    as_well = int((residual_NM[others_N, m] >= residual_NM[n, m]).sum())
    wrong = found.verdict(n, m)
    assert wrong is not None
    assert (wrong.state, wrong.kind) == (CONTRADICTED, "wrong_here")
    assert wrong.reason == (
        f"fits its other pictures; of the {others_N.sum()} without it {as_well} fit it at least as well as this one"
    )
    n, m = np.argwhere(found.missing_NM)[0]
    missing = found.verdict(n, m)
    assert missing is not None
    assert (missing.state, missing.kind) == (UNKNOWN, "missing_here")
    assert missing.reason.startswith(f"fits this picture as well as the {made.tags_NM[:, m].sum()} that have it (p = ")
    n, m = np.argwhere(~found.wrong_NM & ~found.missing_NM)[0]
    assert found.verdict(n, m) is None


def test_nothing_is_said_of_pictures_where_the_tag_itself_is_not_supported() -> None:
    made = drawn(60, 20, 6.0, 1, wrong=0.2, carried=15)
    classes = [COUNT, VISUAL] * 10
    tags_NM = made.tags_NM.copy()
    tags_NM[:, 3] = True
    verdicts = tag_verdicts(made.similarity_NM, tags_NM, classes=classes)
    found = cell_verdicts(made.similarity_NM, tags_NM, verdicts)
    supported = np.array([verdict.state == SUPPORTED for verdict in verdicts])
    assert supported.any()
    assert not found.wrong_NM[:, ~supported].any()
    assert not found.missing_NM[:, ~supported].any()
    assert np.isnan(found.p_NM[:, ::2]).all()
    assert np.isnan(found.p_NM[:, 3]).all()
    assert not np.isnan(found.p_NM[:, supported]).any()
