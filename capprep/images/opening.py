"""A picture file opened by the one reader its content calls for, every failure of that with a stable reason."""

from __future__ import annotations

import importlib
import io
import logging
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ExifTags, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from capprep.images import jpeg
from capprep.images.containers import cut_short, describe, jxl_size, png_chunks, sniff
from capprep.images.unusable import Unusable

MAX_PIXELS = 100_000_000
MAX_ASPECT = 8.0
MAX_GIF_BYTES = 32 << 20
"""The frames of a GIF can only be counted by going through all of it."""
_OPTIONAL = {"HEIF": ("pillow_heif", "pillow-heif"), "JXL": ("pillow_jxl", "pillow-jxl-plugin")}

_STDERR = threading.Lock()

# Pillow logs what it is about to raise, and without any handler Python prints that
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def opened(content: bytes) -> Iterator[ImageFile.ImageFile]:
    """The file opened by the one reader its content calls for; whatever goes wrong meanwhile is about the file."""
    kind = _recognised(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, and of sizes, which are checked here
            with Image.open(io.BytesIO(content), formats=(kind,)) as image:
                yield image
    except Unusable:
        raise
    except MemoryError as error:
        raise Unusable("memory", "there was not enough memory to decode it", retry=True) from error
    except Image.DecompressionBombError as error:
        # Pillow looks before the size can be asked for, and says how many pixels there are only in words
        found = re.search(r"\d+", str(error))
        raise too_large(f"a picture of {int(found[0]) / 1e6:.0f} million pixels" if found else "it") from error
    except Exception as error:
        raise _broken(kind, content, error) from error


def _recognised(content: bytes) -> str:
    """The reader for a file; checks what has to be known before it is opened at all."""
    if not content:
        raise Unusable("empty", "the file is empty")
    kind = sniff(content)
    if kind is None:
        raise Unusable("not_image", f"it is {describe(content)}")
    if kind == "GIF" and len(content) > MAX_GIF_BYTES:
        raise Unusable("too_large", f"a GIF of {len(content) >> 20} MB; the limit is {MAX_GIF_BYTES >> 20} MB")
    if kind in _OPTIONAL:
        module, package = _OPTIONAL[kind]
        try:
            plugin = importlib.import_module(module)
        except ImportError as error:
            raise Unusable(
                "format_missing", f"{kind} pictures need the package {package}: pip install {package}"
            ) from error
        if kind == "HEIF":
            plugin.register_heif_opener()
        elif (size := jxl_size(content)) is not None:
            check_shape(*size)
    return kind


def too_large(what: str) -> Unusable:
    """The error for a picture of too many pixels."""
    return Unusable("too_large", f"{what} is over the limit of {MAX_PIXELS // 1_000_000} million pixels")


def check_shape(width: int, height: int) -> None:
    """Refuse by the header alone what would take too much memory or leave nothing of a picture."""
    if width * height > MAX_PIXELS:
        raise too_large(f"{width}x{height}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unusable("aspect", f"{width}x{height}: the long side is over {MAX_ASPECT:g} times the short one")


@contextmanager
def silenced() -> Iterator[None]:
    """Nothing that native code writes meanwhile reaches the process's standard error; one thread at a time.

    libtiff prints what is wrong with a file besides failing, and Pillow offers no way to stop it.
    """
    with _STDERR, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        try:
            kept = os.dup(2)
        except OSError:  # a process without a standard error
            yield
            return
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def orientation(image: Image.Image, content: bytes) -> tuple[int, tuple[str, ...]]:
    """The EXIF orientation, 1 where there is none; Pillow's own reader would take XMP's word for it too."""
    # these decoders turn the pixels themselves; a JPEG packed into JPEG XL comes as it was
    if image.format == "HEIF" or (image.format == "JXL" and not getattr(image, "jpeg", False)):
        return 1, ()
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            value = image.tag_v2.get(ExifTags.Base.Orientation, 1)
        else:
            exif = Image.Exif()
            exif.load(_exif_bytes(image, content))
            value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata never costs the picture
        return 1, ("its EXIF data are damaged and were ignored",)
    if isinstance(value, int) and 1 <= value <= 8:
        return value, ()
    return 1, (f"its EXIF orientation {value!r} does not exist and was ignored",)


def _exif_bytes(image: Image.Image, content: bytes) -> bytes:
    if image.format == "PNG":
        # the chunk may come after the pixels, where Pillow sees it only when it has decoded them
        late = next((data for name, data in png_chunks(content) if name == b"eXIf"), None)
        text = image.info.get("Raw profile type exif")
        if late is None and isinstance(text, str):
            return bytes.fromhex("".join(text.split("\n")[3:]))
        return late or b""
    data = image.info.get("exif", b"")
    return data if isinstance(data, bytes) else b""


def _broken(kind: str, content: bytes, error: Exception) -> Unusable:
    text = str(error).lower()
    if kind == "JPEG":
        layout = jpeg.layout(content)
        if layout.precision not in (0, 8):
            return Unusable("unsupported_depth", f"a JPEG of {layout.precision} bits; save it with 8")
        if layout.end < 0:
            return Unusable("truncated", "the file ends before the picture does")
    # the JPEG XL plug-in has one and the same text for everything
    told = kind != "JXL" and ("truncated" in text or "not enough" in text or isinstance(error, EOFError))
    if told or cut_short(kind, content):
        return Unusable("truncated", "the file ends before the picture does")
    if isinstance(error, UnidentifiedImageError):  # its own words name an address in memory
        return Unusable("corrupt", "the file is damaged: its header makes no sense")
    # what decoders raise over damaged bytes; anything else may be a fault of the program
    damage = (OSError, SyntaxError, ValueError, IndexError, OverflowError, TypeError, struct.error, zlib.error)
    known = isinstance(error, damage) or kind in ("AVIF", *_OPTIONAL)
    return Unusable("corrupt", f"the file is damaged: {error}", retry=not known)
