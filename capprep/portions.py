"""Items in portions: no more at once than memory should hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def portions(
    items: Iterable[Item], size: int, weight: Callable[[Item], int] | None = None, heaviest: int = 0
) -> Iterator[list[Item]]:
    """Items in order, at most `size` at a time.

    Args:
        items: Any number of them; taken as they are needed.
        size: How many make a portion full.
        weight: What an item weighs, where that counts too.
        heaviest: A portion that weighs so much is full.
    """
    portion: list[Item] = []
    held = 0
    for item in items:
        portion.append(item)
        held += weight(item) if weight else 0
        if len(portion) == size or (weight and held >= heaviest):
            yield portion
            portion, held = [], 0
    if portion:
        yield portion
