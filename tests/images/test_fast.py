"""Faster decoders: the pixels are Pillow's, and whatever is not plain or not whole is left to it."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from capprep.images.decode import decode
from capprep.images.fast import jpeg_pixels, png_pixels, webp_pixels
from capprep.images.opening import opened

from .mutations import encoded, texture


@pytest.mark.parametrize(
    ("reduction", "subsampling", "size"),
    list(itertools.product((1, 2, 4, 8), (0, 1, 2), ((61, 47), (64, 128), (9, 8)))),
)
def test_a_jpegs_pixels_are_pillows(reduction: int, subsampling: int, size: tuple[int, int]) -> None:
    for progressive in (False, True):
        content = encoded(texture(*size), "JPEG", quality=85, subsampling=subsampling, progressive=progressive)
        with opened(content) as image:
            found = jpeg_pixels(image, content, reduction)
        with Image.open(io.BytesIO(content)) as image:
            image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))
            assert found is not None
            np.testing.assert_array_equal(found, np.asarray(image))


def test_the_orientation_is_not_applied_by_the_decoder() -> None:
    exif = Image.Exif()
    exif[274] = 6
    content = encoded(texture(), "JPEG", exif=exif)
    with opened(content) as image:
        found = jpeg_pixels(image, content, 1)
        assert found is not None
        np.testing.assert_array_equal(found, np.asarray(image))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("compress_level", [0, 1, 9])
def test_a_pngs_pixels_are_pillows(mode: str, compress_level: int) -> None:
    picture = texture().convert(mode)
    if mode == "RGBA":
        picture.putalpha(texture(seed=1).convert("L"))
    content = encoded(picture, "PNG", compress_level=compress_level)
    with opened(content) as image:
        found = png_pixels(image, content)
        assert found is not None
        np.testing.assert_array_equal(found, np.asarray(image))


@pytest.mark.parametrize("options", [{"quality": 70}, {"quality": 95, "method": 0}, {"lossless": True}], ids=str)
def test_a_webps_pixels_are_pillows(options: dict[str, object]) -> None:
    content = encoded(texture(), "WEBP", **options)
    with opened(content) as image:
        found = webp_pixels(image, content)
        assert found is not None
        np.testing.assert_array_equal(found, np.asarray(image))
    for other in (texture().convert("RGBA"), None):
        content = encoded(other or texture(), "WEBP", [] if other else [texture(seed=4)])
        with opened(content) as image:
            assert (webp_pixels(image, content) is None) == (image.mode == "RGBA" or other is None)


def test_a_large_webp_is_averaged_as_any_other_large_picture() -> None:
    small = np.asarray(texture(63, 50))
    large = np.repeat(np.repeat(small, 80, axis=0), 80, axis=1)
    decoded = decode(encoded(Image.fromarray(large), "WEBP", lossless=True, quality=0, method=0), short_side=64)
    assert decoded.reduction == 8
    np.testing.assert_array_equal(decoded.pixels_HWC[4::10, 4::10], small)


def test_what_is_not_plain_is_left_to_pillow() -> None:
    grey, colour = texture().convert("L"), texture()
    for picture in (grey, grey.convert("LA"), colour.quantize(16), colour.convert("1")):
        content = encoded(picture, "PNG")
        with opened(content) as image:
            assert png_pixels(image, content) is None
    for options in ({"transparency": (1, 2, 3)}, {"save_all": True, "append_images": [texture(seed=2)]}):
        content = encoded(colour, "PNG", **options)
        with opened(content) as image:
            assert png_pixels(image, content) is None
    for picture in (grey, colour.convert("CMYK")):
        content = encoded(picture, "JPEG")
        with opened(content) as image:
            assert jpeg_pixels(image, content, 1) is None


def test_a_file_that_ends_early_is_left_to_pillow_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    for container in ("PNG", "JPEG"):
        content = encoded(texture(200, 200), container)
        for length in (len(content) // 2, len(content) - 40):
            cut = content[:length]
            with Image.open(io.BytesIO(cut)) as image:
                if container == "PNG":
                    assert png_pixels(image, cut) is None
                else:
                    jpeg_pixels(image, cut, 1)  # what is missing is looked for by others
    assert capfd.readouterr() == ("", "")
