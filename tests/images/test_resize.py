"""The exact region at the exact size, against the filters' mathematics in float64."""

from __future__ import annotations

import io
from functools import cache

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from capprep.images import Box
from capprep.images.decode import decode
from capprep.images.resize import crop_resize, encode_png, encode_webp_lossless

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@cache
def photograph(name: str) -> NDArray[np.uint8]:
    return np.ascontiguousarray(getattr(skimage.data, name)()[..., :3])


def area_weights(low: float, high: float, count: int, length: int) -> NDArray[np.float64]:
    # the integral of a picture of constant pixels over each part, from its running sum: no pixel grid in sight
    edges = low + (high - low) * np.arange(count + 1) / count
    running = np.concatenate([np.zeros((1, length)), np.tril(np.ones((length, length)))])
    at_edges = np.stack([np.interp(edges, np.arange(length + 1), column) for column in running.T], axis=1)
    return np.diff(at_edges, axis=0) * count / (high - low)


def lanczos_weights(low: float, high: float, count: int, length: int) -> NDArray[np.float64]:
    step = (high - low) / count
    middle = low + (np.arange(count) + 0.5) * step
    x = np.subtract.outer(middle, np.arange(length) + 0.5) / max(step, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = 3 * np.sin(np.pi * x) * np.sin(np.pi * x / 3) / (np.pi * x) ** 2
    values = np.where(np.abs(x) < 1e-9, 1, np.where(np.abs(x) < 3, values, 0))
    return values / values.sum(axis=1, keepdims=True)


def exact(pixels: NDArray[np.uint8], box: Box, size: tuple[int, int], filter: str) -> NDArray[np.float64]:
    weights = area_weights if filter == "area" else lanczos_weights
    across = weights(box[0], box[2], size[0], pixels.shape[1])
    down = weights(box[1], box[3], size[1], pixels.shape[0])
    return np.clip(np.einsum("ab,bcd,ec->aed", down, pixels.astype(np.float64), across, optimize=True), 0, 255)


def psnr(ours: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    return float(10 * np.log10(255**2 / np.mean((ours.astype(np.float64) - reference.astype(np.float64)) ** 2)))


BOXES: tuple[Box, ...] = (
    (40.0, 0.0, 340.0, 300.0),
    (40.5, 0.25, 340.0, 299.75),
    (10.125, 3.625, 250.375, 243.875),
    (0.0, 0.0, 427.0, 300.0),
)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("filter", ["area", "lanczos"])
@pytest.mark.parametrize("box", BOXES)
def test_a_crop_equals_the_filters_mathematics_on_photographs(name: str, filter: str, box: Box) -> None:
    size = (128, 128) if box[2] != 427 else (182, 128)
    ours = crop_resize(photograph(name), box, size, filter)
    assert ours.shape == (size[1], size[0], 3)
    # rounding to 8 bits alone leaves 58.9 dB
    assert psnr(ours, exact(photograph(name), box, size, filter)) > 58.5


@pytest.mark.parametrize("filter", ["area", "lanczos"])
def test_half_a_pixel_of_shift_would_be_seen(filter: str) -> None:
    # what the tests above would measure of a crop that was rounded to whole pixels
    for name in PHOTOGRAPHS:
        ours = crop_resize(photograph(name), (41.0, 0.0, 341.0, 300.0), (128, 128), filter)
        assert psnr(ours, exact(photograph(name), (40.5, 0.0, 340.5, 300.0), (128, 128), filter)) < 45


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_box_and_size_gives_what_the_mathematics_gives_to_a_level(data: st.DataObject) -> None:
    picture = photograph("chelsea")[:90, :120]
    fraction = st.floats(0, 1, allow_nan=False)
    left, top = (data.draw(fraction) * side for side in (110, 80))
    width = 2 + data.draw(fraction) * (118 - left)
    height = 2 + data.draw(fraction) * (88 - top)
    box = (left, top, min(120.0, left + width), min(90.0, top + height))
    size = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)))
    chosen = data.draw(st.sampled_from(["area", "lanczos"]))
    enlarges = box[2] - box[0] < size[0] or box[3] - box[1] < size[1]
    reference = exact(picture, box, size, "lanczos" if enlarges else chosen)
    # half a level of rounding, and the tables of float32
    assert np.abs(crop_resize(picture, box, size, chosen) - reference).max() <= 0.51


@pytest.mark.parametrize("filter", ["area", "lanczos"])
def test_a_crop_that_needs_no_resizing_is_the_very_pixels(filter: str) -> None:
    picture = photograph("coffee")
    crop = crop_resize(picture, (17.0, 5.0, 145.0, 133.0), (128, 128), filter)
    assert np.array_equal(crop, picture[5:133, 17:145])
    assert crop.flags.c_contiguous


def test_enlarging_is_lanczos_whatever_the_filter() -> None:
    picture, box = photograph("rocket"), (100.25, 50.0, 140.25, 90.0)
    ours = crop_resize(picture, box, (128, 128), "area")
    assert psnr(ours, exact(picture, box, (128, 128), "lanczos")) > 58.5


