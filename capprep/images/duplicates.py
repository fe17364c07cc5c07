"""Duplicates: fingerprints of pictures, all pairs that lie near each other, and groups of them.

The fingerprint is a perceptual hash by the signs of a discrete cosine transform, as phash is (Zauner 2010), with three
changes. The picture is multiplied by a sine window before the transform, so that what a crop cuts off or a watermark
covers near the edge counts little. A bit compares its coefficient with nothing instead of with the median: mirroring a
picture then flips the bits of a known set (`MIRROR`), and needs no hash of its own. And the frequencies are taken in
order of their length, the constant left out, so that the 64 lowest of the 256 are a hash by themselves. Its values are
therefore not those of the package imagehash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import Pixels
from capprep.images.resize import crop_resize

# N pictures, U distinct hashes, P pairs, W words of 64 bits; H, W, C: a picture's height, width, channels

Words = NDArray[np.uint64]
Indices = NDArray[np.int64]

RADIUS = 8
"""Bits of the lowest 64 in which two pictures may differ to be compared further."""

DETAIL = 60
"""Bits of all 256 in which duplicates differ at most."""

TINT = 24
"""Largest difference in colour of any sixteenth of two duplicates, in levels of 255."""

CROWD = 64
"""Of one and the same hash each picture is paired with this many of those that follow it, not with all of them."""

_BUCKET = 1024
"""Of hashes that share a band, each is compared with this many others."""

_FEW = 1024
"""Of so few hashes comparing all with all is faster than sorting them by bands."""

_SPARE = 5
"""Bits by which the table of keys that are there is longer than the list of them."""

_CHUNK = 1 << 19
"""Pairs confirmed in one go; it bounds the memory."""

_SIDE = 32  # of the picture that is transformed
_DEAD = 0.2  # a coefficient no larger than this is noise; symmetric pictures have many
_FLAT = 0.5  # standard deviation of the windowed picture, in levels of 255, below which there is nothing to compare
_BANDS = ((0, 21), (21, 21), (42, 22))  # lowest bit and width of each part of a hash


def _frequencies() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the 256 lowest frequencies; every third of the first 64 after another, one band's each.

    Low frequencies tell less; so every band has its share of them.
    """
    nearest = sorted((u * u + v * v, u, v) for u in range(_SIDE) for v in range(_SIDE))[1:257]
    nearest[:64] = [nearest[k] for first in (2, 1, 0) for k in range(first, 64, 3)]
    return np.array([u for _, u, _ in nearest]), np.array([v for _, _, v in nearest])


_ROWS, _COLUMNS = _frequencies()


def _packed(bits: NDArray[np.bool_]) -> Words:
    """Bits as words of 64, the first one highest."""
    return np.packbits(bits, axis=-1).view(">u8").astype(np.uint64)


MIRROR: Words = _packed(_COLUMNS % 2 == 1)
"""The bits, as four words, in which the fingerprint of a mirrored picture differs: the odd horizontal frequencies."""


