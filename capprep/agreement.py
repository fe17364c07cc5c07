"""Does a text fit its pictures: rank statistics on an image-text similarity matrix, with error control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNKNOWN = "unknown"

WEAK = "weak"
"""Kind of verdict: compared, and fitting neither better nor worse than chance explains."""

MIN_OTHERS = 3
"""With fewer pictures without a tag there is nothing to compare its pictures with."""


@dataclass(frozen=True)
class Thresholds:
    """Where a statistic becomes a verdict.

    Attributes:
        discovery_rate: Share of false ones allowed among the supported tags, and among the contradicted ones
            (Benjamini-Hochberg q).
        attainable: A tag is tested only if its counts allow a p-value as small as this.
        effect: The smallest AUC that counts as support.
    """

    discovery_rate: float = 0.10
    attainable: float = 0.05
    effect: float = 0.65


@dataclass(frozen=True)
class Verdict:
    """What the pictures say of a text.

    Attributes:
        state: `supported`, `contradicted` or `unknown` (not enough evidence).
        kind: Why, in one word: `fits`, `weak`, `misfit`, `constant`, `rare`, `untested`.
        reason: The same as a sentence with its numbers.
        auc: Share of (carrier, other) pairs in which the carrier fits the text better, 0..1; None if untested.
        p: One-sided p-value of the state's own tail, or None.
        carriers: How many pictures carry the text.
        others: How many do not.
    """

    state: str
    kind: str
    reason: str
    auc: float | None
    p: float | None
    carriers: int
    others: int


def centred(
    similarity_NM: NDArray[np.floating], reference_NR: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Similarity with what belongs to a picture alone or to a text alone taken out.

    Some pictures score high with every text and some texts with every picture. Taking out each picture's
    mean over a reference vocabulary, then each text's mean over the pictures, leaves what the two have with
    each other. A reference wider than the texts in question keeps that stable where those are few.

    Args:
        similarity_NM: N pictures by M texts.
        reference_NR: The same pictures by R texts, of which the picture means are taken; `similarity_NM` if None.
    """
    s_NM = np.asarray(similarity_NM, dtype=np.float64)
    r_NR = s_NM if reference_NR is None else np.asarray(reference_NR, dtype=np.float64)
    # one text is no vocabulary: its mean would take out all there is
    picture_N1 = r_NR.mean(axis=1, keepdims=True) if r_NR.shape[1] > 1 else 0.0
    s_NM = s_NM - picture_N1
    centred_NM: NDArray[np.float64] = s_NM - s_NM.mean(axis=0, keepdims=True)
    return centred_NM


def best_text(image_D: NDArray[np.floating], texts_ND: NDArray[np.floating]) -> int:
    """Which of N texts fits a picture best, by the product of their unit vectors; of equal ones the first.

    Not centred by the other pictures: the answer must not change with the set.
    """
    image_1D = unit([np.asarray(image_D, dtype=np.float32)])
    texts_ND = unit(list(np.asarray(texts_ND, dtype=np.float32)))
    # finer differences are rounding's
    return int(np.argmax((texts_ND @ image_1D[0]).round(6)))


def tag_verdicts(
    similarity_NM: NDArray[np.floating],
    carriers_NM: NDArray[np.bool_],
    reference_NR: NDArray[np.floating] | None = None,
    thresholds: Thresholds | None = None,
) -> list[Verdict]:
    """A verdict for each of M tags from N pictures.

    For each tag the pictures that carry it are compared with the others by the rank sum of the centred
    similarity (Mann-Whitney, exact where small and without ties). A verdict needs a p-value that survives
    Benjamini-Hochberg over the tags that could reach significance at all, which depends on the counts only
    (Tarone) and so does not bias; supported needs an effect besides.

    Args:
        similarity_NM: Similarity of picture n and tag m, any scale.
        carriers_NM: True where picture n carries tag m.
        reference_NR: See `centred`.
        thresholds: Where a statistic becomes a verdict; the defaults if None.
    """
    limits = thresholds or Thresholds()
    tests = [
        _test(residual_N, carriers_N)
        for residual_N, carriers_N in zip(centred(similarity_NM, reference_NR).T, carriers_NM.T, strict=True)
    ]
    testable = [m for m, test in enumerate(tests) if test.attainable <= limits.attainable]
    adjusted = dict(zip(testable, _adjusted([tests[m] for m in testable]), strict=True))
    return [_verdict(test, adjusted.get(m), limits) for m, test in enumerate(tests)]


def caption_verdicts(
    similarity_NN: NDArray[np.floating],
    captions: Sequence[str],
    reference_NR: NDArray[np.floating] | None = None,
    thresholds: Thresholds | None = None,
) -> list[Verdict]:
    """A verdict for each picture's own caption among N pictures.

    After centring, picture n's fit to its caption is ranked among the other pictures' fits to it, which gives
    a conformal p-value in each tail, (1 + number at least as extreme) / (1 + number of others). A verdict
    needs one that survives Benjamini-Hochberg over the captions. The resolution is 1/N, so few pictures give
    no evidence. Pictures with the very same caption are not others to each other.

    Args:
        similarity_NN: Similarity of picture n and the caption of picture m.
        captions: The N captions.
        reference_NR: See `centred`.
        thresholds: Where a statistic becomes a verdict; the defaults if None.
    """
    limits = thresholds or Thresholds()
    if not captions:
        return []  # there is no mean of nothing to centre by
    residual_NN = centred(similarity_NN, reference_NR)
    tests = [_caption_test(residual_NN[:, n], n, captions) for n in range(len(captions))]
    return [_caption_verdict(test, *tails, limits) for test, tails in zip(tests, _adjusted(tests), strict=True)]


