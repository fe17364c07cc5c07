"""From a picture's words to the exact text of its file, with the reason for everything dropped or changed."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from capprep.errors import ConfigError
from capprep.filewords import kinds, words
from capprep.filewords.chunks import Encode, first_chunks, length, sizes
from capprep.filewords.pieces import CAPTION, EXISTING, NAME, TAG, TRIGGER, Piece, Text, Words
from capprep.filewords.rules import TextRules, Vocabulary
from capprep.filewords.steps import chosen

MAX_CAPTION = 2000  # characters
MAX_EXISTING = 20_000  # characters

_FIELDS = {"{caption}": CAPTION, "{tags}": TAG, "{trigger}": TRIGGER, "{name}": NAME}

Filling = Mapping[str, Sequence[Piece]]
"""The pieces in use, by kind."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands between two commas of a text.

    Attributes:
        plain: Without escapes, as the text encoder reads it.
        written: As it stands in the file.
        pieces: What it was made from; () for words of the template alone.
    """

    plain: str
    written: str
    pieces: tuple[Piece, ...] = ()


def compose(said: Words, vocabulary: Vocabulary, encode: Encode | None = None) -> Text:
    """Write the text of one picture.

    The steps: spelling, aliases, equal tags, blacklist, whitelist, conflicts, implied tags, preset; then the form, the
    text beside the source, the order and the budget; brackets are escaped last.

    Args:
        said: What is known of the picture in words.
        vocabulary: The options with their rules.
        encode: The text encoder's tokenizer; without it tokens are not counted.

    Raises:
        ConfigError: The trigger and the template's own words alone are longer than the budget.
        ValueError: There is a budget and no `encode`.
    """
    rules = vocabulary.options
    if rules.budget and encode is None:
        raise ValueError("a budget of tokens needs a tokenizer")
    tags, matched = chosen(said.tags, vocabulary)
    parts, pieces = _merged(said, tags, rules)
    if rules.budget and encode is not None:
        pieces = _within(pieces, parts, rules, encode)
    entries = _entries(parts, pieces, rules)
    text = ", ".join(entry.written for entry in entries)
    if encode is None:
        return Text(text, _record(entries, pieces, ()), matched)
    plain = [entry.plain for entry in entries]
    held = sizes(", ".join(plain), encode)
    chunks = first_chunks(plain, held, encode)
    return Text(text, _record(entries, pieces, chunks), matched, length(held), len(held))


def _record(entries: Sequence[Entry], pieces: Sequence[Piece], chunks: Sequence[int]) -> tuple[Piece, ...]:
    """What is in the text in its order, then the rest."""
    chunk_of = dict(zip(map(id, entries), chunks, strict=False))
    kept = [replace(piece, chunk=chunk_of.get(id(entry))) for entry in entries for piece in entry.pieces]
    return (*kept, *(piece for piece in pieces if not piece.kept))


def _merged(said: Words, tags: Sequence[Piece], rules: TextRules) -> tuple[tuple[str, ...], list[Piece]]:
    """The form's parts and all pieces; what the form or the text beside the source leaves no place for is dropped."""
    template = rules.template()
    parts = tuple(part.strip() for part in template.split(",") if part.strip())
    pieces = [*_given(said, rules), *tags]
    existing = any(piece.kind == EXISTING for piece in pieces)
    if rules.existing == "keep" and existing:
        parts = ("{trigger}",)
        pieces = _without(pieces, {CAPTION, TAG, NAME}, "existing", "the text beside the picture is kept as it is")
    else:
        absent = {kind for place, kind in _FIELDS.items() if place not in template}
        # a picture that has words has a text: where those asked for are missing, the others stand in
        if not any(piece.kept and piece.kind not in absent for piece in pieces) and not _literal(parts):
            for kind, place in ((CAPTION, "{caption}"), (TAG, "{tags}")):
                if kind in absent and any(piece.kept and piece.kind == kind for piece in pieces):
                    parts, absent = (*parts, place), absent - {kind}
                    break
        pieces = _without(pieces, absent, "merge", f"the form {rules.merge!r} has no place for it")
    return parts, _distinct(pieces, parts)


