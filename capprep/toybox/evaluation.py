"""How well readers read the drawn world: shares, F1 and AUROC over pictures, with intervals by bootstrap.

Every figure is computed for all resamples at once: `resamples` says how often each picture is in each of them, its
first row being the pictures themselves, and `estimate` turns a figure's values into a number with its interval.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.toybox.drawing import COLOURS
from capprep.toybox.negatives import POINTS, altered
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import KINDS
from capprep.toybox.world import COUNTS, DAMAGE_TAGS, STYLE_TAGS, TAGS, Scene, plural, tag_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# N pictures, B = the pictures themselves and their resamples, T tags, M scores

RESAMPLES = 500
LEAST = 5
"""A tag is judged where at least that many pictures have it and at least that many lack it."""

_COLOURED = tuple(f"{colour}_{kind}" for kind in KINDS for colour in COLOURS)
_GROUPS: dict[str, tuple[str, ...]] = {
    "kinds": tuple(KINDS),
    "colours": tuple(COLOURS),
    "coloured kinds": _COLOURED,
    "counts": (*COUNTS.values(), "multiple_objects"),
    "backgrounds": tuple(map(tag_of, BACKGROUNDS)),
    "light": tuple(LIGHTS),
    "style": tuple(STYLE_TAGS.values()),
    "damage": tuple(DAMAGE_TAGS.values()),
    "rating": tuple(tag for tag, category in TAGS.items() if category == "rating"),
}
TAG_GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(tag for tag, category in TAGS.items() if category != "rating"),
    **_GROUPS,
    "the rest": tuple(tag for tag in TAGS if not any(tag in group for group in _GROUPS.values())),
}
"""Tags that are judged together; "all" are the general ones and those of style and damage."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where there was nothing to compute it from.

    Attributes:
        value: Of the pictures themselves.
        low, high: The 2.5th and the 97.5th percentile of the resamples. Where every picture is right they are
            equal, which does not mean that the figure is certain.
    """

    value: float
    low: float
    high: float


def resamples(pictures: int, count: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each picture is in each resample (Efron 1979), shape (count + 1, pictures), the first row all ones."""
    drawn = np.random.default_rng(seed).multinomial(pictures, np.full(pictures, 1 / pictures), size=count)
    return np.concatenate([np.ones((1, pictures)), drawn])


def estimate(values_B: Floats) -> Estimate:
    """A figure from its values for the rows of `resamples`; resamples in which it is undefined are left out."""
    known = values_B[1:][~np.isnan(values_B[1:])]
    if np.isnan(values_B[0]) or not len(known):
        return Estimate(float(values_B[0]), np.nan, np.nan)
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(float(values_B[0]), float(low), float(high))


def share(top_N: Floats | Flags, bottom_N: Floats | Flags, weights_BN: Floats) -> Floats:
    """The sum of one number over the sum of another, shape (B,); NaN where that is zero."""
    top_B, bottom_B = weights_BN @ top_N, weights_BN @ bottom_N
    return _quotient(top_B, bottom_B)


def micro_f1(said_NT: Flags, true_NT: Flags, weights_BN: Floats) -> Floats:
    """2 hits / (said + true) over all pictures and tags together, shape (B,); NaN where no tag is true of any."""
    said_N, true_N, hits_N = (flags.sum(axis=1) for flags in (said_NT, true_NT, said_NT & true_NT))
    f1_B = share(2.0 * hits_N, (said_N + true_N).astype(np.float64), weights_BN)
    f1_B[weights_BN @ true_N == 0] = np.nan
    return f1_B


def auroc(scores_M: Floats, truth_M: Flags, weights_BM: Floats) -> Floats:
    """How often a true one scores over a false one, ties counting half (Mann and Whitney 1947), shape (B,).

    NaN where there are none of either.

    Args:
        scores_M: Higher where it is thought true.
        truth_M: Whether it is.
        weights_BM: How often each is there.
    """
    if not len(scores_M):
        return np.full(len(weights_BM), np.nan)
    order_M = np.argsort(scores_M, kind="stable")
    # equal scores are one step: what stands in it is neither over nor under each other
    starts_U = np.flatnonzero(np.diff(scores_M[order_M], prepend=-np.inf))
    weights_BM, truth_M = weights_BM[:, order_M], truth_M[order_M]
    true_BU = np.add.reduceat(weights_BM * truth_M, starts_U, axis=1)
    false_BU = np.add.reduceat(weights_BM * ~truth_M, starts_U, axis=1)
    won_B = (true_BU * (false_BU.cumsum(axis=1) - false_BU / 2)).sum(axis=1)
    pairs_B = true_BU.sum(axis=1) * false_BU.sum(axis=1)
    return _quotient(won_B, pairs_B)


def _quotient(top_B: Floats, bottom_B: Floats) -> Floats:
    values_B = np.full(len(bottom_B), np.nan)
    np.divide(top_B, bottom_B, out=values_B, where=bottom_B > 0)
    return values_B


