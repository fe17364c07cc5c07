"""Copies are found, different pictures are not, and one of each group is kept for a reason."""

from __future__ import annotations

import hashlib
import json
import runpy
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import duplicates
from capprep.images.duplicates import Fingerprint, fingerprint, groups, near, pairs, pixel_digest
from capprep.images.keeper import Traits, best_of

BENCH = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "duplicates.py"))
EDITS = BENCH["EDITS"]
MIRROR = int(duplicates.MIRROR[0])


def brute(hashes_N: NDArray[np.uint64], radius: int, flip: int) -> list[tuple[int, int, int]]:
    """All with all, by Python's own integers."""
    values = hashes_N.tolist()
    apart = [(i, j, (a ^ b ^ flip).bit_count()) for i, a in enumerate(values) for j, b in enumerate(values) if i < j]
    return [pair for pair in apart if pair[2] <= radius]


def listed(found: duplicates.Pairs) -> list[tuple[int, int, int]]:
    return list(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 9),
    st.sampled_from([0, 0b1011, MIRROR]),
    st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 63), max_size=7)), max_size=40),
    st.integers(0, 2**32),
)
def test_pairs_are_those_of_comparing_all_with_all(
    radius: int, flip: int, near_ones: list[tuple[int, set[int]]], seed: int
) -> None:
    centres = np.random.default_rng(seed).integers(0, 2**64, 6, dtype=np.uint64).tolist()
    centres[3:] = [centre ^ flip for centre in centres[:3]]
    hashes_N = np.array([centres[k] ^ sum(1 << place for place in places) for k, places in near_ones], np.uint64)
    assert listed(pairs(hashes_N, radius, flip)) == brute(hashes_N, radius, flip)


@pytest.mark.parametrize("radius", [0, 1, 3, 6, 7, 8, 9])
def test_pairs_are_exact_wherever_the_differing_bits_lie(radius: int) -> None:
    rng = np.random.default_rng(radius)
    hashes_N = np.tile(rng.integers(0, 2**64, 600, dtype=np.uint64), 2)
    for number in range(600):
        for place in rng.choice(64, number % 14, replace=False):
            hashes_N[number] ^= np.uint64(1) << np.uint64(place)
    distance_NN = np.bitwise_count(hashes_N[:, None] ^ hashes_N)
    i, j = np.nonzero(np.triu(distance_NN <= radius, 1))
    found = pairs(hashes_N, radius)
    assert len(i) >= 600 * (radius + 1) // 14
    assert np.array_equal([found.first, found.second, found.distance], [i, j, distance_NN[i, j]])


def test_a_crowd_of_the_same_hash_grows_in_proportion_and_stays_one_group() -> None:
    found = pairs(np.full(20_000, 0x1234_5678_9ABC_DEF0, np.uint64))
    assert len(found) <= 20_000 * duplicates.CROWD
    assert len(groups(found)) == 1
    # two crowds beside each other
    beside = pairs(np.array([0x1234, 0x1235] * 5000, np.uint64))
    assert len(beside) <= 10_000 * duplicates.CROWD + duplicates.CROWD**2
    assert len(groups(beside)) == 1


def test_a_crowd_of_different_hashes_in_one_band_takes_no_square_of_time() -> None:
    rng = np.random.default_rng(0)
    hashes_N = (rng.integers(0, 2**43, 50_000, dtype=np.uint64) << np.uint64(21)) | np.uint64(77)
    started = time.process_time()
    assert len(pairs(hashes_N, 2)) < 50_000
    assert time.process_time() - started < 5  # all with all would be 1.25 thousand million pairs


def test_no_hashes_have_no_pairs_and_a_radius_has_limits() -> None:
    none = pairs(np.empty(0, np.uint64))
    assert len(none) == 0
    assert groups(none) == []
    assert len(near([])) == 0
    for radius in (-1, 12):
        with pytest.raises(ConfigError, match="radius"):
            pairs(np.zeros(2, np.uint64), radius)


