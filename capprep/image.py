"""Picture files: found in folders, read once, decoded from hostile bytes to upright RGB."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from capprep.errors import DatasetError

SUFFIXES = frozenset(".avif .bmp .gif .jfif .jpe .jpeg .jpg .mpo .png .ppm .tif .tiff .webp".split())
"""File suffixes taken for pictures when a folder is searched; what a file is, its content decides."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Containers that are decoded, by Pillow's names; its JPEG opens MPO too.

Left to itself Pillow would hand PostScript to an interpreter.
"""

MAX_FILE_BYTES = 1 << 30
MAX_PIXELS = 100_000_000
MAX_ASPECT = 8.0

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn the stored pixels upright, by EXIF orientation; 1 and anything unknown stay as they are."""


class Unusable(Exception):
    """A file that cannot become a training picture.

    Attributes:
        reason: A stable code such as `truncated`.
        message: One sentence for people.
        retry: True where it may be no fault of the file.
    """

    def __init__(self, reason: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry


@dataclass(frozen=True)
class Decoded:
    """A picture ready to be cropped.

    Attributes:
        pixels: Upright, 8-bit RGB.
        format: The container's name ("JPEG").
        mode: Pillow's mode of the stored pixels.
        orientation: The EXIF orientation applied, 1-8.
        frames: How many frames the file holds; this is the first.
    """

    pixels: Image.Image
    format: str
    mode: str
    orientation: int
    frames: int


def scan(places: Iterable[Path], skip: Iterable[Path] = ()) -> list[Path]:
    """The picture files under some folders, and the files named themselves, in order of path.

    Folders are searched to the bottom, symbolic links to folders are not followed. A file named by the
    user is taken whatever its suffix; in a folder the suffix decides.

    Args:
        places: Folders and files.
        skip: Folders not to look into.

    Raises:
        DatasetError: A place does not exist.
    """
    skipped = {os.path.realpath(folder) for folder in skip}
    found: set[Path] = set()
    for place in places:
        top = Path(os.path.realpath(place))
        if any(top.is_relative_to(folder) for folder in skipped):
            raise DatasetError(
                f"{place} is where capprep keeps its own work", "name the folder that holds your own pictures"
            )
        if not top.exists():
            raise DatasetError(f"{place} does not exist", "name a folder of pictures, for example: capprep ingest raw/")
        found.update(_pictures_under(top, skipped) if top.is_dir() else [top])
    return sorted(found, key=os.fsencode)


def _pictures_under(top: Path, skipped: set[str]) -> Iterator[Path]:
    """Files with a picture's suffix, and folders that could not be opened, for `read` to say why."""
    closed: list[Path] = []
    for folder, folders, names in os.walk(top, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in skipped and not name.startswith(".")]
        yield from (
            Path(folder, name) for name in names if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        )
    yield from closed


def read(path: Path) -> bytes:
    """A regular file's bytes.

    Raises:
        Unusable: `unreadable`: it is gone, a pipe, a folder, not permitted; `too_large`; `empty`.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            next(path.iterdir(), None)  # raises the reason why it is here and not what is in it
        # a pipe or a device would be waited for for ever
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("unreadable", "it is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise Unusable("too_large", f"the file has {status.st_size / 1e9:.1f} GB; the limit is 1 GB")
        content = path.read_bytes()
    except OSError as error:
        raise Unusable("unreadable", f"it cannot be opened: {error.strerror}") from error
    if not content:
        raise Unusable("empty", "the file is empty")
    return content


def decode(content: bytes, background: str) -> Decoded:
    """The first frame of a picture file, upright, 8-bit RGB, transparency over a colour.

    Args:
        content: The file's bytes.
        background: A colour as Pillow names it ("white", "#808080").

    Raises:
        Unusable: With the reason `empty`, `not_image`, `too_large`, `aspect`, `unsupported_depth`, `truncated` or
            `corrupt`.
    """
    if not content:
        raise Unusable("empty", "the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, and of sizes, which are checked here
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_shape(image.width, image.height)
                # the checksums of a PNG, which decoding does not look at; a picture is closed by it
                image.verify()
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                return _decoded(image, background)
    except (Unusable, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise Unusable("not_image", f"it is not a picture: it begins with {content[:12]!r}") from error
    except Image.DecompressionBombError as error:
        raise Unusable(
            "too_large", f"it has too many pixels; the limit is {MAX_PIXELS // 1_000_000} million"
        ) from error
    except Exception as error:  # whatever else a decoder raises is about the file
        raise _broken(error) from error


def _check_shape(width: int, height: int) -> None:
    """Refuse by the header alone what would take too much memory or leave nothing of a picture."""
    if width * height > MAX_PIXELS:
        raise Unusable("too_large", f"{width}x{height} is over the limit of {MAX_PIXELS // 1_000_000} million pixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unusable("aspect", f"{width}x{height}: the long side is over {MAX_ASPECT:g} times the short one")


def _decoded(image: Image.Image, background: str) -> Decoded:
    container, mode, orientation = image.format or "", image.mode, _orientation(image)
    frames = getattr(image, "n_frames", 1)
    image.seek(0)
    pixels = _rgb(image, background)
    if orientation in _TURNS:
        pixels = pixels.transpose(_TURNS[orientation])
    return Decoded(pixels, container, mode, orientation, frames)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata never costs the picture
        return 1
    return value if value in _TURNS else 1


def _rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode in ("F", "I"):
        raise Unusable("unsupported_depth", f"its pixels are 32-bit numbers ({image.mode}); save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion would clip 16-bit grey to white
        grey_HW = np.round(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8)
        return Image.fromarray(grey_HW).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    below = Image.new("RGBA", rgba.size, background)
    return Image.alpha_composite(below, rgba).convert("RGB")


def _broken(error: Exception) -> Unusable:
    text = str(error).lower()
    if "truncated" in text or "not enough" in text or isinstance(error, EOFError):
        return Unusable("truncated", "the file ends before the picture does")
    # what decoders raise over damaged bytes; anything else may be a fault of the program
    damage = (OSError, SyntaxError, ValueError, IndexError, OverflowError, TypeError, struct.error, zlib.error)
    return Unusable("corrupt", f"the file is damaged: {error}", retry=not isinstance(error, damage))


def crop_png(pixels: Image.Image, box: tuple[float, float, float, float], size: int) -> bytes:
    """A region of a picture as a PNG file of exactly `size` x `size` pixels.

    Args:
        pixels: RGB.
        box: Left, top, right, bottom in pixels, floats; a square, or the result would be squashed.
        size: Side of the result in pixels.
    """
    square = pixels.resize((size, size), Image.Resampling.LANCZOS, box=box)
    # OpenCV's PNG writer is several times faster than Pillow's at the same size; it wants BGR
    done, encoded = cv2.imencode(".png", np.asarray(square)[:, :, ::-1])
    if not done:
        raise RuntimeError("OpenCV could not write a PNG")
    return encoded.tobytes()


def open_square(path: Path) -> NDArray[np.uint8]:
    """A stored square's pixels, shape (size, size, 3), RGB.

    Raises:
        Unusable: `square_lost`: the file is gone or damaged.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unusable(
            "square_lost", f"its stored square cannot be read ({error}); delete {path} and ingest again"
        ) from error
