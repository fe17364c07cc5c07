"""Small ICC profiles built byte by byte from the specification (ICC.1:2001-04), and what they mean in float64."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
"""Columns are the D50 colorants of Adobe RGB (1998)."""

SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])

GAMMA = 563 / 256
WHITE = (0.9642, 1.0, 0.8249)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _container(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    header = struct.pack(">III", 0, 0, 0x02400000) + kind + space + connection + bytes(12) + b"acsp" + bytes(28)
    header += _fixed(*WHITE) + bytes(48)
    whole = header + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


def _text(words: str) -> bytes:
    ascii_ = words.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(ascii_)) + ascii_ + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def wide() -> bytes:
    """The profile of Adobe RGB: a matrix and a gamma."""
    tags = {b"desc": _text("Wide"), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(*WHITE)}
    for index, letter in enumerate("rgb"):
        tags[f"{letter}XYZ".encode()] = _xyz(*ADOBE[:, index])
        tags[f"{letter}TRC".encode()] = _curve(GAMMA)
    return _container(b"RGB ", b"mntr", b"XYZ ", tags)


def grey(gamma: float) -> bytes:
    """A profile of grey with a gamma."""
    tags = {b"desc": _text("Grey"), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(*WHITE)}
    return _container(b"GRAY", b"mntr", b"XYZ ", {**tags, b"kTRC": _curve(gamma)})


def ink() -> bytes:
    """A CMYK profile in which the first ink alone darkens, from L* = 100 to 0, and the others do nothing."""
    levels = struct.pack(">BBBB", 4, 3, 2, 0) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    ramp = bytes(range(256))
    table = bytes((255, 128, 128)) * 8 + bytes((0, 128, 128)) * 8
    lookup = b"mft1" + bytes(4) + levels + ramp * 4 + table + ramp * 3
    tags = {b"desc": _text("Ink"), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(*WHITE)}
    return _container(b"CMYK", b"prtr", b"Lab ", {**tags, b"A2B0": lookup})


def encode_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light 0..1 as sRGB levels 0..255 (IEC 61966-2-1)."""
    x = np.clip(linear, 0, 1)
    return 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def wide_to_srgb(levels_C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels of `wide` as levels of sRGB, last axis RGB."""
    linear = (levels_C / 255) ** GAMMA
    return encode_srgb(linear @ (np.linalg.inv(SRGB) @ ADOBE).T)
