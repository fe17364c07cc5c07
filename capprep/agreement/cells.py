"""Single cells: is a tag wrong on this one picture, and is it missing on that one?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capprep.agreement.centring import Flags, Floats, Labels, Units, centred
from capprep.agreement.tags import MIN_OTHERS
from capprep.agreement.verdicts import (
    CONTRADICTED,
    MISSING_HERE,
    SUPPORTED,
    UNKNOWN,
    UNTESTABLE,
    WRONG_HERE,
    Thresholds,
    Verdict,
)

ORDINARY = 0.2
"""A cell is wrong only if at least that share of the pictures without the tag fit it as well."""

OUTLYING = 4.0
"""A tag is missing only where its fit is that many robust standard deviations above the pictures without it."""

MAD = 1.4826
"""The standard deviation of normal numbers over their median absolute deviation."""


@dataclass(frozen=True)
class Cells:
    """What is to be said of each picture and tag.

    Attributes:
        p_NM: The share of the pictures without the tag that fit it at least as well as this one, which is a conformal
            p-value, (1 + as many) / (1 + others); NaN where the tag is not judged. High on a picture that has the
            tag is doubt, low on one that has not is a hint.
        wrong_NM: Pictures that have a tag that seems wrong there.
        missing_NM: Pictures without a tag that seems to belong there.
    """

    p_NM: NDArray[np.float32]
    wrong_NM: Flags
    missing_NM: Flags
    _verdicts: Sequence[Verdict] = field(repr=False)
    _others: Sequence[int] = field(repr=False)

    def verdict(self, picture: int, tag: int) -> Verdict | None:
        """What is to be said of one tag on one picture, or None where there is nothing to be said."""
        of = self._verdicts[tag]
        share = float(self.p_NM[picture, tag])
        if self.wrong_NM[picture, tag]:
            others = self._others[tag]
            as_well = round(share * (others + 1)) - 1
            reason = (
                f"fits its other pictures; of the {others} without it {as_well} fit it at least as well as this one"
            )
            return Verdict(CONTRADICTED, WRONG_HERE, reason, of.auc, share, of.carriers, of.others)
        if self.missing_NM[picture, tag]:
            reason = f"fits this picture as well as the {of.carriers} that have it (p = {share:.2g})"
            return Verdict(UNKNOWN, MISSING_HERE, reason, of.auc, share, of.carriers, of.others)
        return None


def cell_verdicts(
    similarity_NM: NDArray[np.floating],
    carriers_NM: Flags,
    verdicts: Sequence[Verdict],
    reference_NR: NDArray[np.floating] | None = None,
    thresholds: Thresholds | None = None,
    groups_N: Labels | None = None,
) -> Cells:
    """Judge every picture and tag, see `Cells`.

    Only supported tags are said to be wrong or missing somewhere: of others it is not known whether the model sees
    what they speak of. A tag is wrong on a picture that fits it much less than the others that have it, and no
    better than many that have not. "Much less" is measured by the tags' own pictures: a true one falls short of its
    tag's middle as often as it surpasses it, so the surpluses of all supported tags together say how large a
    shortfall is that only a share of `Thresholds.false_flags` of the true ones has. Wrong ones are not among the
    surpluses, so they do not spoil the measure. A tag is missing on a picture that fits it as well as the middle of
    those that have it, far outside of those that have not.

    Args:
        similarity_NM: Similarity of picture n and tag m.
        carriers_NM: True where picture n carries tag m.
        verdicts: The tags' own, see `tag_verdicts`.
        reference_NR: See `centred`.
        thresholds: Where a statistic becomes a verdict; the defaults if None.
        groups_N: Labels, equal for near-copies of one picture.
    """
    limits = thresholds or Thresholds()
    residual_NM = centred(similarity_NM, reference_NR)
    units = Units.of(len(carriers_NM), groups_N)
    residual_UM, carriers_UM = units.means(residual_NM), units.carriers(carriers_NM)
    p_NM = np.full(residual_NM.shape, np.nan, dtype=np.float32)
    wrong_NM, missing_NM = np.zeros_like(carriers_NM), np.zeros_like(carriers_NM)
    supported = [m for m, verdict in enumerate(verdicts) if verdict.state == SUPPORTED]
    scales = {m: _Scale.of(residual_UM[:, m], carriers_UM[:, m]) for m in supported}
    least = _shortfall([scales[m].place(residual_UM[carriers_UM[:, m], m]) for m in supported], limits.false_flags)
    for m, verdict in enumerate(verdicts):
        others = int((~carriers_UM[:, m]).sum())
        if verdict.kind == UNTESTABLE or not 0 < others < units.count or others < MIN_OTHERS:
            continue
        p_NM[:, m] = p_N = _conformal(residual_NM[:, m], residual_UM[:, m], carriers_UM[:, m], units)
        if m in scales:
            place_N, carried_N = scales[m].place(residual_NM[:, m]), carriers_NM[:, m]
            wrong_NM[:, m] = carried_N & (1 - place_N > least) & (p_N > ORDINARY)
            missing_NM[:, m] = ~carried_N & (place_N >= 1) & scales[m].outlying(residual_NM[:, m])
    return Cells(p_NM, wrong_NM, missing_NM, verdicts, [int(count) for count in (~carriers_UM).sum(axis=0)])


def _conformal(residual_N: Floats, residual_U: Floats, carriers_U: Flags, units: Units) -> Floats:
    """The share of the units without a text, but the picture's own, that fit it at least as well."""
    others = np.sort(residual_U[~carriers_U])
    as_well_N = len(others) - others.searchsorted(residual_N, "left")
    itself_N = ~carriers_U[units.of_N]
    as_well_N = as_well_N - (itself_N & (residual_U[units.of_N] >= residual_N))
    p_N: Floats = (1 + as_well_N) / (1 + len(others) - itself_N)
    return p_N


@dataclass(frozen=True, slots=True)
class _Scale:
    """A tag's own scale: 0 is the middle of the pictures without it, 1 that of those with it.

    Attributes:
        zero, one: The two medians.
        spread: The standard deviation of the pictures without it, by their median absolute deviation.
    """

    zero: float
    one: float
    spread: float

    @classmethod
    def of(cls, residual_U: Floats, carriers_U: Flags) -> _Scale:
        others = residual_U[~carriers_U]
        zero = float(np.median(others))
        return cls(zero, float(np.median(residual_U[carriers_U])), MAD * float(np.median(np.abs(others - zero))))

    def outlying(self, residual_N: Floats) -> Flags:
        return np.asarray(residual_N - self.zero >= OUTLYING * self.spread)

    def place(self, residual_N: Floats) -> Floats:
        if self.one <= self.zero:  # nothing can be told apart
            return np.full_like(residual_N, 0.5)
        return (residual_N - self.zero) / (self.one - self.zero)


def _shortfall(places: Sequence[Floats], share: float) -> float:
    """The shortfall below 1 that at most this share of the true cells exceeds, judged by the surpluses above it."""
    surplus = np.sort(np.concatenate([place[place > 1] - 1 for place in places] or [np.zeros(0)]))[::-1]
    # of symmetric numbers half are surpluses; the cell itself counts among them, as in a conformal p-value
    rank = math.floor(2 * share * (1 + len(surplus))) - 1
    return float(surplus[rank]) if 0 <= rank < len(surplus) else math.inf
