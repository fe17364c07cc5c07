"""What curation compares of each picture, in arrays: of thousands all of it is held at once."""

from __future__ import annotations

from array import array
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from capprep.candidates import Candidate
from capprep.facts import PictureFact
from capprep.images.screening import Measures, percentiles

# P places, N candidates, S measured ones, D numbers of a description

_MEASURES = tuple(each.name for each in fields(Measures))


class _Bytes:
    """Values of so many bytes each, one after the other."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._joined = bytearray()

    def add(self, value: bytes) -> None:
        self._joined += value.ljust(self._size, b"\0")

    def of(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Those at some places, shape (P, size)."""
        return np.frombuffer(self._joined, np.uint8).reshape(-1, self._size)[places]


class Columns:
    """Filled with `add`, in order; `close` ends that.

    Attributes:
        pixels: Of each what tells its pixels from others.
        words, tint: Its fingerprint.
        sharper_N: Of how many in a hundred of the usable pictures each is sharper; NaN where it was not measured.
    """

    def __init__(self) -> None:
        self._numbers = {name: array("d") for name in (*_MEASURES, "pixels", "scale")}
        self._flags = {name: bytearray() for name in ("usable", "wanted", "decided", "seen", "measured")}
        self.pixels, self.words, self.tint = _Bytes(32), _Bytes(32), _Bytes(32)
        self._looks = bytearray()
        self.sharper_N: NDArray[np.float64] = np.empty(0)

    def add(self, candidate: Candidate, *, wanted: bool, decided: bool) -> None:
        """The next candidate, and whether a person wants it, and said so."""
        picture, looks = candidate.picture, candidate.appearance
        measures = picture.measures if picture else None
        for name in _MEASURES:
            self._numbers[name].append(getattr(measures, name) if measures else 0.0)
        self._numbers["pixels"].append(_area(picture) if picture and measures else 0.0)
        self._numbers["scale"].append(picture.scale if picture else 0.0)
        usable = picture is not None and candidate.crop is not None
        self._flags["usable"].append(usable)
        self._flags["wanted"].append(wanted)
        self._flags["decided"].append(decided)
        self._flags["seen"].append(looks is not None)
        self._flags["measured"].append(measures is not None)
        self.pixels.add(looks.pixels if looks else b"")
        self.words.add(looks.words if looks else b"")
        self.tint.add(looks.tint if looks else b"")
        self._looks += looks.look if looks else b""

    def close(self) -> None:
        """Nothing more comes."""
        both_N = self.flag("usable") & self.flag("measured")
        self.sharper_N = np.full(len(self), np.nan)
        if both_N.any():
            self.sharper_N[both_N] = percentiles(self.number("sharpness")[both_N])

    def __len__(self) -> int:
        return len(self._flags["usable"])

    def number(self, name: str) -> NDArray[np.float64]:
        """A measure of every candidate, 0 where it is not known."""
        return np.frombuffer(self._numbers[name], np.float64)

    def flag(self, name: str) -> NDArray[np.bool_]:
        """Whether every candidate is so: "usable", "wanted" by a person or "decided" by one, "seen", "measured"."""
        return np.frombuffer(self._flags[name], np.bool_)

    def measures(self, place: int) -> Measures | None:
        """The measurements of one, or None."""
        if not self._flags["measured"][place]:
            return None
        return Measures(**{name: self._numbers[name][place] for name in _MEASURES})

    def look_ND(self, places: NDArray[np.int64]) -> NDArray[np.float32]:  # noqa: N802 - it carries its dimensions
        """What the squares at some places look like; see `curation.describe`."""
        count = int(self.flag("seen").sum())
        rows_SD = np.frombuffer(self._looks, "<f2").reshape(count, -1)
        return np.asarray(rows_SD[np.cumsum(self.flag("seen"))[places] - 1], np.float32)


def _area(picture: PictureFact) -> float:
    """Of the crop, in pixels of the source."""
    left, top, right, bottom = picture.box
    return (right - left) * (bottom - top)
