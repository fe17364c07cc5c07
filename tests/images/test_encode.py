"""Squares as files: exact in every format, and the source itself where every reader sees the same in it."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from capprep.facts import SUFFIXES
from capprep.images.encode import ENCODERS, encode, is_finished

Pixels = NDArray[np.uint8]


def noise(side: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def saved(pixels: Pixels, kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def with_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return png[:33] + chunk + png[33:]


def text_chunks(keyword: str, value: str, kind: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        info.add_itxt(keyword, value)
    else:
        info.add_text(keyword, value, zip=kind == "zTXt")
    return info


def test_every_way_has_a_suffix_and_an_encoder() -> None:
    assert set(ENCODERS) == set(SUFFIXES)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(ENCODERS)), st.integers(1, 40), st.integers(0, 5), st.integers(0, 99))
def test_a_square_comes_back_to_the_pixel_for_any_reader(way: str, side: int, shades: int, seed: int) -> None:
    pixels_HWC = noise(side, seed) if shades == 0 else noise(side, seed) // (1 << shades) << shades
    file = encode(pixels_HWC, way)
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), pixels_HWC)
    assert np.array_equal(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], pixels_HWC)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(ENCODERS)), st.integers(8, 40), st.integers(0, 99))
def test_what_was_encoded_is_finished_in_its_own_way_only(way: str, side: int, seed: int) -> None:
    file = encode(noise(side, seed), way)
    assert [other for other in ENCODERS if is_finished(file, other, side)] == [way]
    assert not is_finished(file, "png", side + 8)


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}, {"dpi": (72, 72)}])
def test_a_plain_picture_of_another_program_is_finished(options: dict[str, object]) -> None:
    assert is_finished(saved(noise(64), **options), "png", 64)


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_words_that_say_nothing_of_the_pixels_are_no_hindrance(kind: str) -> None:
    assert is_finished(saved(noise(64), pnginfo=text_chunks("Comment", "a cat", kind)), "png", 64)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = Image.Exif()
EXIF[0x0112] = 6
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
PALETTE = noise(64) // 64 * 64

NOT_FINISHED = {
    "a smaller one": saved(noise(56)),
    "one that is not square": saved(np.ascontiguousarray(noise(64)[:56])),
    "a palette": saved(PALETTE, mode="P"),
    "grey": saved(noise(64), mode="L"),
    "with transparency": saved(noise(64), mode="RGBA"),
    "with a colour that is transparent": saved(noise(64), transparency=(1, 2, 3)),
    "16 bits": cv2.imencode(".png", noise(64).astype(np.uint16) * 257)[1].tobytes(),
    "with a profile": saved(noise(64), icc_profile=SRGB),
    "turned by EXIF": saved(noise(64), exif=EXIF),
    "turned by EXIF as text": saved(noise(64), pnginfo=text_chunks("Raw profile type exif", "\nexif\n 8\n00", "zTXt")),
    "turned by XMP": saved(noise(64), pnginfo=text_chunks("XML:com.adobe.xmp", XMP, "iTXt")),
    "with gamma": with_chunk(saved(noise(64)), b"gAMA", struct.pack(">I", 100_000)),
    "with chromaticities": with_chunk(saved(noise(64)), b"cHRM", struct.pack(">8I", *[30_000] * 8)),
    "with coding-independent code points": with_chunk(saved(noise(64)), b"cICP", bytes((9, 16, 0, 1))),
    "an animation": saved(noise(64), save_all=True, append_images=[Image.fromarray(noise(64, 1))]),
    "a JPEG": saved(noise(64), "JPEG"),
    "a GIF": saved(noise(64), "GIF"),
    "a BMP": saved(noise(64), "BMP"),
    "with as much again behind it": saved(noise(64)) + bytes(3 * 64 * 64 + 8192),
    "nothing": b"",
    "only a header": saved(noise(64))[:26],
}


@pytest.mark.parametrize("what", sorted(NOT_FINISHED))
def test_what_readers_may_see_differently_is_made_anew(what: str) -> None:
    assert not is_finished(NOT_FINISHED[what], "png", 64)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"lossless": False}, "RGB"),
        ({"lossless": True, "icc_profile": SRGB}, "RGB"),
        ({"lossless": True, "exif": EXIF.tobytes()}, "RGB"),
        ({"lossless": True, "xmp": XMP.encode()}, "RGB"),
        ({"lossless": True, "exact": True}, "RGBA"),
        ({"lossless": True, "save_all": True, "append_images": [Image.fromarray(noise(64, 1))]}, "RGB"),
    ],
)
def test_a_webp_that_is_more_than_plain_pixels_is_made_anew(options: dict[str, object], mode: str) -> None:
    pixels = noise(64)
    if mode == "RGBA":
        pixels = np.dstack([pixels, np.where(np.arange(64) < 30, 0, 255).astype(np.uint8)[None].repeat(64, 0)])
    assert not is_finished(saved(pixels, "WEBP", mode, **options), "webp-lossless", 64)
    plain = saved(noise(64), "WEBP", lossless=True)
    assert is_finished(plain, "webp-lossless", 64)
    assert not is_finished(plain + b"EXIF\4\0\0\0abcd", "webp-lossless", 64)


def test_what_is_finished_looks_the_same_to_readers_that_look_for_more() -> None:
    """Also to one that turns pictures by whatever metadata say."""
    kept = [content for content in NOT_FINISHED.values() if is_finished(content, "png", 64)]
    for content in (*kept, saved(noise(64)), saved(noise(64), pnginfo=text_chunks("Author", "a", "tEXt"))):
        with Image.open(io.BytesIO(content)) as picture:
            assert np.array_equal(np.asarray(ImageOps.exif_transpose(picture)), noise(64))
    with Image.open(io.BytesIO(NOT_FINISHED["turned by XMP"])) as picture:
        assert not np.array_equal(np.asarray(ImageOps.exif_transpose(picture)), noise(64)), "such readers do exist"


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=120), st.integers(0, 60))
def test_no_bytes_break_the_question(way: str, tail: bytes, kept: int) -> None:
    for start in (saved(noise(16)), encode(noise(16), "webp-lossless")):
        assert is_finished(start[:kept] + tail, way, 16) in (True, False)