def mean_auroc(scores_NT: Floats, truth_NT: Flags, weights_BN: Floats, least: int = LEAST) -> tuple[Floats, int]:
    """The mean of the tags' AUROC, shape (B,), and how many tags it is of; NaN where it is of none.

    Args:
        scores_NT: How well each tag fits each picture.
        truth_NT: Whether it is true.
        weights_BN: See `resamples`.
        least: A tag counts where at least that many pictures have it and as many lack it.
    """
    have_T = truth_NT.sum(axis=0)
    judged = np.flatnonzero((have_T >= least) & (len(truth_NT) - have_T >= least))
    if not len(judged):
        return np.full(len(weights_BN), np.nan), 0
    values_TB = np.array([auroc(scores_NT[:, tag], truth_NT[:, tag], weights_BN) for tag in judged])
    # a resample may lack all pictures of a rare tag: its mean is of the others
    known_TB = ~np.isnan(values_TB)
    sums_B = np.where(known_TB, values_TB, 0).sum(axis=0)
    return _quotient(sums_B, known_TB.sum(axis=0).astype(np.float64)), len(judged)


@dataclass(frozen=True)
class Heard:
    """What a caption says, as far as it says anything.

    Attributes:
        groups: Colour, kind and number of things; the number is 0 where no number word or article stands before them.
        backgrounds: The sceneries it names.
        light: "day" where it names no other.
    """

    groups: frozenset[tuple[str, str, int]]
    backgrounds: tuple[str, ...]
    light: str

    @property
    def objects(self) -> frozenset[tuple[str, str]]:
        """Colours and kinds without the numbers."""
        return frozenset((colour, kind) for colour, kind, _ in self.groups)


def heard(caption: str) -> Heard:
    """Read a caption, whatever its grammar: a thing is named where its colour stands right before its kind."""
    groups = frozenset(
        (found["colour"], _SINGULAR[found["kind"]], _COUNTED.get(found["number"], 0))
        for found in _NAMED.finditer(caption)
    )
    backgrounds = tuple(name for name in BACKGROUNDS if re.search(rf"\b{name}\b", caption))
    at = re.search(rf"\bat ({'|'.join(LIGHTS)})\b", caption)
    return Heard(groups, backgrounds, at[1] if at else "day")


def caption_hits(captions: Sequence[str], scenes: Sequence[Scene]) -> dict[str, tuple[Floats, Floats]]:
    """What captions get right, each as how often for every picture and out of how many.

    Returns:
        "objects": groups of things named with their colour and kind; "numbers": with their number as well;
        "exact": the very sentence; "background" and "light": the right one and no other.
    """
    rows: dict[str, list[tuple[int, int]]] = {name: [] for name in CAPTION_POINTS}
    for caption, shown in zip(captions, scenes, strict=True):
        said = heard(caption)
        objects = {(group.colour, group.kind) for group in shown.groups}
        numbers = {(group.colour, group.kind, group.count) for group in shown.groups}
        rows["objects"].append((len(objects & said.objects), len(objects)))
        rows["numbers"].append((len(numbers & said.groups), len(numbers)))
        rows["exact"].append((caption == shown.caption, 1))
        rows["background"].append((said.backgrounds == (shown.background,), 1))
        rows["light"].append((said.light == shown.light, 1))
    tables = {name: np.array(hits, dtype=np.float64).reshape(-1, 2) for name, hits in rows.items()}
    return {name: (hits_N2[:, 0], hits_N2[:, 1]) for name, hits_N2 in tables.items()}


CAPTION_POINTS = ("objects", "numbers", "exact", "background", "light")
"""What `caption_hits` counts."""


def truth(tags: Sequence[Sequence[str]]) -> Flags:
    """Lists of tags as flags, shape (N, T), the columns in the order of `world.TAGS`."""
    flags_NT = np.zeros((len(tags), len(TAGS)), dtype=np.bool_)
    for row, true in enumerate(tags):
        flags_NT[row, columns(true)] = True
    return flags_NT


def columns(tags: Sequence[str]) -> NDArray[np.int64]:
    """Where tags stand in `world.TAGS`."""
    return np.array([_COLUMN[tag] for tag in tags])


def swapped(scenes: Sequence[Scene], seed: int = 0) -> list[str]:
    """For each scene the caption of another one that is not the same sentence.

    Raises:
        ConfigError: All captions are the same.
    """
    rng = random.Random(seed)
    captions = [shown.caption for shown in scenes]
    if len(set(captions)) < 2:
        raise ConfigError("captions cannot be exchanged where all are the same", "take more pictures")
    others = []
    for caption in captions:
        other = caption
        while other == caption:
            other = rng.choice(captions)
        others.append(other)
    return others


def wrong_captions(scenes: Sequence[Scene], seed: int = 0) -> list[Mapping[str, str]]:
    """For each scene its caption wrong in one point, for every point of `negatives.POINTS` that it has."""
    rng = random.Random(seed)
    texts = [{point: altered(shown, point, rng) for point in POINTS} for shown in scenes]
    return [{point: text for point, text in each.items() if text is not None} for each in texts]


_COLUMN = {tag: number for number, tag in enumerate(TAGS)}
_COUNTED = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_SINGULAR = {word: kind for kind in KINDS for word in (kind, plural(kind))}
_NAMED = re.compile(
    rf"\b(?:(?P<number>{'|'.join(_COUNTED)})\s+)?(?:(?:small|big)\s+)?"
    rf"(?P<colour>{'|'.join(COLOURS)})\s+(?P<kind>{'|'.join(_SINGULAR)})\b"
)
