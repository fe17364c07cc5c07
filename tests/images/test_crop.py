"""Which part of a picture is taken: inside it, of the exact aspect, as large as possible, and around what matters."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capprep.errors import ConfigError
from capprep.images import Box
from capprep.images.crop import MODES, Choice, around, choose, place, split
from capprep.images.faces import Face
from capprep.images.saliency import CELLS, saliency
from capprep.images.unusable import Unusable

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
CROPS = ("auto", "center", "top", "face")

SIZES = st.tuples(st.integers(16, 3000), st.integers(16, 3000)).filter(lambda size: max(size) <= 8 * min(size))
ASPECTS = st.sampled_from([1.0, 2 / 3, 3 / 2, 832 / 1216, 16 / 9])


def noise(seed: int, width: int = 96, height: int = 72) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def still(place: float, width: int = 640, height: int = 256, seed: int = 0) -> Pixels:
    """A red disc at a share of a mottled grey wall's width."""
    rng = np.random.default_rng(seed)
    wall_HW = cv2.GaussianBlur(rng.normal(128, 60, (height, width)), (0, 0), 2) + rng.normal(0, 6, (height, width))
    x_HWC = np.repeat(wall_HW.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    radius = round(0.3 * height)
    middle = round(radius + place * (width - 2 * radius)), height // 2
    cv2.circle(x_HWC, middle, radius, (200, 40, 30), -1)
    cv2.circle(x_HWC, middle, radius // 3, (240, 220, 60), -1)
    return x_HWC


@settings(deadline=None, max_examples=80)
@given(SIZES, ASPECTS, st.sampled_from(CROPS), st.integers(0, 99))
def test_a_crop_is_inside_of_the_exact_aspect_and_as_large_as_possible(
    size: Size, aspect: float, mode: str, seed: int
) -> None:
    scale = 64 / min(size)
    x_HWC = noise(seed, round(size[0] * scale), round(size[1] * scale))
    choice = choose(x_HWC, mode, aspect, size=size)
    left, top, right, bottom = choice.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left) / (bottom - top) == pytest.approx(aspect, rel=1e-9)
    assert (left, right) == (0, size[0]) or (top, bottom) == (0, size[1])
    assert choose(x_HWC.copy(), mode, aspect, size=size) == choice


@pytest.mark.parametrize(
    ("size", "mode", "box"),
    [
        ((800, 600), "center", (100, 0, 700, 600)),
        ((801, 600), "center", (100.5, 0, 700.5, 600)),
        ((600, 800), "center", (0, 100, 600, 700)),
        ((600, 800), "top", (0, 0, 600, 600)),
        ((800, 600), "top", (100, 0, 700, 600)),
        ((512, 512), "auto", (0, 0, 512, 512)),
        ((513, 512), "none", (0.5, 0, 512.5, 512)),
    ],
)
def test_fixed_crops_are_exactly_where_they_say(size: Size, mode: str, box: Box) -> None:
    assert choose(noise(0, *size), mode).box == box


@pytest.mark.parametrize(("size", "mode"), [((801, 600), "center"), ((513, 512), "none"), ((600, 803), "center")])
def test_a_crop_that_needs_no_resizing_may_begin_at_a_whole_pixel_so_that_it_is_not_blurred(
    size: Size, mode: str
) -> None:
    box = choose(noise(0, *size), mode, whole=True).box
    assert all(edge == int(edge) for edge in box)
    exact = choose(noise(0, *size), mode).box
    assert max(abs(edge - other) for edge, other in zip(box, exact, strict=True)) <= 0.5


def test_none_takes_only_what_has_the_aspect_within_a_pixel() -> None:
    for size, aspect in (((512, 512), 1), ((512, 513), 1), ((1000, 667), 1.5), ((3000, 2001), 1.5)):
        assert choose(noise(0), "none", aspect, size=size).score is None
    for size, aspect in (((514, 512), 1), ((512, 514), 1), ((1000, 670), 1.5), ((512, 512), 1.5)):
        with pytest.raises(Unusable, match="cropping is switched off") as caught:
            choose(noise(0), "none", aspect, size=size)
        assert caught.value.reason == "not_square"
        assert f"{size[0]}x{size[1]}" in caught.value.message


def test_a_mode_or_an_aspect_that_is_not_possible_is_named() -> None:
    with pytest.raises(ConfigError, match="'middle'") as caught:
        choose(noise(0), "middle")
    assert all(mode in caught.value.hint for mode in MODES)
    for aspect in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="aspect"):
            choose(noise(0), "center", aspect)
        with pytest.raises(ConfigError, match="aspect"):
            split((900, 300), aspect)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(0, 20))
