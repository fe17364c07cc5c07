"""Rank tests with the permutation's own distribution: do the pictures with a text fit it better than the others?

The null is that which pictures carry the text has nothing to do with their fit to it, so that every choice of as many
pictures is as likely. Without ties the rank sum over all those choices has Mann and Whitney's distribution (1947), so
nothing is drawn. With ties the p-value is that of the least favourable way to break them, which is never too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capprep.agreement.centring import Flags, Floats

# U units, M texts

EXACT = 10**7
"""Up to this product of both counts and the smaller one, the distribution is counted.

Beyond, it is taken as normal, which is off by 1e-3 at most, and too large in the tails."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What the ranks say of one text.

    Attributes:
        carriers: Units that carry it.
        others: Units that do not.
        auc: Share of pairs of a carrier and another in which the carrier fits better, ties counting half; NaN without.
        upper: One-sided p-value for fitting better.
        lower: The same for fitting worse.
        attainable: The smallest p-value that the counts allow: 1 / C(carriers + others, carriers).
    """

    carriers: int
    others: int
    auc: float
    upper: float
    lower: float
    attainable: float


def rank_tests(residual_UM: Floats, carriers_UM: Flags) -> list[Ranked]:
    """The test of each text, see `Ranked`; where nobody or everybody carries it, both p-values are 1.

    Args:
        residual_UM: How well text m fits unit u, comparable within a column.
        carriers_UM: Which units carry it.
    """
    won = [_won(residual_UM[:, m], carriers_UM[:, m]) for m in range(residual_UM.shape[1])]
    counts = [(int(k), len(carriers_UM) - int(k)) for k in carriers_UM.sum(axis=0)]
    tests: list[Ranked | None] = [None] * len(won)
    # one distribution at a time: a thousand of them would not fit into memory
    for k, others in set(counts):
        null = Null.of(k, others)
        for m in (m for m, each in enumerate(counts) if each == (k, others)):
            clear, with_ties = won[m]
            pairs = k * others
            auc = (clear + with_ties) / 2 / pairs if pairs else math.nan
            tests[m] = Ranked(k, others, auc, null.at_least(clear), null.at_most(with_ties), attainable(k, others))
    return [test for test in tests if test is not None]


def attainable(carriers: int, others: int) -> float:
    """The smallest one-sided p-value that as many carriers among as many units can have; 0 where it is below 1e-300."""
    return 1 / math.comb(carriers + others, carriers)


@dataclass(frozen=True)
class Null:
    """How many of the carriers' comparisons with the others are won if nothing but chance decides.

    Attributes:
        carriers: Units that carry the text.
        others: Units that do not.
        upper: The probability of at least as many wins, for 0, 1, ... wins; None where the normal one is taken.
    """

    carriers: int
    others: int
    upper: Floats | None

    @classmethod
    def of(cls, carriers: int, others: int) -> Null:
        """The distribution for these counts."""
        less, more = sorted((carriers, others))
        if less * less * more > EXACT:
            return cls(carriers, others, None)
        # cumulated from the small end on, so that small probabilities keep their digits
        return cls(carriers, others, np.cumsum(_frequencies(less, more))[::-1] if less else np.ones(1))

    def at_least(self, wins: int) -> float:
        """P(wins or more)."""
        if self.upper is not None:
            return min(1.0, float(self.upper[wins]))
        from scipy.special import ndtr

        pairs = self.carriers * self.others
        spread = math.sqrt(pairs * (self.carriers + self.others + 1) / 12)
        return float(ndtr(-(wins - pairs / 2 - 0.5) / spread))

    def at_most(self, wins: int) -> float:
        """P(wins or fewer)."""
        return self.at_least(self.carriers * self.others - wins)


def _frequencies(less: int, more: int) -> Floats:
    """The share of choices with 0, 1, ..., less * more wins: the coefficients of a Gaussian binomial.

    The product over i of (1 - q^(more + i)) / (1 - q^i). Each factor leaves a symmetric row without negative numbers,
    of which only the rising half is computed, where the differences lose no digits.
    """
    row = np.ones(1)
    for i in range(1, less + 1):
        degree = i * more
        half = degree // 2 + 1
        padded = np.zeros(-(-half // i) * i)
        padded[: min(half, len(row))] = row[:half]
        summed = padded.reshape(-1, i).cumsum(axis=0).ravel()[:half]
        summed[more + i :] -= summed[: max(0, half - more - i)].copy()
        row = np.concatenate([summed, summed[: degree + 1 - half][::-1]])
    shares: Floats = row / row.sum()
    return shares


def _won(residual_U: Floats, carriers_U: Flags) -> tuple[int, int]:
    """How many of the carriers' comparisons with the others are won, without ties and with them."""
    others = np.sort(residual_U[~carriers_U])
    own = residual_U[carriers_U]
    return int(others.searchsorted(own, "left").sum()), int(others.searchsorted(own, "right").sum())


def adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values after Benjamini and Hochberg's procedure (1995): of those <= q, a share of q is false on average."""
    if not p_values:
        return []
    # SciPy's statistics take longer to load than most commands take in all
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p_values)]
