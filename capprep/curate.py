"""Which pictures are in the set: sizes, flaws, duplicates and the best few, each with its reason; a pure function."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from capprep.candidates import KEEP, NO, PIXELS, TEXT, YES, Candidate, LeftOut, Policy, mirror_id
from capprep.columns import Columns
from capprep.facts import PICTURE, PictureFact
from capprep.images import curation, duplicates
from capprep.images.duplicates import Pairs
from capprep.images.keeper import Traits, best_of
from capprep.images.screening import percentiles

SELECT = "select"
"""Where a picture was left out that is fine in itself."""

Decisions = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Member:
    """One picture of a group of duplicates.

    Attributes:
        id: Of the candidate.
        relation: How it is like the keeper, for people; "" for the keeper itself.
        name: Of the candidate, as in the set and among what was left out.
    """

    id: str
    relation: str
    name: str


@dataclass(frozen=True)
class Group:
    """Pictures that show the same.

    Attributes:
        members: In order of arrival.
        keeper: The id of the best of them; where a person wants some of them, of those.
        reason: Why that one is kept, as the end of a sentence.
    """

    members: tuple[Member, ...]
    keeper: str
    reason: str


@dataclass(frozen=True)
class Curation:
    """What was chosen of N candidates, each known by its place among them.

    Attributes:
        kept_N: Which of them are the set.
        left_out: Everything else.
        groups: Duplicates, whether they were left out or not.
        chosen: Why a picture is among the best, by id; empty where all are kept.
        columns: What was measured.
        policy: The thresholds.
    """

    kept_N: NDArray[np.bool_]
    left_out: tuple[LeftOut, ...]
    groups: tuple[Group, ...]
    chosen: Mapping[str, str]
    columns: Columns
    policy: Policy

    @property
    def places(self) -> NDArray[np.int64]:
        """The places of the set."""
        return np.flatnonzero(self.kept_N)

    @cached_property
    def _flawed_N(self) -> NDArray[np.bool_]:  # noqa: N802 - it carries its dimension
        return _flawed(self.columns, self.policy)

    def flaws(self, place: int) -> tuple[tuple[str, str], ...]:
        """What a person should look at: (code, sentence)."""
        return tuple(_flaws(self.columns, place, self.policy)) if self._flawed_N[place] else ()

    def sharper(self, place: int) -> float | None:
        """Of how many in a hundred of the usable pictures it is sharper; None where it was not measured."""
        share = float(self.columns.sharper_N[place])
        return None if math.isnan(share) else share


def curate(candidates: Sequence[Candidate], decisions: Decisions, policy: Policy) -> Curation:
    """Choose the pictures of the set.

    A person's word on a picture stands above every threshold. What a person wrote or painted for a picture counts as
    wanting it: among duplicates it stays, and of the best few it is one.

    Args:
        candidates: Every picture that has a source, in order of number. They are gone through once; then only those
            that are left out or have duplicates are asked for again.
        decisions: What people decided: (picture id, kind) -> payload.
        policy: Thresholds.
    """
    columns = Columns()
    left_out: list[LeftOut] = []
    unwanted: list[LeftOut] = []
    standing: list[int] = []
    for place, candidate in enumerate(candidates):
        columns.add(candidate, wanted=_wanted(candidate, decisions), decided=(candidate.id, KEEP) in decisions)
        left_out += _lost(candidate)
        if candidate.picture is not None and candidate.crop is not None:
            out = _unwanted(candidate, candidate.picture, decisions, policy)
            if out is None:
                standing.append(place)
            else:
                unwanted.append(out)
    columns.close()
    curator = _Curator(candidates, columns, policy, left_out)
    left_out += unwanted
    standing_S = curator.without_flawed(np.array(standing, np.int64))
    groups, standing_S = curator.without_duplicates(standing_S)
    standing_S, chosen = curator.best(standing_S)
    kept_N = np.zeros(len(columns), np.bool_)
    kept_N[standing_S] = True
    return Curation(kept_N, tuple(left_out), groups, chosen, columns, policy)


def _lost(candidate: Candidate) -> list[LeftOut]:
    """What of a candidate failed; a picture that was never read counts as that."""
    lost = [LeftOut(candidate.sources, *failure, candidate.name) for failure in candidate.failures]
    if candidate.picture is None and not lost:
        message = "run `capprep ingest` again to read it"
        lost.append(LeftOut(candidate.sources, PICTURE, "not_read", message, candidate.name))
    return lost


def _out(candidate: Candidate, reason: str, message: str, stage: str = SELECT) -> LeftOut:
    return LeftOut(candidate.sources, stage, reason, message, candidate.name, candidate.crop or "")


def _wanted(candidate: Candidate, decisions: Decisions) -> bool:
    """Whether a person asked for it, in words or by working on it."""
    if not decisions:
        return False
    word = decisions.get((candidate.id, KEEP))
    if word is not None:
        return word == YES
    ids = (candidate.id, mirror_id(candidate.id))
    return any((id_, kind) in decisions for id_ in ids for kind in (TEXT, PIXELS))


def _unwanted(candidate: Candidate, picture: PictureFact, decisions: Decisions, policy: Policy) -> LeftOut | None:
    """Why a picture is left out by a person or for its size, or None."""
    word = decisions.get((candidate.id, KEEP))
    if word == NO:
        return _out(candidate, "decided", "you left it out")
    too_small = "" if word == YES else _too_small(picture, policy)
    return _out(candidate, "too_small", too_small, PICTURE) if too_small else None


def _too_small(picture: PictureFact, policy: Policy) -> str:
    """Why a picture is too small, or ""."""
    enlarged = 1 / picture.scale
    # the sides of a box that a person gave may be off by a last bit
    if enlarged <= policy.max_upscale * (1 + 1e-9):
        return ""
    return (
        f"{picture.width}x{picture.height} would have to be enlarged {enlarged:.2f} times"
        f" for {picture.size}x{picture.size}; --max-upscale is {policy.max_upscale:g}"
    )


# --- flaws ---------------------------------------------------------------------------------------


def _flawed(columns: Columns, policy: Policy) -> NDArray[np.bool_]:
    """Which of all candidates have a flaw; see `_flaws`."""
    if policy.screen == "off":
        return np.zeros(len(columns), np.bool_)
    border_N = np.maximum(columns.number("dark_border"), columns.number("light_border"))
    return columns.flag("measured") & (
        (columns.number("information") < policy.min_information)
        | (columns.number("highlights") < policy.min_highlights)
        | (columns.number("shadows") > policy.max_shadows)
        | (columns.number("contrast") < policy.min_contrast)
        | (columns.number("sharpness") < policy.min_sharpness)
        | (columns.number("blockiness") > policy.max_blockiness)
        | (border_N > policy.max_border)
    )


def _flaws(columns: Columns, place: int, policy: Policy) -> Iterator[tuple[str, str]]:
    """What a person should look at: (code, sentence)."""
    found = columns.measures(place)
    if found is None or policy.screen == "off":
        return
    if found.information < policy.min_information:
        yield "blank", f"there is hardly anything ({found.information:.1f} bits)"
    if found.highlights < policy.min_highlights:
        yield "dark", f"it is very dark (brightest {found.highlights:.2f} of 1)"
    if found.shadows > policy.max_shadows:
        yield "bright", f"it is very bright (darkest {found.shadows:.2f} of 1)"
    if found.contrast < policy.min_contrast:
        yield "flat", f"it has hardly any contrast ({found.contrast:.3f})"
    if found.sharpness < policy.min_sharpness:
        yield (
            "blurred",
            f"it looks blurred (sharpness {found.sharpness:.2f}, above {columns.sharper_N[place]:.0f} % of this set)",
        )
    if found.blockiness > policy.max_blockiness:
        yield "blocky", f"JPEG's blocks show ({found.blockiness:.2f} of 1)"
    border = max(found.dark_border, found.light_border)
    if border > policy.max_border:
        shade = "dark" if found.dark_border > found.light_border else "light"
        yield "border", f"{border:.0%} of it are a {shade} margin"


# --- what stays of those that are fine in themselves -----------------------------------------------


@dataclass(frozen=True)
class _Curator:
    """Takes away flawed ones, duplicates, and what is not among the best; S are the places that still stand.

    Attributes:
        candidates: All of them.
        columns: The same in arrays.
        policy: Thresholds.
        left_out: Grows by what is taken away.
    """

    candidates: Sequence[Candidate]
    columns: Columns
    policy: Policy
    left_out: list[LeftOut]

    def without_flawed(self, standing_S: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those without a flaw, where flaws count, and a person's own."""
        if self.policy.screen != "reject":
            return standing_S
        rejected_S = (_flawed(self.columns, self.policy) & ~self.columns.flag("wanted"))[standing_S]
        for place in standing_S[rejected_S].tolist():
            found = list(_flaws(self.columns, place, self.policy))
            message = "; ".join(sentence for _, sentence in found)
            self.left_out.append(_out(self.candidates[place], found[0][0], message))
        return standing_S[~rejected_S]

    # --- duplicates ------------------------------------------------------------------------------

    def without_duplicates(self, standing_S: NDArray[np.int64]) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
        """The groups, and those that are in none or its best; a person's own stay."""
        seen_S = standing_S[self.columns.flag("seen")[standing_S]]
        groups, dropped = [], set()
        for places, keeper, reason, relations in self._groups(seen_S):
            members = [self.candidates[place] for place in places]
            best = members[places.index(keeper)]
            groups.append(
                Group(
                    tuple(
                        Member(each.id, relation, each.name) for each, relation in zip(members, relations, strict=True)
                    ),
                    best.id,
                    reason,
                )
            )
            if self.policy.duplicates == "none":
                continue
            for place, each, relation in zip(places, members, relations, strict=True):
                if place != keeper and not self.columns.flag("wanted")[place]:
                    dropped.add(place)
                    message = f"{best.name} shows the same ({relation}); that one is kept, because {reason}"
                    self.left_out.append(_out(each, "duplicate", message))
        return tuple(groups), standing_S[~np.isin(standing_S, list(dropped))]

    def _groups(self, seen_S: NDArray[np.int64]) -> Iterator[tuple[list[int], int, str, list[str]]]:
        """Places of a group, its keeper, why, and how each is like it.

        By pixels, and by looks too unless only exact ones are asked for.
        """
        pixels_S = self.columns.pixels.of(seen_S).view("S32").ravel()
        found = _exact(pixels_S)
        if self.policy.duplicates != "exact":
            prints = duplicates.Prints.from_bytes(
                [self.columns.words.of(seen_S).tobytes()], [self.columns.tint.of(seen_S).tobytes()]
            )
            found = _joined(found, duplicates.near(prints))
        if not len(found):
            return
        relation = {
            (int(a), int(b)): (int(distance), bool(mirrored))
            for a, b, distance, mirrored in zip(found.first, found.second, found.distance, found.mirrored, strict=True)
        }
        for numbers in duplicates.groups(found):
            best, reason = self._keeper(seen_S, numbers)
            relations = [
                ""
                if n == best
                else _relation(bool(pixels_S[n] == pixels_S[best]), relation.get((min(n, best), max(n, best))))
                for n in numbers
            ]
            yield seen_S[numbers].tolist(), int(seen_S[best]), reason, relations

    def _keeper(self, seen_S: NDArray[np.int64], numbers: Sequence[int]) -> tuple[int, str]:
        """The best of some, and why; where a person wants some of them, the best of those."""
        place, reason = best_of(range(len(numbers)), [self._traits(seen_S[n]) for n in numbers])
        wanted = [n for n in numbers if self.columns.flag("wanted")[seen_S[n]]]
        if not wanted or numbers[place] in wanted:
            return numbers[place], reason
        place, _ = best_of(range(len(wanted)), [self._traits(seen_S[n]) for n in wanted])
        asked = self.columns.flag("decided")[seen_S[wanted[place]]]
        return wanted[place], "you asked for it" if asked else "you worked on it"

    def _traits(self, place: int) -> Traits:
        measures = ("pixels", "sharpness", "blockiness")
        return Traits(*(float(self.columns.number(name)[place]) for name in measures))

    # --- the best few ----------------------------------------------------------------------------

    def best(self, standing_S: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[str, str]]:
        """The best `policy.keep` of them, and why each was chosen, by id; all, where no number is given.

        A picture with a flaw is chosen only where there are not enough others, or where a person wants it.
        """
        columns, keep = self.columns, self.policy.keep
        compared_S = columns.flag("seen")[standing_S] & columns.flag("measured")[standing_S]
        looks_L = standing_S[compared_S]
        if not keep or len(looks_L) <= keep:
            return standing_S, {}
        wanted_L = columns.flag("wanted")[looks_L]
        flawed_N = _flawed(columns, self.policy)
        sound_L = looks_L[~flawed_N[looks_L] | wanted_L]
        # those that a person wants are never too many
        count = max(keep, int(wanted_L.sum()))
        wanted = set(looks_L[wanted_L].tolist())
        chosen = self._ranked(sound_L, wanted, count)
        if count > len(sound_L):
            chosen = {**self._ranked(looks_L, set(chosen), count), **chosen}
        for place in looks_L.tolist():
            if place not in chosen:
                message = f"it is not among the best {keep}, which are good and differ most"
                if flawed_N[place]:
                    message += f"; {next(_flaws(columns, place, self.policy))[1]}"
                self.left_out.append(_out(self.candidates[place], "not_chosen", message))
        stay_S = ~compared_S | np.isin(standing_S, list(chosen))
        return standing_S[stay_S], {self.candidates[place].id: reason for place, reason in chosen.items()}

    def _ranked(self, pool_L: NDArray[np.int64], first: Set[int], count: int) -> dict[int, str]:
        """So many of a pool at most, those named first in any case: why each was chosen, by place."""
        if not len(pool_L):
            return {}
        keepers = [n for n, place in enumerate(pool_L.tolist()) if place in first]
        best = curation.best(self.columns.look_ND(pool_L), self._quality(pool_L), count, keepers)
        return {int(pool_L[n]): reason for n, reason in zip(best.chosen, best.reasons, strict=True)}

    def _quality(self, pool_L: NDArray[np.int64]) -> NDArray[np.float64]:
        """How good each is among the others: the mean of its standing in sharpness, contrast, freedom of blocks, size.

        More than twice the pixels that are needed count as twice.
        """
        columns = self.columns
        standings = (
            percentiles(columns.number("sharpness")[pool_L]),
            percentiles(columns.number("contrast")[pool_L]),
            percentiles(-columns.number("blockiness")[pool_L]),
            percentiles(np.minimum(columns.number("scale")[pool_L], 2.0)),
        )
        return np.asarray(np.mean(standings, axis=0))


def _exact(pixels_S: NDArray[np.bytes_]) -> Pairs:
    """Pictures of the same pixels, each with the first that has them."""
    _, first_U, place_S = np.unique(pixels_S, return_index=True, return_inverse=True)
    first_S = first_U[place_S].astype(np.int64)
    again_P = np.flatnonzero(first_S != np.arange(len(pixels_S)))
    return Pairs(first_S[again_P], again_P, np.zeros(len(again_P), np.uint8), np.zeros(len(again_P), np.bool_))


def _joined(one: Pairs, other: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([one.first, other.first]),
        np.concatenate([one.second, other.second]),
        np.concatenate([one.distance, other.distance]),
        np.concatenate([one.mirrored, other.mirrored]),
    )


def _relation(same: bool, pair: tuple[int, bool] | None) -> str:
    if same:
        return "the same pixels"
    if pair is None:
        return "like others of the group"
    distance, mirrored = pair
    return f"{'its mirror image' if mirrored else 'nearly the same'}, {distance} of 256 bits differ"
