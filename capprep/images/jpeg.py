"""The layout of a JPEG file: what its markers promise, which a decoder fills with grey where it is missing."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STRAY = bytes(value * 89 % 254 + 1 for value in range(64))
"""Bytes without a marker among them; a decoder that still needs picture data takes these for it."""

_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_NO_END = (0x00, *range(0xD0, 0xD8), 0xFF)
"""What may follow a byte FF within entropy-coded data: a stuffed zero, a restart, a fill byte."""


@dataclass
class Layout:
    """What the markers of one JPEG picture say (ITU-T T.81, annex B).

    Attributes:
        precision: Bits a sample; 0 without a frame header.
        scans: How many scans there are.
        end: Where the end-of-image marker stands; -1 without one.
        bits_left: For each component, how many low bits of each of its 64 coefficients no scan has brought; None
            where nothing of the coefficient came.
        interrupted: Whether any other marker than the end's follows the first scan.
    """

    precision: int = 0
    scans: int = 0
    end: int = -1
    bits_left: dict[int, list[int | None]] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def plain(self) -> bool:
        """Whether one scan has everything and the end mark follows it: then decoders have nothing to disagree on."""
        return self.whole and self.scans == 1 and not self.interrupted

    @property
    def whole(self) -> bool:
        """Whether the file is ended and every coefficient of every component came to its last bit.

        A scan whose own data ends early is not seen here. In a sequential file, and in the first scan of a
        progressive one, it leaves grey; in the last scan of a progressive one it costs the finest bit of the
        detail in a part of the picture, which nobody sees.
        """
        return self.end >= 0 and all(left == 0 for table in self.bits_left.values() for left in table)


def layout(content: bytes) -> Layout:
    """Read the markers up to the end of the first picture in a file; what follows (MPO, video of phones) is no matter.

    Costs one look at each byte (a millisecond for a few megabytes), no decoding.
    """
    found = Layout()
    progressive = False
    markers = _markers(content)
    at = 2
    while (index := int(np.searchsorted(markers, at))) < len(markers):
        start = int(markers[index])
        marker, at = content[start + 1], start + 2
        if marker == 0xD9:
            found.end = start
            return found
        found.interrupted = found.scans > 0
        if marker in (0x01, 0xD8):
            continue
        size = int.from_bytes(content[at : at + 2], "big")
        segment = content[at + 2 : at + size]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            progressive = marker in _PROGRESSIVE
            _frame(segment, found)
        elif marker == 0xDA:
            _scan(segment, found, progressive)
        at += size
    return found


def _markers(content: bytes) -> NDArray[np.int64]:
    """Where each byte FF stands that would end entropy-coded data there."""
    byte = np.frombuffer(content, dtype=np.uint8)
    start = np.flatnonzero(byte[:-1] == 0xFF)
    ends = np.ones(256, dtype=bool)
    ends[list(_NO_END)] = False
    return start[ends[byte[start + 1]]]


def _frame(segment: bytes, found: Layout) -> None:
    if len(segment) < 6 or found.bits_left:
        return
    found.precision = segment[0]
    found.bits_left = {component: [None] * 64 for component in segment[6 : 6 + 3 * segment[5] : 3]}


def _scan(segment: bytes, found: Layout, progressive: bool) -> None:
    found.scans += 1
    try:
        count = segment[0]
        first, last, approximation = struct.unpack_from("BBB", segment, 1 + 2 * count)
    except (IndexError, struct.error):
        return
    if not progressive:
        first, last, approximation = 0, 63, 0
    for component in segment[1 : 1 + 2 * count : 2]:
        if component in found.bits_left:
            for coefficient in range(first, min(last, 63) + 1):
                found.bits_left[component][coefficient] = approximation & 15
