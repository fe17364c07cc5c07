"""Files that end before their picture does, and files that only look like it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from capprep.images.decode import decode

from .mutations import encoded, reason, seeds, strictly, texture


@pytest.mark.parametrize("name", ["JPEG", "JPEG-progressive", "JPEG-grey", "JPEG-cmyk", "JPEG-restarts"])
def test_a_jpeg_cut_anywhere_is_truncated(name: str) -> None:
    content = seeds()[name]
    for end in range(len(content) // 3, len(content), 37):
        assert reason(content[:end], short_side=4) == "truncated"
    # without its end mark a file is not whole, though its pixels may all be there
    assert reason(content[:-2]) == reason(content[:-2] + bytes(50)) == "truncated"


@pytest.mark.parametrize("name", ["JPEG", "JPEG-progressive", "JPEG-grey", "JPEG-cmyk", "JPEG-restarts"])
def test_a_jpeg_whose_data_ends_before_the_end_mark_is_truncated(name: str) -> None:
    content = seeds()[name]
    start = content.index(b"\xff\xda")
    for share in (0.2, 0.3, 0.5) if name == "JPEG-progressive" else (0.1, 0.5, 0.8):
        cut = content[: start + 20 + int(share * (len(content) - start - 20))].rstrip(b"\xff") + b"\xff\xd9"
        assert strictly(cut) is not None  # decoders fill the rest with grey and say nothing
        assert reason(cut) == reason(cut, short_side=4) == "truncated"


def test_what_follows_the_end_mark_of_a_jpeg_is_no_matter() -> None:
    content = seeds()["JPEG"]
    plain = decode(content).pixels_HWC
    assert np.array_equal(decode(content + b"\0\xff\xd8" * 400).pixels_HWC, plain)
    second_cut = seeds()["MPO"][:-40]
    assert decode(second_cut).format == "MPO"


def test_a_corner_that_is_grey_in_truth_is_no_damage() -> None:
    picture = np.asarray(texture(64, 64)).copy()
    picture[32:] = 128
    for options in ({}, {"progressive": True}):
        decoded = decode(encoded(Image.fromarray(picture), "JPEG", **options))
        assert (np.abs(decoded.pixels_HWC[-8:].astype(int) - 128) <= 2).all()
        assert "flat grey" in " ".join(decoded.notes)
    assert decode(encoded(texture(64, 64), "JPEG")).notes == ()
    assert decode(encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG")).notes == ()


@pytest.mark.parametrize("name", sorted(name for name in seeds() if not name.startswith(("JPEG", "PGM"))))
def test_half_a_file_never_gives_a_picture(name: str) -> None:
    content = seeds()[name]
    if name == "MPO":  # half of it holds the first picture whole
        content = content[: len(content) // 3]
    assert reason(content[: len(content) // 2]) in ("truncated", "corrupt")


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "BMP", "PPM", "AVIF"])
def test_half_a_file_is_called_truncated(name: str) -> None:
    content = seeds()[name]
    assert reason(content[: len(content) // 2]) == "truncated"


def test_a_png_with_a_wrong_checksum_is_corrupt() -> None:
    content = bytearray(seeds()["PNG"])
    content[-20] ^= 1  # in the checksum of the pixels, which decode all the same
    assert reason(bytes(content)) == "corrupt"


def test_an_empty_file_is_called_empty() -> None:
    assert reason(b"") == "empty"
