"""Intervals by bootstrap over units, so that near-copies do not count as evidence twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capprep.agreement.centring import Floats, Labels

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        value: The mean.
        low, high: The 2.5th and the 97.5th percentile of the means of the resamples.
    """

    value: float
    low: float
    high: float


def mean_interval(values_N: Floats, units_N: Labels, seed: int = 0) -> Interval:
    """The mean of units' means with its percentile interval (Efron 1979), whole units drawn at a time.

    Args:
        values_N: One or more values.
        units_N: The unit of each.
        seed: Of the draws; the same for the same values in any order.
    """
    _, of_N, size_U = np.unique(units_N, return_inverse=True, return_counts=True)
    # sorted, so that the draws do not depend on the pictures' order
    mean_U = np.sort(np.bincount(of_N, weights=values_N) / size_U)
    rng, count = np.random.default_rng(seed), len(mean_U)
    means = [mean_U[rng.integers(count, size=count)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(mean_U.mean()), float(low), float(high))
