"""Picture files: found in folders, read once; a stored square opened again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capprep.errors import DatasetError
from capprep.images.unusable import Unusable

SUFFIXES = frozenset(".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .jxl .mpo .png .ppm .tif .tiff .webp".split())
"""File suffixes taken for pictures when a folder is searched; what a file is, its content decides."""

MAX_FILE_BYTES = 1 << 30


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
