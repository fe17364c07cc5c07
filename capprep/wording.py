"""What the text of each picture says: the models' words as the policy has them written, or a person's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from capprep import filewords
from capprep.candidates import TEXT, Candidate, Policy
from capprep.curate import Decisions
from capprep.facts import Sentence
from capprep.filewords import Rule, Vocabulary
from capprep.filewords.artefacts import Artefact, artefacts
from capprep.filewords.chunks import CHUNK, Encode, first_chunks, sizes
from capprep.filewords.pieces import CAPTION, TAG
from capprep.filewords.words import key
from capprep.images import archives
from capprep.thresholds import over

RATING = "rating"

_MEMBER = re.compile(f"(?:{'|'.join(map(re.escape, archives.SUFFIXES))})!", re.IGNORECASE)
"""What stands between an archive's path and a member's name, as people are shown it."""

LATELY = 500
"""Pictures whose words are remembered: each is asked for several times."""

TAG_WORDS = 3
"""The first piece of a person's text is a sentence if it has more words than this."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a picture's text says of it.

    Attributes:
        caption: Its sentence, or None.
        tags: Its tags as words ("long hair"), in the order of the text.
    """

    caption: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """What the models' words of one picture come to.

    Attributes:
        text: The exact content of its file, or None while there is nothing to write.
        words: What that says of the picture; the trigger and a template's own words say nothing of it.
        spelled: Each of the candidate's tags as words; where an alias changed it, as that says.
        reasons: Why each of them is left out, "" where it is in the text.
        remarks: What else became of the words, as sentences.
        matched: The rules of the person that were about a tag of it.
        artefacts: What is wrong with the caption; it is among the remarks.
    """

    text: str | None
    words: Words
    spelled: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    matched: frozenset[Rule] = frozenset()
    artefacts: tuple[Artefact, ...] = ()


class Wordings:
    """The models' words of pictures, written by one policy when they are asked for.

    Attributes:
        policy: Thresholds and options.
        rules: The same options with their rules.
        encode: The text encoder's tokenizer, or None where tokens are not counted.
    """

    def __init__(self, policy: Policy, encode: Encode | None = None) -> None:
        """Prepare to write.

        Args:
            policy: Thresholds and options.
            encode: The text encoder's tokenizer; a budget needs it.

        Raises:
            ConfigError: The options do not go together, or the trigger alone is longer than the budget.
        """
        self.policy, self.encode = policy, encode
        self.rules = Vocabulary.of(policy)
        self._matched: set[Rule] = set()
        self._lately: dict[str, Wording] = {}

    def of(self, candidate: Candidate) -> Wording:
        """What the models' words of a picture come to, whether a person wrote others or not."""
        known = self._lately.get(candidate.id)
        if known is not None:
            return known
        made = _wording(candidate, self.policy, self.rules, self.encode)
        self._matched |= made.matched
        if len(self._lately) == LATELY:
            del self._lately[next(iter(self._lately))]
        self._lately[candidate.id] = made
        return made

    @property
    def unmatched(self) -> tuple[Rule, ...]:
        """The rules that were about no tag of any picture so far."""
        return self.rules.unmatched(self._matched)

    def words_of(self, candidate: Candidate, decisions: Decisions) -> Words:
        """What a picture's text says: a person's own words where there are some, else the models'.

        A person's text is cut at its commas. The trigger and a template's own words, which stood in the text that the
        person changed, are left alone. The first piece besides is the caption if it has more than `TAG_WORDS` words or
        is the captioner's; all other pieces are tags.

        Args:
            candidate: One of the pictures.
            decisions: What people decided: (picture id, kind) -> payload.
        """
        text = decisions.get((candidate.id, TEXT))
        if text is None:
            return self.of(candidate).words
        fixed = {key(piece) for piece in _fixed(self.policy, _stem(candidate))}
        pieces = [piece for piece in filewords.split(text) if key(piece) not in fixed]
        caption, pieces = self._caption_of(candidate, pieces)
        # a person may write a tag in the tagger's spelling
        tags = map(filewords.tag_text, pieces)
        return Words(caption, tuple(dict.fromkeys(tag for tag in tags if tag)))

    def _caption_of(self, candidate: Candidate, pieces: list[str]) -> tuple[str | None, list[str]]:
        """The sentence at the beginning of a person's text, or None, and the pieces behind it."""
        said = [each.text for each in candidate.sentences] or [candidate.caption or ""]
        known = [filewords.caption_text(text, commas=commas) for text in said for commas in (True, False)]
        for sentence in filter(None, (self.of(candidate).words.caption, *known)):
            parts = list(dict.fromkeys(sentence.split(", ")))  # as equal pieces of a text are one
            if pieces[: len(parts)] == parts:
                return sentence, pieces[len(parts) :]
        if pieces and len(pieces[0].split()) > TAG_WORDS:
            return pieces[0], pieces[1:]
        return None, pieces

    def remarks_on(self, candidate: Candidate, decisions: Decisions) -> tuple[str, ...]:
        """What there is to say of a picture's text besides its words, as sentences; see `words_of`."""
        text = decisions.get((candidate.id, TEXT))
        if text is None:
            return self.of(candidate).remarks
        if self.encode is None:
            return ()
        pieces = filewords.split(text)
        held = sizes(", ".join(pieces), self.encode)
        chunks = first_chunks(pieces, held, self.encode)
        return _behind(piece for piece, chunk in zip(pieces, chunks, strict=True) if chunk)


