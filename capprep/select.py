"""Facts, decisions and thresholds in; the training set with every picture's exact text and every reason out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capprep import agreement, filewords
from capprep.agreement import Verdict
from capprep.config import Config, option
from capprep.facts import PICTURE, PictureFact, TagScore

RATING = "rating"
WRITTEN = "written"
"""Category of a tag that no tagger gave any picture and a person wrote."""

TAG_WORDS = 3
"""The first piece of a person's text is a sentence if it has more words than this."""

TEXT = "text"
"""Kind of decision: a person wrote a picture's whole text; the payload is that text."""
PIXELS = "pixels"
"""Kind of decision: a person changed a picture in `dataset/`; the payload is `edited_pixels`."""


@dataclass(frozen=True)
class Policy(Config):
    """What becomes of the facts; changing it runs no model."""

    booru_threshold: float = option(
        0.5, "Keep a tag whose probability is at least this.", minimum=0.05, maximum=1.0, metavar="P"
    )
    max_upscale: float = option(
        2.0,
        "Leave out a picture that would have to be enlarged more than this many times.",
        minimum=1.0,
        maximum=16.0,
        metavar="X",
    )


@dataclass(frozen=True)
class Candidate:
    """One picture's facts, as far as they are known.

    Attributes:
        id: SHA-256 of the source's bytes.
        number: Its number in the workspace, in order of arrival.
        sources: Where it came from, for people to read.
        picture: The picture fact, or None where it failed.
        crop: Digest of the crop's blob, or None.
        failures: (stage, reason, message) of whatever failed.
        caption: BLIP's caption, or None where not made.
        tags: The tagger's answer, or None where not made.
        embedding: The picture's unit vector for agreement, or None where not made.
    """

    id: str
    number: int
    sources: tuple[str, ...]
    picture: PictureFact | None = None
    crop: str | None = None
    failures: tuple[tuple[str, str, str], ...] = ()
    caption: str | None = None
    tags: tuple[TagScore, ...] | None = None
    embedding: NDArray[np.float32] | None = None

    @property
    def name(self) -> str:
        """Stem of its files in `dataset/`: the number and the first source's stem, safe on any file system."""
        stem = PurePath(self.sources[0]).stem if self.sources else ""
        stem = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFC", stem)).strip("._")
        # a name's limit counts bytes
        stem = stem.encode(errors="ignore")[:180].decode(errors="ignore")
        return f"{self.number:05d}-{stem or 'picture'}"


@dataclass(frozen=True)
class Words:
    """What a picture's text says of it.

    Attributes:
        caption: Its sentence, or None.
        tags: Its tags as words ("long hair"), in the order of the text.
    """

    caption: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Judgements:
    """Agreement's verdicts: of captions by picture id, of tags by their words ("long hair")."""

    captions: dict[str, Verdict] = field(default_factory=dict)
    tags: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class TagChoice:
    """One tag of one picture and what became of it.

    Attributes:
        name: The tagger's spelling ("long_hair"), or the words of a tag that no tagger gave.
        text: As written in the text file ("long hair").
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


@dataclass(frozen=True)
class Example:
    """One picture of the training set.

    Attributes:
        id: SHA-256 of the source's bytes.
        name: Stem of its files in `dataset/` ("00017-cat").
        sources: Where it came from, for people to read.
        picture: What is known of it.
        crop: Digest of the blob with the square PNG.
        caption: The sentence of its text, the captioner's or a person's, or None.
        caption_verdict: Agreement's, or None.
        tags: Every tag over the storing threshold, most probable first; those of a person's text before them.
        text: The exact `[filewords]` text, or None while there is nothing to write.
        edited: True if a person wrote the text.
        pixels_edited: True if a person changed the picture in `dataset/`.
        replaced: The captioner's sentence where a person's text has another or none, else None.
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


@dataclass(frozen=True)
class LeftOut:
    """A picture or file that is not in the training set, and why.

    Attributes:
        sources: The files it stands for, for people to read.
        stage: Where it failed ("picture", "caption.blip"), or "source" if the file could not be read.
        reason: A stable code such as `truncated`.
        message: The same as a sentence.
    """

    sources: tuple[str, ...]
    stage: str
    reason: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True)
