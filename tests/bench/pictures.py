"""Generated pictures for the benchmarks, as pixels and as files."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
"""Of those that come with scikit-image."""
HUGE = (12000, 8333)  # 100 megapixels


def photograph(width: int, height: int, seed: int, colour: float = 0.25) -> Pixels:
    """Noise with the spectrum of photographs, grain, and things with sharp edges.

    Its detail reaches down to a thousandth of the short side or to a pixel; the noise is made at that size.

    Args:
        width, height: In pixels.
        seed: Another one gives another picture.
        colour: How far the three channels differ; 1 makes them independent, which no photograph is.
    """
    rng = np.random.default_rng(seed)
    coarse = max(1, min(width, height) // 1000)
    high, wide = height // coarse, width // coarse
    fy, fx = np.meshgrid(np.fft.fftfreq(high), np.fft.rfftfreq(wide), indexing="ij")
    falloff = 1 / np.maximum(np.hypot(fy, fx), 1 / max(wide, high))
    channels = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(high, wide))) * falloff, (high, wide)) for _ in "RGB"]
    x_HWC = channels[0][..., None] * (1 - colour) + np.stack(channels, axis=-1) * colour
    x_HWC = np.clip((x_HWC - x_HWC.mean()) / x_HWC.std() * 50 + 128, 0, 255).astype(np.uint8)
    x_HWC = cv2.resize(x_HWC, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        middle = int(rng.integers(width)), int(rng.integers(height))
        ink = rng.integers(0, 256) * (1 - colour) + rng.integers(0, 256, 3) * colour
        radius = int(rng.integers(2, max(3, height // 8)))
        cv2.circle(x_HWC, middle, radius, tuple(map(int, ink)), -1, cv2.LINE_AA)
    grain_HWC = np.broadcast_to(rng.integers(0, 7, (512, 512, 1), dtype=np.uint8), (512, 512, 3))
    for top, left in itertools.product(range(0, height, 512), range(0, width, 512)):
        part_HWC = x_HWC[top : top + 512, left : left + 512]
        part_HWC[:] = cv2.add(part_HWC, grain_HWC[: part_HWC.shape[0], : part_HWC.shape[1]])
    return np.asarray(x_HWC, dtype=np.uint8)


def enlarged(name: str, width: int, height: int) -> Pixels:
    """The middle of a photograph that comes with scikit-image, enlarged."""
    import skimage.data

    loaded = np.asarray(getattr(skimage.data, name)())[..., :3]
    scale = max(width / loaded.shape[1], height / loaded.shape[0])
    large = cv2.resize(loaded, None, fx=scale + 1e-3, fy=scale + 1e-3, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[:height, :width])


def lines(width: int, height: int) -> Pixels:
    """Stripes of two to twelve pixels at every angle: what a reduced decode has most trouble with."""
    y_HW, x_HW = np.mgrid[0:height, 0:width].astype(np.float32)
    rings_HW = np.hypot(x_HW - width / 2, y_HW - height / 2)
    period_HW = 2 + 10 * np.abs(x_HW - width / 2) / width + 10 * np.abs(y_HW - height / 2) / height
    stripes_HW = np.where(np.sin(2 * np.pi * rings_HW / period_HW) > 0, 220, 40).astype(np.uint8)
    return np.repeat(stripes_HW[..., None], 3, axis=2)


def page(width: int, height: int) -> Pixels:
    """Dark text on white."""
    picture = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(height // 80)
    for top in range(0, height, height // 60):
        pen.text((10, top), "the quick brown fox jumps over the lazy dog 0123456789 " * 4, (20, 20, 40), font)
    return np.asarray(picture)


def encoded(pixels_HWC: Pixels, kind: str, **options: Any) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, kind, **options)
    return buffer.getvalue()


def folder_of(place: Path, contents: Iterator[tuple[str, bytes]]) -> Path:
    """A folder with files."""
    place.mkdir()
    for name, content in contents:
        (place / name).write_bytes(content)
    return place


def small_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Many small pictures, all different."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        suffix = (".jpg", ".png")[number % 2]
        yield f"{number:05}{suffix}", cv2.imencode(suffix, pixels)[1].tobytes()


def huge_files(quick: bool) -> Iterator[tuple[str, bytes]]:
    """Pictures of 100 megapixels of many kinds."""
    picture = Image.fromarray(photograph(*HUGE, 0))

    def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    yield "jpeg.jpg", saved("JPEG", quality=92)
    yield "png.png", saved("PNG", compress_level=1)
    if quick:
        return
    yield "jpeg_progressive.jpg", saved("JPEG", quality=92, progressive=True)
    yield "png_grey.png", saved("PNG", "L", compress_level=1)
    yield "png_alpha.png", saved("PNG", "RGBA", compress_level=1)
    yield "png_palette.png", saved("PNG", "P", compress_level=1)
    yield "webp.webp", saved("WEBP", quality=80, method=0)
    yield "bmp.bmp", saved("BMP")
    yield "tiff_lzw.tif", saved("TIFF", compression="tiff_lzw")