def _given(said: Words, rules: TextRules) -> Iterator[Piece]:
    """All pieces but the tags, those that must stay before those that need not."""
    for word in words.split(rules.trigger):
        yield Piece(TRIGGER, rules.trigger, word)
    if rules.existing != "ignore" and said.existing:
        # no tag or sentence is broken at a line's end
        text = re.sub(r"[\r\n]+", ",", said.existing[:MAX_EXISTING])
        for word in words.split(text):
            yield Piece(EXISTING, word, word)
        if len(said.existing) > MAX_EXISTING:
            why = f"the text beside the picture is longer than {MAX_EXISTING:,} characters"
            yield Piece(EXISTING, "", "", kept=False, step="existing", reason=why)
    caption = words.caption_text((said.caption or "")[:MAX_CAPTION], commas=rules.caption_commas)
    if caption:
        cut = len(said.caption or "") > MAX_CAPTION
        why = f"cut off after {MAX_CAPTION:,} characters" if cut else ""
        yield Piece(CAPTION, said.caption or "", caption, step="normalise" if cut else "", reason=why)
    name = words.name_text(said.name)
    if name and "{name}" in rules.merge:
        yield Piece(NAME, said.name, name)


def _without(pieces: Sequence[Piece], gone: set[str], step: str, reason: str) -> list[Piece]:
    return [
        replace(piece, kept=False, step=step, reason=reason) if piece.kept and piece.kind in gone else piece
        for piece in pieces
    ]


def _literal(parts: Sequence[str]) -> bool:
    return any(not re.search("|".join(map(re.escape, _FIELDS)), part) for part in parts)


def _distinct(pieces: Sequence[Piece], parts: Sequence[str]) -> list[Piece]:
    """Of equal pieces one is kept: the trigger or the template's, a person's, the caption, the tag."""
    seen = {words.key(part) for part in parts if _literal((part,))}
    result = []
    for piece in pieces:
        key = words.key(piece.text)
        again = piece.kept and key in seen
        why = "the text says it already"
        result.append(replace(piece, kept=False, step="merge", reason=why) if again else piece)
        if piece.kept:
            seen.add(key)
    return result


def _entries(parts: Sequence[str], pieces: Sequence[Piece], rules: TextRules) -> list[Entry]:
    """The text between its commas."""
    filling = _filling(pieces, rules.order)
    entries = [entry for part in parts for entry in _filled(part, filling, rules)]
    existing = [_entry(piece, rules) for piece in filling.get(EXISTING, ())]
    if rules.existing == "prepend":
        # the trigger stays in front
        front = len(filling.get(TRIGGER, ())) if parts[0] == "{trigger}" else 0
        return [*entries[:front], *existing, *entries[front:]]
    return [*entries, *existing]


def _filling(pieces: Sequence[Piece], order: str) -> Filling:
    filling: dict[str, list[Piece]] = {}
    for piece in pieces:
        if piece.kept:
            filling.setdefault(piece.kind, []).append(piece)
    filling.get(TAG, []).sort(key=functools.partial(_rank, order))
    return filling


def _rank(order: str, tag: Piece) -> tuple[int, str, float, str]:
    """Where a tag stands among the others."""
    if order == "alphabetical":
        return 0, words.key(tag.text), 0.0, tag.text
    first = 0
    if order == "people" and words.key(tag.text) not in kinds.PEOPLE:
        first = {"character": 1, "copyright": 2}.get(tag.category, 3)
    return first, "", -tag.probability, tag.text


def _entry(piece: Piece, rules: TextRules) -> Entry:
    return Entry(piece.text, _written(piece, rules), (piece,))


def _written(piece: Piece, rules: TextRules) -> str:
    if rules.escape == "kohya":
        return piece.text
    return words.escape_around_name(piece.text) if piece.kind == TRIGGER else words.escape(piece.text)


