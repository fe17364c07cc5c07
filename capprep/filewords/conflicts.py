"""Tags that cannot both be true of one picture: which of them the tagger believes less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capprep.filewords import kinds

MARGIN = 0.1
"""By how much the more probable must lead; where neither does, both stay."""


@dataclass(frozen=True)
class Group:
    """Values of which a picture, or its one person, has one.

    Attributes:
        values: Each as the tags that say it; tags of one value may stand together.
        alone: True if it is about one person, and so says nothing where there are several.
        unless: Tags beside which several values are right.
    """

    values: tuple[frozenset[str], ...]
    alone: bool = False
    unless: frozenset[str] = frozenset()


def _values(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(value.split(", ")) for value in text.split(" | "))


def _coloured(part: str, shades: str) -> tuple[frozenset[str], ...]:
    """The colours of a part of the body, shades of one colour as one value."""
    together = [frozenset(f"{colour} {part}" for colour in value) for value in _values(shades)]
    rest = kinds.coloured(part) - frozenset().union(*together)
    return (*together, *(frozenset((one,)) for one in sorted(rest)))


_SHADES = (
    "blue, light blue, dark blue | brown, light brown, dark brown | green, light green, dark green | grey, silver | "
    "purple, light purple | red, dark red | blonde, yellow"
)

COUNTS = (
    *(Group(_values(f"1{one} | 2{one}s | 3{one}s | 4{one}s | 5{one}s | 6+{one}s")) for one in ("girl", "boy", "other")),
    *(Group(_values(f"1{one} | multiple {one}s")) for one in ("girl", "boy", "other")),
    Group((frozenset(("solo",)), kinds.MANY | {"couple", "crowd", "solo focus"})),
    Group((frozenset(("no humans",)), kinds.ONE | kinds.MANY | {"solo"})),
)  # fmt: skip
"""How many people there are; settled before anything else."""

GROUPS = (
    Group(_values("day | night, night sky")),
    Group(_values("indoors, bedroom, classroom, kitchen, bathroom, living room | outdoors")),
    Group(
        _values("short hair, very short hair | medium hair | long hair, very long hair, absurdly long hair"),
        alone=True,
        unless=frozenset(("short hair with long locks", "asymmetrical hair")),
    ),
    Group(
        _coloured("hair", _SHADES),
        alone=True,
        unless=frozenset(
            "multicolored hair;two-tone hair;gradient hair;streaked hair;split-color hair;colored inner hair;"
            "colored tips;roots (hair);rainbow hair".split(";")
        ),
    ),
    Group(
        _coloured("eyes", _SHADES),
        alone=True,
        unless=frozenset(("heterochromia", "multicolored eyes", "two-tone eyes", "gradient eyes")),
    ),
    Group(_values("closed eyes | looking at viewer"), alone=True),
)
"""The rest."""


def losers(probability: Mapping[str, float]) -> dict[str, str]:
    """The tags that a clearly more probable one rules out, each with that one.

    Args:
        probability: Of each tag of a picture, see `words.key`.
    """
    lost: dict[str, str] = {}
    for group in COUNTS:
        lost |= _losers(group, {key: p for key, p in probability.items() if key not in lost})
    left = {key: p for key, p in probability.items() if key not in lost}
    for group in GROUPS:
        if left.keys().isdisjoint(group.unless) and (not group.alone or kinds.alone(left)):
            lost |= _losers(group, left)
    return lost


def _losers(group: Group, probability: Mapping[str, float]) -> dict[str, str]:
    """Those of one group."""
    said = []
    for value in group.values:
        here = sorted(value & probability.keys(), key=lambda key: (-probability[key], key))
        if here:
            said.append((-probability[here[0]], here))
    said.sort()
    lost: dict[str, str] = {}
    for p, here in said[1:]:
        # in floating point 0.6 - 0.5 is less than 0.1
        if p - said[0][0] >= MARGIN - 1e-9:
            lost.update(dict.fromkeys(here, said[0][1][0]))
    return lost