def test_auto_holds_the_subject_wherever_it_is_and_says_on_which_side(where: float, seed: int) -> None:
    x_HWC = still(where, seed=seed)
    choice = choose(x_HWC, "auto")
    radius, middle = 77, 77 + where * (640 - 154)
    assert choice.box[0] <= middle - radius + 8
    assert choice.box[2] >= middle + radius - 8
    if where < 0.2 or where > 0.8:
        assert choice.margin is not None
        assert choice.margin > 0.03
        assert f"{'left' if where < 0.5 else 'right'} of the middle" in choice.reason
        assert choice.score is not None
        assert 0.5 < choice.score <= 1


def agree(one: Choice, other: Choice, mirrored: int = 0) -> None:
    """Two crops lie within two and a half cells of the map, or one just passes the guard and one just does not."""
    assert one.margin is not None
    assert other.margin is not None
    if 0 in (one.margin, other.margin):
        assert max(one.margin, other.margin) < 0.05
    else:
        start = mirrored - other.box[2] if mirrored else other.box[0]
        assert one.box[0] == pytest.approx(start, abs=2.5 / CELLS * (one.box[2] - one.box[0]))


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(0, 20))
def test_a_mirrored_picture_is_cropped_at_the_mirrored_place(where: float, seed: int) -> None:
    x_HWC = still(where, seed=seed)
    agree(choose(x_HWC, "auto"), choose(np.ascontiguousarray(x_HWC[:, ::-1]), "auto"), mirrored=640)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.floats(0.5, 1.1), st.integers(0, 20))
def test_brightness_does_not_move_the_crop(where: float, gain: float, seed: int) -> None:
    x_HWC = still(where, seed=seed)
    other_HWC = np.clip(np.round(x_HWC * gain), 0, 255).astype(np.uint8)
    agree(choose(x_HWC, "auto"), choose(other_HWC, "auto"))


