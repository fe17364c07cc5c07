"""Which words a training set teaches, on how many pictures and with what evidence; which of a prompt's it does not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, Verdict
from capprep.filewords.near import Near, Nearest
from capprep.filewords.prompts import pieces, tokens
from capprep.filewords.subjects import KINDS, STOP_WORDS, kinds_in, runs
from capprep.select import Example

UNSCORED = "unscored"
"""The evidence of a word that is in no caption and no tag that was scored, as a trigger is."""

_STRONGEST = (SUPPORTED, CONTRADICTED, UNKNOWN, UNSCORED)
"""Which evidence counts where several tags of a picture have a word."""

FEW = 2
FEW_SHARE = 0.01
"""A word is seen on few pictures if on no more than `FEW`, or this share of the set where that is more."""

CONCENTRATED = 0.8
"""Of a word or kind that such a share of the texts has it is said."""

LONGEST = 8
"""Words of the longest tag that is looked for as a phrase."""

APART = 3
"""Words of the longest phrase that is looked for beside tags."""

NAMED = 4
"""Kinds that are named with their counts."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the texts, or a whole tag of several words.

    Attributes:
        text: A tag as it is written, or the word as it is compared.
        tag: True if it is a whole tag of some picture.
        pictures: On how many pictures it is, mirrored copies not counted.
        supported: On how many of them its tag, else its caption, is supported.
        contradicted: On how many it is contradicted.
        unknown: On how many there is not enough evidence.
        unscored: On how many it was not scored.
    """

    text: str
    tag: bool
    pictures: int
    supported: int
    contradicted: int
    unknown: int
    unscored: int

    @property
    def doubtful(self) -> bool:
        """True if it is contradicted on half of its pictures or more, and on more than it is supported on."""
        return self.contradicted > self.supported and 2 * self.contradicted >= self.pictures


@dataclass(frozen=True)
class Taught:
    """What the texts of a set teach.

    Attributes:
        pictures: How many have a text.
        terms: Every word and every tag of several words, by what they are compared by; no small words such as "of".
        pairs: The words that are next to each other somewhere.
        kinds: On how many pictures each of `subjects.KINDS` is spoken of.
        shown: What is worth showing: tags and words, without those that are only parts of tags; the most taught first.
        fixed: Words that are in no caption and no tag: a trigger, or words of the form.
    """

    pictures: int
    terms: Mapping[str, Term]
    pairs: frozenset[tuple[str, str]]
    kinds: Mapping[str, int]
    shown: tuple[Term, ...]
    fixed: frozenset[str]

    @cached_property
    def few(self) -> int:
        """The most pictures that are called few."""
        return max(FEW, int(FEW_SHARE * self.pictures))

    @cached_property
    def nearest(self) -> Nearest:
        """The terms, ready to be asked for what is nearly one of them."""
        return Nearest({key: term.pictures for key, term in self.terms.items()})


@dataclass(frozen=True, slots=True)
class Asked:
    """A word or phrase of the prompts.

    Attributes:
        text: A tag as the set has it, or the word or phrase as it is compared.
        prompts: In how many prompts it is.
        term: What the set teaches of it, or None.
        near: Where nothing: the words that are nearly it; of a phrase that is never together, none.
    """

    text: str
    prompts: int
    term: Term | None = None
    near: tuple[Near, ...] = ()


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many pictures' texts, and how many prompts, speak of a kind of things."""

    kind: str
    pictures: int
    prompts: int


@dataclass(frozen=True)
class Answer:
    """What prompts ask for, each word and phrase in one of the lists; those that most prompts have come first.

    Attributes:
        prompts: How many there are.
        within: How many of them have nothing that is unseen, near or apart.
        unseen: Words that no text has, nor any that is nearly one.
        near: Words that no text has, and some have one that is nearly it.
        apart: Phrases whose words are all taught, and never next to each other.
        contradicted: What the evidence is against; see `Term.doubtful`.
        few: What is on few pictures.
        taught: All else that the set teaches.
        aside: Small words that were left aside.
    """

    prompts: int
    within: int
    unseen: tuple[Asked, ...]
    near: tuple[Asked, ...]
    apart: tuple[Asked, ...]
    contradicted: tuple[Asked, ...]
    few: tuple[Asked, ...]
    taught: tuple[Asked, ...]
    aside: tuple[Asked, ...]


@dataclass(frozen=True)
class Coverage:
    """What there is to say of a set's words.

    Attributes:
        taught: What the texts teach.
        kinds: Of which things texts and prompts speak, the most pictures first.
        answer: What prompts ask for; None where none were given.
        sentences: How concentrated the set is, in plain words.
    """

    taught: Taught
    kinds: tuple[KindCount, ...]
    answer: Answer | None
    sentences: tuple[str, ...]


