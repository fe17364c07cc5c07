"""Each picture's own caption among the set's pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capprep.agreement.centring import Floats, Labels, centred
from capprep.agreement.ranks import Ranked, adjusted
from capprep.agreement.verdicts import (
    CONTRADICTED,
    FITS,
    MISFIT,
    RARE,
    SUPPORTED,
    UNKNOWN,
    WEAK,
    Thresholds,
    Verdict,
)

MIN_OTHERS = 3
"""With fewer others there is nothing to compare with."""


def caption_verdicts(
    similarity_NN: NDArray[np.floating],
    captions: Sequence[str],
    reference_NR: NDArray[np.floating] | None = None,
    thresholds: Thresholds | None = None,
    groups_N: Labels | None = None,
) -> list[Verdict]:
    """A verdict for each picture's own caption among N pictures.

    After centring, picture n's fit to its caption is ranked among the other pictures' fits to it, which gives
    a conformal p-value in each tail, (1 + number at least as extreme) / (1 + number of others). A verdict
    needs one that survives Benjamini-Hochberg over the captions. The resolution is 1/N, so few pictures give
    no evidence. Pictures with the very same caption, and near-copies of a picture, are not others to each other.

    Args:
        similarity_NN: Similarity of picture n and the caption of picture m.
        captions: The N captions.
        reference_NR: See `centred`.
        thresholds: Where a statistic becomes a verdict; the defaults if None.
        groups_N: Labels, equal for near-copies of one picture; None if there are none.
    """
    limits = thresholds or Thresholds()
    if not captions:
        return []  # there is no mean of nothing to centre by
    residual_NN = centred(similarity_NN, reference_NR)
    said_N = np.unique(np.array(captions, dtype=object), return_inverse=True)[1]
    tests = []
    for n in range(len(captions)):
        apart_N = said_N != said_N[n]
        if groups_N is not None:
            apart_N &= groups_N != groups_N[n]
        tests.append(_test(residual_NN[apart_N, n], float(residual_NN[n, n])))
    upper, lower = adjusted([test.upper for test in tests]), adjusted([test.lower for test in tests])
    return [_verdict(test, q, r, limits) for test, q, r in zip(tests, upper, lower, strict=True)]


def _test(others_M: Floats, fit: float) -> Ranked:
    count = len(others_M)
    above, below = int((others_M >= fit).sum()), int((others_M <= fit).sum())
    auc = 0.5 + (below - above) / (2 * count) if count else math.nan
    return Ranked(1, count, auc, (1 + above) / (1 + count), (1 + below) / (1 + count), 1 / (1 + count))


def _verdict(test: Ranked, upper: float, lower: float, limits: Thresholds) -> Verdict:
    others = test.others
    if others < MIN_OTHERS:
        return Verdict(UNKNOWN, RARE, "too few other pictures to compare with", None, None, 1, others)
    auc, better = round(test.auc, 4), round((1 - test.auc) * others)
    fitting_better = f"{_share(better, others)} this caption better"
    if upper <= limits.discovery_rate:
        reason = f"{_share(others - better, others)} this caption less well"
        return Verdict(SUPPORTED, FITS, reason, auc, test.upper, 1, others, upper)
    if lower <= limits.discovery_rate:
        return Verdict(CONTRADICTED, MISFIT, fitting_better, auc, test.lower, 1, others, lower)
    reason = fitting_better if better else f"{fitting_better}, which may be chance"
    return Verdict(UNKNOWN, WEAK, reason, auc, test.upper, 1, others, upper)


def _share(count: int, others: int) -> str:
    """Subject and verb of "7 of the 13 other pictures fit this caption better"."""
    return f"{count or 'none'} of the {others} other pictures {'fits' if count <= 1 else 'fit'}"
