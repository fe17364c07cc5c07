"""What is selected from: pictures with their facts, a person's decisions, and the thresholds."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capprep.config import option
from capprep.errors import ConfigError
from capprep.facts import Appearance, PictureFact, Sentence, TagScore
from capprep.filewords import TEXT_FIELDS, TextRules
from capprep.thresholds import Thresholds

TEXT = "text"
"""Kind of decision: a person wrote a picture's whole text; the payload is that text."""
PIXELS = "pixels"
"""Kind of decision: a person changed a picture in `dataset/`; the payload is its side and its blob's digest."""
KEEP = "keep"
"""Kind of decision: a picture is in the set, or is not, whatever the thresholds say; the payload is YES or NO."""
BOX = "crop"
"""Kind of decision: a person chose what of a picture is used; the payload is the box as a JSON list of four numbers."""
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Policy(TextRules):
    """What becomes of the facts; changing it reads no picture and runs no model."""

    max_upscale: float = option(
        1.0,
        "Leave out a picture that would have to be enlarged more than this many times.",
        minimum=1.0,
        maximum=16.0,
        metavar="X",
    )
    duplicates: str = option(
        "near",
        "Of which duplicates only the best is kept: near ones too, mirrored, brightened, cut or saved again; only exact"
        " ones; or none, all are kept.",
        choices=("near", "exact", "none"),
    )
    keep: int = option(
        0, "Keep only the best this many, good ones that differ from each other; 0 keeps all.", minimum=0, metavar="N"
    )
    screen: str = option(
        "flag",
        "What limits on sharpness, light and the like do, see capprep select: flag a picture, reject it, or nothing.",
        choices=("flag", "reject", "off"),
    )
    min_sharpness: float = option(0.35, "Below it a picture looks blurred.", minimum=0.0, maximum=1.0, metavar="SHARE")
    min_highlights: float = option(
        0.3, "A picture whose brightest parts stay below it is too dark.", minimum=0.0, maximum=1.0, metavar="LEVEL"
    )
    max_shadows: float = option(
        0.95, "A picture whose darkest parts are above it is too bright.", minimum=0.0, maximum=1.0, metavar="LEVEL"
    )
    min_contrast: float = option(0.04, "Below it a picture is flat.", minimum=0.0, maximum=0.5, metavar="DEVIATION")
    min_information: float = option(1.0, "Below it there is hardly anything.", minimum=0.0, maximum=8.0, metavar="BITS")
    max_blockiness: float = option(0.5, "Above it the blocks of JPEG show.", minimum=0.0, maximum=1.0, metavar="SHARE")
    max_border: float = option(
        0.6, "Above it most of a picture is a dark or light margin.", minimum=0.0, maximum=1.0, metavar="SHARE"
    )
    split: bool = option(False, "Cut panoramas, twice as long as wide and more, into several squares.")
    mirror: bool = option(False, "Add a mirrored copy of each picture, with the same text.")
    booru_threshold: str = option(
        "",
        "Write a tag from this probability on: one number for all, or by category, such as character=0.9,general=0.3;"
        " else the model's own thresholds.",
        numeric=True,
        metavar="P|CATEGORY=P,...",
    )
    mcut: bool = option(
        False, "Cut the tags of each picture where their probabilities have the largest gap, category by category."
    )

    def __post_init__(self) -> None:
        # a number, as settings written by hand have it and as it was once remembered
        object.__setattr__(self, "booru_threshold", str(self.booru_threshold))
        super().__post_init__()
        try:
            Thresholds().overridden(self.booru_threshold)
        except ConfigError as error:
            raise ConfigError(f"booru_threshold: {error.message}", error.hint) from error


WORDING = ("booru_threshold", "mcut", *TEXT_FIELDS)
"""The thresholds and options by which texts are written."""

CURATING = tuple(each.name for each in fields(Policy) if each.name not in (*WORDING, "split", "mirror"))
"""The thresholds by which pictures are chosen."""


UNKNOWN = Thresholds()
"""Where no tagger said any."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The text that lies beside a source picture.

    Attributes:
        file: Where it lies, for people to read.
        text: What it says; "" where it says nothing or cannot be used.
        message: Why it cannot, or "".
    """

    file: str
    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One picture's facts, as far as they are known.

    Attributes:
        id: What decisions name: SHA-256 of the source's bytes; of a part of a picture, the part's own id.
        number: Its number in the workspace, in order of arrival.
        sources: Where it came from, for people to read.
        picture: The picture fact, or None where it failed.
        crop: Digest of the crop's blob, or None.
        failures: (stage, reason, message) of whatever failed.
        caption: BLIP's caption, or None where not made; of several sentences the one chosen.
        ended: False where the caption reached the greatest length before its end.
        sentences: All that BLIP said where that is more than one sentence, its own best first.
        choice: Why the caption is the one chosen of several, or "".
        tags: The tagger's answer, or None where not made.
        thresholds: The tagger's own ones.
        beneath: The highest probability of each category that was too low to be stored.
        embedding: The picture's unit vector for agreement, or None where not made.
        part: How many-eth part of a picture that was split, from 1; 0 for a whole one.
        appearance: What it is compared with others by, or None where it failed.
        mirrored: Digest of the mirrored square's blob, or None where not made.
        beside: The text beside the first of its sources that has one, or None.
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
    part: int = 0
    appearance: Appearance | None = None
    mirrored: str | None = None
    thresholds: Thresholds = UNKNOWN
    beneath: Mapping[str, float] = field(default_factory=dict)
    ended: bool = True
    sentences: tuple[Sentence, ...] = ()
    choice: str = ""
    beside: Beside | None = None

    @property
    def name(self) -> str:
        """Stem of its files in `dataset/`."""
        return _name(self.number, self.part, self.sources)


def _name(number: int, part: int, sources: tuple[str, ...]) -> str:
    """A number and the first source's stem, safe on any file system."""
    # a `Path` for each of thousands is slow
    stem = os.path.splitext(os.path.basename(sources[0]))[0] if sources else ""  # noqa: PTH119, PTH122
    stem = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFC", stem)).strip("._")
    # a name's limit counts bytes
    stem = stem.encode(errors="ignore")[:180].decode(errors="ignore")
    return f"{number:05d}-{stem or 'picture'}{f'-{part}' if part else ''}"


def mirror_id(id: str) -> str:
    """The id by which decisions name a picture's mirrored copy."""
    return hashlib.sha256(f"{id}:mirror".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture or file that is not in the training set, and why.

    Attributes:
        sources: The files it stands for, for people to read.
        stage: Where it failed ("picture", "caption.blip"); "source" if the file could not be read; "select" if it is
            fine and was not chosen.
        reason: A stable code such as `truncated`.
        message: The same as a sentence.
        name: The picture's name, by which a decision can name it; "" for a file that never became a picture.
        crop: Digest of the blob with its square, where there is one.
    """

    sources: tuple[str, ...]
    stage: str
    reason: str
    message: str
    name: str = ""
    crop: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)
