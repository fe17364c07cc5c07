"""Each tag's pictures against the set's others: a verdict with error control over the tags that can be tested."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capprep.agreement.centring import Flags, Labels, Units, centred
from capprep.agreement.intervals import Interval, mean_interval
from capprep.agreement.ranks import Ranked, adjusted, rank_tests
from capprep.agreement.testability import REASONS, VISUAL
from capprep.agreement.verdicts import (
    CONSTANT,
    CONTRADICTED,
    FITS,
    MISFIT,
    RARE,
    SUPPORTED,
    UNKNOWN,
    UNTESTABLE,
    UNTESTED,
    WEAK,
    Thresholds,
    Verdict,
    pictures,
)

MIN_OTHERS = 3
"""With fewer pictures without a tag there is nothing to compare its pictures with."""

PLACED = 1000
"""So many of the pictures that all carry a tag are enough to place it among the reference texts."""


def tag_verdicts(
    similarity_NM: NDArray[np.floating],
    carriers_NM: NDArray[np.bool_],
    reference_NR: NDArray[np.floating] | None = None,
    thresholds: Thresholds | None = None,
    classes: Sequence[str] | None = None,
    groups_N: Labels | None = None,
) -> list[Verdict]:
    """A verdict for each of M tags from N pictures.

    For each tag the pictures that carry it are compared with the others by the rank sum of the centred
    similarity, against all ways to choose as many pictures (`ranks`). A verdict needs a p-value that survives
    Benjamini-Hochberg over the tags that could reach significance at all, which depends on the counts only
    (Tarone 1990) and so does not bias; supported needs an effect besides.

    Args:
        similarity_NM: Similarity of picture n and tag m, any scale.
        carriers_NM: True where picture n carries tag m.
        reference_NR: See `centred`; a tag on every picture is placed among these texts.
        thresholds: Where a statistic becomes a verdict; the defaults if None.
        classes: What each tag speaks of, see `testability`; only what can be seen is judged. None if all can.
        groups_N: Labels, equal for near-copies of one picture, which count as one; None if there are none.
    """
    limits = thresholds or Thresholds()
    residual_NM = centred(similarity_NM, reference_NR)
    units = Units.of(len(carriers_NM), groups_N)
    tests = rank_tests(units.means(residual_NM), units.carriers(carriers_NM))
    seen = [each not in REASONS for each in classes or [VISUAL] * len(tests)]
    tested = [m for m, test in enumerate(tests) if seen[m] and _testable(test, limits)]
    upper = dict(zip(tested, adjusted([tests[m].upper for m in tested]), strict=True))
    lower = dict(zip(tested, adjusted([tests[m].lower for m in tested]), strict=True))
    verdicts = []
    for m, test in enumerate(tests):
        carriers_N = carriers_NM[:, m]
        counts = int(carriers_N.sum()), int((~carriers_N).sum())
        if m in upper:
            verdicts.append(_compared(test, counts, upper[m], lower[m], limits))
        elif not test.carriers or not seen[m]:
            reason = REASONS[classes[m]] if classes and test.carriers else "no picture carries it"
            verdicts.append(Verdict(UNKNOWN, UNTESTABLE if test.carriers else UNTESTED, reason, None, None, *counts))
        elif test.others < MIN_OTHERS:
            place = None if reference_NR is None else placed(similarity_NM[:, m], reference_NR, carriers_N, units)
            verdicts.append(_constant(counts, place))
        else:
            auc = round(test.auc, 4)
            verdicts.append(Verdict(UNKNOWN, RARE, f"on {_of(counts)}: too few to tell", auc, None, *counts))
    return verdicts


def placed(
    similarity_N: NDArray[np.floating], reference_NR: NDArray[np.floating], carriers_N: Flags, units: Units
) -> Interval | None:
    """Where a text stands among reference texts on the pictures that carry it: the share that fits them less well.

    The mean over the pictures, with an interval by bootstrap over units. It says how a text compares with other
    texts, not its pictures with others, so that it is a hint and no evidence: some texts fit everything.

    Args:
        similarity_N: Similarity of picture n and the text.
        reference_NR: The same pictures by R texts.
        carriers_N: True where picture n carries the text.
        units: Near-copies as one.
    """
    rows_K = np.flatnonzero(carriers_N)
    if not len(rows_K) or reference_NR.shape[1] < 2:
        return None
    rows_K = rows_K[:: -(-len(rows_K) // PLACED)]
    own_K1, all_KR = np.asarray(similarity_N)[rows_K, None], np.asarray(reference_NR)[rows_K]
    share_K = ((all_KR < own_K1).mean(axis=1) + (all_KR <= own_K1).mean(axis=1)) / 2
    return mean_interval(share_K, units.of_N[rows_K])


def _testable(test: Ranked, limits: Thresholds) -> bool:
    return bool(test.carriers) and test.others >= MIN_OTHERS and test.attainable <= limits.attainable


def _compared(test: Ranked, counts: tuple[int, int], upper: float, lower: float, limits: Thresholds) -> Verdict:
    """The verdict on a tag that was tested, of which both tails are adjusted."""
    carriers, others = counts
    auc = round(test.auc, 4)
    numbers = f"(AUC {test.auc:.2f}, p = {{p:.2g}})"
    if lower <= limits.discovery_rate:
        reason = f"fits its {pictures(carriers)} worse than the {others} others " + numbers.format(p=test.lower)
        return Verdict(CONTRADICTED, MISFIT, reason, auc, test.lower, carriers, others, lower)
    if upper <= limits.discovery_rate and test.auc >= limits.effect:
        reason = f"fits its {pictures(carriers)} better than the {others} others " + numbers.format(p=test.upper)
        return Verdict(SUPPORTED, FITS, reason, auc, test.upper, carriers, others, upper)
    fits, chance = "no better than", ""
    if test.auc > 0.5 and upper <= limits.discovery_rate:
        fits = "only a little better than"
    elif test.auc > limits.effect:
        fits, chance = "better than", ", which may be chance"
    reason = f"fits its {pictures(carriers)} {fits} the {others} others{chance} " + numbers.format(p=test.upper)
    return Verdict(UNKNOWN, WEAK, reason, auc, test.upper, carriers, others, upper)


def _constant(counts: tuple[int, int], place: Interval | None) -> Verdict:
    carriers, others = counts
    where = "on every picture" if not others else f"on all but {others} of {carriers + others} pictures"
    reason = f"{where}, so there is nothing to compare with"
    if place is not None:
        percent = (round(100 * share) for share in (place.value, place.low, place.high))
        reason += "; on them it fits better than {} % of other words ({} to {} %)".format(*percent)
    return Verdict(UNKNOWN, CONSTANT, reason, None, None, carriers, others)


def _of(counts: tuple[int, int]) -> str:
    """As in "1 picture of 10"."""
    return f"{pictures(counts[0])} of {sum(counts)}"
