"""The picture fact."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from capprep.engines.local import LocalEngine
from capprep.errors import ConfigError
from capprep.facts import CROP, Appearance, PictureFact
from capprep.images.curation import describe
from capprep.images.duplicates import fingerprint, pixel_digest
from capprep.images.resize import crop_resize
from capprep.images.screening import measure
from capprep.stage import Cut, Failure, Row, Runtime, Value
from capprep.stages import picture as picture_stage
from capprep.stages.picture import Picture


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    Image.fromarray(np.stack([x, y, x], axis=-1).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def outcome(content: bytes, stage: Picture) -> Value | Failure:
    (result,) = stage.load(Runtime())([Row("id", content)])
    return result


@pytest.mark.parametrize(("width", "height"), [(640, 480), (300, 500), (512, 512), (1001, 777)])
def test_the_square_is_cut_from_the_middle_and_never_squashed(width: int, height: int) -> None:
    value = outcome(png(width, height), Picture(size=256, crop="center"))
    assert isinstance(value, Value)
    fact = PictureFact.from_json(value.data)
    left, top, right, bottom = fact.box
    assert right - left == bottom - top == min(width, height)
    assert abs(left + right - width) <= 1
    assert abs(top + bottom - height) <= 1
    assert fact.scale == min(width, height) / 256
    with Image.open(io.BytesIO(value.blobs[CROP])) as square:
        assert (square.format, square.size, square.mode) == ("PNG", (256, 256), "RGB")
        middle = np.asarray(square)[128, 128].astype(float)
    assert np.abs(middle - 127.5).max() < 3
    assert PictureFact.from_json(fact.to_json()) == fact


def spot(width: int, height: int, x: int, y: int) -> bytes:
    """A picture with one thing in it, at (x, y)."""
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels += np.random.default_rng(1).integers(0, 6, pixels.shape, dtype=np.uint8)
    pixels[y - 40 : y + 40, x - 40 : x + 40] = (180, 30, 20)
    pixels[y - 20 : y + 20, x - 20 : x + 20] = (20, 30, 180)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_auto_keeps_what_stands_out_and_says_why() -> None:
    content = spot(900, 300, 800, 150)
    middle, auto = (outcome(content, Picture(size=256, crop=crop)) for crop in ("center", "auto"))
    assert isinstance(middle, Value)
    assert isinstance(auto, Value)
    there, here = (PictureFact.from_json(value.data) for value in (middle, auto))
    assert there.box[2] < 760
    assert here.box[2] >= 840
    assert here.crop == "auto"
    assert "right" in here.why


def test_only_square_pictures_are_taken_where_nothing_may_be_cut_off() -> None:
    assert isinstance(outcome(png(300, 300), Picture(size=256, crop="none")), Value)
    failure = outcome(png(300, 200), Picture(size=256, crop="none"))
    assert isinstance(failure, Failure)
    assert failure.reason == "not_square"


def test_the_frame_of_an_animation_is_chosen_and_said() -> None:
    frames = [Image.new("RGB", (300, 300), (shade, shade, shade)) for shade in (10, 120, 240)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    for frame, number, shade in (("first", 0, 10), ("middle", 1, 120)):
        value = outcome(buffer.getvalue(), Picture(size=256, frame=frame))
        assert isinstance(value, Value)
        assert (value.data["frame"], value.data["frames"]) == (number, 3)
        with Image.open(io.BytesIO(value.blobs[CROP])) as square:
            assert np.abs(np.asarray(square, int) - shade).max() <= 2
    failure = outcome(buffer.getvalue(), Picture(size=256, frame="reject"))
    assert isinstance(failure, Failure)
    assert failure.reason == "animated"


def test_a_small_picture_is_enlarged_and_the_fact_says_how_much() -> None:
    value = outcome(png(100, 200), Picture(size=256))
    assert isinstance(value, Value)
    assert value.data["scale"] == 100 / 256


def test_a_picture_of_the_right_size_is_kept_to_the_pixel_even_off_by_one() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 129, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    value = outcome(buffer.getvalue(), Picture(size=128))
    assert isinstance(value, Value)
    with Image.open(io.BytesIO(value.blobs[CROP])) as square:
        assert np.array_equal(np.asarray(square), noise[:, :128])


def test_one_colour_has_one_key_however_it_is_written() -> None:
    assert Picture(background="white") == Picture(background="#ffffff") == Picture(background="#FFF")


def test_too_little_memory_is_no_lasting_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("capprep.stages.picture.decode", hungry)
    failure = outcome(b"", Picture())
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.retry) == ("memory", True)


def test_what_cannot_be_decoded_is_a_failure_with_a_reason() -> None:
    failure = outcome(b"GIF89a", Picture())
    assert isinstance(failure, Failure)
    assert failure.reason in ("corrupt", "truncated", "not_image")


@pytest.mark.parametrize("wrong", [{"size": 500}, {"size": 32}, {"background": "no colour"}])
def test_a_bad_option_is_refused_when_the_stage_is_built(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Picture(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in caught.value.message


def test_batch_equals_single(tmp_path: Path) -> None:
    contents = [png(300, 260), b"nothing", png(256, 512)]
    read = Picture(size=256).load(Runtime())
    rows = [Row(str(n), content) for n, content in enumerate(contents)]
    assert list(read(rows)) == [read([row])[0] for row in rows]


# --- crops, boxes and parts ----------------------------------------------------------------------


def noise(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(pixels: NDArray[np.uint8], kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def made(content: bytes, stage: Picture, cut: Cut | None = None) -> tuple[PictureFact, NDArray[np.uint8]]:
    """The fact and the square of a picture."""
    (value,) = stage.load(Runtime())([Row("id", content, cut=cut)])
    assert isinstance(value, Value), value
    with Image.open(io.BytesIO(value.blobs[CROP])) as square:
        assert square.mode == "RGB"
        return PictureFact.from_json(json.loads(json.dumps(value.data))), np.asarray(square)


@pytest.mark.parametrize(("width", "height"), [(200, 100), (100, 200), (150, 140), (640, 90)])
@pytest.mark.parametrize("how", ["area", "lanczos"])
def test_padding_keeps_all_of_a_picture_in_its_shape_on_the_background(width: int, height: int, how: str) -> None:
    content = saved(np.full((height, width, 3), (200, 40, 10), np.uint8))
    fact, square = made(content, Picture(size=64, crop="pad", background="#0080ff", filter=how))
    side = max(width, height)
    assert fact.box == ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    assert (fact.crop, fact.scale) == ("pad", side / 64)
    inside = (square == (200, 40, 10)).all(axis=2)
    assert (inside | (square == (0, 128, 255)).all(axis=2)).all(), "no pixel mixes with the background"
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    for found, length in ((columns, width), (rows, height)):
        assert abs(len(found) - 64 * length / side) < 2
        assert abs(found[0] - (63 - found[-1])) <= 1
    assert inside.sum() == len(rows) * len(columns)


@settings(deadline=None, max_examples=25)
@given(st.data(), st.integers(64, 300), st.integers(64, 300))
def test_a_given_box_is_the_smallest_square_around_it_whatever_the_crop(
    data: st.DataObject, width: int, height: int
) -> None:
    left, right = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    crop = data.draw(st.sampled_from(["auto", "center", "none", "pad", "face"]))
    pixels = noise(1, width, height)
    fact, square = made(saved(pixels), Picture(size=64, crop=crop), Cut((left, top, right, bottom)))
    x0, y0, x1, y1 = fact.box
    side = min(max(right - left, bottom - top), width, height)
    assert (x1 - x0, y1 - y0) == pytest.approx((side, side))
    assert (fact.crop, fact.scale) == ("given", pytest.approx(side / 64))
    assert min(x0, y0) >= 0
    assert x1 <= width
    assert y1 <= height
    assert np.array_equal(square, crop_resize(pixels, fact.box, (64, 64), "area"))


def test_a_given_box_that_is_outside_is_a_failure_of_that_row_only() -> None:
    content = saved(noise(0, 100, 80))
    rows = [Row(str(n), content, cut=Cut(box)) for n, box in enumerate([(0, 0, 200, 80), (0, 0, 80, 80)])]
    failure, value = Picture(size=64).load(Runtime())(rows)
    assert isinstance(failure, Failure)
    assert failure.reason == "crop_outside"
    assert isinstance(value, Value)


@pytest.mark.parametrize(("left", "top", "right", "bottom"), [(30, 0, 20, 0), (0, 24, 0, 16), (0, 0, 0, 0)])
def test_bars_are_cut_off_before_the_crop_and_reported(left: int, top: int, right: int, bottom: int) -> None:
    inner = noise(2, 200, 160) // 4 + 150
    framed = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    fact, square = made(saved(framed), Picture(size=64, crop="center", trim=True))
    assert fact.trimmed == (left, top, right, bottom)
    _, plain = made(saved(inner), Picture(size=64, crop="center"))
    assert np.array_equal(square, plain)
    assert fact.box == (left + 20, top, left + 180, top + 160)
    untouched, _ = made(saved(framed), Picture(size=64, crop="center"))
    assert untouched.trimmed == (0, 0, 0, 0)
    padded, square = made(saved(framed), Picture(size=64, crop="pad", trim=True, background="red"))
    assert padded.box[2] - padded.box[0] == 200
    assert not (square == 0).all(axis=2).any(), "nothing of the bars is left"


PARTS = [Cut((100.0 * n, 0.0, 100.0 * n + 100, 100.0), n + 1) for n in range(3)]


def test_parts_of_one_picture_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = []

    def counted(content: bytes, **options: object) -> object:
        count.append(content)
        return decode(content, **options)

    decode = picture_stage.decode
    monkeypatch.setattr(picture_stage, "decode", counted)
    pixels = noise(3, 300, 100)
    content, other = saved(pixels), saved(noise(4, 100, 100))
    rows = [Row(str(n), content, cut=cut) for n, cut in enumerate(PARTS)]
    outcomes = Picture(size=64).load(Runtime())([*rows, Row("other", other), Row("again", content, cut=PARTS[0])])
    assert count == [content, other, content]
    for n, (outcome, cut) in enumerate(zip(outcomes[:3], PARTS, strict=True), start=1):
        assert isinstance(outcome, Value)
        assert (outcome.data["crop"], tuple(outcome.data["box"])) == ("part", cut.box)
        assert f"part {n} of a picture" in outcome.data["why"]
        assert outcome == made_value(saved(pixels), cut), "whatever came before it"
        piece = pixels[:, 100 * (n - 1) : 100 * n]
        assert outcome.data["pixels"] == pixel_digest(piece), "it is compared with others by what it shows itself"


def made_value(content: bytes, cut: Cut | None, stage: Picture | None = None) -> Value:
    (value,) = (stage or Picture(size=64)).load(Runtime())([Row("id", content, cut=cut)])
    assert isinstance(value, Value)
    return value


def test_after_a_picture_that_cannot_be_decoded_the_next_is_its_own(tmp_path: Path) -> None:
    good, bad = saved(noise(5, 100, 100)), b"no picture"
    rows = [Row(str(n), content) for n, content in enumerate([good, bad, bad, good, saved(noise(6, 90, 90)), bad])]
    outcomes = Picture(size=64).load(Runtime())(rows)
    assert [isinstance(outcome, Value) for outcome in outcomes] == [True, False, False, True, True, False]
    assert outcomes[0] == outcomes[3] != outcomes[4]


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(7)), st.integers(1, 7))
def test_squares_are_the_same_whatever_the_order_and_the_size_of_batches(order: list[int], size: int) -> None:
    wide, stage = saved(noise(3, 300, 100), "JPEG"), Picture(size=64)
    rows = [Row(f"part {n}", wide, cut=cut) for n, cut in enumerate(PARTS)]
    rows += [
        Row("wide", wide),
        Row("bad", b"bad"),
        Row("p", saved(noise(4, 80, 90))),
        Row("g", wide, cut=Cut((5, 5, 90, 90))),
    ]
    alone = {row.id: stage.load(Runtime())([row])[0] for row in rows}
    mixed = [rows[n] for n in order]
    batches = [mixed[start : start + size] for start in range(0, len(mixed), size)]
    found = {row.id: out for batch, outs in LocalEngine()(stage, batches) for row, out in zip(batch, outs, strict=True)}
    assert found == alone


def test_lanczos_is_the_exact_lanczos_of_the_crop() -> None:
    pixels = noise(7, 160, 128) // 2 + 60  # Pillow rounds and clips between its two passes
    fact, square = made(saved(pixels), Picture(size=64, crop="center", filter="lanczos"))
    with Image.fromarray(pixels) as image:
        expected = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS, box=fact.box), np.int16)
    assert np.abs(square - expected).max() <= 1
    _, area = made(saved(pixels), Picture(size=64, crop="center"))
    assert np.array_equal(area, cv2.resize(pixels[:, 16:144], (64, 64), interpolation=cv2.INTER_AREA))


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [None, Cut((10, 10, 90, 90)), Cut((0, 0, 100, 100), 1)])
def test_measures_and_looks_are_stored_and_come_back(cut: Cut | None) -> None:
    pixels = noise(8, 130, 100)
    value = made_value(saved(pixels), cut)
    data = json.loads(json.dumps(value.data))
    fact, found = PictureFact.from_json(data), Appearance.stored(json.dumps(data))
    with Image.open(io.BytesIO(value.blobs[CROP])) as picture:
        square = np.asarray(picture)
    assert fact.measures == measure(square, pixels)
    seen = pixels[:, :100] if cut and cut.part else pixels
    assert found == Appearance.of(pixel_digest(seen), fingerprint(seen), describe(square))
    assert np.abs(found.look_D - describe(square)).max() < 1e-3
    assert PictureFact.from_json(fact.to_json()) == fact
    assert Appearance.stored(json.dumps(found.to_json())) == found


@pytest.mark.parametrize("content", [saved(noise(9, 90, 90)), saved(noise(9, 64, 64), "JPEG")])
def test_webp_holds_the_very_pixels_that_png_holds(content: bytes) -> None:
    values = [made_value(content, None, Picture(size=64, format=way)) for way in ("png", "webp-lossless")]
    squares = []
    for value, kind in zip(values, ("PNG", "WEBP"), strict=True):
        with Image.open(io.BytesIO(value.blobs[CROP])) as picture:
            assert picture.format == kind
            squares.append(np.asarray(picture.convert("RGB")))
    assert np.array_equal(*squares)
    assert values[0].data["measures"] == values[1].data["measures"]


SQUARE = noise(10, 64, 64)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COMMENT = PngImagePlugin.PngInfo()
COMMENT.add_text("Comment", "a cat")


@pytest.mark.parametrize(
    ("content", "way"),
    [
        (saved(SQUARE), "png"),
        (saved(SQUARE, optimize=True), "png"),
        (saved(SQUARE, compress_level=0), "png"),
        (saved(SQUARE, pnginfo=COMMENT), "png"),
        (saved(SQUARE, "WEBP", lossless=True), "webp-lossless"),
    ],
)
@pytest.mark.parametrize("crop", ["auto", "none", "pad"])
def test_a_file_that_is_the_square_already_is_kept_byte_for_byte(content: bytes, way: str, crop: str) -> None:
    value = made_value(content, None, Picture(size=64, crop=crop, format=way))
    assert value.blobs[CROP] == content
    assert made_value(content, None, Picture(size=128, format=way)).blobs[CROP] != content
    other = {"png": "webp-lossless", "webp-lossless": "png"}[way]
    assert made_value(content, None, Picture(size=64, format=other)).blobs[CROP] != content
    assert made_value(content, Cut((0, 0, 32, 32)), Picture(size=64, format=way)).blobs[CROP] != content


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


OTHERS = {
    "turned": saved(SQUARE, exif=_exif()),
    "with a profile": saved(SQUARE, icc_profile=SRGB),
    "with a transparent colour": saved(SQUARE, transparency=tuple(SQUARE[0, 0].tolist())),
    "with transparency": saved(SQUARE, mode="RGBA"),
    "a palette": saved(SQUARE, mode="P"),
    "grey": saved(SQUARE, mode="L"),
    "16 bits": cv2.imencode(".png", SQUARE[..., ::-1].astype(np.uint16) * 257)[1].tobytes(),
    "an animation": saved(SQUARE, save_all=True, append_images=[Image.fromarray(SQUARE[::-1].copy())]),
    "a JPEG": saved(SQUARE, "JPEG", quality=100),
    "a BMP": saved(SQUARE, "BMP"),
    "larger": saved(noise(10, 65, 65)),
    "with much behind it": saved(SQUARE) + bytes(40_000),
}


@pytest.mark.parametrize("what", sorted(OTHERS))
def test_any_other_file_is_stored_anew_as_plain_pixels(what: str) -> None:
    value = made_value(OTHERS[what], None, Picture(size=64))
    file = value.blobs[CROP]
    assert file != OTHERS[what]
    with Image.open(io.BytesIO(file)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (64, 64))
        assert not set(picture.info) - {"srgb"}
    if what in ("with a profile", "with transparency", "16 bits", "a BMP", "with much behind it", "an animation"):
        assert np.array_equal(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], SQUARE)
    if what == "turned":
        assert np.array_equal(cv2.imdecode(np.frombuffer(file, np.uint8), 1)[..., ::-1], SQUARE[::-1, ::-1])
