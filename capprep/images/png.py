"""A large PNG picture band by band, so that its pixels are never in memory as a whole.

The image data are inflated as far as a band needs. The rows' filters are undone by OpenCV, to which the band is given
as a small PNG of its own that begins with the row before it; what the bytes mean is left to Pillow's own unpackers, so
the pixels are those of Pillow's decoder to the bit. Suffixes: H rows, S bytes of a row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image, ImageFile

from capprep.images import Pixels

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel of each colour type (PNG specification, 11.2.1)."""
_STAND_IN = {1: (0, 8), 2: (0, 16), 3: (2, 8), 4: (6, 8), 6: (2, 16), 8: (6, 16)}
"""Colour type and depth of a picture whose filters reach back as many bytes, and which OpenCV hands on unchanged."""
_FILTERS = 5
_FEED = 1 << 16
"""Bytes given to the inflater at a time; what it does not take it copies."""


def splits(image: ImageFile.ImageFile, content: bytes) -> bool:
    """Whether `bands` can read an opened picture that is not loaded: a PNG of one frame, not interlaced."""
    return (
        image.format == "PNG"
        and getattr(image, "n_frames", 1) == 1
        and struct.unpack_from(">4sII", content, 12) == (b"IHDR", *image.size)
        and not content[28]
        and _rawmode(image) != ""
    )


def bands(image: ImageFile.ImageFile, content: bytes, rows: int) -> Iterator[tuple[Image.Image, Image.Image | None]]:
    """The picture from top to bottom in bands of `rows` rows, the last one perhaps lower.

    Args:
        image: The picture as opened from `content`, not loaded.
        content: The file, its checksums known to be right.
        rows: At least one.

    Yields:
        The band as Pillow would have loaded it; and the same of the low bytes where a channel has 16 bits of which
        Pillow takes the high ones, else None.

    Raises:
        OSError: The data end early, or are damaged.
        zlib.error: They are damaged.
    """
    width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
    bits = depth * _CHANNELS[colour]
    stride = -(-width * bits // 8)
    inflated = _Inflated(content)
    before_S = np.zeros(stride, dtype=np.uint8)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        filtered = inflated.take(count * (1 + stride))
        band_HS = _unfiltered(filtered, before_S, stride, max(1, bits // 8))
        before_S = band_HS[-1]
        data = band_HS.tobytes()
        deep = depth == 16 and not image.mode.startswith("I")
        # one byte on, the low byte of each number stands where the high one is looked for
        yield _unpacked(image, count, data), _unpacked(image, count, data[1:] + b"\0") if deep else None
    inflated.finish()


def _unpacked(image: ImageFile.ImageFile, count: int, data: bytes) -> Image.Image:
    """Rows of a file as a picture of the same kind as the file's."""
    band = Image.frombytes(image.mode, (image.width, count), data, "raw", _rawmode(image))
    if image.palette is not None:
        band.putpalette(image.palette.palette, image.palette.rawmode or image.palette.mode)
    band.info = image.info.copy()
    return band


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for how the pixels lie in the file; empty where they are not in one piece."""
    tile = image.tile[0] if len(image.tile) == 1 else None
    return tile.args if tile is not None and tile.codec_name == "zip" and isinstance(tile.args, str) else ""


class _Inflated:
    """The image data of a PNG file, inflated little by little."""

    def __init__(self, content: bytes) -> None:
        self._inflater = zlib.decompressobj()
        self._parts = _data(content)

    def take(self, count: int) -> bytearray:
        """The next bytes, exactly so many."""
        taken = bytearray()
        while len(taken) < count:
            part = self._inflater.unconsumed_tail or next(self._parts, b"")
            if self._inflater.eof or not part:
                raise OSError("image file is truncated")
            taken += self._inflater.decompress(part, count - len(taken))
        return taken

    def finish(self) -> None:
        """Check the sum of all that was inflated, if the data go on to it."""
        if not self._inflater.eof:
            self._inflater.decompress(self._inflater.unconsumed_tail + next(self._parts, b""), 1)


def _data(content: bytes) -> Iterator[memoryview]:
    """The image data of a PNG file, in small pieces."""
    view = memoryview(content)
    at = 8
    while at + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if name == b"IDAT":
            whole = view[at + 8 : at + 8 + size]
            yield from (whole[start : start + _FEED] for start in range(0, size, _FEED))
        at += 12 + size


def _unfiltered(filtered: bytearray, before_S: Pixels, stride: int, step: int) -> Pixels:
    """Rows with their filters undone, shape (H, S).

    Args:
        filtered: The rows as inflated, each with the byte of its filter before it.
        before_S: The row above the first, its filter undone.
        stride: Bytes of a row, S.
        step: How many bytes the filters reach back: those of a pixel, at least one.
    """
    if max(filtered[:: 1 + stride]) >= _FILTERS:
        raise OSError("unknown PNG filter")
    colour, depth = _STAND_IN[step]
    first = b"\0" + before_S.tobytes()
    count = 1 + len(filtered) // (1 + stride)
    header = struct.pack(">IIBBBBB", stride // step, count, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(first + filtered, 0)), (b"IEND", b""))
    file = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)
    decoded = cv2.imdecode(np.frombuffer(file, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise OSError("broken PNG data")
    if decoded.ndim == 3:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB if decoded.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    rows = decoded[1:]
    return (rows.astype(">u2") if depth == 16 else rows).view(np.uint8).reshape(count - 1, stride)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
