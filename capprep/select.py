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
class Judgements:
    """Agreement's verdicts: of captions by picture id, of tags by their words ("long hair")."""

    captions: dict[str, Verdict] = field(default_factory=dict)
    tags: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class TagChoice:
    """One tag of one picture and what became of it.

    Attributes:
        name: The tagger's spelling ("long_hair").
        text: As written in the text file ("long hair").
        category: "general", "character", "copyright", "meta" or "rating".
        probability: The tagger's, 0..1.
        kept: True if it is in the text.
        reason: Why it was left out ("" if kept).
        verdict: Agreement's, or None where not scored.
    """

    name: str
    text: str
    category: str
    probability: float
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
        caption: The captioner's words, or None.
        caption_verdict: Agreement's, or None.
        tags: Every tag over the storing threshold, most probable first.
        text: The exact `[filewords]` text, or None while there is nothing to write.
        edited: True if a person wrote the text.
        pixels_edited: True if a person changed the picture in `dataset/`.
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
            examples.append(_example(candidate, candidate.picture, candidate.crop, judgements, decisions, policy))
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
    judgements: Judgements,
    decisions: Mapping[tuple[str, str], str],
    policy: Policy,
) -> Example:
    tags = tuple(_choice(tag, judgements, policy) for tag in candidate.tags or ())
    written = decisions.get((candidate.id, TEXT))
    known = candidate.caption is not None or candidate.tags is not None
    kept = [filewords.escape(tag.text) for tag in tags if tag.kept]
    side, _, painted = decisions.get((candidate.id, PIXELS), "").partition(":")
    # an edit of a square of another size waits until that size is asked for again
    pixels_edited = side == str(picture.size)
    return Example(
        id=candidate.id,
        name=candidate.name,
        sources=candidate.sources,
        picture=picture,
        crop=painted if pixels_edited else crop,
        caption=candidate.caption,
        caption_verdict=judgements.captions.get(candidate.id),
        tags=tags,
        text=written if written is not None else filewords.join(candidate.caption, kept) if known else None,
        edited=written is not None,
        pixels_edited=pixels_edited,
    )


def _choice(tag: TagScore, judgements: Judgements, policy: Policy) -> TagChoice:
    text = filewords.tag_text(tag.name)
    if tag.category == RATING:
        reason = "ratings describe the picture, not what is on it"
    elif tag.probability < policy.booru_threshold:
        # without the probability itself, which stands beside it: equal reasons are shown as one
        reason = f"its probability is under the threshold {policy.booru_threshold:g}"
    elif not text:
        reason = "nothing is left of it as words"
    else:
        reason = ""
    verdict = judgements.tags.get(text)
    return TagChoice(tag.name, text, tag.category, tag.probability, not reason, reason, verdict)


def vocabulary(candidates: Iterable[Candidate]) -> list[str]:
    """Every text agreement has to know the vector of: captions, and tags whatever the threshold."""
    texts: set[str] = set()
    for candidate in candidates:
        if candidate.caption:
            texts.add(candidate.caption)
        texts.update(filewords.tag_text(tag.name) for tag in candidate.tags or () if tag.category != RATING)
    return sorted(texts - {""})


def judge(candidates: Sequence[Candidate], vectors: Mapping[str, NDArray[np.float32]], policy: Policy) -> Judgements:
    """Agreement's verdicts on the captions and on the tags over the threshold.

    Args:
        candidates: The pictures; those without a vector are left out.
        vectors: The unit vector of each text; texts without one get no verdict.
        policy: Thresholds.
    """
    seen = [candidate for candidate in candidates if candidate.embedding is not None]
    if not seen or not vectors:
        return Judgements()
    images_ND = agreement.unit([c.embedding for c in seen if c.embedding is not None])
    column = {text: r for r, text in enumerate(vectors)}
    similarity_NR = images_ND @ agreement.unit(list(vectors.values())).T
    captioned = [n for n, c in enumerate(seen) if c.caption in column]
    own = [column[seen[n].caption or ""] for n in captioned]
    words = [seen[n].caption or "" for n in captioned]
    verdicts = agreement.caption_verdicts(similarity_NR[np.ix_(captioned, own)], words, similarity_NR[captioned])
    captions = {seen[n].id: verdict for n, verdict in zip(captioned, verdicts, strict=True)}
    written = [_written_tags(candidate, policy) for candidate in seen]
    names = sorted(set().union(*written) & column.keys())
    carriers_NM = np.array([[name in tags for name in names] for tags in written], dtype=bool)
    tags = agreement.tag_verdicts(similarity_NR[:, [column[name] for name in names]], carriers_NM, similarity_NR)
    return Judgements(captions, dict(zip(names, tags, strict=True)))


def _written_tags(candidate: Candidate, policy: Policy) -> set[str]:
    """The words of the tags that the thresholds let through."""
    unjudged = Judgements()
    choices = (_choice(tag, unjudged, policy) for tag in candidate.tags or ())
    return {choice.text for choice in choices if choice.kept}
