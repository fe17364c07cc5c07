"""Damaged picture files without end: byte flips, cuts and header edits over every container, from one seed."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from capprep.images.decode import Unusable, decode


@dataclass(frozen=True)
class Mutant:
    """One damaged file.

    Attributes:
        name: Which seed file, which damage and its number: "JPEG-progressive/cut/17".
        content: Its bytes.
    """

    name: str
    content: bytes


def encoded(picture: Image.Image, container: str, frames: Sequence[Image.Image] = (), **options: object) -> bytes:
    """A picture, and more frames or pages after it, as a file's bytes."""
    buffer = io.BytesIO()
    # copies, because saving leaves its settings on a picture, and the next container trips over them
    more = {"save_all": True, "append_images": [frame.copy() for frame in frames]} if frames else {}
    picture.copy().save(buffer, container, **options, **more)
    return buffer.getvalue()


def texture(width: int = 61, height: int = 47, seed: int = 0) -> Image.Image:
    """Smooth colours with noise, so that every decoder has something to do; no side divides by 8."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    smooth = np.stack([x * 3, y * 4, 128 + 100 * np.sin((x + y) / 9)], axis=-1)
    noisy = smooth + np.random.default_rng(seed).normal(0, 12, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def seeds() -> dict[str, bytes]:
    """Whole files to damage, by name: each container, and the variants that take another way through a decoder."""
    rgb = texture()
    rgba = rgb.convert("RGBA")
    rgba.putalpha(rgb.convert("L"))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    frames = [texture(seed=number) for number in (1, 2)]
    deep = np.asarray(rgb.convert("L")).astype(np.uint16) * 257
    files = {
        "JPEG": encoded(rgb, "JPEG", quality=90, exif=exif),
        "JPEG-progressive": encoded(rgb, "JPEG", progressive=True, subsampling=0),
        "JPEG-grey": encoded(rgb.convert("L"), "JPEG"),
        "JPEG-cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "JPEG-restarts": encoded(rgb, "JPEG", restart_marker_blocks=2),
        "MPO": encoded(rgb, "MPO", frames),
        "PNG": encoded(rgb, "PNG"),
        "PNG-alpha": encoded(rgba, "PNG", exif=exif),
        "PNG-palette": encoded(rgb.quantize(16), "PNG", transparency=3),
        "PNG-grey16": encoded(Image.fromarray(deep), "PNG"),
        "PNG-animated": encoded(rgb, "PNG", frames),
        "WEBP": encoded(rgb, "WEBP", exif=exif),
        "WEBP-lossless": encoded(rgba, "WEBP", lossless=True),
        "WEBP-animated": encoded(rgb, "WEBP", frames),
        "AVIF": encoded(rgb, "AVIF", speed=10),
        "GIF": encoded(rgb.quantize(32), "GIF"),
        "GIF-animated": encoded(rgb.quantize(32), "GIF", [frame.quantize(8) for frame in frames]),
        "BMP": encoded(rgb, "BMP"),
        "BMP-palette": encoded(rgb.quantize(16), "BMP"),
        "PPM": encoded(rgb, "PPM"),
        "PGM-plain": b"P2\n3 2\n255\n1 2 3\n4 5 6\n",
    }
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files[f"TIFF-{compression}"] = encoded(rgb, "TIFF", compression=compression)
    files["TIFF-pages"] = encoded(rgb, "TIFF", frames)
    return files


def _flip(random_: random.Random, content: bytearray) -> None:
    """A few bits anywhere."""
    for _ in range(random_.randint(1, 6)):
        content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)


def _overwrite(random_: random.Random, content: bytearray) -> None:
    """A run of bytes by zeros, ones or noise."""
    at, size = random_.randrange(len(content)), random_.randint(1, 40)
    run = random_.choice((bytes(size), b"\xff" * size, random_.randbytes(size)))
    content[at : at + size] = run[: len(content) - at]


def _cut(random_: random.Random, content: bytearray) -> None:
    """The end missing."""
    del content[random_.randrange(len(content)) :]


def _lose(random_: random.Random, content: bytearray) -> None:
    """A piece missing from the middle."""
    at = random_.randrange(len(content))
    del content[at : at + random_.randint(1, 60)]


def _edit_header(random_: random.Random, content: bytearray) -> None:
    """Sizes, counts and offsets near the start made small, large or odd."""
    at = random_.randrange(min(len(content), 96))
    number = random_.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 60000, 20000))
    size = random_.choice((1, 2, 4))
    field = (number & (1 << 8 * size) - 1).to_bytes(size, random_.choice(("big", "little")))
    content[at : at + size] = field[: len(content) - at]


def _append(random_: random.Random, content: bytearray) -> None:
    """The file written twice over, from somewhere."""
    content += content[random_.randrange(len(content)) :]


_DAMAGES = (_flip, _overwrite, _cut, _lose, _edit_header, _edit_header, _append)


def mutants(count: int, seed: int = 0) -> Iterator[Mutant]:
    """`count` damaged files, every seed file and damage in turn; the same for the same seed."""
    random_ = random.Random(seed)
    files = list(seeds().items())
    for number in range(count):
        name, content = files[number % len(files)]
        damage = _DAMAGES[number // len(files) % len(_DAMAGES)]
        damaged = bytearray(content)
        damage(random_, damaged)
        yield Mutant(f"{name}/{damage.__name__.strip('_')}/{number}", bytes(damaged))


def reason(content: bytes, **options: Any) -> str:
    """Why a file is refused; it must be, for good, and with a sentence."""
    with pytest.raises(Unusable) as caught:
        decode(content, **options)
    assert caught.value.message
    assert not caught.value.retry
    return caught.value.reason


def strictly(content: bytes) -> NDArray[np.uint8] | None:
    """What Pillow makes of a file when it verifies it and then loads the first frame; None where it fails."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return np.asarray(image.convert("RGB"))
    except Exception:
        return None
