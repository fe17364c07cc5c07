"""From which probability on a tag counts: per category, or at the largest gap of one picture's probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capprep.errors import ConfigError
from capprep.facts import TagScore

FLOOR = 0.05
"""Tags under it are not stored, so no threshold can be lower."""

MCUT_LEAST = 0.15
"""MCut never goes below it: of a category that is not on the picture at all, the largest gap lies in the noise."""

ALL = "default"
"""How a table of thresholds names the one for every category without its own."""


@dataclass(frozen=True)
class Thresholds:
    """The least probability of a tag by its category.

    Attributes:
        default: For every category without its own, 0.05..1.
        categories: The own ones, by category ("character").
    """

    default: float = 0.5
    categories: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {ALL: self.default, **self.categories}.items():
            # the name may come from a stranger's file
            if not re.fullmatch(r"[a-z]{1,20}", name) or ALL in self.categories:
                raise ConfigError(f"a threshold for {name[:40]!r} is not possible", "a category is one small word")
            # written so that NaN fails too
            if not FLOOR <= value <= 1:
                raise ConfigError(f"the threshold {name} = {value:g} is out of range", f"it must be {FLOOR} to 1")

    def of(self, category: str) -> float:
        """The threshold of a category."""
        return self.categories.get(category, self.default)

    def to_json(self) -> dict[str, float]:
        """As a part of a fact's data, and as TOML has it: "default" and the categories."""
        return {ALL: self.default, **self.categories}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Thresholds:
        """Back from a table of numbers; see `to_json`.

        Raises:
            ConfigError: A value is no number, or out of range.
        """
        for name, value in data.items():
            # a whole number of a TOML file may be too large for a float
            if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= 1:
                said = f"{name!r:.60} = {value!r:.60}"
                raise ConfigError(f"the threshold {said} is not possible", f"it must be a number, {FLOOR} to 1")
        numbers = {name: float(value) for name, value in data.items()}
        return cls(numbers.pop(ALL, cls.default), numbers)

    def overridden(self, text: str) -> Thresholds:
        """These thresholds, save what a person says.

        Args:
            text: "" changes nothing; "0.35" is for every tag; "character=0.9,general=0.3" for those categories;
                "0.35,character=0.9" for every tag but those of the categories named.

        Raises:
            ConfigError: It is no such text.
        """
        named: dict[str, float] = {}
        everywhere = False
        for piece in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, number = (part.strip() for part in piece.rpartition("="))
            everywhere = everywhere or not equals
            name = name if equals else ALL
            if not name or name in named:
                raise _not_thresholds(text)
            try:
                named[name] = float(number)
            except ValueError as error:
                raise _not_thresholds(text) from error
        default = named.pop(ALL, self.default)
        return Thresholds(default, named if everywhere else {**self.categories, **named})


def mcut(probabilities: Sequence[float]) -> float:
    """The middle of the largest gap between neighbours of the sorted probabilities; of equal gaps the highest.

    Maximum Cut Thresholding of Largeron, Moulin and Géry (2012).

    Raises:
        ValueError: There are fewer than two, or one of them is no number.
    """
    if len(probabilities) < 2 or any(math.isnan(probability) for probability in probabilities):
        raise ValueError("a gap lies between two numbers")
    falling = sorted(probabilities, reverse=True)
    # max() takes the first of equal ones
    after = max(range(1, len(falling)), key=lambda place: falling[place - 1] - falling[place])
    return (falling[after - 1] + falling[after]) / 2


def over(
    tags: Sequence[TagScore],
    thresholds: Thresholds,
    *,
    by_mcut: bool = False,
    beneath: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """Why each tag of one picture is left out; "" where its probability is high enough.

    Args:
        tags: The stored ones.
        thresholds: What counts.
        by_mcut: Cut each category at its largest gap instead, but not under `MCUT_LEAST`. A category with fewer than
            two probabilities has no gap and keeps its threshold.
        beneath: The highest probability of each category that was too low to be stored. With it MCut finds the gap
            that it would find among all tags, if that is wider than `FLOOR`.
    """
    cuts = _cuts(tags, beneath or {}) if by_mcut else {}
    # without the probability itself, so that equal reasons can be shown as one
    return tuple(
        ""
        if tag.probability >= cuts.get(tag.category, thresholds.of(tag.category))
        else _reason(tag.category, thresholds, tag.category in cuts)
        for tag in tags
    )


def _cuts(tags: Sequence[TagScore], beneath: Mapping[str, float]) -> dict[str, float]:
    """MCut's threshold of each category that has a gap."""
    probabilities: dict[str, list[float]] = {}
    for tag in tags:
        probabilities.setdefault(tag.category, []).append(tag.probability)
    for category, highest in beneath.items():
        if category in probabilities:
            probabilities[category].append(highest)
    return {category: max(mcut(some), MCUT_LEAST) for category, some in probabilities.items() if len(some) > 1}


def _reason(category: str, thresholds: Thresholds, cut: bool) -> str:
    if cut:
        return f"its probability is under the largest gap of this picture's {category} tags"
    whose = f" for {category} tags" if category in thresholds.categories else ""
    return f"its probability is under the threshold {thresholds.of(category):g}{whose}"


def _not_thresholds(text: str) -> ConfigError:
    return ConfigError(
        f"the thresholds {text[:80]!r} cannot be read",
        "write one number, or category=number, or both, with commas between: 0.35,character=0.85",
    )