def test_a_hundred_thousand_hashes_take_little_and_all_planted_neighbours_are_found() -> None:
    measured = BENCH["many"](100_000, 8)
    assert measured["recall"] == 1


def test_every_edit_of_photographs_and_drawings_is_found_and_nothing_else() -> None:
    for pictures in (BENCH["photographs"]()[::3], BENCH["drawings"](60)):
        shares = BENCH["compare"](pictures)
        for name in EDITS:
            assert shares[name] >= (0.85 if name in BENCH["CROPS"] else 0.95), (name, shares)
        assert shares["false"] <= 0.0005


def test_drawings_of_the_same_scenery_are_told_apart() -> None:
    prints = [fingerprint(np.asarray(BENCH["draw"](BENCH["scene"](20_000 + k), (96, 96), "flat"))) for k in range(600)]
    assert len(near(prints)) <= 0.0005 * 600 * 599 / 2


def test_a_drawing_in_other_colours_is_another_picture() -> None:
    grey = np.repeat(skimage.data.camera()[..., None], 3, axis=2)
    tinted = np.clip(grey * np.array([1.0, 0.6, 0.5]), 0, 255).astype(np.uint8)
    prints = [fingerprint(grey), fingerprint(tinted)]
    assert np.bitwise_count(np.uint64(prints[0].words[0]) ^ np.uint64(prints[1].words[0])) <= duplicates.RADIUS
    assert len(near(prints)) == 0
    assert len(near(prints, tint=255)) == 1


def reference_words(pixels_HWC: NDArray[np.uint8]) -> list[int]:
    """The fingerprint's bits by the definition of the transform, in float64."""
    height, width = pixels_HWC.shape[:2]
    rows = pixels_HWC.reshape(32, height // 32, 32, width // 32, 3).mean(axis=(1, 3))
    grey = rows @ np.array([0.299, 0.587, 0.114])
    place = np.arange(32) + 0.5
    sine = np.sin(np.pi * place / 32)
    window = np.outer(sine, sine)
    windowed = (grey - (grey * window).sum() / window.sum()) * window
    basis = (
        np.cos(np.pi * np.outer(np.arange(32), place) / 32)
        * np.where(np.arange(32) == 0, 1 / 32, 2 / 32)[:, None] ** 0.5
    )
    coefficients = basis @ windowed @ basis.T
    order = sorted((u * u + v * v, u, v) for u in range(32) for v in range(32))[1:257]
    order[:64] = order[2:64:3] + order[1:64:3] + order[0:64:3]
    bits = "".join("1" if coefficients[u, v] > 0.2 else "0" for _, u, v in order)
    return [int(bits[k : k + 64], 2) for k in range(0, 256, 64)]


@pytest.mark.parametrize("name", ["astronaut", "camera", "gravel"])
def test_the_fingerprint_is_the_signs_of_a_windowed_cosine_transform(name: str) -> None:
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    differing = [(a ^ b).bit_count() for a, b in zip(fingerprint(picture).words, reference_words(picture), strict=True)]
    assert sum(differing) <= 3  # what rounding to whole levels turns over


def test_mirroring_a_picture_flips_the_known_bits_and_reverses_the_tints() -> None:
    for picture in BENCH["photographs"]()[:40]:
        one, other = fingerprint(picture), fingerprint(BENCH["mirrored"](picture))
        words = np.array(one.words, np.uint64) ^ duplicates.MIRROR ^ np.array(other.words, np.uint64)
        # but for what is too faint to have a sign, and that leaves half of what duplicates may differ in
        assert np.bitwise_count(words[0]) <= duplicates.RADIUS / 2
        assert np.bitwise_count(words).sum() <= duplicates.DETAIL / 2
        tints = [np.array(each.tint).reshape(4, 4, 2) for each in (one, other)]
        assert np.abs(tints[0] - tints[1][:, ::-1]).max() <= 1


def test_mirror_images_are_marked_and_symmetric_pictures_are_not() -> None:
    picture = skimage.data.coffee()
    found = near([fingerprint(picture), fingerprint(BENCH["mirrored"](picture)), fingerprint(BENCH["jpeg"](picture))])
    marks = {(a, b): m for a, b, m in zip(found.first, found.second, found.mirrored, strict=True)}
    assert marks == {(0, 1): True, (0, 2): False, (1, 2): True}
    symmetric = np.concatenate([picture[:, :300], picture[:, :300][:, ::-1]], axis=1)
    found = near([fingerprint(symmetric), fingerprint(BENCH["jpeg"](symmetric))])
    assert (len(found), found.mirrored.any()) == (1, False)


def test_pictures_without_anything_to_compare_are_left_alone() -> None:
    flat = [fingerprint(np.full((80, 120, 3), level, np.uint8)) for level in (0, 0, 127, 255)]
    assert all(each.words == (0, 0, 0, 0) for each in flat)
    assert len(near([*flat, fingerprint(skimage.data.astronaut())])) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (31, 33), (2000, 700)])
