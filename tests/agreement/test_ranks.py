"""The rank test's p-values: those of the permutation itself."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from capprep.agreement.ranks import EXACT, Null, adjusted, attainable, rank_tests


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 6))
def test_the_null_is_that_of_all_choices_counted_one_by_one(carriers: int, others: int) -> None:
    wins = [
        sum(chosen) - carriers * (carriers - 1) // 2
        for chosen in itertools.combinations(range(carriers + others), carriers)
    ]
    null = Null.of(carriers, others)
    for count in range(carriers * others + 1):
        assert null.at_least(count) == pytest.approx(np.mean([each >= count for each in wins]), rel=1e-12)
        assert null.at_most(count) == pytest.approx(np.mean([each <= count for each in wins]), rel=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(1, 7))
def test_with_ties_no_p_value_is_too_small(fits: list[int], carriers: int) -> None:
    chosen = list(itertools.combinations(range(8), carriers))
    carriers_UM = np.array([[u in each for each in chosen] for u in range(8)])
    tests = rank_tests(np.repeat(np.array(fits, dtype=float)[:, None], len(chosen), axis=1), carriers_UM)
    for tail in ("upper", "lower"):
        p_values = np.array([getattr(test, tail) for test in tests])
        for level in np.unique(p_values):
            assert (p_values <= level).mean() <= level + 1e-12


def test_small_probabilities_keep_their_digits() -> None:
    null = Null.of(30, 170)
    assert null.at_least(30 * 170) == pytest.approx(1 / math.comb(200, 30), rel=1e-9)
    assert null.at_least(30 * 170 - 3) == pytest.approx(7 / math.comb(200, 30), rel=1e-9)  # 1 + 1 + 2 + 3 partitions
    assert attainable(30, 170) == pytest.approx(1 / math.comb(200, 30), rel=1e-9)


def test_where_the_normal_distribution_takes_over_it_is_near() -> None:
    for carriers, others in ((36, 8000), (216, 216), (215, 216)):
        exact, normal = Null.of(carriers, others), Null(carriers, others, None)
        if exact.upper is None:
            exact = Null.of(carriers - 2, others)
            normal = Null(carriers - 2, others, None)
        pairs = exact.carriers * exact.others
        spread = math.sqrt(pairs * (exact.carriers + exact.others + 1) / 12)
        for wins in (int(pairs / 2 + z * spread) for z in np.linspace(-4, 4, 41)):
            assert normal.at_least(wins) == pytest.approx(exact.at_least(wins), abs=1e-3)
            assert normal.at_least(wins) + normal.at_most(wins - 1) == pytest.approx(1)
    assert Null.of(round(EXACT ** (1 / 3)) + 1, round(EXACT ** (1 / 3)) + 2).upper is None


def test_p_values_are_uniform_under_the_null_in_large_sets() -> None:
    rng = np.random.default_rng(0)
    residual_UM, carriers_UM = rng.normal(size=(300, 2000)), rng.random((300, 2000)) < rng.uniform(0.2, 0.6, 2000)
    tests = rank_tests(residual_UM, carriers_UM)
    assert kstest([test.upper for test in tests], "uniform").pvalue > 0.05
    assert kstest([test.lower for test in tests], "uniform").pvalue > 0.05


@pytest.mark.parametrize(("pictures", "carriers"), [(20, 1), (20, 4), (50, 7)])
def test_p_values_are_uniform_under_the_null_in_small_sets_as_far_as_steps_allow(pictures: int, carriers: int) -> None:
    rng = np.random.default_rng(1)
    residual_UM = rng.normal(size=(pictures, 2000))
    carriers_UM = np.argsort(rng.random((pictures, 2000)), axis=0) < carriers
    null = Null.of(carriers, pictures - carriers)
    pairs = carriers * (pictures - carriers)
    randomised = []
    for test, chance in zip(rank_tests(residual_UM, carriers_UM), rng.random(2000), strict=True):
        wins = round(test.auc * pairs)
        above = null.at_least(wins + 1) if wins < pairs else 0.0
        assert test.upper == null.at_least(wins)
        randomised.append(above + chance * (test.upper - above))  # a step's p-value, anywhere within its step
    assert kstest(randomised, "uniform").pvalue > 0.05


def test_nobody_or_everybody_is_no_comparison() -> None:
    carriers_UM = np.zeros((5, 2), dtype=bool)
    carriers_UM[:, 1] = True
    for test in rank_tests(np.random.default_rng(0).normal(size=(5, 2)), carriers_UM):
        assert math.isnan(test.auc)
        assert (test.upper, test.lower, test.attainable) == (1.0, 1.0, 1.0)


def test_adjusted_p_values_are_benjamini_and_hochbergs() -> None:
    p_values = [0.001, 0.2, 0.03, 0.8, 0.02]
    ordered = sorted(p_values)
    by_hand = {p: min(1.0, *(ordered[j] * 5 / (j + 1) for j in range(ordered.index(p), 5))) for p in p_values}
    assert adjusted(p_values) == pytest.approx([by_hand[p] for p in p_values])
    assert adjusted([]) == []
