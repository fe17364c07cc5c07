from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from capprep.review.thumbnails import SIDE, SMALL, thumbnail, thumbnails

PREFIX = "data:image/webp;base64,"


def square(path: Path, mode: str = "RGB") -> Path:
    Image.linear_gradient("L").resize((512, 512)).convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_a_thumbnail_is_a_small_webp_picture_of_the_whole_square(tmp_path: Path, mode: str) -> None:
    made = thumbnail(square(tmp_path / "a.png", mode))
    assert made.problem == ""
    picture = Image.open(io.BytesIO(base64.b64decode(made.uri.removeprefix(PREFIX))))
    assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGB", (SIDE, SIDE))
    bright, dark = picture.getpixel((96, 185)), picture.getpixel((96, 6))
    assert isinstance(bright, tuple)
    assert isinstance(dark, tuple)
    assert bright[0] > 200
    assert dark[0] < 50


def test_a_square_may_be_a_webp_file_under_any_name(tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
    picture.save(tmp_path / "digest", "WEBP", lossless=True)
    picture.save(tmp_path / "other", "PNG")
    made = thumbnail(tmp_path / "digest")
    assert made.uri
    assert made == thumbnail(tmp_path / "other")


def test_what_may_be_small_is(tmp_path: Path) -> None:
    paths = {name: square(tmp_path / f"{name}.png") for name in ("large", "small")}
    made = thumbnails(paths, {"small", "another"})
    sides = [Image.open(io.BytesIO(base64.b64decode(one.uri.removeprefix(PREFIX)))).size for one in made.values()]
    assert sides == [(SIDE, SIDE), (SMALL, SMALL)]


def test_a_small_crop_is_not_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    made = thumbnail(tmp_path / "a.png")
    assert Image.open(io.BytesIO(base64.b64decode(made.uri.removeprefix(PREFIX)))).size == (64, 64)


def test_a_missing_file_is_a_problem_in_words(tmp_path: Path) -> None:
    assert thumbnail(tmp_path / "none.png").problem == "its file is missing"


@pytest.mark.parametrize("keep", [0, 4, 20, 60, 300])
def test_a_file_that_is_cut_off_is_a_problem_in_words(tmp_path: Path, keep: int) -> None:
    whole = square(tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:keep])
    made = thumbnail(tmp_path / "a.png")
    assert made.uri == ""
    assert made.problem.startswith("its file cannot be read (")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_damaged_file_is_a_problem_wherever_the_damage_is(tmp_path: Path, kind: str) -> None:
    Image.linear_gradient("L").resize((512, 512)).convert("RGB").save(tmp_path / "a.png", kind, lossless=True)
    whole = (tmp_path / "a.png").read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place : place + 4] = b"\xff\x00\xff\xff"
        (tmp_path / "a.png").write_bytes(damaged)
        made = thumbnail(tmp_path / "a.png")
        assert bool(made.uri) != bool(made.problem)


def test_a_file_that_claims_a_giant_picture_is_a_problem(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert thumbnail(tmp_path / "a.png").problem == "its file cannot be read (DecompressionBombError)"


def test_another_format_under_the_name_is_a_problem(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png", "GIF")
    assert thumbnail(tmp_path / "a.png").problem.startswith("its file cannot be read")


def test_each_crop_gets_its_own_thumbnail(tmp_path: Path) -> None:
    crops = {}
    for place, colour in enumerate(("red", "lime", "blue")):
        crops[colour] = tmp_path / f"{place}.png"
        Image.new("RGB", (512, 512), colour).save(crops[colour])
    made = thumbnails(crops | {"gone": tmp_path / "gone.png"})
    assert list(made) == ["red", "lime", "blue", "gone"]
    for place, colour in enumerate(("red", "lime", "blue")):
        pixel = Image.open(io.BytesIO(base64.b64decode(made[colour].uri.removeprefix(PREFIX)))).getpixel((9, 9))
        assert isinstance(pixel, tuple)
        assert pixel.index(max(pixel)) == place
    assert made["gone"].problem