def test_any_size_has_a_fingerprint(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert fingerprint(pixels) == fingerprint(pixels.copy())


def test_a_fingerprint_survives_json() -> None:
    for picture in (skimage.data.astronaut(), skimage.data.rocket()):
        one = fingerprint(picture)
        assert Fingerprint.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_the_pixel_digest_is_that_of_size_and_pixels() -> None:
    picture = skimage.data.coffee()
    expected = hashlib.sha256(b"600x400:" + picture.tobytes()).hexdigest()
    assert pixel_digest(picture) == expected
    assert pixel_digest(np.asfortranarray(picture)) == expected
    assert pixel_digest(picture.reshape(600, 400, 3)) != expected
    stored = cv2.imdecode(cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 101])[1], cv2.IMREAD_COLOR)
    assert pixel_digest(stored) == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda pair: pair[0] < pair[1]), max_size=40))
def test_groups_hang_together_and_apart_from_each_other(links: list[tuple[int, int]]) -> None:
    first, second = (np.array([link[k] for link in links], np.int64) for k in (0, 1))
    found = groups(duplicates.Pairs(first, second, np.zeros(len(links), np.uint8), np.zeros(len(links), bool)))
    sets = [{number} for number in range(31)]  # by merging sets, one link after another
    for a, b in links:
        one, other = (next(each for each in sets if number in each) for number in (a, b))
        if one is not other:
            sets.remove(other)
            one |= other
    assert found == sorted(sorted(each) for each in sets if len(each) > 1)


ALIKE = Traits(1e6, 0.5, 0.1)


@pytest.mark.parametrize(
    ("others", "kept", "reason"),
    [
        ([Traits(2e6, 0.1, 0.9)], 1, "it is the largest of 2"),
        ([Traits(1.05e6, 0.6, 0.9)], 1, "it is the sharpest of 2"),
        ([Traits(1e6, 0.51, 0.02)], 1, "it is the least damaged by JPEG of 2"),
        ([Traits(1.05e6, 0.51, 0.08)], 0, "all 2 are alike and it came first"),
        ([Traits(2e6, 0.3, 0.1), Traits(2e6, 0.6, 0.1)], 2, "it is the sharpest of the 2 that are largest"),
        ([Traits(2e6, 0.6, 0.1), Traits(2e6, 0.6, 0.1)], 1, "it is one of the 2 largest and came first of them"),
    ],
)
def test_the_keeper_is_chosen_by_the_rule_and_says_so(others: list[Traits], kept: int, reason: str) -> None:
    assert best_of(range(1 + len(others)), [ALIKE, *others]) == (kept, reason)
    if "first" not in reason:
        assert best_of(range(len(others), -1, -1), [ALIKE, *others]) == (kept, reason)  # whatever the order


def test_the_keeper_is_one_of_the_group() -> None:
    everyone = [Traits(9e9, 0.9, 0.0), ALIKE, Traits(5e5, 0.9, 0.0)]
    assert best_of([1, 2], everyone)[0] == 1
