"""Each measurement goes up and down with what it is named for, and with nothing else it promises not to."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import time

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import blur_effect, shannon_entropy

from capprep.images import screening
from capprep.images.screening import Measures, blockiness, measure, percentiles
from capprep.toybox.damage import damaged
from capprep.toybox.world import draw, scene

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "grass", "gravel", "rocket")
STYLES = ("flat", "ink", "crayon", "neon", "pastel", "woodcut")  # pixel art has blocks by intent


def photograph(name: str) -> Pixels:
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture)


def square(picture: Pixels, size: int = 512) -> Pixels:
    side = min(picture.shape[:2])
    how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return cv2.resize(picture[:side, :side], (size, size), interpolation=how)


def drawing(number: int) -> Pixels:
    return np.asarray(draw(scene(number), (512, 512), STYLES[number % len(STYLES)]))


SQUARES = {
    **{name: square(photograph(name)) for name in PHOTOGRAPHS},
    **{f"drawing {number}": drawing(number) for number in range(len(STYLES))},
}


def as_jpeg(picture: Pixels, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def jpeg(picture: Pixels, quality: int) -> Pixels:
    with Image.open(io.BytesIO(as_jpeg(picture, quality))) as stored:
        return np.asarray(stored)


def falls(values: list[float]) -> bool:
    return all(later < earlier for earlier, later in itertools.pairwise(values))


@pytest.mark.parametrize("name", SQUARES)
def test_more_blur_is_less_sharpness(name: str) -> None:
    blurred = [cv2.GaussianBlur(SQUARES[name], (0, 0), sigma) for sigma in (0.6, 1, 2, 4)]
    values = [measure(each).sharpness for each in (SQUARES[name], *blurred)]
    assert falls(values)
    assert values[0] > 0.4
    assert values[-1] < 0.3


@pytest.mark.parametrize("name", SQUARES)
def test_sharpness_is_the_complement_of_the_blur_effect_and_does_not_know_contrast(name: str) -> None:
    value = measure(SQUARES[name]).sharpness
    grey = cv2.cvtColor(SQUARES[name], cv2.COLOR_RGB2GRAY).astype(np.float64)
    assert value == pytest.approx(1 - blur_effect(grey, h_size=9), abs=0.02)
    # by less than half: rounding to whole levels makes steps of smooth gradients
    paler = np.rint(SQUARES[name] * 0.7 + 40).astype(np.uint8)
    assert measure(paler).sharpness == pytest.approx(value, abs=0.02)


def test_an_enlarged_picture_is_less_sharp() -> None:
    for picture in SQUARES.values():
        small = cv2.resize(picture, (170, 170), interpolation=cv2.INTER_AREA)
        assert measure(square(small)).sharpness < measure(picture).sharpness - 0.05


def test_stripes_along_one_axis_only_are_as_sharp_as_they_are() -> None:
    stripes = np.tile(np.repeat([0, 255], 4).astype(np.uint8), (512, 64))
    assert measure(np.repeat(stripes[..., None], 3, axis=2)).sharpness > 0.6
    assert measure(np.full((64, 64, 3), 90, np.uint8)).sharpness == 0


@pytest.mark.parametrize("name", SQUARES)
def test_stronger_compression_is_more_blockiness(name: str) -> None:
    # flat drawings have nothing left to lose below 20
    qualities = (20, 50, 85) if "drawing" in name else (10, 20, 40, 60, 85)
    values = [blockiness(jpeg(SQUARES[name], quality)) for quality in qualities]
    assert falls(values)
    assert values[0] > 0.35
    assert blockiness(SQUARES[name]) < 0.22


@pytest.mark.parametrize("turns", range(4))
def test_blocks_are_found_wherever_their_grid_begins(turns: int) -> None:
    stored = jpeg(photograph("coffee"), 20)
    turned = np.ascontiguousarray(np.rot90(stored, turns)[3:, 5:])
    assert blockiness(turned) == pytest.approx(blockiness(stored), abs=0.05)


def test_blocks_are_found_in_a_reduced_decode_and_not_sought_where_they_are_gone() -> None:
    picture = photograph("retina")
    halves = [
        cv2.imdecode(np.frombuffer(as_jpeg(picture, quality), np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
        for quality in (10, 30, 75)
    ]
    values = [blockiness(half, reduction=2) for half in halves]
    assert falls(values)
    assert values[0] > 0.5
    assert blockiness(halves[0], reduction=4) == blockiness(halves[0], reduction=8) == 0
    assert blockiness(np.zeros((20, 400, 3), np.uint8)) == 0


def test_blocks_are_those_of_the_source_not_of_the_square() -> None:
    source = jpeg(cv2.resize(photograph("astronaut"), (1000, 1000), interpolation=cv2.INTER_CUBIC), 10)
    resized = square(source)
    assert measure(resized, source).blockiness == pytest.approx(blockiness(source), abs=1e-4)
    assert measure(resized, source).blockiness > measure(resized).blockiness + 0.2


def test_a_frame_is_no_grid_of_blocks() -> None:
    picture = square(photograph("chelsea")).copy()
    picture[:40], picture[-40:], picture[:, :40], picture[:, -40:] = 0, 0, 0, 0
    assert blockiness(picture) < 0.15


@pytest.mark.parametrize("name", SQUARES)
def test_light_and_dark_are_told(name: str) -> None:
    steps = [measure((SQUARES[name] * gain).astype(np.uint8)) for gain in (1, 0.6, 0.3, 0.1)]
    for field in ("brightness", "highlights", "contrast", "information", "colourfulness"):
        values = [getattr(step, field) for step in steps]
        assert falls(values) or set(values) == {0.0}, field
    lighter = measure((255 - (255 - SQUARES[name]) * 0.05).astype(np.uint8))
    assert lighter.shadows > 0.9 > steps[0].shadows
    assert steps[-1].highlights < 0.11


def test_luma_statistics_are_those_of_the_pixels() -> None:
    for picture in SQUARES.values():
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found = measure(picture)
        assert found.brightness == pytest.approx(grey.mean() / 255, abs=1e-4)
        assert found.contrast == pytest.approx(grey.std() / 255, abs=1e-4)
        assert found.information == pytest.approx(shannon_entropy(grey), abs=1e-4)
        for value, share in ((found.shadows, 0.05), (found.highlights, 0.99)):
            level = round(value * 255)
            assert (grey <= level).mean() >= share > (grey < level).mean()


def test_colourfulness_is_that_of_the_paper() -> None:
    for picture in SQUARES.values():
        red, green, blue = (picture[..., k].astype(np.float64) for k in range(3))
        rg, yb = red - green, (red + green) / 2 - blue
        expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        assert measure(picture).colourfulness == pytest.approx(expected, abs=0.01)
    assert measure(square(photograph("camera"))).colourfulness == 0


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_borders_are_the_share_of_their_pixels(top: int, bottom: int, left: int, right: int, light: bool) -> None:
    picture = np.full((160, 200, 3), 128, np.uint8)
    level = 250 if light else 8
    inner = np.zeros((160, 200), bool)
    inner[top : 160 - bottom, left : 200 - right] = True
    picture[~inner] = level
    found = measure(picture)
    share = 1 - inner.mean()
    expected = (share, 0) if light else (0, share)
    assert (found.light_border, found.dark_border) == pytest.approx(expected, abs=6e-5)  # four decimals


def test_noise_in_a_border_does_not_hide_it_and_dark_things_inside_are_none() -> None:
    picture = square(photograph("astronaut")).copy()
    picture[:100] = np.random.default_rng(0).integers(0, 20, (100, 512, 3), dtype=np.uint8)
    picture[250:300] = 0
    assert measure(jpeg(picture, 75)).dark_border == pytest.approx(100 / 512, abs=0.02)
    assert measure(np.zeros((64, 64, 3), np.uint8)).dark_border == 1
    assert measure(np.full((64, 64, 3), 255, np.uint8)).light_border == 1


@pytest.mark.parametrize(
    ("damage", "field", "sign"),
    [
        ("blur", "sharpness", -1),
        ("jpeg", "sharpness", -1),  # enlarged from a small file
        ("dark", "highlights", -1),
        ("dark", "brightness", -1),
        ("noise", "information", 1),
    ],
)
def test_what_damages_a_drawing_is_measured(damage: str, field: str, sign: int) -> None:
    for number in range(8):
        before = Image.fromarray(drawing(number))
        after = damaged(before, damage, number)[0]
        change = getattr(measure(np.asarray(after)), field) - getattr(measure(np.asarray(before)), field)
        assert sign * change > 0.02


def test_measures_are_the_same_every_time_finite_and_survive_json() -> None:
    rng = np.random.default_rng(0)
    odd = [np.full((64, 64, 3), 7, np.uint8), rng.integers(0, 256, (65, 64, 3), dtype=np.uint8)]
    for picture in (*odd, SQUARES["coffee"]):
        found = measure(picture)
        assert found == measure(picture.copy())
        assert np.isfinite(dataclasses.astuple(found)).all()
        assert Measures.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_measuring_takes_a_few_milliseconds() -> None:
    source = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times = []
    for _ in range(5):
        started = time.process_time()
        measure(SQUARES["coffee"], source)
        times.append(time.process_time() - started)
    cv2.setNumThreads(threads)
    assert min(times) < 0.03  # about 5 ms; room for a slow machine


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_percentiles_are_the_share_below_and_half_the_equals(values: list[float]) -> None:
    expected = [
        100 * (sum(other < value for other in values) + sum(other == value for other in values) / 2) / len(values)
        for value in values
    ]
    assert percentiles(values) == pytest.approx(expected)


def test_nothing_is_judged() -> None:
    assert all(field.type in ("float", float) for field in dataclasses.fields(screening.Measures))
