"""The whole set: do these texts fit these pictures at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capprep.agreement.centring import Floats, Labels, centred
from capprep.agreement.intervals import Interval, mean_interval

FINE = "fine"
PRUNE = "prune"
NO_INFORMATION = "no information"
UNDECIDED = "not enough evidence"

LEAST = 8
"""Pictures, near-copies as one, below which nothing is said of the set."""

EFFECT = 0.6
"""Texts that carry information fit their own picture better than that share of other texts."""

POSSIBLE = 0.75
"""Where the interval reaches that far, texts that chance might explain may be good all the same."""

SAMPLE = 1000
"""So many pictures of a larger set are enough for an interval of a few hundredths."""

CHANCE = 0.01
"""Texts dealt out to the pictures at random fit as well as the true ones with at most that probability."""

DEALS = 999
SHOWN = 12


@dataclass(frozen=True)
class SetVerdict:
    """What is to be said of all texts together.

    Attributes:
        kind: `FINE`, `PRUNE`, `NO_INFORMATION` or `UNDECIDED`.
        reason: What was measured, as a sentence.
        advice: What to do, as a sentence.
        effect: How often a picture's own text fits it better than another picture's text, 0.5 by chance, with its
            95 % interval over pictures; None where there was nothing to compare.
        compared: How many pictures were compared.
        prune: The tags that had better go.
    """

    kind: str
    reason: str
    advice: str
    effect: Interval | None
    compared: int
    prune: tuple[str, ...] = ()


def set_verdict(
    similarity_NR: NDArray[np.floating],
    texts: Sequence[Sequence[int]],
    reference: Sequence[int] | None = None,
    groups_N: Labels | None = None,
    contradicted: Sequence[str] = (),
    wrong_cells: int = 0,
) -> SetVerdict:
    """Judge a set by how much better pictures fit their own texts than each other's.

    A picture's fit to a text is the mean of the centred similarities of what the text says (its caption, its tags).
    For each picture, the share of other pictures' texts that fit it less well than its own; half of them by chance.
    The same texts dealt out at random say how easily chance would do as well (a permutation test).

    Args:
        similarity_NR: Similarity of picture n and text r, captions and tags alike.
        texts: For each picture the columns that its text says; pictures that say nothing are left out.
        reference: Columns of which the picture means are taken, see `centred`; all if None.
        groups_N: Labels, equal for near-copies of one picture, of which the first is taken.
        contradicted: Tags that do not fit their pictures.
        wrong_cells: How many tags of single pictures seem wrong there.
    """
    labels_N = np.arange(len(texts)) if groups_N is None else np.asarray(groups_N)
    speaking = [n for n, said in enumerate(texts) if len(said)]
    # one of each unit: near-copies would say the same twice
    first = {label: n for n, label in reversed([(n, int(labels_N[n])) for n in speaking])}
    rows_K = _sampled(sorted(first.values()))
    fit_KK = _fits(similarity_NR[rows_K], [texts[n] for n in rows_K], reference)
    shares_K = _own_shares(fit_KK, [texts[n] for n in rows_K])
    known_K = shares_K[~np.isnan(shares_K)]
    count = len(known_K)
    if count < LEAST:
        reason = f"too few pictures with texts of their own to compare: {count}, at least {LEAST} are needed"
        return SetVerdict(UNDECIDED, reason, "look at the texts yourself", None, count)
    effect = mean_interval(known_K, np.arange(count))
    reason = (
        f"a picture's own text fits it better than {100 * effect.value:.0f} of 100 texts of other pictures "
        f"({100 * effect.low:.0f} to {100 * effect.high:.0f}; chance is 50)"
    )
    doubtful = effect.value < EFFECT or _chance(fit_KK) > CHANCE
    if doubtful and effect.high >= POSSIBLE:
        advice = "the pictures are too few or too unlike what the matcher knows: look at the texts yourself"
        return SetVerdict(UNDECIDED, reason, advice, effect, count)
    if doubtful:
        advice = "these texts carry no information about these pictures: write your own, or train with a bare template"
        return SetVerdict(NO_INFORMATION, reason, advice, effect, count)
    if not contradicted and not wrong_cells:
        return SetVerdict(FINE, reason, "the texts fit; nothing needs to be done", effect, count)
    return SetVerdict(PRUNE, reason, _pruning(contradicted, wrong_cells), effect, count, tuple(contradicted))


def own_shares(
    similarity_NR: NDArray[np.floating], texts: Sequence[Sequence[int]], reference: Sequence[int] | None = None
) -> Floats:
    """For each of N pictures the share of the others' texts that fit it less well than its own; NaN where all are one.

    Args:
        similarity_NR: See `set_verdict`.
        texts: For each picture one or more columns.
        reference: See `set_verdict`.
    """
    return _own_shares(_fits(similarity_NR, texts, reference), texts)


def _pruning(contradicted: Sequence[str], wrong_cells: int) -> str:
    """What to do where the texts fit on the whole."""
    parts = []
    if contradicted:
        named = ", ".join(contradicted[:SHOWN]) + (", ..." if len(contradicted) > SHOWN else "")
        parts.append(f"prune {_count(len(contradicted), 'tag')} that the pictures contradict: {named}")
    if wrong_cells:
        parts.append(f"look at {_count(wrong_cells, 'place')} where a tag seems wrong on a single picture")
    return "; ".join(parts)


def _fits(
    similarity_KR: NDArray[np.floating], texts: Sequence[Sequence[int]], reference: Sequence[int] | None
) -> Floats:
    """How well each of K pictures fits the text of each of them, shape (K, K)."""
    if not len(texts):
        return np.zeros((0, 0))
    residual_KR = centred(similarity_KR, None if reference is None else similarity_KR[:, list(reference)])
    said_KR = np.zeros(residual_KR.shape)
    for k, said in enumerate(texts):
        said_KR[k, list(said)] = 1 / len(set(said))
    fit_KK: Floats = (residual_KR @ said_KR.T).round(10)
    return fit_KK


def _own_shares(fit_KK: Floats, texts: Sequence[Sequence[int]]) -> Floats:
    number: dict[frozenset[int], int] = {}
    wording_K = np.array([number.setdefault(frozenset(said), len(number)) for said in texts], dtype=np.intp)
    apart_KK = wording_K[:, None] != wording_K
    own_K1 = fit_KK.diagonal()[:, None]
    won_K = (apart_KK * ((fit_KK < own_K1) + 0.5 * (fit_KK == own_K1))).sum(axis=1)
    shares_K = np.full(len(texts), np.nan)
    np.divide(won_K, apart_KK.sum(axis=1), out=shares_K, where=apart_KK.any(axis=1))
    return shares_K


def _chance(fit_KK: Floats, seed: int = 0) -> float:
    """How probable it is that texts dealt out at random fit as well on the whole, by ranks within each picture."""
    from scipy.stats import rankdata

    rank_KK = rankdata(fit_KK, axis=1)
    rng, every_K = np.random.default_rng(seed), np.arange(len(fit_KK))
    own = rank_KK.trace()
    as_good = sum(rank_KK[every_K, rng.permutation(len(fit_KK))].sum() >= own for _ in range(DEALS))
    return float((1 + as_good) / (1 + DEALS))


def _sampled(rows: Sequence[int]) -> NDArray[np.intp]:
    """At most `SAMPLE` of the pictures, spread evenly."""
    picked = np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).round().astype(np.intp)
    return np.array(rows, dtype=np.intp)[picked]


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
