"""What is said of a text: three states, a kind, and a reason in words with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNKNOWN = "unknown"

FITS = "fits"
MISFIT = "misfit"
WEAK = "weak"
"""Kind of verdict: compared, and fitting neither better nor worse than chance explains."""
WRONG_HERE = "wrong_here"
MISSING_HERE = "missing_here"
CONSTANT = "constant"
RARE = "rare"
UNTESTABLE = "untestable"
UNTESTED = "untested"

KINDS = {
    FITS: "supported: fits its pictures better than the others",
    WEAK: "compared, and no evidence either way",
    WRONG_HERE: "fits its other pictures, and not this one",
    MISSING_HERE: "fits this picture as it fits those that have it",
    MISFIT: "contradicted: fits its pictures worse than the others",
    CONSTANT: "on every picture or nearly, so there is nothing to compare with",
    RARE: "on too few pictures to tell",
    UNTESTABLE: "of a kind that such models cannot judge: counts, negations, quality words, names",
    UNTESTED: "on no picture",
    "redundant": "said by another tag already",
    "conflicting": "cannot be true beside another tag",
    "degenerate": "a caption that repeats itself, or is the same on many pictures",
    "over_budget": "behind the tokens that a trainer reads",
}
"""Every kind of verdict; the last four are found in the texts alone, not by the pictures."""


@dataclass(frozen=True)
class Thresholds:
    """Where a statistic becomes a verdict.

    Attributes:
        discovery_rate: Share of false ones allowed among the supported tags, and among the contradicted ones
            (Benjamini-Hochberg q).
        attainable: A tag is tested only if its counts allow a p-value as small as this.
        effect: The smallest AUC that counts as support.
        false_flags: Share of the true tags' pictures that may be said to be wrong.
    """

    discovery_rate: float = 0.10
    attainable: float = 0.05
    effect: float = 0.65
    false_flags: float = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the pictures say of a text.

    Attributes:
        state: `supported`, `contradicted` or `unknown` (not enough evidence).
        kind: Why, in one word: a key of `KINDS`.
        reason: The same as a sentence with its numbers.
        auc: Share of (carrier, other) pairs in which the carrier fits the text better, 0..1; None if untested.
        p: One-sided p-value of the state's own tail, or None.
        carriers: How many pictures carry the text.
        others: How many do not.
        q: The p-value after Benjamini-Hochberg over what was tested, or None.
    """

    state: str
    kind: str
    reason: str
    auc: float | None
    p: float | None
    carriers: int
    others: int
    q: float | None = None


def pictures(count: int) -> str:
    """As in "1 picture" and "2 pictures"."""
    return "1 picture" if count == 1 else f"{count} pictures"