@pytest.mark.parametrize("filter", ["area", "lanczos"])
def test_a_flat_picture_stays_flat_and_an_edge_neither_darkens_nor_wraps(filter: str) -> None:
    for level in (0, 1, 127, 255):
        flat = np.full((50, 70, 3), level, dtype=np.uint8)
        assert (crop_resize(flat, (0.3, 0.2, 49.9, 49.8), (32, 32), filter) == level).all()
    hard = np.zeros((64, 64, 3), dtype=np.uint8)
    hard[:, 32:] = 255
    out = crop_resize(hard, (0.5, 0.5, 63.5, 63.5), (20, 20), filter)
    assert out[:, 0].max() <= 20
    assert out[:, -1].min() >= 235


def test_large_pictures_are_taken_in_blocks_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, box = photograph("astronaut"), (3.5, 7.25, 500.5, 504.25)
    for chosen in ("area", "lanczos"):
        whole = crop_resize(picture, box, (96, 96), chosen)
        with monkeypatch.context() as patch:
            patch.setattr("capprep.images.resize._BLOCK", 20_000)
            assert np.array_equal(crop_resize(picture, box, (96, 96), chosen), whole)


def test_a_mirrored_picture_gives_the_mirrored_crop() -> None:
    picture, (left, top, right, bottom) = photograph("coffee"), (20.25, 10.5, 320.25, 310.5)
    width = picture.shape[1]
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    ours = crop_resize(mirrored, (width - right, top, width - left, bottom), (100, 100))
    assert np.abs(ours[:, ::-1].astype(int) - crop_resize(picture, (left, top, right, bottom), (100, 100))).max() <= 1


@pytest.mark.parametrize(
    ("box", "size", "filter"),
    [
        ((-1.0, 0.0, 10.0, 10.0), (5, 5), "area"),
        ((0.0, 0.0, 10.0, 601.0), (5, 5), "area"),
        ((5.0, 0.0, 5.0, 10.0), (5, 5), "area"),
        ((0.0, float("nan"), 10.0, 10.0), (5, 5), "area"),
        ((0.0, 0.0, 10.0, 10.0), (0, 5), "area"),
        ((0.0, 0.0, 10.0, 10.0), (5, 5), "cubic"),
    ],
)
def test_a_box_outside_the_picture_or_an_impossible_size_is_an_error(
    box: Box, size: tuple[int, int], filter: str
) -> None:
    with pytest.raises(ValueError, match=r"box|resize"):
        crop_resize(photograph("coffee"), box, size, filter)


@pytest.mark.parametrize("encode", [encode_png, encode_webp_lossless])
def test_encoded_files_give_back_every_pixel(encode: object) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (33, 47, 3), dtype=np.uint8)
    for pixels in (noise, photograph("coffee"), noise[:, ::-1], np.zeros((1, 1, 3), dtype=np.uint8)):
        content = encode(pixels)  # type: ignore[operator]
        assert np.array_equal(decode(content).pixels_HWC, pixels)
        with Image.open(io.BytesIO(content)) as opened:
            assert opened.format == ("PNG" if encode is encode_png else "WEBP")
            assert np.array_equal(np.asarray(opened.convert("RGB")), pixels)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(("orientation", "size"), [(1, 150), (6, 190)])
def test_a_reduced_decode_stays_within_45_db_of_the_exact_crop(name: str, orientation: int, size: int) -> None:
    # as a camera writes it: the picture enlarged to 3 times, so that it has no detail finer than a camera's lens
    small = Image.fromarray(photograph(name))
    large = small.resize((small.width * 3 + 1, small.height * 3 + 1), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    large.save(buffer, "JPEG", quality=90, exif=exif)
    full = decode(buffer.getvalue())
    side = min(full.width, full.height)
    left, top = (full.width - side) / 2, (full.height - side) / 2
    box = (left, top, left + side, top + side)
    reduced = decode(buffer.getvalue(), short_side=size)
    assert reduced.reduction > 1
    ours = crop_resize(reduced.pixels_HWC, reduced.inner(box), (size, size))
    assert psnr(ours, exact(full.pixels_HWC, box, (size, size), "area")) > 45
    ours = crop_resize(full.pixels_HWC, box, (size, size), "lanczos")
    assert psnr(ours, exact(full.pixels_HWC, box, (size, size), "lanczos")) > 57


@pytest.mark.parametrize("times", [2.05, 4.2, 4.65, 8.4, 9.3, 12.2, 24.5, 32.4])
def test_many_small_things_with_sharp_edges_stay_within_45_db_at_any_reduction(times: float) -> None:
    size = 96
    side = round(size * times)
    rng = np.random.default_rng(0)
    canvas = np.full((side, side, 3), 128, dtype=np.uint8)
    for _ in range(side * side // 900):
        middle, radius = rng.integers(0, side, 2).tolist(), int(rng.integers(2, 12))
        cv2.circle(canvas, middle, radius, (int(rng.integers(256)),) * 3, -1, cv2.LINE_AA)
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "JPEG", quality=92)
    full, reduced = decode(buffer.getvalue()), decode(buffer.getvalue(), short_side=size)
    box = (0.0, 0.0, float(side), float(side))
    ours = crop_resize(reduced.pixels_HWC, reduced.inner(box), (size, size))
    assert psnr(ours, exact(full.pixels_HWC, box, (size, size), "area")) > 45