def vocabulary(candidates: Iterable[Candidate], decisions: Decisions, wordings: Wordings) -> list[str]:
    """Every text agreement has to know the vector of: the models' words whatever the threshold, and people's.

    The models' are in it beside a person's as well, and in the tagger's words beside an alias, so that an edit or a
    rule can be taken back without running a model.

    Args:
        candidates: The pictures.
        decisions: What people decided: (picture id, kind) -> payload.
        wordings: What became of the models' words.
    """
    texts: set[str] = set()
    policy, rules, encode = wordings.policy, wordings.rules, wordings.encode
    for candidate in candidates:
        written, words = wordings.of(candidate).words, wordings.words_of(candidate, decisions)
        texts.update((captioned(candidate) or "", written.caption or "", words.caption or "", *words.tags))
        for text in (filewords.tag_text(tag.name) for tag in candidate.tags or () if tag.category != RATING):
            texts.update((text, rules.aliases.get(key(text), "")))
        # whichever fits best is the caption afterwards, and a budget may leave less of it
        for sentence in candidate.sentences:
            other = _wording(replace(candidate, caption=sentence.text), policy, rules, encode).words.caption
            texts.update((spoken(sentence), other or ""))
    return sorted(texts - {""})


def captioned(candidate: Candidate) -> str | None:
    """The captioner's sentence as one piece of a text."""
    return None if candidate.caption is None else filewords.caption_text(candidate.caption)


def spoken(sentence: Sentence) -> str:
    """One of the captioner's sentences as one piece of a text."""
    return filewords.caption_text(sentence.text)


def _wording(candidate: Candidate, policy: Policy, rules: Vocabulary, encode: Encode | None) -> Wording:
    """The text of one picture from the models' words."""
    if candidate.caption is None and candidate.tags is None:
        return Wording(None, Words(None, ()))
    tags = candidate.tags or ()
    thresholds = candidate.thresholds.overridden(policy.booru_threshold)
    reasons = [
        "ratings describe the picture, not what is on it" if tag.category == RATING else reason
        for tag, reason in zip(
            tags, over(tags, thresholds, by_mcut=policy.mcut, beneath=candidate.beneath), strict=True
        )
    ]
    spelled = [filewords.tag_text(tag.name) for tag in tags]
    places = [place for place, reason in enumerate(reasons) if not reason]
    said = filewords.Words(candidate.caption, tuple(tags[place] for place in places), name=_stem(candidate))
    made = filewords.compose(said, rules, encode)
    for place, piece in zip(places, made.tags, strict=True):
        spelled[place] = piece.text or spelled[place]
        reasons[place] = "" if piece.kept else piece.reason
    caption = next((piece for piece in made.kept if piece.kind == CAPTION), None)
    # a sentence without words is one all the same
    sentence = caption.text if caption else None if captioned(candidate) else captioned(candidate)
    words = Words(sentence, tuple(piece.text for piece in made.kept if piece.kind == TAG))
    # of thousands of pictures nearly all have the same reasons
    whys = tuple(map(sys.intern, reasons))
    wrong = _artefacts(candidate, sentence, policy)
    return Wording(made.text, words, tuple(spelled), whys, tuple(_remarks(candidate, made, wrong)), made.matched, wrong)


def _artefacts(candidate: Candidate, sentence: str | None, policy: Policy) -> tuple[Artefact, ...]:
    """What is wrong with the caption as it is written; with one that the form has no place for nothing is."""
    said = captioned(candidate)
    if said is None or sentence is None or (not said and "{caption}" not in policy.template()):
        return ()
    # one that the budget cut has an end of its own
    return artefacts(sentence, ended=candidate.ended or filewords.caption_text(sentence) != said)


def _remarks(candidate: Candidate, made: filewords.Text, wrong: Iterable[Artefact]) -> Iterator[str]:
    """What is to be said of a text's caption, and what falls behind its first chunk."""
    if candidate.choice and any(piece.kept and piece.kind == CAPTION for piece in made.pieces):
        yield f"the caption is the {candidate.choice}"
    for artefact in wrong:
        yield f"the caption {artefact.message}"
    for piece in made.pieces:
        if piece.kind == CAPTION and piece.reason:
            done = "is cut short" if piece.kept else "is left out of the text"
            yield f"the caption {done}: {piece.reason}"
    yield from _behind(piece.text for piece in made.behind)


def _behind(pieces: Iterable[str]) -> tuple[str, ...]:
    listed = ", ".join(pieces)
    return (f"behind the first {CHUNK} tokens, which is all that some trainers read: {listed}",) if listed else ()


def _fixed(policy: Policy, name: str) -> Iterator[str]:
    """The pieces that are in every text, or are the name of the picture's file."""
    for part in policy.template().split(","):
        if "{caption}" not in part and "{tags}" not in part:
            yield from filewords.split(part.replace("{trigger}", policy.trigger).replace("{name}", name))


def _stem(candidate: Candidate) -> str:
    """The stem of the first source's file name, of a member of an archive too."""
    source = candidate.sources[0] if candidate.sources else ""
    return PurePath(_MEMBER.split(source)[-1]).stem
