"""The chosen pictures, decisions and thresholds in; every picture's exact text and every reason out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from capprep import agreement, filewords
from capprep.agreement import Verdict
from capprep.candidates import PIXELS, TEXT, Candidate, LeftOut, mirror_id
from capprep.curate import Curation, Decisions, Group
from capprep.facts import SUFFIXES, PictureFact, TagScore
from capprep.filewords import Rule
from capprep.filewords.artefacts import Artefact
from capprep.wording import Wording, Wordings, Words, captioned

WRITTEN = "written"
"""Category of a tag that no tagger gave any picture and a person wrote."""

MIRRORED = "-mirror"
"""How the name of a mirrored copy ends."""


@dataclass(frozen=True)
class Judgements:
    """Agreement's verdicts: of captions by picture id, of tags by their words ("long hair")."""

    captions: dict[str, Verdict] = field(default_factory=dict)
    tags: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TagChoice:
    """One tag of one picture and what became of it.

    Attributes:
        name: The tagger's spelling ("long_hair"), or the words of a tag that no tagger gave.
        text: As written in the text file ("long hair"); what an alias says where there is one.
        category: "general", "character", "copyright", "meta" or "rating"; `WRITTEN` where no tagger gave it.
        probability: The tagger's, 0..1; None where only a person gave it to this picture.
        kept: True if it is in the text.
        reason: Why it was left out ("" if kept).
        verdict: Agreement's, or None where not scored.
    """

    name: str
    text: str
    category: str
    probability: float | None
    kept: bool
    reason: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Example:
    """One picture of the training set.

    Attributes:
        id: SHA-256 of the source's bytes.
        name: Stem of its files in `dataset/` ("00017-cat").
        sources: Where it came from, for people to read.
        picture: What is known of it.
        crop: Digest of the blob with the square.
        caption: The sentence of its text, the captioner's or a person's, or None.
        caption_verdict: Agreement's, or None.
        tags: Every tag over the storing threshold, most probable first; those of a person's text before them.
        text: The exact `[filewords]` text, or None while there is nothing to write.
        edited: True if a person wrote the text.
        pixels_edited: True if a person changed the picture in `dataset/`.
        replaced: The captioner's sentence where a person's text has another or none, else None.
        remarks: What else there is to say of its text, as sentences.
        artefacts: What is wrong with the captioner's sentence in its text; it is among the remarks.
        flaws: What a person should look at, as sentences.
        sharper: Of how many in a hundred of the set it is sharper, or None where that was not measured.
        chosen: Why it is among the best, or "" where all are kept.
        mirror: Its mirrored copy as an example of its own, or None.
        suffix: Of the square's file.
    """

    id: str
    name: str
    sources: tuple[str, ...]
    picture: PictureFact
    crop: str
    caption: str | None
    caption_verdict: Verdict | None
    tags: tuple[TagChoice, ...]
    text: str | None
    edited: bool = False
    pixels_edited: bool = False
    replaced: str | None = None
    remarks: tuple[str, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    flaws: tuple[str, ...] = ()
    sharper: float | None = None
    chosen: str = ""
    mirror: Example | None = None
    suffix: str = ".png"


@dataclass(frozen=True)
class Selection:
    """The training set and everything that was left out of it.

    Attributes:
        examples: The pictures, without their mirrored copies.
        left_out: What is not in the set.
        groups: Pictures that show the same.
        unmatched: A person's rules that were about no tag of any picture.
    """

    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()
    groups: tuple[Group, ...] = ()
    unmatched: tuple[Rule, ...] = ()

    @property
    def training(self) -> Iterator[Example]:
        """Everything that is trained on: each picture, then its mirrored copy."""
        for example in self.examples:
            yield example
            if example.mirror is not None:
                yield example.mirror


def edited_pixels(side: int, digest: str, suffix: str = ".png") -> str:
    """The payload of a `PIXELS` decision: the square's side in pixels, its blob's digest, its file's suffix."""
    return f"{side}:{digest}:{suffix}"


def painted(payload: str | None, size: int) -> tuple[str, str] | None:
    """A `PIXELS` decision's digest and suffix; None for no decision.

    An edit of a square of another size waits until that size is asked for again.
    """
    side, digest, suffix = ((payload or "") + "::").split(":")[:3]
    return (digest, suffix or ".png") if side == str(size) else None


def select(
    candidates: Sequence[Candidate],
    curation: Curation,
    unreadable: Sequence[LeftOut],
    judgements: Judgements,
    decisions: Decisions,
    wordings: Wordings,
) -> Selection:
    """The pictures that were chosen with their texts and all that there is to say of them.

    Args:
        candidates: The pictures, in order of number.
        curation: Which of them are in the set; see `curate`.
        unreadable: Files that never became a picture.
        judgements: Agreement's verdicts; see `judge`.
        decisions: What people decided: (picture id, kind) -> payload.
        wordings: What became of the models' words.
    """
    given = {
        text: tag
        for candidate in candidates
        for tag, spelled in zip(candidate.tags or (), wordings.by_id[candidate.id].spelled, strict=True)
        for text in (spelled, filewords.tag_text(tag.name))
    }
    examples = []
    for candidate in candidates:
        if candidate.id not in curation.kept or candidate.picture is None or candidate.crop is None:
            continue
        wording, words = wordings.by_id[candidate.id], wordings.words_of(candidate, decisions)
        written = decisions.get((candidate.id, TEXT))
        example = replace(
            _example(candidate, candidate.picture, candidate.crop, words, judgements, decisions, curation),
            tags=_choices(candidate, wording, words, written is not None, given, judgements),
            text=wording.text if written is None else written,
            remarks=wordings.remarks_on(candidate, decisions),
            artefacts=wording.artefacts if written is None else (),
        )
        examples.append(_with_mirror(example, candidate, decisions) if wordings.policy.mirror else example)
    return Selection(tuple(examples), (*unreadable, *curation.left_out), curation.groups, wordings.unmatched)


def _with_mirror(example: Example, candidate: Candidate, decisions: Decisions) -> Example:
    """An example with its mirrored copy, which says the same unless a person wrote another text for it."""
    if candidate.mirrored is None:
        return example
    id_ = mirror_id(example.id)
    written = decisions.get((id_, TEXT))
    own = painted(decisions.get((id_, PIXELS)), example.picture.size)
    crop, suffix = own or (candidate.mirrored, SUFFIXES[example.picture.format_out])
    copy = replace(
        example,
        id=id_,
        name=example.name + MIRRORED,
        crop=crop,
        suffix=suffix,
        text=example.text if written is None else written,
        edited=written is not None,
        pixels_edited=own is not None,
    )
    return replace(example, mirror=copy)


def _example(
    candidate: Candidate,
    picture: PictureFact,
    crop: str,
    words: Words,
    judgements: Judgements,
    decisions: Decisions,
    curation: Curation,
) -> Example:
    """An example without its text and tags."""
    edited = (candidate.id, TEXT) in decisions
    own = painted(decisions.get((candidate.id, PIXELS)), picture.size)
    crop, suffix = own or (crop, SUFFIXES[picture.format_out])
    said = captioned(candidate)
    same = words.caption is not None and filewords.caption_text(words.caption) == said
    return Example(
        id=candidate.id,
        name=candidate.name,
        sources=candidate.sources,
        picture=picture,
        crop=crop,
        caption=words.caption,
        caption_verdict=judgements.captions.get(candidate.id),
        tags=(),
        text=None,
        edited=edited,
        pixels_edited=own is not None,
        suffix=suffix,
        replaced=said if edited and not same else None,
        flaws=tuple(sentence for _, sentence in curation.flaws.get(candidate.id, ())),
        sharper=curation.sharper.get(candidate.id),
        chosen=curation.chosen.get(candidate.id, ""),
    )


def _choices(
    candidate: Candidate,
    wording: Wording,
    words: Words,
    edited: bool,
    given: Mapping[str, TagScore],
    judgements: Judgements,
) -> tuple[TagChoice, ...]:
    """What became of each tag that the tagger or a person gave a picture, those in the text first and in its order.

    Args:
        candidate: The picture.
        wording: What became of the models' words.
        words: What its text says.
        edited: True if a person wrote that text.
        given: Some picture's tag for each text, for the name and category of what only a person gave this one.
        judgements: Agreement's verdicts.
    """
    choices = []
    for tag, text, why in zip(candidate.tags or (), wording.spelled, wording.reasons, strict=True):
        reason = why
        if edited:
            reason = "" if text in words.tags else why or "not in the text written by hand"
        verdict = judgements.tags.get(text)
        choices.append(TagChoice(tag.name, text, tag.category, tag.probability, not reason, reason, verdict))
    if edited:
        known = {choice.text for choice in choices}
        for text in (text for text in words.tags if text not in known):
            tag = given.get(text, TagScore(text, WRITTEN, 0.0))
            choices.append(TagChoice(tag.name, text, tag.category, None, True, "", judgements.tags.get(text)))
    place = {text: n for n, text in enumerate(words.tags)}
    choices.sort(key=lambda choice: place.get(choice.text, len(place)) if choice.kept else len(place))
    return tuple(choices)


def judge(
    candidates: Sequence[Candidate],
    decisions: Decisions,
    vectors: Mapping[str, NDArray[np.float32]],
    wordings: Wordings,
) -> Judgements:
    """Agreement's verdicts on the words that are trained on, see `Wordings.words_of`.

    Args:
        candidates: The pictures; those without a vector are left out.
        decisions: What people decided: (picture id, kind) -> payload.
        vectors: The unit vector of each text; texts without one get no verdict.
        wordings: What became of the models' words.
    """
    seen = [candidate for candidate in candidates if candidate.embedding is not None]
    if not seen or not vectors:
        return Judgements()
    words = [wordings.words_of(candidate, decisions) for candidate in seen]
    images_ND = agreement.unit([c.embedding for c in seen if c.embedding is not None])
    column = {text: r for r, text in enumerate(vectors)}
    similarity_NR = images_ND @ agreement.unit(list(vectors.values())).T
    captioned = [n for n, said in enumerate(words) if said.caption in column]
    captions = [words[n].caption or "" for n in captioned]
    own = [column[caption] for caption in captions]
    verdicts = agreement.caption_verdicts(similarity_NR[np.ix_(captioned, own)], captions, similarity_NR[captioned])
    names = sorted(set().union(*(said.tags for said in words)) & column.keys())
    carriers_NM = np.array([[name in said.tags for name in names] for said in words], dtype=bool)
    tags = agreement.tag_verdicts(similarity_NR[:, [column[name] for name in names]], carriers_NM, similarity_NR)
    return Judgements(
        {seen[n].id: verdict for n, verdict in zip(captioned, verdicts, strict=True)},
        dict(zip(names, tags, strict=True)),
    )