@dataclass(frozen=True)
class Fingerprint:
    """What tells a picture from others.

    Attributes:
        words: 256 bits, four words of 64; the first word holds the lowest frequencies. All 0: a picture without
            anything to compare.
        tint: Red and blue minus luma of 4x4 parts, rows from the top, levels halved, -128..127.
    """

    words: tuple[int, int, int, int]
    tint: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As a fact's data: hexadecimal digits."""
        return {
            "words": "".join(f"{word:016x}" for word in self.words),
            "tint": np.array(self.tint, np.int8).tobytes().hex(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Fingerprint:
        """Back from a fact's data."""
        first, second, third, fourth = (int(data["words"][k : k + 16], 16) for k in range(0, 64, 16))
        tint = np.frombuffer(bytes.fromhex(data["tint"]), np.int8)
        return cls((first, second, third, fourth), tuple(tint.tolist()))


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, in order of `first`, then `second`.

    Attributes:
        first, second: (P,) Numbers of the pictures, `first` < `second`.
        distance: (P,) Bits in which their hashes differ.
        mirrored: (P,) Whether one is compared with the other's mirror image.
    """

    first: Indices
    second: Indices
    distance: NDArray[np.uint8]
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def pixel_digest(pixels_HWC: Pixels) -> str:
    """SHA-256 of a picture's size and pixels: the same for the same picture in another container."""
    digest = hashlib.sha256(f"{pixels_HWC.shape[1]}x{pixels_HWC.shape[0]}:".encode())
    digest.update(np.ascontiguousarray(pixels_HWC).data)
    return digest.hexdigest()


def fingerprint(pixels_HWC: Pixels) -> Fingerprint:
    """The fingerprint of a whole picture, uncropped.

    Args:
        pixels_HWC: RGB, upright, any size; a reduced decode will do.
    """
    # 64 first: the rounding to whole levels is then averaged out
    height, width = pixels_HWC.shape[:2]
    side = 2 * _SIDE
    if min(height, width) >= side:
        # the same filter, four times as fast on a large picture
        small_HWC = crop_resize(pixels_HWC, (0.0, 0.0, float(width), float(height)), (side, side)).astype(np.float32)
    else:
        small_HWC = cv2.resize(pixels_HWC, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey_HW = cv2.resize(cv2.cvtColor(small_HWC, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    sine = np.sin(np.pi * (np.arange(_SIDE) + 0.5) / _SIDE)
    window_HW = np.outer(sine, sine).astype(np.float32)
    windowed_HW = (grey_HW - np.average(grey_HW, weights=window_HW)) * window_HW
    bits = cv2.dct(windowed_HW.astype(np.float32))[_ROWS, _COLUMNS] > _DEAD
    if windowed_HW.std() < _FLAT:
        bits[:] = False
    first, second, third, fourth = _packed(bits).tolist()
    parts_HWC = cv2.resize(small_HWC, (4, 4), interpolation=cv2.INTER_AREA)
    luma_HW1 = cv2.cvtColor(parts_HWC, cv2.COLOR_RGB2GRAY)[..., None]
    tint = np.rint((parts_HWC[..., [0, 2]] - luma_HW1) / 2).astype(np.int8)
    return Fingerprint((first, second, third, fourth), tuple(tint.ravel().tolist()))


def pairs(hashes_N: Words, radius: int = RADIUS, flip: int = 0) -> Pairs:
    """All pairs of hashes that differ in at most `radius` bits.

    Hashes within a radius agree nearly in one of three bands (the general pigeonhole principle, Qin et al. 2018): of
    radius 8 some band differs in at most 2 bits. The hashes are sorted by each band in turn and joined with themselves
    under every change of so few bits. A million random hashes take seconds.

    The result is what comparing all with all would give, with two exceptions that keep it from growing with the square
    of the number: of one and the same hash each picture is paired with the `CROWD` next ones only, and of more than
    1024 different hashes that share a band not all are compared.

    Args:
        hashes_N: 64 bits each.
        radius: 0 to 11 bits; it gets dearer quickly above 8.
        flip: Bits that have to differ instead of agree: `MIRROR[0]` finds mirror images.

    Raises:
        ConfigError: The radius is out of range.
    """
    if not 0 <= radius <= 11:
        raise ConfigError(f"radius = {radius} is not possible", "choose a radius from 0 to 11 bits")
    values_U, class_N = np.unique(np.asarray(hashes_N, np.uint64), return_inverse=True)
    order_N = np.argsort(class_N, kind="stable")
    count_U = np.bincount(class_N, minlength=len(values_U))
    start_U = np.cumsum(count_U) - count_U
    found = [
        _members(a_P, b_P, order_N, start_U, np.minimum(count_U, CROWD))
        for a_P, b_P in _near_values(values_U, radius, flip)
    ]
    if flip.bit_count() <= radius:
        place_N = np.arange(len(order_N))
        following_N = np.minimum(np.repeat(start_U + count_U, count_U) - place_N - 1, CROWD)
        found += [(order_N[a_P], order_N[b_P]) for a_P, b_P in _rounds(place_N, place_N + 1, following_N)]
    if not found:
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    a_P, b_P = (np.concatenate(side) for side in zip(*found, strict=True))
    first_P, second_P = np.minimum(a_P, b_P), np.maximum(a_P, b_P)
    by_both = np.lexsort((second_P, first_P))
    first_P, second_P = first_P[by_both], second_P[by_both]
    distance_P = np.bitwise_count(hashes_N[first_P] ^ hashes_N[second_P] ^ np.uint64(flip))
    return Pairs(first_P, second_P, distance_P, np.full(len(first_P), flip != 0))


def _allowed(radius: int) -> list[int]:
    """How many bits each band may differ in: together radius - 2, so that one of three has no more than its own."""
    return [(radius - 2 + k) // 3 for k in range(3)]


def _near_values(values_U: Words, radius: int, flip: int) -> Iterator[tuple[Indices, Indices]]:
    """Every pair of different values once, in parts."""
    if len(values_U) <= _FEW:
        a_P, b_P = np.triu_indices(len(values_U), 1)
        close = np.flatnonzero(np.bitwise_count(values_U[a_P] ^ values_U[b_P] ^ np.uint64(flip)) <= radius)
        yield a_P[close], b_P[close]
        return
    bands = list(zip(_BANDS, _allowed(radius), strict=True))
    for number, ((shift, width), errors) in enumerate(bands):
        if errors < 0:  # one of the other bands agrees entirely
            continue
        key_U = (values_U >> np.uint64(shift) & np.uint64((1 << width) - 1)).astype(np.int64)
        order_U = np.argsort(key_U, kind="stable")
        sorted_U = values_U[order_U]
        for a_P, b_P in _joined(key_U[order_U], width, errors, flip >> shift & (1 << width) - 1):
            differ_P = sorted_U.take(a_P) ^ sorted_U.take(b_P) ^ np.uint64(flip)
            near = np.flatnonzero(np.bitwise_count(differ_P) <= radius)
            for (other, bits), fewer in bands[:number]:  # found there already
                part = differ_P[near] >> np.uint64(other) & np.uint64((1 << bits) - 1)
                near = near[np.bitwise_count(part).astype(np.int64) > fewer]
            if len(near):
                yield order_U[a_P[near]], order_U[b_P[near]]


def _joined(key_U: Indices, width: int, errors: int, flip: int) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of places in a sorted list whose keys differ in `flip`, save at most `errors` bits.

    Args:
        key_U: Sorted, below 2 ** width.
        width: Bits of a key.
        errors: As above.
        flip: As above.
    """
    # of few keys the leading bits tell which cannot be there; a table of all would be most of the memory
    low = max(0, width - len(key_U).bit_length() - _SPARE)
    present_K = np.zeros(1 << width - low, np.bool_)
    present_K[key_U >> low] = True
    ranges = _ranges(key_U, width, by_table=not low)
    by_top: dict[int, list[int]] = {}
    for size in range(errors + 1):
        for places in combinations(range(width), size):
            change = flip ^ sum(1 << place for place in places)
            by_top.setdefault(change.bit_length(), []).append(change)
    for top, changes in by_top.items():
        if top == 0:
            place_U = np.arange(len(key_U))
            _, stop_U = ranges(key_U)
            following_U = np.minimum(stop_U - place_U - 1, _BUCKET)
            yield from _rounds(place_U, place_U + 1, following_U)
            continue
        # of the two keys of a pair one has the highest bit of the change
        lower = np.flatnonzero(key_U >> top - 1 & 1 == 0)
        lower_keys = key_U[lower]
        for change in changes:
            wanted = lower_keys ^ change
            # `take` is twice as fast as an index in brackets
            hit = np.flatnonzero(present_K.take(wanted >> low if low else wanted))
            start_P, stop_P = ranges(wanted.take(hit))
            yield from _rounds(lower.take(hit), start_P, np.minimum(stop_P - start_P, _BUCKET))


def _ranges(key_U: Indices, width: int, *, by_table: bool) -> Callable[[Indices], tuple[Indices, Indices]]:
    """What gives the places at which given keys begin and end in a sorted list.

    Args:
        key_U: Sorted, below 2 ** width.
        width: Bits of a key.
        by_table: By a table of all possible keys: ten times as fast as a search.
    """
    if not by_table:
        return lambda wanted: (np.searchsorted(key_U, wanted, "left"), np.searchsorted(key_U, wanted, "right"))
    # in place, and as small as can be: most of the memory that a comparison takes
    start_K = np.zeros((1 << width) + 1, np.uint16 if len(key_U) <= np.iinfo(np.uint16).max else np.int32)
    keys, counts = np.unique(key_U, return_counts=True)
    start_K[keys + 1] = counts
    np.cumsum(start_K, out=start_K)
    return lambda wanted: (start_K.take(wanted).astype(np.int64), start_K.take(wanted + 1).astype(np.int64))


def _rounds(owner_P: Indices, first_P: Indices, count_P: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each owner beside its numbers first, first + 1, ..., count of them: one of each owner a round."""
    left, step = np.flatnonzero(count_P > 0), 0
    while len(left):
        if len(left) < len(count_P):
            owner_P, first_P, count_P = owner_P.take(left), first_P.take(left), count_P.take(left)
        yield owner_P, first_P + step
        step += 1
        left = np.flatnonzero(count_P > step)


def _members(
    a_P: Indices, b_P: Indices, order_N: Indices, start_U: Indices, count_U: Indices
) -> tuple[Indices, Indices]:
    """Pairs of values as pairs of the pictures that have them."""
    both_P = count_U[a_P] * count_U[b_P]
    owner = np.repeat(np.arange(len(a_P)), both_P)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(both_P) - both_P, both_P)
    of_a, of_b = np.divmod(offset, count_U[b_P][owner])
    return order_N[start_U[a_P][owner] + of_a], order_N[start_U[b_P][owner] + of_b]


@dataclass(frozen=True)
class Prints:
    """The fingerprints of many pictures, one after the other.

    Attributes:
        words_NW: (N, 4) See `Fingerprint.words`.
        tint_N442: (N, 4, 4, 2) See `Fingerprint.tint`.
    """

    words_NW: Words
    tint_N442: NDArray[np.int8]

    @classmethod
    def of(cls, prints: Sequence[Fingerprint]) -> Prints:
        """From single ones."""
        words_NW = np.array([each.words for each in prints], np.uint64).reshape(-1, 4)
        return cls(words_NW, np.array([each.tint for each in prints], np.int8).reshape(-1, 4, 4, 2))

    @classmethod
    def from_bytes(cls, words: Iterable[bytes], tints: Iterable[bytes]) -> Prints:
        """From the bytes of which `Fingerprint.to_json` gives the digits; much less memory than by single ones."""
        words_NW = np.frombuffer(b"".join(words), ">u8").astype(np.uint64).reshape(-1, 4)
        return cls(words_NW, np.frombuffer(b"".join(tints), np.int8).reshape(-1, 4, 4, 2))


def near(prints: Prints | Sequence[Fingerprint], radius: int = RADIUS, detail: int = DETAIL, tint: int = TINT) -> Pairs:
    """Pairs of near-duplicates, mirror images among them.

    Pictures near in the 64 lowest frequencies are duplicates if they are near in all 256 too and no part of one has
    another colour. The colours tell drawings apart that differ in nothing else; for the same reason a grey copy of a
    coloured picture is no duplicate. Pictures without anything to compare have none.

    Args:
        prints: One per picture.
        radius: See `pairs`.
        detail: Largest distance in all 256 bits.
        tint: Largest difference of a part's colour, in levels of 255.

    Returns:
        With the distance in 256 bits. A pair that is near both ways is not called mirrored.
    """
    stacked = prints if isinstance(prints, Prints) else Prints.of(prints)
    words_NW, tint_N442 = stacked.words_NW, stacked.tint_N442
    known = np.flatnonzero(words_NW.any(axis=1))
    found = []
    for mirrored in (False, True):
        flip_W = MIRROR if mirrored else np.zeros(4, np.uint64)
        candidates = pairs(words_NW[known, 0], radius, int(flip_W[0]))
        for begin in range(0, len(candidates), _CHUNK):
            first_P = known[candidates.first[begin : begin + _CHUNK]]
            second_P = known[candidates.second[begin : begin + _CHUNK]]
            distance_P = np.bitwise_count(words_NW[first_P] ^ words_NW[second_P] ^ flip_W).sum(axis=1, dtype=np.int64)
            step = -1 if mirrored else 1
            apart_P442 = 2.0 * (tint_N442[first_P].astype(np.int16) - tint_N442[second_P][:, :, ::step])
            far_P = np.sqrt((apart_P442**2).sum(axis=3)).max(axis=(1, 2))
            same = np.flatnonzero((distance_P <= detail) & (far_P <= tint))
            found.append((first_P[same], second_P[same], distance_P[same], np.full(len(same), mirrored)))
    if not found:
        none = np.empty(0, np.int64)
        return Pairs(none, none, none.astype(np.uint8), none.astype(np.bool_))
    first_P, second_P, distance_P, mirrored_P = (np.concatenate(part) for part in zip(*found, strict=True))
    # stable, and those not mirrored came first
    order = np.lexsort((mirrored_P, second_P, first_P))
    again = (np.diff(first_P[order], prepend=-1) == 0) & (np.diff(second_P[order], prepend=-1) == 0)
    order = order[~again]
    return Pairs(first_P[order], second_P[order], distance_P[order].astype(np.uint8), mirrored_P[order])


def groups(found: Pairs) -> list[list[int]]:
    """Pictures that hang together by pairs: those of a group in their order, groups in the order of their first.

    Two members of a group need not be a pair, where others between them are.
    """
    # here, because a process that only takes fingerprints should not hold the memory of these
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers, place_2P = np.unique(np.stack([found.first, found.second]), return_inverse=True)
    edges = coo_array((np.ones(len(found)), tuple(place_2P.reshape(2, -1))), shape=(len(numbers), len(numbers)))
    _, label = connected_components(edges, directed=False)
    members: dict[int, list[int]] = {}
    for number, group in zip(numbers.tolist(), label.tolist(), strict=True):
        members.setdefault(group, []).append(number)
    return list(members.values())