@dataclass(frozen=True)
class _Test:
    """One text's numbers: effect, both tails, and the smallest p-value its counts allow."""

    carriers: int
    others: int
    auc: float
    upper: float
    lower: float
    attainable: float


def _adjusted(tests: Sequence[_Test]) -> list[tuple[float, float]]:
    """Upper and lower tail of each test after Benjamini-Hochberg over all of them, each tail by itself."""
    if not tests:
        return []
    # SciPy's statistics take longer to load than most commands take in all
    from scipy.stats import false_discovery_control

    upper = false_discovery_control([test.upper for test in tests])
    lower = false_discovery_control([test.lower for test in tests])
    return [(float(q), float(r)) for q, r in zip(upper, lower, strict=True)]


def _test(residual_N: NDArray[np.float64], carriers_N: NDArray[np.bool_]) -> _Test:
    k, others = int(carriers_N.sum()), int((~carriers_N).sum())
    if k == 0 or others < MIN_OTHERS:
        return _Test(k, others, math.nan, 1.0, 1.0, 1.0)
    inside, outside = residual_N[carriers_N], residual_N[~carriers_N]
    from scipy.stats import mannwhitneyu

    upper = mannwhitneyu(inside, outside, alternative="greater")
    lower = mannwhitneyu(inside, outside, alternative="less")
    auc = float(upper.statistic) / (k * others)
    return _Test(k, others, auc, float(upper.pvalue), float(lower.pvalue), 1 / math.comb(k + others, k))


def _verdict(test: _Test, adjusted: tuple[float, float] | None, limits: Thresholds) -> Verdict:
    k, others = test.carriers, test.others

    def verdict(state: str, kind: str, reason: str, p: float | None = None) -> Verdict:
        auc = None if math.isnan(test.auc) else round(test.auc, 4)
        return Verdict(state, kind, reason, auc, p, k, others)

    if k == 0:
        return verdict(UNKNOWN, "untested", "no picture carries it")
    if others < MIN_OTHERS:
        where = "on every picture" if others == 0 else f"on all but {others} of {k + others} pictures"
        return verdict(UNKNOWN, "constant", f"{where}, so there is nothing to compare with")
    if adjusted is None:
        return verdict(UNKNOWN, "rare", f"on {_pictures(k)} of {k + others}: too few to tell")
    numbers = f"(AUC {test.auc:.2f}, p = {{p:.2g}})"
    upper, lower = adjusted
    if lower <= limits.discovery_rate:
        reason = f"fits its {_pictures(k)} worse than the {others} others " + numbers.format(p=test.lower)
        return verdict(CONTRADICTED, "misfit", reason, test.lower)
    if upper <= limits.discovery_rate and test.auc >= limits.effect:
        reason = f"fits its {_pictures(k)} better than the {others} others " + numbers.format(p=test.upper)
        return verdict(SUPPORTED, "fits", reason, test.upper)
    better = "no better than" if test.auc <= limits.effect else "only a little better than"
    reason = f"fits its {_pictures(k)} {better} the {others} others " + numbers.format(p=test.upper)
    return verdict(UNKNOWN, WEAK, reason, test.upper)


def _caption_test(residual_N: NDArray[np.float64], own: int, captions: Sequence[str]) -> _Test:
    others_M = residual_N[[caption != captions[own] for caption in captions]]
    count, fit = len(others_M), residual_N[own]
    above, below = int((others_M >= fit).sum()), int((others_M <= fit).sum())
    auc = 0.5 + (below - above) / (2 * count) if count else math.nan
    return _Test(1, count, auc, (1 + above) / (1 + count), (1 + below) / (1 + count), 1 / (1 + count))


def _caption_verdict(test: _Test, upper: float, lower: float, limits: Thresholds) -> Verdict:
    others = test.others
    if others < MIN_OTHERS:
        return Verdict(UNKNOWN, "rare", "too few other pictures to compare with", None, None, 1, others)
    auc, better = round(test.auc, 4), round((1 - test.auc) * others)
    fitting_better = f"{_share(better, others)} this caption better"
    if upper <= limits.discovery_rate:
        reason = f"{_share(others - better, others)} this caption less well"
        return Verdict(SUPPORTED, "fits", reason, auc, test.upper, 1, others)
    if lower <= limits.discovery_rate:
        return Verdict(CONTRADICTED, "misfit", fitting_better, auc, test.lower, 1, others)
    reason = fitting_better if better else f"{fitting_better}, which may be chance"
    return Verdict(UNKNOWN, WEAK, reason, auc, test.upper, 1, others)


def _share(count: int, others: int) -> str:
    """Subject and verb of "7 of the 13 other pictures fit this caption better"."""
    return f"{count or 'none'} of the {others} other pictures {'fits' if count <= 1 else 'fit'}"


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def unit(vectors_ND: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Vectors stacked and scaled to length 1, shape (N, D)."""
    stacked_ND = np.stack([np.asarray(vector, dtype=np.float64) for vector in vectors_ND])
    length_N1 = np.linalg.norm(stacked_ND, axis=1, keepdims=True)
    unit_ND: NDArray[np.float64] = stacked_ND / np.maximum(length_N1, np.finfo(np.float64).tiny)
    return unit_ND
