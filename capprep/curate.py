"""Which pictures are in the set: sizes, flaws, duplicates and the best few, each with its reason; a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capprep.candidates import KEEP, NO, PIXELS, TEXT, YES, Candidate, LeftOut, Policy, mirror_id
from capprep.facts import PICTURE, PictureFact
from capprep.images import curation, duplicates
from capprep.images.duplicates import Pairs
from capprep.images.screening import Measures, percentiles

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
    """What was chosen.

    Attributes:
        kept: The ids of the set.
        left_out: Everything else.
        groups: Duplicates, whether they were left out or not.
        flaws: What a person should look at, by id: (code, sentence).
        sharper: Of how many in a hundred of the set a picture is sharper, by id.
        chosen: Why a picture is among the best, by id; empty where all are kept.
    """

    kept: frozenset[str]
    left_out: tuple[LeftOut, ...] = ()
    groups: tuple[Group, ...] = ()
    flaws: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    sharper: Mapping[str, float] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)


def curate(candidates: Sequence[Candidate], decisions: Decisions, policy: Policy) -> Curation:
    """Choose the pictures of the set.

    A person's word on a picture stands above every threshold. What a person wrote or painted for a picture counts as
    wanting it: among duplicates it stays, and of the best few it is one.

    Args:
        candidates: Every picture that has a source, in order of number.
        decisions: What people decided: (picture id, kind) -> payload.
        policy: Thresholds.
    """
    left_out: list[LeftOut] = []
    usable: list[Candidate] = []
    for candidate in candidates:
        lost = _lost(candidate)
        left_out += lost
        if candidate.picture is not None and candidate.crop is not None:
            usable.append(candidate)
    sharper = _sharper(usable)
    flaws = {candidate.id: found for candidate in usable if (found := _flaws(candidate, policy, sharper))}
    standing: list[Candidate] = []
    for candidate in usable:
        out = _unwanted(candidate, flaws.get(candidate.id, ()), decisions, policy)
        if out is None:
            standing.append(candidate)
        else:
            left_out.append(out)
    groups = _groups(standing, decisions, policy)
    standing = _without_duplicates(standing, groups, decisions, policy, left_out)
    standing, chosen = _best(standing, flaws, decisions, policy, left_out)
    kept = frozenset(candidate.id for candidate in standing)
    return Curation(kept, tuple(left_out), groups, flaws, sharper, chosen)


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
    word = decisions.get((candidate.id, KEEP))
    if word is not None:
        return word == YES
    ids = (candidate.id, mirror_id(candidate.id))
    return any((id_, kind) in decisions for id_ in ids for kind in (TEXT, PIXELS))


def _unwanted(
    candidate: Candidate, flaws: Sequence[tuple[str, str]], decisions: Decisions, policy: Policy
) -> LeftOut | None:
    """Why a picture is left out for what it is itself, or None."""
    word = decisions.get((candidate.id, KEEP))
    if word == NO:
        return _out(candidate, "decided", "you left it out")
    if word == YES or candidate.picture is None:
        return None
    too_small = _too_small(candidate.picture, policy)
    if too_small:
        return _out(candidate, "too_small", too_small, PICTURE)
    if flaws and policy.screen == "reject" and not _wanted(candidate, decisions):
        return _out(candidate, flaws[0][0], "; ".join(sentence for _, sentence in flaws))
    return None


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


def _measures(candidate: Candidate) -> Measures | None:
    return candidate.picture.measures if candidate.picture else None


def _sharper(candidates: Sequence[Candidate]) -> dict[str, float]:
    measured = [(c.id, measures.sharpness) for c in candidates if (measures := _measures(c)) is not None]
    if not measured:
        return {}
    standing = percentiles([sharpness for _, sharpness in measured])
    return {id_: float(value) for (id_, _), value in zip(measured, standing, strict=True)}


def _flaws(candidate: Candidate, policy: Policy, sharper: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    """What a person should look at: (code, sentence)."""
    found = _measures(candidate)
    if found is None or policy.screen == "off":
        return ()
    border = max(found.dark_border, found.light_border)
    tests = (
        (
            found.information < policy.min_information,
            "blank",
            f"there is hardly anything ({found.information:.1f} bits)",
        ),
        (found.highlights < policy.min_highlights, "dark", f"it is very dark (brightest {found.highlights:.2f} of 1)"),
        (found.shadows > policy.max_shadows, "bright", f"it is very bright (darkest {found.shadows:.2f} of 1)"),
        (found.contrast < policy.min_contrast, "flat", f"it has hardly any contrast ({found.contrast:.3f})"),
        (
            found.sharpness < policy.min_sharpness,
            "blurred",
            f"it looks blurred (sharpness {found.sharpness:.2f}, above {sharper[candidate.id]:.0f} % of this set)",
        ),
        (found.blockiness > policy.max_blockiness, "blocky", f"JPEG's blocks show ({found.blockiness:.2f} of 1)"),
        (border > policy.max_border, "border", f"{border:.0%} of it are a {_shade(found)} margin"),
    )
    return tuple((code, sentence) for failed, code, sentence in tests if failed)


def _shade(found: Measures) -> str:
    return "dark" if found.dark_border > found.light_border else "light"


# --- duplicates ----------------------------------------------------------------------------------


def _groups(candidates: Sequence[Candidate], decisions: Decisions, policy: Policy) -> tuple[Group, ...]:
    """Duplicates among the candidates: by pixels, and by looks too unless only exact ones are asked for."""
    known = [c for c in candidates if c.appearance is not None]
    seen = [c.appearance for c in known if c.appearance]
    pixels = [each.pixels for each in seen]
    prints = duplicates.Prints.from_bytes((each.words for each in seen), (each.tint for each in seen))
    near = duplicates.near(prints)
    exact = _exact(pixels)
    if policy.duplicates == "exact":
        near = _only(near, np.array([pixels[a] == pixels[b] for a, b in zip(near.first, near.second, strict=True)]))
    found = _joined(exact, near)
    if not len(found):
        return ()
    traits = [_trait(candidate) for candidate in known]
    relation = {
        (int(a), int(b)): (int(distance), bool(mirrored))
        for a, b, distance, mirrored in zip(found.first, found.second, found.distance, found.mirrored, strict=True)
    }
    groups = []
    for numbers in duplicates.groups(found):
        best, reason = duplicates.keeper(numbers, traits)
        wanted = [n for n in numbers if _wanted(known[n], decisions)]
        if wanted and best not in wanted:
            best, _ = duplicates.keeper(wanted, traits)
            reason = "you asked for it" if (known[best].id, KEEP) in decisions else "you worked on it"
        members = tuple(
            Member(
                known[n].id,
                "" if n == best else _relation(pixels[n] == pixels[best], relation.get((min(n, best), max(n, best)))),
                known[n].name,
            )
            for n in numbers
        )
        groups.append(Group(members, known[best].id, reason))
    return tuple(groups)


def _exact(pixels: Sequence[bytes]) -> Pairs:
    """Pictures of the same pixels, each with the first that has them."""
    first: dict[bytes, int] = {}
    pairs = [(first[digest], n) for n, digest in enumerate(pixels) if first.setdefault(digest, n) != n]
    a_P, b_P = np.array(pairs, np.int64).reshape(-1, 2).T
    return Pairs(a_P, b_P, np.zeros(len(pairs), np.uint8), np.zeros(len(pairs), np.bool_))


def _only(pairs: Pairs, which: NDArray[np.bool_]) -> Pairs:
    which = which.astype(np.bool_)
    return Pairs(pairs.first[which], pairs.second[which], pairs.distance[which], pairs.mirrored[which])


def _joined(one: Pairs, other: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([one.first, other.first]),
        np.concatenate([one.second, other.second]),
        np.concatenate([one.distance, other.distance]),
        np.concatenate([one.mirrored, other.mirrored]),
    )


def _trait(candidate: Candidate) -> duplicates.Candidate:
    picture = candidate.picture
    if picture is None or picture.measures is None:
        return duplicates.Candidate(0.0, 0.0, 0.0)
    left, top, right, bottom = picture.box
    return duplicates.Candidate(
        (right - left) * (bottom - top), picture.measures.sharpness, picture.measures.blockiness
    )


def _relation(same: bool, pair: tuple[int, bool] | None) -> str:
    if same:
        return "the same pixels"
    if pair is None:
        return "like others of the group"
    distance, mirrored = pair
    return f"{'its mirror image' if mirrored else 'nearly the same'}, {distance} of 256 bits differ"


def _without_duplicates(
    candidates: list[Candidate],
    groups: Sequence[Group],
    decisions: Decisions,
    policy: Policy,
    left_out: list[LeftOut],
) -> list[Candidate]:
    """The candidates but for those that are in a group and not its best; a person's own stay."""
    if policy.duplicates == "none":
        return candidates
    by_id = {candidate.id: candidate for candidate in candidates}
    dropped: set[str] = set()
    for group in groups:
        for member in group.members:
            if member.id == group.keeper or _wanted(by_id[member.id], decisions):
                continue
            dropped.add(member.id)
            message = (
                f"{by_id[group.keeper].name} shows the same ({member.relation});"
                f" that one is kept, because {group.reason}"
            )
            left_out.append(_out(by_id[member.id], "duplicate", message))
    return [candidate for candidate in candidates if candidate.id not in dropped]


