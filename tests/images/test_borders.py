"""Letterbox and pillarbox bars are cut off, and nothing else is."""

from __future__ import annotations

import io
from itertools import product

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from capprep.images.borders import trim
from capprep.toybox.styles import STYLES
from capprep.toybox.world import draw, scene

Pixels = NDArray[np.uint8]


def jpeg(x_HWC: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(x_HWC).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def barred(x_HWC: Pixels, bars: tuple[int, int, int, int], colour: int) -> Pixels:
    """A picture with bars of so many pixels at its left, top, right and bottom."""
    left, top, right, bottom = bars
    return np.pad(x_HWC, ((top, bottom), (left, right), (0, 0)), constant_values=colour)


def cut(x_HWC: Pixels) -> tuple[float, float, float, float]:
    found = trim(x_HWC)
    return found.left, found.top, found.right, found.bottom


BARS = st.sampled_from(["letterbox", "pillarbox", "both", "none"])


@settings(deadline=None, max_examples=60)
@given(BARS, st.tuples(*[st.integers(3, 60)] * 4), st.sampled_from([0, 16, 245, 255]), st.integers(0, 99))
def test_bars_around_a_busy_picture_are_cut_to_the_pixel(
    kind: str, wide: tuple[int, int, int, int], colour: int, seed: int
) -> None:
    kept = {"letterbox": (0, 1, 0, 1), "pillarbox": (1, 0, 1, 0), "both": (1, 1, 1, 1), "none": (0, 0, 0, 0)}[kind]
    left, top, right, bottom = (w * k for w, k in zip(wide, kept, strict=True))
    content = np.random.default_rng(seed).integers(60, 200, (200, 260, 3), dtype=np.uint8)
    x_HWC = barred(content, (left, top, right, bottom), colour)
    found = trim(x_HWC)
    assert (found.left, found.top, found.right, found.bottom) == (left, top, right, bottom)
    assert found.box == (left, top, left + 260, top + 200)
    assert found.found == (kind != "none")


@pytest.mark.parametrize("quality", [95, 75, 50])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "astronaut"])
def test_letterboxed_photographs_lose_their_bars_in_spite_of_jpeg_noise(name: str, quality: int) -> None:
    x_HWC = getattr(skimage.data, name)()
    for top, bottom, colour in ((40, 40, 0), (61, 53, 16), (37, 30, 255)):
        left, above, right, below = cut(jpeg(barred(x_HWC, (0, top, 0, bottom), colour), quality))
        assert left == right == 0
        assert abs(above - top) <= 3
        assert abs(below - bottom) <= 3


def test_soft_edges_of_resized_bars_are_cut_too() -> None:
    x_HWC = barred(skimage.data.chelsea(), (0, 50, 0, 50), 0)
    for scale in (0.37, 0.8, 1.7):
        small_HWC = np.asarray(cv2.resize(x_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
        found = trim(small_HWC)
        edge_HC = small_HWC[int(found.top), :].astype(int)
        inside_HC = small_HWC[int(found.top) + 4, :].astype(int)
        assert found.top == pytest.approx(50 * scale, abs=2.5)
        assert edge_HC.mean() > 0.7 * inside_HC.mean()


def test_what_was_cut_is_told_in_pixels_of_the_full_size() -> None:
    x_HWC = barred(skimage.data.coffee(), (0, 48, 0, 48), 0)
    small_HWC = np.asarray(cv2.resize(x_HWC, (300, 248), interpolation=cv2.INTER_AREA), np.uint8)
    found = trim(small_HWC, (600, 496))
    assert found.top == pytest.approx(48, abs=4)
    assert found.bottom == pytest.approx(48, abs=4)
    assert found.box == (0, found.top, 600, 496 - found.bottom)


@pytest.mark.parametrize("style", STYLES)
def test_night_pictures_are_left_as_they_are(style: str) -> None:
    nights = [world for world in map(scene, range(60)) if world.light == "night"][:12]
    for number, world in enumerate(nights):
        x_HWC = np.asarray(draw(world, [(320, 180), (256, 256), (200, 300)][number % 3], style))
        assert not trim(x_HWC).found
        assert not trim(jpeg(np.round(x_HWC * 0.3).astype(np.uint8), 70)).found


def test_dark_and_light_photographs_without_bars_are_left_as_they_are() -> None:
    pictures = [skimage.data.hubble_deep_field(), skimage.data.rocket(), skimage.data.retina()]
    pictures += [np.repeat(grey[..., None], 3, axis=2) for grey in (skimage.data.page(), skimage.data.moon())]
    for x_HWC, gain in product(pictures, (1, 0.2)):
        assert not trim(jpeg(np.round(x_HWC * gain).astype(np.uint8), 85)).found


def test_a_skyline_under_a_black_sky_is_no_bar() -> None:
    rng = np.random.default_rng(0)
    x_HWC = np.zeros((300, 400, 3), np.uint8)
    for left in range(0, 400, 20):
        roof, foot = rng.integers(60, 160), rng.integers(230, 280)
        x_HWC[roof:foot, left : left + 20] = rng.integers(60, 255, 3)
    assert not trim(x_HWC).found


def test_one_bar_alone_and_one_colour_all_over_are_left() -> None:
    content = np.random.default_rng(0).integers(60, 200, (200, 260, 3), dtype=np.uint8)
    assert not trim(barred(content, (0, 40, 0, 0), 0)).found
    assert not trim(barred(content, (0, 40, 0, 40), 128)).found
    for colour in (0, 128, 255):
        assert not trim(np.full((120, 160, 3), colour, np.uint8)).found
    assert not trim(np.zeros((3, 2, 3), np.uint8)).found


def test_a_small_picture_on_a_large_white_page_is_left() -> None:
    content = np.random.default_rng(0).integers(60, 200, (40, 260, 3), dtype=np.uint8)
    assert not trim(barred(content, (0, 100, 0, 100), 255)).found
