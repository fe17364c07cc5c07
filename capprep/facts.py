"""What the stages store, as typed records: one class per kind of fact, to and from JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PICTURE = "picture"
BLIP = "caption.blip"
BOORU = "tags.booru"
MATCH_IMAGE = "match.image"
MATCH_TEXT = "match.text"

CROP = "crop"
"""The blob of a picture fact: the cropped square as a PNG file."""


@dataclass(frozen=True)
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
        crop: The way in which the box was chosen ("center", "auto").
        why: Why the box lies where it does, as a sentence.
        notes: What else a person should know of the file, such as a colour profile that could not be used.
    """

    width: int
    height: int
    format: str
    mode: str
    orientation: int
    frames: int
    box: tuple[float, float, float, float]
    scale: float
    size: int
    frame: int = 0
    crop: str = "center"
    why: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a fact's data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PictureFact:
        """Back from a fact's data."""
        left, top, right, bottom = data["box"]
        return cls(**{**data, "box": (left, top, right, bottom), "notes": tuple(data.get("notes", ()))})


@dataclass(frozen=True)
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