def coverage(examples: Iterable[Example], prompts: Sequence[str] | None = None) -> Coverage:
    """What the texts of a set teach, and which words of intended prompts they do not.

    Args:
        examples: The pictures of the set; those without a text teach nothing.
        prompts: As they would be given to a webui; None for none.
    """
    known = taught(examples)
    asked = Counter(kind for prompt in prompts or () for kind in _kinds(map(tokens, pieces(prompt))))
    kinds = [KindCount(kind, known.kinds.get(kind, 0), asked[kind]) for kind in KINDS]
    counted = tuple(sorted((each for each in kinds if each.pictures or each.prompts), key=lambda each: -each.pictures))
    answered = None if prompts is None else answer(known, prompts)
    return Coverage(known, counted, answered, tuple(_sentences(known, counted, answered)))


def coverage_data(coverage: Coverage, most: int | None = None) -> dict[str, Any]:
    """All of it as JSON data.

    Args:
        coverage: See `coverage`.
        most: How many of the words that the set teaches are listed; None for all.
    """
    return {
        "pictures": coverage.taught.pictures,
        "few": coverage.taught.few,
        "count": len(coverage.taught.shown),
        "words": [asdict(term) for term in coverage.taught.shown[:most]],
        "kinds": [asdict(kind) for kind in coverage.kinds],
        "sentences": list(coverage.sentences),
        "prompts": asdict(coverage.answer) if coverage.answer else None,
    }


def taught(examples: Iterable[Example]) -> Taught:
    """What the exact texts of pictures teach, see `Taught`."""
    states: defaultdict[str, Counter[str]] = defaultdict(Counter)
    tags: dict[str, str] = {}
    pairs: set[tuple[str, str]] = set()
    kinds: Counter[str] = Counter()
    alone: set[str] = set()
    said: set[str] = set()
    pictures = 0
    for example in examples:
        texts = {each.text for each in (example, example.mirror) if each is not None and each.text is not None}
        if not texts:
            continue
        pictures += 1
        found = {tokens(piece) for text in texts for piece in pieces(text)}
        words = {word for piece in found for word in piece if word not in STOP_WORDS}
        own = {" ".join(tokens(tag.text)): tag.text for tag in example.tags if tag.kept and _taught(tag.text, words)}
        phrases = {key for key in own if " " in key}
        alone.update(word for piece in found if " ".join(piece) not in phrases for word in piece)
        evidence = _evidence(example)
        said.update(evidence)
        for key in words | phrases:
            states[key][evidence.get(key, UNSCORED)] += 1
        for key, text in own.items():
            tags.setdefault(key, text)
        pairs.update(pair for piece in found for run in runs(piece) for pair in pairwise(run))
        kinds.update(_kinds(found) | {"people" for tag in example.tags if tag.kept and tag.category == "character"})
    terms = {key: _term(key, counts, tags) for key, counts in states.items()}
    shown = [term for key, term in terms.items() if key in alone or " " in key]
    shown.sort(key=lambda term: (-term.pictures, term.text))
    return Taught(pictures, terms, frozenset(pairs), kinds, tuple(shown), frozenset(terms.keys() - said))


def _taught(tag: str, words: set[str]) -> bool:
    """True if all words of a tag are among those of a text."""
    found = tokens(tag)
    return 0 < len(found) <= LONGEST and all(word in words or word in STOP_WORDS for word in found)


def _term(key: str, counts: Counter[str], tags: Mapping[str, str]) -> Term:
    numbers = (counts[state] for state in (SUPPORTED, CONTRADICTED, UNKNOWN, UNSCORED))
    return Term(tags.get(key, key), key in tags, counts.total(), *numbers)


def _kinds(found: Iterable[tuple[str, ...]]) -> set[str]:
    return {kind for piece in found for kind in kinds_in(piece)}


def _evidence(example: Example) -> dict[str, str]:
    """The state of each word and tag of a picture: that of a tag with it, else of the caption."""
    of_tags: dict[str, str] = {}
    for tag in (tag for tag in example.tags if tag.kept):
        found, state = tokens(tag.text), _state(tag.verdict)
        for key in (*found, " ".join(found)):
            of_tags[key] = min(state, of_tags.get(key, UNSCORED), key=_STRONGEST.index)
    state = _state(example.caption_verdict)
    said = (word for piece in (example.caption or "").split(",") for word in tokens(piece))
    return {**of_tags, **{word: state for word in said if of_tags.get(word, UNSCORED) == UNSCORED}}


def _state(verdict: Verdict | None) -> str:
    return UNSCORED if verdict is None else verdict.state


