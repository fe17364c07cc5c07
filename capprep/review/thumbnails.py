"""Small pictures as data URIs, made from the square crops."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SIDE = 192
"""Pixels; 1,000 photographs of this size are about 8 MB in the page."""

SMALL = 96
"""Pixels, of what was left out; that may be many times what is in the set."""

QUALITY = 75

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for files that are missing, cut off, damaged or of another format."""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or why there is none.

    Attributes:
        uri: WebP as a data URI, or "".
        problem: Why it could not be made, as part of a sentence, or "".
    """

    uri: str = ""
    problem: str = ""


def thumbnail(crop: Path, side: int = SIDE) -> Thumbnail:
    """A picture's thumbnail from the file of its square; one that cannot be read becomes a problem, never an error.

    Args:
        crop: A PNG or WebP file, whatever its name.
        side: Of the thumbnail in pixels, at most.
    """
    try:
        with Image.open(crop, formats=("PNG", "WEBP")) as picture:
            small = picture.convert("RGB")
        # halves by averaging first: at this size nobody sees the difference, and it takes half the time
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=1.0)
    except FileNotFoundError:
        return Thumbnail(problem="its file is missing")
    except _UNREADABLE as error:
        return Thumbnail(problem=f"its file cannot be read ({type(error).__name__})")
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=QUALITY, method=2)
    return Thumbnail(uri="data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode())


def thumbnails(crops: Mapping[str, Path], small: Collection[str] = ()) -> dict[str, Thumbnail]:
    """The thumbnail of each crop, by the same keys; decoding and encoding run on all cores.

    Args:
        crops: The file of each.
        small: The keys of those that need be no larger than `SMALL`.
    """
    sides = (SMALL if key in small else SIDE for key in crops)
    with ThreadPoolExecutor() as pool:
        return dict(zip(crops, pool.map(thumbnail, crops.values(), sides), strict=True))