class Selection:
    """The training set and everything that was left out of it."""

    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()


def edited_pixels(side: int, digest: str) -> str:
    """The payload of a `PIXELS` decision: the square's side in pixels and its blob's digest."""
    return f"{side}:{digest}"


def select(
    candidates: Sequence[Candidate],
    unreadable: Sequence[LeftOut],
    judgements: Judgements,
    decisions: Mapping[tuple[str, str], str],
    policy: Policy,
) -> Selection:
    """Choose the training set and write every picture's text.

    Args:
        candidates: Every picture that has a source, in order of number.
        unreadable: Files that never became a picture.
        judgements: Agreement's verdicts; see `judge`.
        decisions: What people decided: (picture id, kind) -> payload.
        policy: Thresholds.
    """
    examples, left_out = [], list(unreadable)
    given = {filewords.tag_text(tag.name): tag for candidate in candidates for tag in candidate.tags or ()}
    for candidate in candidates:
        left_out += [LeftOut(candidate.sources, *failure) for failure in candidate.failures]
        if candidate.picture is None or candidate.crop is None:
            if not candidate.failures:
                left_out.append(
                    LeftOut(candidate.sources, PICTURE, "not_read", "run `capprep ingest` again to read it")
                )
            continue
        too_small = _too_small(candidate.picture, policy)
        if too_small:
            left_out.append(LeftOut(candidate.sources, PICTURE, "too_small", too_small))
        else:
            words = words_of(candidate, decisions, policy)
            tags = _choices(candidate, words, (candidate.id, TEXT) in decisions, given, judgements, policy)
            examples.append(_example(candidate, candidate.picture, candidate.crop, words, tags, judgements, decisions))
    return Selection(tuple(examples), tuple(left_out))


def _too_small(picture: PictureFact, policy: Policy) -> str:
    """Why a picture is too small, or ""."""
    enlarged = 1 / picture.scale
    if enlarged <= policy.max_upscale:
        return ""
    return (
        f"{picture.width}x{picture.height} would have to be enlarged {enlarged:.2f} times"
        f" for {picture.size}x{picture.size}; --max-upscale is {policy.max_upscale:g}"
    )


def _example(
    candidate: Candidate,
    picture: PictureFact,
    crop: str,
    words: Words,
    tags: tuple[TagChoice, ...],
    judgements: Judgements,
    decisions: Mapping[tuple[str, str], str],
) -> Example:
    written = decisions.get((candidate.id, TEXT))
    known = candidate.caption is not None or candidate.tags is not None
    kept = [filewords.escape(tag.text) for tag in tags if tag.kept]
    captioned = _captioned(candidate)
    side, _, painted = decisions.get((candidate.id, PIXELS), "").partition(":")
    # an edit of a square of another size waits until that size is asked for again
    pixels_edited = side == str(picture.size)
    return Example(
        id=candidate.id,
        name=candidate.name,
        sources=candidate.sources,
        picture=picture,
        crop=painted if pixels_edited else crop,
        caption=words.caption,
        caption_verdict=judgements.captions.get(candidate.id),
        tags=tags,
        text=written if written is not None else filewords.join(words.caption, kept) if known else None,
        edited=written is not None,
        pixels_edited=pixels_edited,
        replaced=captioned if captioned != words.caption else None,
    )