def _filled(part: str, filling: Filling, rules: TextRules) -> Iterator[Entry]:
    """The entries of one part of the form; none where it has places and all of them are empty."""
    if part in _FIELDS:
        for piece in filling.get(_FIELDS[part], ()):
            yield _entry(piece, rules)
        return
    plain, written, used, places = "", "", list[Piece](), 0
    for text in re.split("(" + "|".join(map(re.escape, _FIELDS)) + ")", part):
        if text in _FIELDS:
            here = filling.get(_FIELDS[text], ())
            plain += ", ".join(piece.text for piece in here)
            written += ", ".join(_written(piece, rules) for piece in here)
            used.extend(here)
            places += 1
        else:
            plain += text
            written += text if rules.escape == "kohya" else words.escape_around_name(text)
    if used or not places:
        yield Entry(plain.strip(), written.strip(), tuple(dict.fromkeys(used)))


def _within(pieces: Sequence[Piece], parts: Sequence[str], rules: TextRules, encode: Encode) -> list[Piece]:
    """Pieces of which the text keeps the budget.

    Tags go first, the least probable before the others and how many people there are last; then the caption loses
    words at its end; then what lies beside the picture goes, from its end.
    """
    why = f"behind the budget of {rules.budget} tokens"

    def fits(trial: Sequence[Piece]) -> bool:
        text = ", ".join(entry.plain for entry in _entries(parts, trial, rules))
        return length(sizes(text, encode)) <= rules.budget

    def without(pieces: Sequence[Piece], gone: Sequence[Piece]) -> list[Piece]:
        marks = set(map(id, gone))
        return [
            replace(piece, kept=False, step="budget", reason=why) if id(piece) in marks else piece for piece in pieces
        ]

    if fits(pieces):
        return list(pieces)
    bare = without(pieces, [piece for piece in pieces if piece.kept and piece.kind in (TAG, CAPTION, EXISTING)])
    if not fits(bare):
        raise ConfigError(
            f"the trigger and the template's own words are longer than the budget of {rules.budget} tokens",
            "shorten them, or give a larger --budget",
        )
    tags = sorted((piece for piece in pieces if piece.kept and piece.kind == TAG), key=_importance)
    room = rules.budget - len(encode(", ".join(entry.plain for entry in _entries(parts, bare, rules))))
    hopeless = [tag for tag in tags if len(encode(tag.text)) > room]
    tags = [tag for tag in tags if len(encode(tag.text)) <= room]
    rest = without(pieces, hopeless)
    count = bisect.bisect_left(range(len(tags)), True, key=lambda gone: fits(without(rest, tags[len(tags) - gone :])))
    rest = without(rest, tags[len(tags) - count :])
    if fits(rest):
        return rest
    rest = _shortened(rest, CAPTION, fits, why)
    while not fits(rest):
        existing = [piece for piece in rest if piece.kept and piece.kind == EXISTING]
        if len(existing) == 1 and not any(piece.kept for piece in rest if piece.kind == CAPTION):
            return _shortened(rest, EXISTING, fits, why)
        rest = without(rest, existing[-1:])
    return rest


def _importance(tag: Piece) -> tuple[bool, float, str]:
    """What is kept longest comes first."""
    return words.key(tag.text) not in kinds.PEOPLE, -tag.probability, tag.text


def _shortened(pieces: Sequence[Piece], kind: str, fits: Callable[[Sequence[Piece]], bool], why: str) -> list[Piece]:
    """Pieces with the first of a kind cut after a word, or within its first if need be; dropped if nothing fits."""
    whole = next((piece for piece in pieces if piece.kept and piece.kind == kind), None)
    if whole is None:
        return list(pieces)

    def cut(text: str) -> list[Piece]:
        text = text.rstrip(", ")
        changed = replace(whole, text=text, kept=bool(text), step="budget", reason=why)
        return [changed if piece is whole else piece for piece in pieces]

    ends = [found.start() for found in re.finditer(r" |$", whole.text)]
    first = ends[0]
    for stops in (ends, list(range(1, first + 1))):
        fitting = bisect.bisect_left(stops, True, key=lambda end: not fits(cut(whole.text[:end])))
        if fitting and fits(cut(whole.text[: stops[fitting - 1]])):
            return cut(whole.text[: stops[fitting - 1]])
    return cut("")