# --- the best few --------------------------------------------------------------------------------


def _best(
    candidates: list[Candidate],
    flaws: Mapping[str, Sequence[tuple[str, str]]],
    decisions: Decisions,
    policy: Policy,
    left_out: list[LeftOut],
) -> tuple[list[Candidate], dict[str, str]]:
    """The best `policy.keep` of them, and why each was chosen; all, where no number is given.

    A picture with a flaw is chosen only where there are not enough others, or where a person wants it.
    """
    looks = [c for c in candidates if c.appearance is not None and _measures(c) is not None]
    if not policy.keep or len(looks) <= policy.keep:
        return candidates, {}
    sound = [c for c in looks if c.id not in flaws or _wanted(c, decisions)]
    wanted = {c.id for c in looks if _wanted(c, decisions)}
    # those that a person wants are never too many
    count = max(policy.keep, len(wanted))
    chosen = _ranked(sound, wanted, count)
    if count > len(sound):
        chosen = {**_ranked(looks, set(chosen), count), **chosen}
    for candidate in looks:
        if candidate.id not in chosen:
            message = f"it is not among the best {policy.keep}, which are good and differ most"
            if candidate.id in flaws:
                message += f"; {flaws[candidate.id][0][1]}"
            left_out.append(_out(candidate, "not_chosen", message))
    return [c for c in candidates if c.id in chosen or c.appearance is None or _measures(c) is None], chosen


def _ranked(pool: Sequence[Candidate], first: Set[str], count: int) -> dict[str, str]:
    """So many of a pool at most, those named first in any case: why each was chosen, by id."""
    if not pool:
        return {}
    features_ND = np.stack([c.appearance.look_D for c in pool if c.appearance])
    keepers = [n for n, candidate in enumerate(pool) if candidate.id in first]
    best = curation.best(features_ND, _quality(pool), count, keepers)
    return {pool[n].id: reason for n, reason in zip(best.chosen, best.reasons, strict=True)}


def _quality(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """How good each is among the others: the mean of its standing in sharpness, contrast, freedom of blocks and size.

    More than twice the pixels that are needed count as twice.
    """
    found = [measures for c in candidates if (measures := _measures(c)) is not None]
    return np.asarray(
        np.mean(
            [
                percentiles([m.sharpness for m in found]),
                percentiles([m.contrast for m in found]),
                percentiles([-m.blockiness for m in found]),
                percentiles([min(c.picture.scale, 2.0) for c in candidates if c.picture]),
            ],
            axis=0,
        )
    )