def answer(known: Taught, prompts: Sequence[str]) -> Answer:
    """What prompts ask for.

    Args:
        known: What the set teaches.
        prompts: As they would be given to a webui.
    """
    counts: Counter[str] = Counter()
    places: dict[str, str] = {}
    within = 0
    for prompt in prompts:
        keys = [" ".join(part) for part in parts(known, prompt)]
        for key in keys:
            if key not in places:
                places[key] = _place(known, key)
        within += not any(places[key] in ("unseen", "near", "apart") for key in keys)
        counts.update(set(keys))
    lists: dict[str, list[Asked]] = {}
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        term, place = known.terms.get(key), places[key]
        near = known.nearest.to(key) if place == "near" else ()
        lists.setdefault(place, []).append(Asked(term.text if term else key, count, term, near))
    names = ("unseen", "near", "apart", "contradicted", "few", "taught", "aside")
    return Answer(len(prompts), within, *(tuple(lists.get(name, ())) for name in names))


def _place(known: Taught, key: str) -> str:
    """The list of an answer that a word or phrase is in."""
    term = known.terms.get(key)
    if term is not None:
        return "contradicted" if term.doubtful else "few" if term.pictures <= known.few else "taught"
    if key in STOP_WORDS:
        return "aside"
    if " " in key and not known.nearest.is_form(key):
        return "apart"
    return "near" if known.nearest.to(key) else "unseen"


def parts(known: Taught, prompt: str) -> Iterator[tuple[str, ...]]:
    """A prompt as tags, phrases and words, in its order; one after the other they are all its words.

    The longest tags first; of what is between them, two or three words that are all taught and never next to each
    other together, and two that are a form of something taught; all others one by one.
    """
    for piece in map(tokens, pieces(prompt)):
        between: list[str] = []
        place = 0
        while place < len(piece):
            size = _tag_at(known, piece, place)
            if size:
                yield from _between(known, between)
                between = []
                yield piece[place : place + size]
            else:
                between.append(piece[place])
            place += size or 1
        yield from _between(known, between)


def _tag_at(known: Taught, piece: tuple[str, ...], place: int) -> int:
    """How many words the longest tag has that begins at a place of a piece; 0 for none of several words."""
    for size in range(min(LONGEST, len(piece) - place), 1, -1):
        if " ".join(piece[place : place + size]) in known.terms:
            return size
    return 0


def _between(known: Taught, words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Words between tags, see `parts`."""
    place = 0
    while place < len(words):
        end = place
        while end < len(words) and words[end] in known.terms and not _split(known, words, end):
            end += 1
        run = tuple(words[place:end])
        apart = 1 < len(run) <= APART and known.pairs.isdisjoint(pairwise(run))
        yield from (run,) if apart else ((word,) for word in run)
        if end < len(words):
            size = 2 if _split(known, words, end) else 1
            yield tuple(words[end : end + size])
            end += size
        place = end


def _split(known: Taught, words: Sequence[str], place: int) -> bool:
    """True if two words at a place are not both taught, and are as one word or in the singular."""
    pair = words[place : place + 2]
    strange = len(pair) == 2 and STOP_WORDS.isdisjoint(pair) and not all(word in known.terms for word in pair)
    return strange and known.nearest.is_form(" ".join(pair))


def _sentences(known: Taught, kinds: Sequence[KindCount], answer: Answer | None) -> Iterator[str]:
    """How concentrated a set is, and what prompts ask for that it does not have."""
    total = known.pictures
    if total <= FEW:
        return
    common = [term for term in known.shown if term.pictures >= CONCENTRATED * total and term.text not in known.fixed]
    if common:
        listed = ", ".join(f'"{term.text}" ({_of(term.pictures, total)})' for term in common[:NAMED])
        yield f"In nearly every text: {listed}."
    spoken = [f"{each.kind} ({_of(each.pictures, total)})" for each in kinds if each.pictures][:NAMED]
    nearly = sum(each.pictures >= CONCENTRATED * total for each in kinds[:NAMED])
    if nearly:
        yield f"Nearly every text speaks of {', '.join(spoken[:nearly])}."
    if spoken[nearly:]:
        yield f"{'Some' if nearly else 'The texts'} speak of {', '.join(spoken[nearly:])}."
    asked = [each for each in kinds if each.prompts]
    none = [f"{each.kind} ({_prompts(each, answer)})" for each in asked if not each.pictures]
    if none:
        yield f"No text speaks of {', '.join(none)}."
    few = [
        f"{each.kind} ({_of(each.pictures, total)}; {_prompts(each, answer)})"
        for each in asked
        if 0 < each.pictures <= known.few
    ]
    if few:
        yield f"Few texts speak of {', '.join(few)}."


def _prompts(kind: KindCount, answer: Answer | None) -> str:
    """How many prompts speak of a kind."""
    total = answer.prompts if answer else 0
    return f"{_of(kind.prompts, total)} prompt{'s' if total > 1 else ''} {'do' if kind.prompts > 1 else 'does'}"


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"
