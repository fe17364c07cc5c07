"""What the text of each picture says: the words known of it as the policy has them written, or a person's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from capprep import filewords
from capprep.candidates import TEXT, Candidate, Policy
from capprep.curate import Decisions
from capprep.facts import Sentence
from capprep.filewords import Rule, Vocabulary
from capprep.filewords.artefacts import Artefact, artefacts
from capprep.filewords.chunks import CHUNK, Encode, first_chunks, sizes
from capprep.filewords.pieces import CAPTION, EXISTING, TAG
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
        if pieces and _is_sentence(pieces[0]):
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


def needs_words(candidate: Candidate, policy: Policy) -> bool:
    """Whether a model's words could be in a picture's text; not where the one beside it is kept as it is."""
    return policy.existing != "keep" or not _beside(candidate, policy)


def captioned(candidate: Candidate) -> str | None:
    """The captioner's sentence as one piece of a text."""
    return None if candidate.caption is None else filewords.caption_text(candidate.caption)


def spoken(sentence: Sentence) -> str:
    """One of the captioner's sentences as one piece of a text."""
    return filewords.caption_text(sentence.text)


def _wording(candidate: Candidate, policy: Policy, rules: Vocabulary, encode: Encode | None) -> Wording:
    """The text of one picture from the models' words."""
    beside = _beside(candidate, policy)
    if candidate.caption is None and candidate.tags is None and not beside:
        return Wording(None, Words(None, ()), remarks=tuple(_unusable(candidate, policy)))
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
    said = filewords.Words(candidate.caption, tuple(tags[place] for place in places), beside, _stem(candidate))
    made = filewords.compose(said, rules, encode)
    for place, piece in zip(places, made.tags, strict=True):
        spelled[place] = piece.text or spelled[place]
        reasons[place] = "" if piece.kept else piece.reason
    words = _said(made, candidate)
    # what a person's words say is in the text, whatever became of the tag
    theirs = {key(tag): tag for tag in words.tags} if beside else {}
    for place, text in enumerate(spelled):
        if (tag := theirs.get(key(text))) is not None:
            spelled[place], reasons[place] = tag, ""
    # of thousands of pictures nearly all have the same reasons
    whys = tuple(map(sys.intern, reasons))
    sentence = next((piece.text for piece in made.kept if piece.kind == CAPTION), None)
    # a sentence without words is one all the same
    wrong = _artefacts(candidate, "" if captioned(candidate) == "" and not beside else sentence, policy)
    remarks = (*_unusable(candidate, policy), *_remarks(candidate, made, wrong))
    return Wording(made.text, words, tuple(spelled), whys, remarks, made.matched, wrong)


def _beside(candidate: Candidate, policy: Policy) -> str:
    """The text beside the source, where it is to be used and says something."""
    text = candidate.beside.text if candidate.beside and policy.existing != "ignore" else ""
    return text if filewords.split(text) else ""


def _said(made: filewords.Text, candidate: Candidate) -> Words:
    """What a text from `_wording` says; of words beside the source the first piece may be the sentence."""
    caption = next((piece.text for piece in made.kept if piece.kind == CAPTION), None)
    pieces = [piece for piece in made.kept if piece.kind in (EXISTING, TAG)]
    if caption is None:
        first = pieces[0].text if pieces and pieces[0].kind == EXISTING else ""
        if first and _is_sentence(first, (captioned(candidate),)):
            caption, pieces = first, pieces[1:]
        elif captioned(candidate) == "":
            caption = ""  # a sentence without words is one all the same
    tags = (filewords.tag_text(piece.text) if piece.kind == EXISTING else piece.text for piece in pieces)
    return Words(caption, tuple(dict.fromkeys(tag for tag in tags if tag)))


def _is_sentence(piece: str, known: Container[str | None] = ()) -> bool:
    """Whether the first piece of a person's text is its sentence."""
    return len(piece.split()) > TAG_WORDS or piece in known


def _unusable(candidate: Candidate, policy: Policy) -> Iterator[str]:
    """What to say where a text beside the source should have been used and cannot be."""
    if candidate.beside and candidate.beside.message and policy.existing != "ignore":
        yield f"the text beside the picture, {candidate.beside.file}, is left out: {candidate.beside.message}"


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