# the same pictures every time: of 2,000 one has two places that hold the same within what reducing changes
@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.floats(0, 1), st.sampled_from([2, 3, 4]), st.integers(0, 20))
def test_a_smaller_copy_of_a_picture_is_cropped_at_the_same_place(where: float, factor: int, seed: int) -> None:
    x_HWC = still(where, 641 * 2, 257 * 2, seed)
    size = (641 * 2, 257 * 2)
    small_HWC = cv2.resize(x_HWC, (size[0] // factor, size[1] // factor), interpolation=cv2.INTER_AREA)
    reduced = choose(np.asarray(small_HWC, np.uint8), "auto", size=size)
    agree(choose(x_HWC, "auto"), reduced)
    assert reduced.box[2] - reduced.box[0] == 514


def test_where_nothing_stands_out_the_crop_rests() -> None:
    grey = np.full((200, 300, 3), 77, np.uint8)
    landscape, portrait = choose(grey, "auto"), choose(grey.swapaxes(0, 1), "auto")
    assert landscape.box == (50, 0, 250, 200)
    assert "nothing stands out; the middle is kept" in landscape.reason
    assert portrait.box == (0, 33, 200, 233)
    assert "the upper third is kept" in portrait.reason
    assert landscape.score is landscape.margin is None
    centred = choose(still(0.5), "auto")
    assert centred.box == (192, 0, 448, 256)
    assert centred.margin == 0
    assert "no other place holds 3% more" in centred.reason


def test_in_upright_pictures_the_subject_is_found_above_and_below() -> None:
    for where, words in ((0.0, "above the upper third"), (1.0, "below the upper third")):
        choice = choose(still(where).swapaxes(0, 1), "auto")
        assert choice.box[1] == pytest.approx(where * (640 - 256), abs=25)
        assert words in choice.reason


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_boosted_box_outweighs_what_stands_out(subject: float, boosted: float) -> None:
    assume(abs(subject - boosted) > 0.3)
    middle = 40 + boosted * 560
    box = (middle - 40, 60, middle + 40, 200)
    left, _, right, _ = choose(still(subject), "auto", boost=[box]).box
    assert left <= box[0] + 4
    assert right >= box[2] - 4


def test_boxes_to_boost_lie_in_pixels_of_the_full_size_and_may_reach_outside() -> None:
    grey = np.full((100, 300, 3), 77, np.uint8)
    assert choose(grey, "auto", boost=[(2500, -50, 4000, 900)], size=(3000, 1000)).box == (2000, 0, 3000, 1000)
    nowhere = choose(grey, "auto", boost=[(-500, 0, -100, 1000)], size=(3000, 1000))
    assert nowhere.box == (1000, 0, 2000, 1000)


def test_the_map_is_even_where_nothing_is_and_high_where_the_subject_is() -> None:
    map_HW = saliency(still(0.25))
    assert map_HW.shape == (CELLS, 160)
    assert map_HW.mean() == pytest.approx(1, abs=1e-4)
    assert map_HW.min() >= 0
    inside_HW = np.zeros(map_HW.shape, bool)
    inside_HW[12:52, 26:66] = True  # the disc: radius 19 cells about column 49.5 of 160, less its rim
    inside_HW[:, :31] = inside_HW[:, 69:] = False
    assert map_HW[inside_HW].mean() > 3 * map_HW[:, 80:].mean()
    assert not saliency(np.full((40, 900, 3), 200, np.uint8)).any()
    assert saliency(noise(1, 5, 3)).shape == (64, 107)


def faces_in(size: Size, high: float) -> st.SearchStrategy[list[Face]]:
    one = st.tuples(st.floats(0, size[0] - 8), st.floats(8, high), st.floats(0, 1), st.floats(0.8, 1))
    return st.lists(
        one.map(
            lambda v: Face(
                (v[0], v[2] * (size[1] - v[1]), min(size[0], v[0] + v[1]), v[2] * (size[1] - v[1]) + v[1]), v[3]
            )
        ),
        min_size=1,
        max_size=6,
    )


def weight_inside(box: Box, faces: list[Face]) -> float:
    # places are whole pixels, so a face that just fits may lose half a one
    inside = [face for face in faces if face.box[0] >= box[0] - 0.51 and face.box[2] <= box[2] + 0.51]
    return sum((f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) * f.score for f in inside)


@settings(deadline=None, max_examples=80)
@given(faces_in((900, 300), 250))
def test_no_other_place_holds_more_of_the_large_and_sure_faces(faces: list[Face]) -> None:
    box = choose(noise(0), "face", size=(900, 300), faces=faces).box
    elsewhere = max(weight_inside((start, 0, start + 300, 300), faces) for start in range(601))
    assert weight_inside(box, faces) >= elsewhere * (1 - 1e-9)


def test_two_faces_that_do_not_fit_are_never_met_halfway() -> None:
    small, large = Face((40, 100, 140, 200), 0.99), Face((700, 60, 860, 220), 0.9)
    choice = choose(noise(0), "face", size=(900, 300), faces=[small, large])
    assert choice.box == (600, 0, 900, 300)
    assert (choice.mode, choice.score) == ("face", 0.9)
    assert choice.reason == "around 1 of 2 faces, the largest and surest that fit together"
    together = choose(
        noise(0), "face", size=(900, 300), faces=[Face((400, 0, 450, 50), 0.9), Face((500, 0, 550, 50), 1)]
    )
    assert together.box == (325, 0, 625, 300)
    assert together.reason == "around all 2 faces that were found"


def test_a_face_in_an_upright_picture_has_more_room_below() -> None:
    choice = choose(noise(0), "face", size=(300, 900), faces=[Face((100, 400, 200, 500), 0.95)])
    assert choice.box == (0, 330, 300, 630)  # its middle at 0.4 of the crop
    edge = choose(noise(0), "face", size=(300, 900), faces=[Face((100, 0, 200, 100), 0.95)])
    assert edge.box == (0, 0, 300, 300)


def test_a_face_larger_than_the_window_is_cut_at_both_ends_alike() -> None:
    assert choose(noise(0), "face", size=(900, 300), faces=[Face((200, 0, 600, 300), 1)]).box == (250, 0, 550, 300)


def test_without_faces_the_crop_is_auto_and_says_so() -> None:
    x_HWC = still(0.9)
    choice, auto = choose(x_HWC, "face"), choose(x_HWC, "auto")
    assert (choice.mode, choice.box) == ("auto", auto.box)
    assert choice.reason == f"no face was found; {auto.reason}"


@settings(deadline=None, max_examples=100)
@given(SIZES, ASPECTS, st.integers(64, 1024))
def test_padding_keeps_the_whole_picture_unsquashed_on_whole_pixels(size: Size, aspect: float, wide: int) -> None:
    box = choose(noise(0), "pad", aspect, size=size).box
    left, top, right, bottom = box
    assert left <= 0
    assert top <= 0
    assert right >= size[0]
    assert bottom >= size[1]
    assert (right - left) / (bottom - top) == pytest.approx(aspect, rel=1e-9)
    assert min(abs(left), abs(top)) == 0
    assert (left + right, top + bottom) == pytest.approx(size)
    target = wide, round(wide / aspect)
    placed = place(box, size, target)
    starts, counts = (placed.left, placed.top), (placed.width, placed.height)
    for axis in (0, 1):
        scale = (box[axis + 2] - box[axis]) / target[axis]
        start, end = placed.region[axis], placed.region[axis + 2]
        assert 0 <= start < scale + 1e-6
        assert size[axis] - scale - 1e-6 < end <= size[axis]
        assert starts[axis] >= 0
        assert starts[axis] + counts[axis] <= target[axis]
        # every pixel of the result shows what lies under it: same place, same scale
        assert start == pytest.approx(box[axis] + starts[axis] * scale, abs=1e-3 * scale)
        assert end - start == pytest.approx(counts[axis] * scale, abs=1e-3 * scale)


def test_a_box_inside_the_picture_fills_the_whole_result() -> None:
    placed = place((100.0, 0.0, 700.0, 600.0), (800, 600), (512, 512))
    assert placed.region == (100, 0, 700, 600)
    assert (placed.left, placed.top, placed.width, placed.height) == (0, 0, 512, 512)
    wide = place(choose(noise(0), "pad", size=(800, 600)).box, (800, 600), (512, 512))
    assert (wide.left, wide.top, wide.width, wide.height) == (0, 64, 512, 384)
    assert wide.region == (0, 0, 800, 600)


def test_a_picture_too_thin_to_be_seen_is_refused() -> None:
    with pytest.raises(Unusable, match="too thin") as caught:
        place(choose(noise(0), "pad", size=(4000, 2)).box, (4000, 2), (512, 512))
    assert caught.value.reason == "aspect"


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.integers(16, 20000), st.integers(16, 20000)), ASPECTS, st.floats(1, 4), st.floats(0, 0.9))
def test_a_panorama_is_covered_evenly_by_as_few_parts_as_overlap_enough(
    size: Size, aspect: float, threshold: float, overlap: float
) -> None:
    parts = split(size, aspect, threshold, overlap)
    axis = int(size[0] <= size[1] * aspect)
    window = min(size[axis], size[1] * aspect if axis == 0 else size[0] / aspect)
    if size[axis] <= (threshold + 1e-9) * window:
        assert parts == []
        return
    starts = [part[axis] for part in parts]
    steps = np.diff(starts)
    assert len(parts) >= 2
    assert starts[0] == 0
    assert parts[-1][axis + 2] == pytest.approx(size[axis], abs=0.51)  # parts begin at whole pixels
    assert np.ptp(steps) <= 2
    assert (window - steps >= overlap * window - 1.001).all()
    if len(parts) > 2:  # one part less would have to lie further apart
        assert (size[axis] - window) / (len(parts) - 2) > (1 - overlap) * window - 1e-6 * window
    for part in parts:
        assert part[axis + 2] - part[axis] == pytest.approx(window)
        assert part[1 - axis + 2] - part[1 - axis] == size[1 - axis]


