"""Captions that are false in exactly one point: what a matcher must tell from the true one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from capprep.toybox.drawing import COLOURS
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import KINDS
from capprep.toybox.world import SIZES, Scene


def altered(shown: Scene, what: str, rng: random.Random) -> str | None:
    """The scene's caption with one point changed, or None where the scene has no such point.

    Args:
        shown: The scene.
        what: A key of `POINTS`.
        rng: Chooses the wrong word.
    """
    other = POINTS[what](shown, rng)
    return None if other is None else other.caption


def _kind(shown: Scene, rng: random.Random) -> Scene:
    kinds = [kind for kind in KINDS if all(kind != group.kind for group in shown.groups)]
    return _one_group(shown, rng, kind=rng.choice(kinds))


def _colour(shown: Scene, rng: random.Random) -> Scene:
    colours = [colour for colour in COLOURS if all(colour != group.colour for group in shown.groups)]
    return _one_group(shown, rng, colour=rng.choice(colours))


def _count(shown: Scene, rng: random.Random) -> Scene:
    at = rng.randrange(len(shown.groups))
    count = rng.choice([count for count in (1, 2, 3) if count != shown.groups[at].count])
    groups = [replace(group, count=count, size="") if at == i else group for i, group in enumerate(shown.groups)]
    return replace(shown, groups=tuple(groups))


def _size(shown: Scene, rng: random.Random) -> Scene | None:
    (group, *others) = shown.groups
    if others or group.count > 1:
        return None
    return replace(shown, groups=(replace(group, size=rng.choice([size for size in SIZES if size != group.size])),))


def _background(shown: Scene, rng: random.Random) -> Scene:
    return replace(shown, background=rng.choice([name for name in BACKGROUNDS if name != shown.background]))


def _light(shown: Scene, rng: random.Random) -> Scene:
    return replace(shown, light=rng.choice([name for name in LIGHTS if name != shown.light]))


def _order(shown: Scene, _: random.Random) -> Scene | None:
    return replace(shown, groups=shown.groups[::-1]) if len(shown.groups) == 2 else None


def _binding(shown: Scene, _: random.Random) -> Scene | None:
    """The colours of two groups exchanged: every word stays, only what belongs to what is wrong."""
    if len(shown.groups) < 2:
        return None
    one, two = shown.groups
    if one.colour == two.colour or one.kind == two.kind:
        return None
    return replace(shown, groups=(replace(one, colour=two.colour), replace(two, colour=one.colour)))


def _one_group(shown: Scene, rng: random.Random, **change: str) -> Scene:
    at = rng.randrange(len(shown.groups))
    groups = [replace(group, **change) if at == i else group for i, group in enumerate(shown.groups)]  # type: ignore[arg-type]
    return replace(shown, groups=tuple(groups))


POINTS: dict[str, Callable[[Scene, random.Random], Scene | None]] = {
    "kind": _kind,
    "colour": _colour,
    "count": _count,
    "size": _size,
    "background": _background,
    "light": _light,
    "order": _order,
    "binding": _binding,
}
"""What a caption can be wrong about."""