def _choices(
    candidate: Candidate,
    words: Words,
    edited: bool,
    given: Mapping[str, TagScore],
    judgements: Judgements,
    policy: Policy,
) -> tuple[TagChoice, ...]:
    """What became of each tag that the tagger or a person gave a picture.

    Args:
        candidate: The picture.
        words: What its text says.
        edited: True if a person wrote that text.
        given: Some picture's tag for each text, for the name and category of what only a person gave this one.
        judgements: Agreement's verdicts.
        policy: Thresholds.
    """
    choices = []
    for tag in candidate.tags or ():
        text = filewords.tag_text(tag.name)
        reason = _reason(tag, policy)
        if edited:
            reason = "" if text in words.tags else reason or "not in the text written by hand"
        verdict = judgements.tags.get(text)
        choices.append(TagChoice(tag.name, text, tag.category, tag.probability, not reason, reason, verdict))
    if edited:
        known = {choice.text for choice in choices}
        for text in (text for text in words.tags if text not in known):
            tag = given.get(text, TagScore(text, WRITTEN, 0.0))
            choices.append(TagChoice(tag.name, text, tag.category, None, True, "", judgements.tags.get(text)))
        place = {text: n for n, text in enumerate(words.tags)}
        choices.sort(key=lambda choice: place.get(choice.text, len(place)))
    return tuple(choices)


def _reason(tag: TagScore, policy: Policy) -> str:
    """Why a tag is left out, or ""."""
    if tag.category == RATING:
        return "ratings describe the picture, not what is on it"
    if tag.probability < policy.booru_threshold:
        # without the probability itself, which stands beside it: equal reasons are shown as one
        return f"its probability is under the threshold {policy.booru_threshold:g}"
    return "" if filewords.tag_text(tag.name) else "nothing is left of it as words"


def words_of(candidate: Candidate, decisions: Mapping[tuple[str, str], str], policy: Policy) -> Words:
    """What a picture's text says: a person's own words where there are some, else the models'.

    A person's text is cut at its commas. The first piece is its caption if it has more than `TAG_WORDS` words or
    is the captioner's; all other pieces are tags.

    Args:
        candidate: The picture.
        decisions: What people decided: (picture id, kind) -> payload.
        policy: Thresholds; they say nothing of a person's words.
    """
    captioned, text = _captioned(candidate), decisions.get((candidate.id, TEXT))
    if text is None:
        kept = (filewords.tag_text(tag.name) for tag in candidate.tags or () if not _reason(tag, policy))
        return Words(captioned, tuple(dict.fromkeys(kept)))
    pieces = filewords.split(text)
    caption = pieces[0] if pieces and (len(pieces[0].split()) > TAG_WORDS or pieces[0] == captioned) else None
    # a person may write a tag in the tagger's spelling
    tags = map(filewords.tag_text, pieces if caption is None else pieces[1:])
    return Words(caption, tuple(dict.fromkeys(tag for tag in tags if tag)))


def _captioned(candidate: Candidate) -> str | None:
    """The captioner's sentence as it is written."""
    return None if candidate.caption is None else filewords.caption_text(candidate.caption)


def vocabulary(candidates: Iterable[Candidate], decisions: Mapping[tuple[str, str], str]) -> list[str]:
    """Every text agreement has to know the vector of: the models' words whatever the threshold, and people's.

    The models' are in it beside a person's as well, so that an edit can be taken back without running a model.

    Args:
        candidates: The pictures.
        decisions: What people decided: (picture id, kind) -> payload.
    """
    texts: set[str] = set()
    for candidate in candidates:
        words = words_of(candidate, decisions, Policy())
        texts.update((_captioned(candidate) or "", words.caption or "", *words.tags))
        texts.update(filewords.tag_text(tag.name) for tag in candidate.tags or () if tag.category != RATING)
    return sorted(texts - {""})


def judge(
    candidates: Sequence[Candidate],
    decisions: Mapping[tuple[str, str], str],
    vectors: Mapping[str, NDArray[np.float32]],
    policy: Policy,
) -> Judgements:
    """Agreement's verdicts on the words that are trained on, see `words_of`.

    Args:
        candidates: The pictures; those without a vector are left out.
        decisions: What people decided: (picture id, kind) -> payload.
        vectors: The unit vector of each text; texts without one get no verdict.
        policy: Thresholds.
    """
    seen = [candidate for candidate in candidates if candidate.embedding is not None]
    if not seen or not vectors:
        return Judgements()
    words = [words_of(candidate, decisions, policy) for candidate in seen]
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