def test_a_panorama_of_three_to_one_gives_four_squares() -> None:
    assert split((1500, 500)) == [(0, 0, 500, 500), (333, 0, 833, 500), (667, 0, 1167, 500), (1000, 0, 1500, 500)]
    assert split((500, 1500), overlap=0.0) == [(0, 0, 500, 500), (0, 500, 500, 1000), (0, 1000, 500, 1500)]
    assert split((1000, 500)) == []


def test_a_threshold_or_an_overlap_out_of_range_is_named() -> None:
    for threshold in (0.5, math.nan):
        with pytest.raises(ConfigError, match="threshold"):
            split((900, 300), threshold=threshold)
    for overlap in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="overlap"):
            split((900, 300), overlap=overlap)


def test_subjects_on_busy_backgrounds_are_kept() -> None:
    path = Path(__file__).parents[1] / "bench" / "composites.py"
    spec = importlib.util.spec_from_file_location("composites", path)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = bench  # its dataclasses look their annotations up there
    spec.loader.exec_module(bench)
    result = bench.measure(bench.composites(60, seed=8))
    assert result["auto_busy_kept"] >= 0.95
    assert min(result["auto_flat_kept"], result["auto_text_kept"]) >= 0.98
    assert result["center_busy_kept"] < 0.9  # the task is no free gift


