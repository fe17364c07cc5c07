"""Squares as files: the ways to store one, and the source itself where it is such a file already."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from capprep.images import Pixels
from capprep.images.containers import png_chunks
from capprep.images.resize import encode_png, encode_webp_lossless

ENCODERS: Mapping[str, Callable[[Pixels], bytes]] = {"png": encode_png, "webp-lossless": encode_webp_lossless}

_HAIR = 4096
"""Bytes that a file may have beyond twice its pixels; what has more carries something else along."""

_TELLING = {b"tRNS", b"gAMA", b"cHRM", b"iCCP", b"cICP", b"eXIf", b"acTL"}
"""Chunks of a PNG by which one reader sees other pixels than another."""

_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_TELLING_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type ")
"""Keywords of a PNG's texts in which some readers look for an orientation or a profile."""


def encode(square_HWC: Pixels, way: str) -> bytes:
    """A square as a file, exactly.

    Args:
        square_HWC: RGB.
        way: A key of `ENCODERS`.
    """
    return ENCODERS[way](square_HWC)


def is_finished(content: bytes, way: str, size: int) -> bool:
    """Whether a picture's file is what `encode` would make of it but for compression, so that it may be kept as it is.

    It says nothing of the pixels: those must be the square's.

    Args:
        content: The file's bytes; it could be decoded.
        way: A key of `ENCODERS`.
        size: Side of the square in pixels.
    """
    if len(content) > 2 * 3 * size * size + _HAIR:
        return False
    if way == "webp-lossless":
        # the simple container, without metadata, animation or transparency: RFC 9649
        if content[:4] != b"RIFF" or content[8:16] != b"WEBPVP8L" or len(content) < 25:
            return False
        (length,) = struct.unpack_from("<I", content, 16)
        return len(content) == 20 + length + length % 2 and not content[24] >> 4 & 1
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 29:
        return False
    width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
    if (width, height, depth, colour) != (size, size, 8, 2):
        return False
    return not any(
        name in _TELLING or (name in _TEXTS and data.startswith(_TELLING_TEXTS)) for name, data in png_chunks(content)
    )
