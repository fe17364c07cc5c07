"""Picture files in, upright RGB or a reason out."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from capprep import image
from capprep.errors import DatasetError


def encoded(picture: Image.Image, container: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, container, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x * 4, y * 5, (x + y) * 2], axis=-1).astype(np.uint8))


def reason(content: bytes) -> str:
    with pytest.raises(image.Unusable) as caught:
        image.decode(content, "white")
    assert caught.value.message
    return caught.value.reason


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_seen_upright(orientation: int) -> None:
    # where the upright picture's pixel (x, y) is stored, straight from the EXIF table's wording
    # (row 0 is ..., column 0 is ...), independent of Pillow's transposes
    upright = np.asarray(gradient())
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    decoded = image.decode(encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif), "white")
    assert np.array_equal(np.asarray(decoded.pixels), upright)
    assert decoded.orientation == orientation


def test_an_orientation_that_does_not_exist_counts_as_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    assert image.decode(encoded(gradient(), exif=exif), "white").orientation == 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_the_background_and_never_the_hidden_colour(mode: str) -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 255, 0))
    if mode == "P":
        content = encoded(picture.convert("P"), transparency=picture.convert("P").getpixel((0, 0)))
    else:
        content = encoded(picture.convert(mode))
    pixels = np.asarray(image.decode(content, "#102030").pixels)
    assert (pixels == [0x10, 0x20, 0x30]).all()


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    decoded = image.decode(encoded(Image.fromarray(grey)), "white")
    assert np.abs(np.asarray(decoded.pixels)[..., 0] - grey / 257).max() <= 0.5


@pytest.mark.parametrize(
    ("container", "mode"), [("JPEG", "CMYK"), ("PNG", "1"), ("PNG", "L"), ("GIF", "P"), ("WEBP", "RGB")]
)
def test_every_common_mode_becomes_rgb(container: str, mode: str) -> None:
    decoded = image.decode(encoded(gradient().convert(mode), container), "white")
    assert (decoded.pixels.mode, decoded.pixels.size) == ("RGB", (40, 30))
    assert decoded.format == container


def test_the_content_decides_what_a_file_is_and_animations_give_their_first_frame() -> None:
    frames = [gradient().convert("P"), Image.new("P", (40, 30))]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert image.decode(content, "white").frames == 2


def test_reasons_are_stable_codes() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    jpeg, png = encoded(noise, "JPEG"), encoded(noise)
    assert reason(b"") == "empty"
    assert reason(b"<html>not found</html>") == "not_image"
    assert reason(jpeg[: len(jpeg) // 2]) == "truncated"
    assert reason(png[: len(png) // 2]) == "truncated"
    damaged = bytearray(png)
    damaged[60:90] = bytes(30)
    assert reason(bytes(damaged)) in ("corrupt", "truncated")
    assert reason(encoded(Image.new("1", (20000, 20000)))) == "too_large"
    assert reason(encoded(Image.new("1", (11000, 10000)))) == "too_large"
    assert reason(encoded(Image.new("L", (1, 4000)))) == "aspect"
    assert reason(encoded(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF")) == "unsupported_depth"


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(container: str, data: st.DataObject) -> None:
    content = bytearray(encoded(gradient(), container))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(image.Unusable):
        assert image.decode(bytes(content), "white").pixels.mode == "RGB"


def test_a_crop_is_the_exact_region_at_the_exact_size(tmp_path: Path) -> None:
    picture = gradient(64, 48)
    path = tmp_path / "crop"
    path.write_bytes(image.crop_png(picture, (8.0, 0.0, 56.0, 48.0), 48))
    assert np.array_equal(image.open_square(path), np.asarray(picture)[:, 8:56])
    # half a pixel of offset is kept: no rounding to whole pixels (the ramp's own step is 4)
    path.write_bytes(image.crop_png(picture, (8.5, 0.0, 56.5, 48.0), 48))
    shift = image.open_square(path)[:, 4:-4, 0].astype(float) - np.asarray(picture)[:, 12:52, 0]
    assert np.abs(shift.mean() - 2) < 0.2


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    for name, expected in [
        ("pipe.png", "unreadable"),
        ("folder.png", "unreadable"),
        ("gone.png", "unreadable"),
        ("empty.png", "empty"),
    ]:
        with pytest.raises(image.Unusable) as caught:
            image.read(tmp_path / name)
        assert caught.value.reason == expected


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_FILE_BYTES", 3)
    (tmp_path / "a.png").write_bytes(b"1234")
    with pytest.raises(image.Unusable, match="limit"):
        image.read(tmp_path / "a.png")


def test_folders_are_searched_to_the_bottom_for_picture_suffixes_in_any_case(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "deep/er/c.webp", "notes.txt", ".hidden.png", ".git/x.png", "skip/y.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = image.scan([tmp_path], skip=[tmp_path / "skip"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.png", "b.JPG", "deep/er/c.webp"]
    assert image.scan([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]
    with pytest.raises(DatasetError, match="does not exist"):
        image.scan([tmp_path / "nowhere"])


def test_our_own_folders_are_never_searched_however_they_are_named(tmp_path: Path) -> None:
    for name in ("raw/a.png", "dataset/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (tmp_path, tmp_path / "raw" / "..", tmp_path / "link"):
        assert image.scan([place], skip=[tmp_path / "dataset"]) == [tmp_path / "raw" / "a.png"]
    with pytest.raises(DatasetError, match="keeps its own work"):
        image.scan([tmp_path / "link" / "dataset"], skip=[tmp_path / "dataset"])


def test_postscript_reaches_no_interpreter() -> None:
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n") == "not_image"