@pytest.mark.parametrize(("name", "middle"), [("chelsea", 225), ("coffee", 285), ("astronaut", 256)])
def test_photographs_keep_what_they_show(name: str, middle: int) -> None:
    left, _, right, _ = choose(getattr(skimage.data, name)(), "auto").box
    assert left < middle < right
    assert abs((left + right) / 2 - middle) < 0.3 * (right - left)


def test_a_grey_photograph_is_cropped_by_its_light_alone() -> None:
    grey_HW = skimage.data.camera()[:300]
    left, _, right, _ = choose(np.repeat(grey_HW[..., None], 3, axis=2), "auto").box
    assert left <= 165  # the photographer from the back of his head to the end of the lens, at 335
    assert right >= 335


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Size, Box]:
    width, height = draw(SIZES)
    left, right = sorted(draw(st.tuples(*[st.floats(0, width)] * 2)))
    top, bottom = sorted(draw(st.tuples(*[st.floats(0, height)] * 2)))
    assume(right - left > 0.01)
    assume(bottom - top > 0.01)
    return (width, height), (left, top, right, bottom)


@settings(deadline=None)
@given(boxes(), ASPECTS)
def test_the_window_around_a_box_is_inside_of_the_exact_aspect_and_no_larger_than_it_must_be(
    given_box: tuple[Size, Box], aspect: float
) -> None:
    size, (left, top, right, bottom) = given_box
    x0, y0, x1, y1 = around((left, top, right, bottom), size, aspect)
    assert 0 <= x0 < x1 <= size[0]
    assert 0 <= y0 < y1 <= size[1]
    wide, high = x1 - x0, y1 - y0
    assert wide / high == pytest.approx(aspect, rel=1e-6)
    needed = max(bottom - top, (right - left) / aspect)
    largest = min(size[1], size[0] / aspect)
    assert high == pytest.approx(min(needed, largest), rel=1e-6, abs=1e-6)
    # what cannot hold the box is as near to its middle as the picture allows
    for start, end, low, high_, length in ((x0, x1, left, right, size[0]), (y0, y1, top, bottom, size[1])):
        wished = (low + high_ - (end - start)) / 2
        assert start == pytest.approx(min(max(wished, 0), length - (end - start)), abs=1e-6)
        if end - start >= high_ - low:
            assert start <= low + 1e-6
            assert high_ <= end + 1e-6


@settings(deadline=None)
@given(SIZES, ASPECTS, st.sampled_from(["center", "top"]))
def test_a_window_that_fits_is_its_own(size: Size, aspect: float, mode: str) -> None:
    box = choose(np.zeros((8, 8, 3), np.uint8), mode, aspect, size=size).box
    assert around(box, size, aspect) == pytest.approx(box, abs=1e-6)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 12, 74, 76), (10, 12, 74, 76)),
        ((10, 20, 30, 60), (0, 20, 40, 60)),
        ((80, 0, 100, 60), (40, 0, 100, 60)),
        ((0, 0, 100, 80), (10, 0, 90, 80)),
        ((-1, -1, 101, 81), (10, 0, 90, 80)),  # people read boxes off viewers that round
        ((99.5, 40, 101, 41), (98.5, 39.75, 100, 41.25)),
    ],
)
def test_a_given_box_becomes_the_smallest_square_around_it(box: Box, expected: Box) -> None:
    assert around(box, (100, 80)) == pytest.approx(expected)


EMPTY = [(0, 0, 0, 5), (5, 5, 5, 5), (9, 0, 3, 5), (math.nan, 0, 5, 5)]
OUTSIDE = [(-2, 0, 5, 5), (0, 0, 102, 5), (0, 0, 5, 82), (200, 0, 300, 5), (0, 0, math.inf, 5)]


@pytest.mark.parametrize("box", [*EMPTY, *OUTSIDE])
def test_a_box_that_is_empty_or_outside_is_refused_in_words(box: Box) -> None:
    with pytest.raises(Unusable) as caught:
        around(box, (100, 80))
    assert caught.value.reason == "crop_outside"
    assert "100x80" in caught.value.message
