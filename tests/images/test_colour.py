"""Pixels of any depth, transparency and colour space come out as 8-bit sRGB."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from capprep.images.decode import decode, header

from .mutations import encoded, texture
from .profiles import encode_srgb, grey, ink, wide, wide_to_srgb

DEEP = np.concatenate([np.arange(0, 65536, 97), [65535, 128, 129, 255, 256, 65406, 65407]]).astype(np.uint16)[:676]


def test_sixteen_bit_grey_is_scaled_and_rounded_not_clipped() -> None:
    values = DEEP.reshape(26, 26)
    expected = np.floor(values / 257 + 0.5)
    plain = b"P5\n26 26\n65535\n" + values.astype(">u2").tobytes()
    big_endian = Image.fromarray(values.astype(">u2"))
    for content in (
        encoded(Image.fromarray(values), "PNG"),
        encoded(Image.fromarray(values), "TIFF"),
        encoded(big_endian, "TIFF"),
        plain,
    ):
        pixels = decode(content).pixels_HWC
        assert np.array_equal(pixels, np.repeat(expected[..., None], 3, axis=-1))


def test_white_that_is_zero_stays_white_in_sixteen_bits() -> None:
    values = DEEP.reshape(26, 26)
    content = bytearray(encoded(Image.fromarray(values), "TIFF"))
    tag = content.index(struct.pack("<HHI", 262, 3, 1))
    struct.pack_into("<H", content, tag + 8, 0)
    assert np.array_equal(decode(bytes(content)).pixels_HWC[..., 0], 255 - np.floor(values / 257 + 0.5))


@pytest.mark.parametrize("container", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_is_scaled_and_rounded(container: str, channels: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 65536, (24, 31, channels), dtype=np.uint16)
    values[0, :7, :3] = np.array([0, 128, 129, 255, 256, 65406, 65407])[:, None]
    if channels == 4:
        values[..., 3] = 65535
    done, file = cv2.imencode(container, values)
    assert done
    expected = np.floor(values[..., 2::-1] / 257 + 0.5)
    assert np.array_equal(decode(file.tobytes()).pixels_HWC, expected)


def test_transparency_counts_in_sixteen_bits_too() -> None:
    values = np.full((4, 4, 4), 65535, dtype=np.uint16)
    values[:2] = (65535, 0, 65535, 0)
    file = cv2.imencode(".png", values)[1].tobytes()
    assert (decode(file, background="#102030").pixels_HWC[:2] == (16, 32, 48)).all()
    grey_HW = np.array([[1000, 1001], [1000, 40000]], dtype=np.uint16)
    content = encoded(Image.fromarray(grey_HW), "PNG", transparency=1000)
    assert decode(content, background="#102030").pixels_HWC.tolist() == [
        [[16, 32, 48], [4, 4, 4]],
        [[16, 32, 48], [156, 156, 156]],
    ]


def test_the_transparent_colour_of_sixteen_bits_is_compared_in_all_of_them() -> None:
    values = np.array([[[1000, 2000, 3000], [1001, 2000, 3000]]], dtype=np.uint16)
    body = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
    key = struct.pack(">HHH", 1000, 2000, 3000)
    chunk = struct.pack(">I", 6) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
    at = body.index(b"IDAT") - 4
    decoded = decode(body[:at] + chunk + body[at:], background="#102030")
    assert decoded.pixels_HWC.tolist() == [[[16, 32, 48], [4, 8, 12]]]
    assert decoded.alpha == 0.5


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_of_eight_bits_and_fewer_becomes_rgb(mode: str) -> None:
    picture = Image.new("RGB", (16, 16), "white")
    picture.paste((0, 0, 0), (4, 4, 12, 12))
    if mode == "LAB":
        content = encoded(Image.merge("LAB", [picture.convert("L"), *[Image.new("L", (16, 16), 128)] * 2]), "TIFF")
    else:
        content = encoded(picture.convert(mode), "PNG" if mode in ("1", "L", "P", "LA", "RGBA") else "TIFF")
    decoded = decode(content)
    assert decoded.mode == mode
    assert np.abs(decoded.pixels_HWC.astype(int) - np.asarray(picture)).max() <= 3


def test_half_transparent_pixels_mix_with_the_background() -> None:
    rng = np.random.default_rng(2)
    rgba = rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)
    decoded = decode(encoded(Image.fromarray(rgba), "PNG"), background="#4080c0")
    alpha = rgba[..., 3:] / 255.0
    expected = rgba[..., :3] * alpha + np.array([0x40, 0x80, 0xC0]) * (1 - alpha)
    assert np.abs(decoded.pixels_HWC - expected).max() <= 0.51
    assert abs(decoded.alpha - (1 - alpha.mean())) < 1e-9


def _hidden(kind: str) -> bytes:
    """Black with a magenta that nobody may see."""
    rgba = np.zeros((64, 64, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    rgba[::2, ::2] = (255, 0, 255, 0)
    picture = Image.fromarray(rgba)
    if kind == "RGBA":
        return encoded(picture, "PNG")
    if kind == "WEBP":
        return encoded(picture, "WEBP", lossless=True, exact=True)
    if kind in ("PNG-P", "GIF"):
        flat = picture.convert("RGB").quantize(2)
        return encoded(flat, kind[:3], transparency=flat.getpixel((0, 0)))
    if kind == "LA":
        return encoded(picture.convert("LA"), "PNG")
    if kind == "RGB-tRNS":
        return encoded(picture.convert("RGB"), "PNG", transparency=(255, 0, 255))
    return encoded(picture.getchannel("R").convert(kind[0]), "PNG", transparency=255)


@pytest.mark.parametrize("kind", ["RGBA", "WEBP", "LA", "PNG-P", "GIF", "RGB-tRNS", "L-tRNS", "1-tRNS"])
def test_a_hidden_colour_never_shows_before_or_after_resizing(kind: str) -> None:
    decoded = decode(_hidden(kind), background="#00ff00")
    pixels = decoded.pixels_HWC
    assert (pixels[::2, ::2] == (0, 255, 0)).all()
    assert (pixels[1::2] == 0).all()
    assert decoded.alpha == 0.25
    small = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA)
    assert (np.abs(small.astype(int) - (0, 64, 0)) <= 1).all()


@pytest.mark.parametrize("container", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_wide_profile_is_converted_to_srgb(container: str) -> None:
    # colours that sRGB can show
    rng = np.random.default_rng(3)
    levels = np.repeat(np.repeat(rng.integers(90, 190, (4, 4, 3), dtype=np.uint8), 16, axis=0), 16, axis=1)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(container, {})
    content = encoded(Image.fromarray(levels), container, icc_profile=wide(), **options)
    decoded = decode(content)
    off = np.abs(decoded.pixels_HWC - wide_to_srgb(levels.astype(np.float64)))
    assert off.max() <= (4 if container == "JPEG" else 1.5)
    assert np.abs(decoded.pixels_HWC.astype(int) - levels).max() > 10
    assert decoded.icc == header(content).icc == "Wide"


def test_a_grey_profile_and_transparency_go_together() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.merge("LA", (Image.fromarray(levels), Image.new("L", (16, 16), 255)))
    picture.putpixel((15, 15), (255, 0))
    decoded = decode(encoded(picture, "PNG", icc_profile=grey(1.8)), background="#102030")
    expected = encode_srgb((levels / 255.0) ** (461 / 256))
    assert np.abs(decoded.pixels_HWC[:15, :, 0] - expected[:15]).max() <= 1.0
    assert decoded.pixels_HWC[15, 15].tolist() == [16, 32, 48]


def test_a_cmyk_picture_is_what_its_profile_says() -> None:
    inks = Image.new("CMYK", (16, 16), (128, 30, 10, 60))
    # half of L* is 18.4 % of white's light, level 119
    decoded = decode(encoded(inks, "JPEG", icc_profile=ink(), quality=95))
    assert np.abs(decoded.pixels_HWC.astype(int) - 119).max() <= 3
    assert (decoded.icc, decoded.notes) == ("Ink", ())
    naive = decode(encoded(inks, "JPEG", quality=95))
    assert "CMYK" in " ".join(naive.notes)
    assert np.abs(naive.pixels_HWC.astype(float) - [97, 172, 187]).max() <= 6


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode(encoded(texture(), "PNG", icc_profile=srgb))
    assert np.array_equal(decoded.pixels_HWC, np.asarray(texture()))
    assert decoded.icc


@pytest.mark.parametrize(("profile", "words"), [(b"nonsense", "damaged"), (wide()[:300], "damaged"), (ink(), "CMYK")])
def test_a_profile_that_cannot_be_used_is_ignored_with_a_note(profile: bytes, words: str) -> None:
    decoded = decode(encoded(texture(), "PNG", icc_profile=profile))
    assert np.array_equal(decoded.pixels_HWC, np.asarray(texture()))
    assert words in " ".join(decoded.notes)
    assert decoded.icc == ""
