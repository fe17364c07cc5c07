"""The chosen pictures, decisions and thresholds in; every picture's exact text and every reason out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import overload

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
        examples: The pictures, without their mirrored copies. They may be made anew whenever they are gone through.
        left_out: What is not in the set.
        groups: Pictures that show the same.
        find_unmatched: Gives a person's rules that were about no tag of any picture gone through.
    """

    examples: Sequence[Example]
    left_out: tuple[LeftOut, ...] = ()
    groups: tuple[Group, ...] = ()
    find_unmatched: Callable[[], tuple[Rule, ...]] = field(default=tuple, compare=False)

    def held(self) -> Selection:
        """The same with the examples made once and for all; of thousands they take memory."""
        return replace(self, examples=tuple(self.examples))

    @property
    def training(self) -> Iterator[Example]:
        """Everything that is trained on: each picture, then its mirrored copy."""
        return with_mirrors(self.examples)


def with_mirrors(examples: Iterable[Example]) -> Iterator[Example]:
    """Pictures, each followed by its mirrored copy."""
    for example in examples:
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


class Examples(Sequence[Example]):
    """The pictures of the set, each with its text and all that there is to say of it, made when they are asked for."""

    def __init__(
        self,
        chosen: Sequence[Candidate],
        curation: Curation,
        judgements: Judgements,
        decisions: Decisions,
        wordings: Wordings,
        mirrored: Callable[[Candidate], str | None],
    ) -> None:
        """See `select`."""
        self._chosen = chosen
        self._curation = curation
        self._judgements = judgements
        self._decisions = decisions
        self._wordings = wordings
        self._mirrored = mirrored

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Example]:
        for place, candidate in zip(self._curation.places.tolist(), self._chosen, strict=True):
            yield self._made(place, candidate)

    @overload
    def __getitem__(self, number: int) -> Example: ...

    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...

    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return self._made(int(self._curation.places[number]), self._chosen[number])

    @cached_property
    def _given(self) -> dict[str, TagScore]:
        """Some picture's tag for each text, for the name and category of what only a person gave another one."""
        return {
            text: tag
            for candidate in self._chosen
            for tag, spelled in zip(candidate.tags or (), self._wordings.of(candidate).spelled, strict=True)
            for text in (spelled, filewords.tag_text(tag.name))
        }

    def _made(self, place: int, candidate: Candidate) -> Example:
        """The example of one of the candidates, which is at this place among all."""
        decisions, wordings = self._decisions, self._wordings
        wording, words = wordings.of(candidate), wordings.words_of(candidate, decisions)
        written = decisions.get((candidate.id, TEXT))
        given = {} if written is None else self._given
        picture, crop = candidate.picture, candidate.crop
        if picture is None or crop is None:
            raise ValueError(f"{candidate.name} was never read, and cannot be in the set")
        own = painted(decisions.get((candidate.id, PIXELS)), picture.size)
        crop, suffix = own or (crop, SUFFIXES[picture.format_out])
        said = captioned(candidate)
        same = words.caption is not None and filewords.caption_text(words.caption) == said
        example = Example(
            id=candidate.id,
            name=candidate.name,
            sources=candidate.sources,
            picture=picture,
            crop=crop,
            caption=words.caption,
            caption_verdict=self._judgements.captions.get(candidate.id),
            tags=_choices(candidate, wording, words, written is not None, given, self._judgements),
            text=wording.text if written is None else written,
            edited=written is not None,
            pixels_edited=own is not None,
            suffix=suffix,
            replaced=said if written is not None and not same else None,
            remarks=wordings.remarks_on(candidate, decisions),
            artefacts=wording.artefacts if written is None else (),
            flaws=tuple(sentence for _, sentence in self._curation.flaws(place)),
            sharper=self._curation.sharper(place),
            chosen=self._curation.chosen.get(candidate.id, ""),
        )
        return _with_mirror(example, self._mirrored(candidate), decisions) if wordings.policy.mirror else example


def select(
    chosen: Sequence[Candidate],
    curation: Curation,
    unreadable: Sequence[LeftOut],
    judgements: Judgements,
    decisions: Decisions,
    wordings: Wordings,
    mirrored: Callable[[Candidate], str | None] = attrgetter("mirrored"),
) -> Selection:
    """The pictures that were chosen with their texts and all that there is to say of them.

    Args:
        chosen: The pictures of the set, in order of number.
        curation: How they were chosen; see `curate`.
        unreadable: Files that never became a picture.
        judgements: Agreement's verdicts; see `judge`.
        decisions: What people decided: (picture id, kind) -> payload.
        wordings: What becomes of the models' words.
        mirrored: Gives the digest of a picture's mirrored square.
    """
    examples = Examples(chosen, curation, judgements, decisions, wordings, mirrored)
    return Selection(examples, (*unreadable, *curation.left_out), curation.groups, lambda: wordings.unmatched)


def _with_mirror(example: Example, mirrored: str | None, decisions: Decisions) -> Example:
    """An example with its mirrored copy, which says the same unless a person wrote another text for it."""
    if mirrored is None:
        return example
    id_ = mirror_id(example.id)
    written = decisions.get((id_, TEXT))
    own = painted(decisions.get((id_, PIXELS)), example.picture.size)
    crop, suffix = own or (mirrored, SUFFIXES[example.picture.format_out])
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
    # in a person's text, or in one that lay beside the picture
    known = {choice.text for choice in choices}
    for text in (text for text in words.tags if text not in known):
        tag = given.get(text, TagScore(text, WRITTEN, 0.0))
        choices.append(TagChoice(tag.name, text, tag.category, None, True, "", judgements.tags.get(text)))
    place = {text: n for n, text in enumerate(words.tags)}
    choices.sort(key=lambda choice: place.get(choice.text, len(place)) if choice.kept else len(place))
    return tuple(choices)


def judge(
    candidates: Iterable[Candidate],
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
    seen, words, images = [], [], []
    for candidate in candidates:
        if candidate.embedding is not None:
            seen.append(candidate.id)
            words.append(wordings.words_of(candidate, decisions))
            images.append(candidate.embedding)
    if not seen or not vectors:
        return Judgements()
    images_ND = agreement.unit(images)
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
        {seen[n]: verdict for n, verdict in zip(captioned, verdicts, strict=True)},
        dict(zip(names, tags, strict=True)),
    )
