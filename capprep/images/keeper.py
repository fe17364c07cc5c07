"""Which picture of a group of duplicates to keep, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """What is known of a picture that may be kept for its duplicates.

    Attributes:
        pixels: Width times height of what becomes of it, in pixels of the source.
        sharpness: See `screening.Measures`.
        blockiness: See `screening.Measures`.
    """

    pixels: float
    sharpness: float
    blockiness: float


def best_of(group: Sequence[int], traits: Sequence[Traits]) -> tuple[int, str]:
    """Which picture of a group to keep, and why.

    Those more than a tenth smaller than the largest are out; of the rest those less sharp than the sharpest by more
    than 0.02; then those with more JPEG blocks than the cleanest by more than 0.05; then the first one stays. The
    margins keep what is only measured differently from deciding.

    Args:
        group: Numbers of pictures, at least one, in the order in which they arrived.
        traits: Of all pictures, by number.

    Returns:
        The picture's number, and the reason in words: "it is the sharpest of the 2 that are largest".
    """
    rules = (
        ("largest", [traits[k].pixels for k in group], 0.1 * max(traits[k].pixels for k in group)),
        ("sharpest", [traits[k].sharpness for k in group], 0.02),
        ("least damaged by JPEG", [-traits[k].blockiness for k in group], 0.05),
    )
    left, reason = list(range(len(group))), ""
    for name, values, margin in rules:
        best = max(values[k] for k in left)
        stay = [k for k in left if values[k] >= best - margin]
        if len(stay) < len(left):
            among = f"of {len(group)}" if not reason else f"of the {len(left)} that are {reason}"
            sentence = f"it is the {name} {among}"
            if len(stay) == 1:
                return group[stay[0]], sentence
            reason = name
        left = stay
    if not reason:
        return group[left[0]], f"all {len(group)} are alike and it came first"
    return group[left[0]], f"it is one of the {len(left)} {reason} and came first of them"
