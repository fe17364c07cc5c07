"""What the stages store, as typed records: one class per kind of fact, to and from JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from capprep.images import Box
from capprep.images.duplicates import Fingerprint
from capprep.images.screening import Measures

PICTURE = "picture"
MIRROR = "picture.mirror"
BLIP = "caption.blip"
BOORU = "tags.booru"
MATCH_IMAGE = "match.image"
MATCH_TEXT = "match.text"

CROP = "crop"
"""The blob of a picture fact, and of a mirror fact: the square as a picture file."""

SUFFIXES = {"png": ".png", "webp-lossless": ".webp"}
"""How a square can be stored, with the suffix of its file."""


UNTRIMMED: Box = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PictureFact:
    """What is known of a picture after the one pass over its file.

    Attributes:
        width, height: Size in pixels after the EXIF orientation was applied.
        format: The container's name as decoded ("JPEG"), whatever the file's suffix.
        mode: Pillow's mode of the stored pixels ("RGB", "RGBA", "P").
        orientation: The EXIF orientation that was applied, 1-8.
        frames: How many frames the file holds.
        box: The crop on the upright picture: left, top, right, bottom in pixels, floats.
        scale: Source pixels per output pixel; below 1 the picture was enlarged.
        size: Side of the stored square in pixels.
        frame: Which frame was used, from 0.
        crop: The way in which the box was chosen ("center", "auto"; "given" for a person's own).
        why: Why the box lies where it does, as a sentence.
        notes: What else a person should know of the file, such as a colour profile that could not be used.
        format_out: How the square is stored, a key of `SUFFIXES`.
        trimmed: Pixels of bars that were cut off at the left, top, right and bottom before the crop.
        alpha: The share of the picture that the background makes up, 0..1.
        icc: The name of the colour profile that was applied, or "".
        measures: What was measured of the square, or None in facts of tests.
        tools: The versions of what made it.
    """

    width: int
    height: int
    format: str
    mode: str
    orientation: int
    frames: int
    box: Box
    scale: float
    size: int
    frame: int = 0
    crop: str = "center"
    why: str = ""
    notes: tuple[str, ...] = ()
    format_out: str = "png"
    trimmed: Box = UNTRIMMED
    alpha: float = 0.0
    icc: str = ""
    measures: Measures | None = None
    tools: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a part of a fact's data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PictureFact:
        """Back from a fact's data; what is in it besides is left alone."""
        return msgspec.convert(data, cls)

    @classmethod
    def stored(cls, text: str) -> PictureFact:
        """The same from the text that is stored, five times as fast: it is asked for of every picture every time."""
        return _PICTURE.decode(text)


_PICTURE = msgspec.json.Decoder(PictureFact)


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a picture is compared with others by; as bytes, since of thousands all are held at once.

    Attributes:
        pixels: SHA-256 of size and pixels before the crop, 32 bytes.
        words, tint: The fingerprint of the same, 32 bytes each; see `duplicates.Prints`.
        look: What the square looks like, little-endian float16; see `curation.describe`. Empty where nobody asked.
    """

    pixels: bytes
    words: bytes
    tint: bytes
    look: bytes = b""

    @property
    def look_D(self) -> NDArray[np.float32]:  # noqa: N802 - it carries its dimension
        """The description of the square."""
        return np.frombuffer(self.look, "<f2").astype(np.float32)

    @classmethod
    def of(cls, pixels: str, fingerprint: Fingerprint, look_D: NDArray[np.float32]) -> Appearance:
        """From what was computed; `pixels` in hexadecimal digits."""
        stored = fingerprint.to_json()
        words, tint = bytes.fromhex(stored["words"]), bytes.fromhex(stored["tint"])
        return cls(bytes.fromhex(pixels), words, tint, look_D.astype("<f2").tobytes())

    def to_json(self) -> dict[str, Any]:
        """As a part of a fact's data."""
        return {
            "pixels": self.pixels.hex(),
            "words": self.words.hex(),
            "tint": self.tint.hex(),
            "look": base64.b64encode(self.look).decode(),
        }

    @classmethod
    def stored(cls, text: str, *, look: bool = True) -> Appearance:
        """Back from a fact's data as it is stored; the look, which is the most of it, only where it is asked for."""
        found = (_LOOKS if look else _PRINTS).decode(text)
        pixels, words, tint = map(bytes.fromhex, (found.pixels, found.words, found.tint))
        return cls(pixels, words, tint, base64.b64decode(found.look))


class _Prints(msgspec.Struct):
    pixels: str
    words: str
    tint: str
    look: ClassVar[str] = ""


class _Looks(msgspec.Struct):
    pixels: str
    words: str
    tint: str
    look: str


_PRINTS, _LOOKS = msgspec.json.Decoder(_Prints), msgspec.json.Decoder(_Looks)


@dataclass(frozen=True, slots=True)
class TagScore:
    """One tag a tagger gave a picture.

    Attributes:
        name: The tagger's own spelling ("long_hair").
        category: "general", "character", "copyright", "meta" or "rating".
        probability: 0..1.
    """

    name: str
    category: str
    probability: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence a captioner says of a picture.

    Attributes:
        text: Its words, as the tokenizer puts them together.
        ended: False where the greatest length was reached before its end: its last word may be cut, too.
    """

    text: str
    ended: bool = True


def sentences_to_json(sentences: Sequence[Sentence]) -> dict[str, Any]:
    """A captioner's answer as a fact's data: the sentence it finds best, and the others, best first, if there are any.

    Args:
        sentences: One or more, in the order of the captioner's own score.
    """
    first, *others = sentences
    data: dict[str, Any] = {"caption": first.text, "ended": first.ended}
    return {**data, "others": [[other.text, other.ended] for other in others]} if others else data


def sentences_from_json(data: Mapping[str, Any]) -> tuple[Sentence, ...]:
    """Back from a fact's data; facts of an earlier version do not say where a sentence ends."""
    first = Sentence(data["caption"], data.get("ended", True))
    return (first, *(Sentence(text, ended) for text, ended in data.get("others", ())))


def tags_to_json(tags: list[TagScore]) -> dict[str, Any]:
    """A tagger's answer as a fact's data; probabilities keep 6 digits, finer than any provider agrees on."""
    return {"tags": [[tag.name, tag.category, round(tag.probability, 6)] for tag in tags]}


def tags_from_json(data: Mapping[str, Any]) -> tuple[TagScore, ...]:
    """Back from a fact's data."""
    return tuple(TagScore(name, category, probability) for name, category, probability in data["tags"])


def embedding_to_json(embedding_D: NDArray[np.float32]) -> dict[str, Any]:
    """A unit vector of D numbers as a fact's data: base64 of little-endian float32."""
    return {"embedding": base64.b64encode(embedding_D.astype("<f4").tobytes()).decode()}


def embedding_from_json(data: Mapping[str, Any]) -> NDArray[np.float32]:
    """Back from a fact's data, shape (D,)."""
    return np.frombuffer(base64.b64decode(data["embedding"]), dtype="<f4").astype(np.float32)
