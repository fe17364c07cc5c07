"""The steps by which tags are dropped: pure functions from tags and rules to reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from capprep.facts import TagScore
from capprep.filewords import conflicts, implications, kinds, words
from capprep.filewords.pieces import TAG, Piece
from capprep.filewords.rules import Rule, Vocabulary

GENERAL = "general"
MAX_TAG = 500  # characters

Drop = Callable[[Sequence[Piece], Vocabulary], Mapping[str, str]]
"""From tags in use to the keys of those to drop, with reasons."""


class Step(NamedTuple):
    """One step of the chain.

    Attributes:
        name: As it stands in the record of a piece.
        drop: What it does.
        automatic: True if a person's list of tags to keep overrules it.
    """

    name: str
    drop: Drop
    automatic: bool


def chosen(tags: Iterable[TagScore], vocabulary: Vocabulary) -> tuple[list[Piece], frozenset[Rule]]:
    """What becomes of tags, most probable first, and which rules were about one of them.

    Whatever the order in which they are given, the same are kept.
    """
    pieces = [_spelled(place, tag) for place, tag in enumerate(tags)]
    pieces.sort(key=lambda piece: (-piece.probability, piece.text, piece.given, piece.category))
    before = {words.key(piece.text) for piece in pieces if piece.kept}
    pieces = _once([_renamed(piece, vocabulary) for piece in pieces])
    after = {words.key(piece.text) for piece in pieces if piece.kept}
    matched = {rule for rule in vocabulary.listed.get("alias", {}).values() if not before.isdisjoint(rule.keys)}
    for name in ("concept", "blacklist", "whitelist", "keep_tags"):
        matched |= {rule for key in after if (rule := vocabulary.about(name, key)) is not None}
    for step in STEPS:
        used = [piece for piece in pieces if piece.kept]
        reasons = step.drop(used, vocabulary)
        pieces = [_dropped(piece, step, reasons, vocabulary) for piece in pieces]
    return pieces, frozenset(matched)


def _spelled(place: int, tag: TagScore) -> Piece:
    """A tag as words."""
    text = words.tag_text(tag.name) if len(tag.name) <= MAX_TAG else ""
    reason = ""
    if not words.key(text):
        longer = f"it is longer than {MAX_TAG} characters"
        text, reason = "", longer if len(tag.name) > MAX_TAG else "nothing is left of it as words"
    step = "normalise" if reason else ""
    return Piece(TAG, tag.name, text, not reason, step, reason, place, tag.category, tag.probability)


def _renamed(piece: Piece, vocabulary: Vocabulary) -> Piece:
    target = vocabulary.aliases.get(words.key(piece.text)) if piece.kept else None
    return piece if target is None else replace(piece, text=target, step="alias", reason="written as an alias says")


def _once(pieces: Sequence[Piece]) -> list[Piece]:
    """Of equal tags the first is kept."""
    seen: set[str] = set()
    result = []
    for piece in pieces:
        key = words.key(piece.text)
        again = piece.kept and key in seen
        why = f"{piece.text!r} is there already"
        result.append(replace(piece, kept=False, step=piece.step or "normalise", reason=why) if again else piece)
        if piece.kept:
            seen.add(key)
    return result


def _dropped(piece: Piece, step: Step, reasons: Mapping[str, str], vocabulary: Vocabulary) -> Piece:
    key = words.key(piece.text)
    if not piece.kept or key not in reasons:
        return piece
    if step.automatic and (vocabulary.about("keep_tags", key) or vocabulary.about("whitelist", key)):
        return piece
    return replace(piece, kept=False, step=step.name, reason=reasons[key])


def _keys(tags: Iterable[Piece]) -> list[str]:
    return [words.key(piece.text) for piece in tags]


def _blacklisted(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    return {key: "it is on the blacklist" for key in _keys(tags) if vocabulary.about("blacklist", key)}


def _not_whitelisted(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    if not vocabulary.listed.get("whitelist"):
        return {}
    return {key: "it is not on the whitelist" for key in _keys(tags) if not vocabulary.about("whitelist", key)}


def _conflicting(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    if not vocabulary.options.drop_conflicts:
        return {}
    lost = conflicts.losers({words.key(piece.text): piece.probability for piece in tags})
    return {key: f"{by!r} is more probable, and both cannot be true" for key, by in lost.items()}


def _implied(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    if not vocabulary.options.drop_implied:
        return {}
    # the last words of a name are no kind of thing
    told = implications.redundant(_keys(piece for piece in tags if piece.category == GENERAL))
    return {key: f"{by!r} says it already" for key, by in told.items()}


def _preset(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    preset = vocabulary.options.preset
    if preset == "none":
        return {}
    of_file = {
        words.key(piece.text): "it tells of the file, not of what is to be seen"
        for piece in tags
        if kinds.of_file(words.key(piece.text), piece.category)
    }
    if preset == "style":
        return {**_of_style(tags), **of_file}
    return {**(_of_character(tags) if preset == "character" else _of_concept(tags, vocabulary)), **of_file}


def _of_style(tags: Sequence[Piece]) -> Mapping[str, str]:
    return {
        words.key(piece.text): "it belongs to the style, which the net is to learn without the word"
        for piece in tags
        if kinds.of_medium(words.key(piece.text), piece.category)
    }


def _of_character(tags: Sequence[Piece]) -> Mapping[str, str]:
    """Features of the one person; of several nobody knows whose they are."""
    keys = _keys(piece for piece in tags if piece.category == GENERAL)
    if kinds.several(keys):
        return {}
    features = ((key, kinds.feature(key)) for key in keys)
    why = "{} belongs to the character, which the net is to learn without the word"
    return {key: why.format(part) for key, part in features if part}


def _of_concept(tags: Sequence[Piece], vocabulary: Vocabulary) -> Mapping[str, str]:
    """The concept's own words and what they say besides, which would learn it in their place."""
    reasons = {}
    for key in _keys(piece for piece in tags if words.key(piece.text) not in kinds.PEOPLE):
        if vocabulary.about("concept", key):
            reasons[key] = "it names the concept, which the net is to learn without the word"
        elif key in vocabulary.absorbed:
            reasons[key] = f"the concept {vocabulary.absorbed[key]!r} says it already"
    return reasons


STEPS = (
    Step("blacklist", _blacklisted, automatic=False),
    Step("whitelist", _not_whitelisted, automatic=False),
    Step("conflicts", _conflicting, automatic=True),
    Step("implied", _implied, automatic=True),
    Step("preset", _preset, automatic=True),
)
"""The chain after spelling and aliases.

What is blacklisted can rule nothing out; what a tag implies goes before a preset drops that tag, since it is the same
thing in another word.
"""
