"""What a picture file is by its first bytes, and the little of its structure that the decoders do not tell."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
)

_OTHER = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"<svg", "a vector drawing (SVG)"),
    (b"<?xml", "an XML document"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)

_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_BMP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_NETPBM = re.compile(rb"P[1-6fF][\s#]")


def sniff(content: bytes) -> str | None:
    """The container's name as Pillow spells it ("JPEG"), by content alone; None where it is no known picture.

    "JPEG" stands for MPO as well. "HEIF" and "JXL" are told apart from the rest, whether they can be decoded or not.
    """
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    # "BM" alone begins many a text
    if content[:2] == b"BM" and len(content) >= 18 and struct.unpack_from("<I", content, 14)[0] in _BMP_HEADERS:
        return "BMP"
    if content[4:8] == b"ftyp":
        return _branded(content)
    return "PPM" if _NETPBM.match(content) else None


def _branded(content: bytes) -> str | None:
    """AVIF or HEIF, by the brands of the file type box (ISO/IEC 14496-12); None for films."""
    size = min(max(struct.unpack_from(">I", content)[0], 16), 256)
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, size, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def describe(content: bytes) -> str:
    """What a file that is no picture seems to be, for a sentence that begins with "it is"."""
    start = content[:256].lstrip().lower()
    for magic, name in _OTHER:
        if start.startswith(magic.lower()):
            return f"not a picture but {name}"
    return f"not a picture that can be read: it begins with {content[:12]!r}"


def cut_short(kind: str, content: bytes) -> bool:
    """Whether the file is smaller than its own structure says; asked only after decoding failed, to say why."""
    try:
        if kind == "WEBP":
            return _number("<I", content, 4) + 8 > len(content)
        if kind == "BMP":
            return _number("<I", content, 2) > len(content)
        if kind == "TIFF" and content[2:4] in (b"*\0", b"\0*"):
            return _number("<I" if content[:2] == b"II" else ">I", content, 4) >= len(content)
        if kind == "PNG":
            return not any(name == b"IEND" for name, _ in png_chunks(content))
    except struct.error:
        return True
    return kind in ("AVIF", "HEIF", "JXL") and any(end > len(content) for _, _, end in _boxes(content))


def _number(layout: str, content: bytes, at: int) -> int:
    return int(struct.unpack_from(layout, content, at)[0])


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and data of each whole chunk of a PNG file, image data left out."""
    at = 8
    while at + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if at + 12 + size > len(content):
            return
        yield name, b"" if name in (b"IDAT", b"fdAT") else content[at + 8 : at + 8 + size]
        at += 12 + size


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name, start of data and end of each top-level box; an end may lie past the file's (ISO/IEC 14496-12)."""
    at = 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            # a cut header: the size of what it heads is past the end for certain
            size, start = (_number(">Q", content, at + 8) if at + 16 <= len(content) else 16), at + 16
        end = len(content) if size == 0 else at + size
        if end < start:
            return
        yield name, start, end
        at = end


def jxl_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG XL picture before its own orientation (ISO/IEC 18181-1, SizeHeader).

    The plug-in decodes as it opens, so limits have to be checked without it. None where there is no codestream.
    """
    stream = content
    if not content.startswith(b"\xff\x0a"):
        starts = ((start + 4 if name == b"jxlp" else start) for name, start, _ in _boxes(content) if name[:3] == b"jxl")
        stream = next((content[at : at + 16] for at in starts if content[at : at + 2] == b"\xff\x0a"), b"")
    if len(stream) < 4:
        return None
    bits = int.from_bytes(stream[2:16], "little")
    at = 0

    def take(count: int) -> int:
        nonlocal at
        value = bits >> at & (1 << count) - 1
        at += count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    across, down = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * across // down, height
