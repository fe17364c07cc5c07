from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from capprep.images import Pixels, png
from capprep.images.decode import Unusable, decode

KINDS = [*((mode, 8) for mode in ("1", "L", "LA", "RGB", "RGBA", "I;16")), *(("P", bits) for bits in (1, 2, 4, 8))]
FILTERS = [
    cv2.IMWRITE_PNG_FILTER_NONE,
    cv2.IMWRITE_PNG_FILTER_SUB,
    cv2.IMWRITE_PNG_FILTER_UP,
    cv2.IMWRITE_PNG_FILTER_AVG,
    cv2.IMWRITE_PNG_FILTER_PAETH,
    cv2.IMWRITE_PNG_ALL_FILTERS,
]
LARGE = (4160, 3904)  # pixels: over the size from which pictures are decoded in bands, in rows that no band divides


def smooth(width: int, height: int, seed: int, channels: int = 3) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), channels), dtype=np.uint8)
    large = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
    return np.bitwise_xor(np.asarray(large, dtype=np.uint8), rng.integers(0, 4, large.shape, dtype=np.uint8))


def saved(mode: str, bits: int, width: int, height: int, seed: int) -> bytes:
    pixels = smooth(width, height, seed, 4)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + pixels[..., 1])
    elif mode == "P":
        picture = Image.fromarray(pixels[..., 0] & 2**bits - 1, "L")
        picture.putpalette(np.random.default_rng(seed).integers(0, 256, 3 * 2**bits, dtype=np.uint8).tobytes())
        picture.info["transparency"] = bytes((0, 128))
    else:
        picture = Image.fromarray(pixels).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", bits=bits, compress_level=1, transparency=picture.info.get("transparency"))
    return buffer.getvalue()


def opened(content: bytes) -> PngImageFile:
    image = Image.open(io.BytesIO(content))
    assert isinstance(image, PngImageFile)
    return image


def in_bands(content: bytes, rows: int) -> Iterator[tuple[int, Image.Image, Image.Image | None]]:
    with opened(content) as image:
        assert png.splits(image, content)
        top = 0
        for band, low in png.bands(image, content, rows):
            yield top, band, low
            top += band.height
        assert top == image.height


def chunks(content: bytes, changed: bytes) -> bytes:
    """A PNG with other image data, its sums right."""
    start, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    middle = struct.pack(">I", len(changed)) + b"IDAT" + changed + struct.pack(">I", zlib.crc32(b"IDAT" + changed))
    return content[:start] + middle + content[end:]


def inflated(content: bytes) -> bytes:
    start, end = content.index(b"IDAT"), content.index(b"IEND")
    assert content.count(b"IDAT") == 1
    return zlib.decompress(content[start + 4 : end - 8])


@pytest.mark.parametrize(("mode", "bits"), KINDS)
@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), rows=st.integers(1, 45), seed=st.integers(0, 99))
def test_bands_of_any_height_are_the_rows_that_pillow_loads(
    mode: str, bits: int, width: int, height: int, rows: int, seed: int
) -> None:
    content = saved(mode, bits, width, height, seed)
    with opened(content) as whole:
        for top, band, low in in_bands(content, rows):
            expected = whole.crop((0, top, width, min(top + rows, height)))
            assert low is None
            assert (band.mode, band.size) == (expected.mode, expected.size)
            assert band.has_transparency_data == expected.has_transparency_data
            ours, theirs = (each if mode == "I;16" else each.convert("RGBA") for each in (band, expected))
            assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_filter_is_undone_whatever_lies_in_a_pixel(filter_: int, depth: type, channels: int) -> None:
    stored = np.random.default_rng(filter_).integers(0, np.iinfo(depth).max, (37, 23, channels), dtype=depth)
    done, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_FILTER, filter_])
    assert done
    for top, band, low in in_bands(encoded.tobytes(), 5):
        expected = stored[top : top + 5]
        pixels = np.asarray(band).reshape(expected.shape).astype(int)
        if channels > 1 and depth is np.uint16:
            assert low is not None
            pixels = pixels * 256 + np.asarray(low)
        if channels > 1:
            pixels = pixels[..., [2, 1, 0, 3][:channels]]  # OpenCV's order
        assert np.array_equal(pixels, expected)


def test_an_interlaced_or_animated_picture_is_not_split() -> None:
    content = saved("RGB", 8, 16, 16, 0)
    interlaced = bytearray(content)
    interlaced[28] = 1
    interlaced[29:33] = struct.pack(">I", zlib.crc32(interlaced[12:29]))
    buffer = io.BytesIO()
    frames = [Image.fromarray(smooth(16, 16, seed)) for seed in (1, 2)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    for other in (bytes(interlaced), buffer.getvalue()):
        with opened(other) as image:
            assert not png.splits(image, other)


def test_image_data_that_end_early_or_make_no_sense_give_no_picture() -> None:
    content = saved("RGB", 8, 60, 60, 3)
    raw = inflated(content)
    unknown = bytearray(raw)
    unknown[30 * 181] = 5
    sound = zlib.compress(raw)
    wrong_sum = sound[:-1] + bytes((sound[-1] ^ 1,))
    for damaged in (zlib.compress(raw[:-1]), sound[:200], zlib.compress(bytes(unknown)), wrong_sum, b"\0" * 50, b""):
        with pytest.raises((OSError, zlib.error)):
            list(in_bands(chunks(content, damaged), 7))
    assert len(list(in_bands(chunks(content, sound), 7))) == 9


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_large_picture_is_the_same_as_its_twin_that_cannot_be_split(mode: str) -> None:
    content = saved(mode, 8, *LARGE, 5)
    buffer = io.BytesIO()
    with opened(content) as image:
        image.save(buffer, "BMP") if mode == "RGB" else image.convert("RGBA").save(buffer, "TIFF")
    ours, twin = (decode(each, background="red", short_side=512) for each in (content, buffer.getvalue()))
    assert (ours.reduction, ours.width, ours.height) == (2, *LARGE)
    assert np.array_equal(ours.pixels_HWC, twin.pixels_HWC)
    assert ours.alpha == pytest.approx(twin.alpha)


def test_a_large_picture_of_16_bits_is_rounded_as_a_small_one() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (2050, 2100, 3), dtype=np.uint16)
    done, encoded = cv2.imencode(".png", deep, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    decoded = decode(encoded.tobytes())
    assert np.abs(decoded.pixels_HWC - deep[..., ::-1] / 257).max() <= 0.501


def test_a_large_picture_without_its_last_rows_is_refused() -> None:
    content = saved("L", 8, *LARGE, 0)
    raw = zlib.decompress(
        b"".join(content[m + 4 : m + 4 + struct.unpack_from(">I", content, m - 4)[0]] for m in idats(content))
    )
    for kept in (len(raw) - 1, len(raw) // 2):
        with pytest.raises(Unusable, match="ends before") as caught:
            decode(chunks(content, zlib.compress(raw[:kept], 1)), short_side=512)
        assert caught.value.reason == "truncated"


def idats(content: bytes) -> Iterator[int]:
    at = 8
    while at < len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if name == b"IDAT":
            yield at + 4
        at += 12 + size
