"""Facts, decisions and thresholds in; the training set with every picture's exact text and every reason out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from capprep.agreement import Verdict
from capprep.config import Config, option
from capprep.facts import PictureFact, TagScore


@dataclass(frozen=True)
class Policy(Config):
    """What becomes of the facts; changing it runs no model."""

    booru_threshold: float = option(
        0.5, "Keep a tag whose probability is at least this.", minimum=0.05, maximum=1.0, metavar="P"
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
        failure: (stage, reason, message) of what failed.
        caption: BLIP's caption, or None where not made.
        tags: The tagger's answer, or None where not made.
    """

    id: str
    number: int
    sources: tuple[str, ...]
    picture: PictureFact | None = None
    crop: str | None = None
    failures: tuple[tuple[str, str, str], ...] = ()
    caption: str | None = None
    tags: tuple[TagScore, ...] | None = None


@dataclass(frozen=True)
class Judgements:
    """Agreement's verdicts, by text: captions per picture id, tags by their written form."""

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


@dataclass(frozen=True)
class Selection:
    """The training set and everything that was left out of it."""

    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()
