"""Picture files: found in folders and archives, read once; a stored square opened again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capprep.errors import DatasetError
from capprep.images import archives
from capprep.images.archives import is_archive
from capprep.images.entries import EXPORTED, SUFFIXES, Entry, is_picture, split
from capprep.images.texts import paired
from capprep.images.unusable import Unusable

__all__ = [
    "MAX_FILE_BYTES",
    "SUFFIXES",
    "Entry",
    "Opener",
    "is_archive",
    "open_square",
    "read",
    "revisit",
    "scan",
    "sha256",
    "split",
]

MAX_FILE_BYTES = 1 << 30

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# a pipe that took a file's place since it was looked at would be waited for for ever
_READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def scan(places: Iterable[Path], skip: Iterable[Path] = (), *, recursive: bool = True) -> Iterator[Entry]:
    """The pictures under some folders, in archives there, and the files named themselves.

    In a folder a suffix decides what is a picture or an archive, and hidden names are passed over; a file named by
    the user is taken whatever its suffix. Links to folders are not followed, links to files only within the place
    they lie in. What looks like a picture and is none that can be opened comes with a reason. Folders that capprep
    exported are passed over unless they are named themselves.

    Args:
        places: Folders, pictures and archives.
        skip: Folders not to look into.
        recursive: Look into folders within folders; archives are always listed as a whole.

    Returns:
        In whatever order they are found, a file to which several ways lead several times.

    Raises:
        DatasetError: A place does not exist.
    """
    skipped = frozenset(os.path.realpath(folder) for folder in skip)
    for place in places:
        top = os.path.realpath(place)
        if any(_within(top, folder) for folder in skipped):
            raise DatasetError(
                f"{place} is where capprep keeps its own work", "name the folder that holds your own pictures"
            )
        status = _place_status(place, top)
        yield from _Search(top, skipped, recursive).entries() if stat.S_ISDIR(status.st_mode) else _of_file(top, status)


def revisit(path: str) -> list[Entry]:
    """A file known from an earlier scan as it is now, or all pictures of an archive; nothing where it is gone.

    Args:
        path: As in `Entry.path`. A folder that could not be opened is nothing: searching what holds it finds it again.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a `Path` for each of many known files is slow
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return [_closed(path, error)]
    return [] if stat.S_ISDIR(status.st_mode) else list(_of_file(path, status))


class Opener:
    """Reads what a scan found; keeps the last archive open, so that reading in the scan's order opens each once."""

    def __init__(self) -> None:
        self._path = ""
        self._archive: archives.Archive | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive that is open, if any."""
        if self._archive is not None:
            self._archive.close()
        self._path, self._archive = "", None

    def read(self, entry: Entry) -> bytes:
        """A picture's bytes.

        Raises:
            Unusable: `unreadable`, `too_large`, `empty`, `truncated`, `corrupt`, or the entry's own reason.
        """
        if entry.reason:
            raise Unusable(entry.reason, entry.message)
        if not entry.member:
            return read(entry.path)
        _check_size(entry.bytes)
        content = self._opened(entry.path).read(entry)
        if not content:
            raise Unusable("empty", "the file is empty")
        return content

    def _opened(self, path: str) -> archives.Archive:
        if self._archive is None or self._path != path:
            self.close()
            self._archive = archives.opened(path, _open_regular(path))
            self._path = path
        return self._archive


def read(path: str | Path) -> bytes:
    """A regular file's bytes.

    Raises:
        Unusable: `unreadable`: it is gone, a pipe, a folder, not permitted; `too_large`; `empty`.
    """
    with io.BufferedReader(_open_regular(path)) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            _check_size(size)
            # no more than its size, should it grow meanwhile
            content = file.read(size)
        except OSError as error:
            raise _unreadable(error) from error
    if not content:
        raise Unusable("empty", "the file is empty")
    return content


def sha256(path: str | Path) -> str:
    """The SHA-256 (hex) of a regular file, which is never held in memory as a whole.

    Raises:
        Unusable: As from `read`.
    """
    with io.BufferedReader(_open_regular(path)) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            _check_size(size)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(error) from error
    if not size:
        raise Unusable("empty", "the file is empty")
    return digest


def _open_regular(path: str | Path) -> io.FileIO:
    """A file opened for reading, never a pipe, which would be waited for, nor a device.

    Raises:
        Unusable: `unreadable`.
    """
    try:
        # looked at before it is opened, since opening a device may already do something
        _check_kind(os.stat(path).st_mode)  # noqa: PTH116
        raw = io.FileIO(os.open(path, _READ_ONLY))
        try:
            _check_kind(os.fstat(raw.fileno()).st_mode)
        except BaseException:
            raw.close()
            raise
    except OSError as error:
        raise _unreadable(error) from error
    return raw


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise Unusable("unreadable", f"it is {kind}, not a regular file")


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise Unusable("too_large", f"the file has {size / 1e9:.1f} GB; the limit is 1 GB")


def _unreadable(error: OSError) -> Unusable:
    return Unusable("unreadable", f"it cannot be opened: {error.strerror}")


def _closed(path: str, error: OSError) -> Entry:
    return _failed(path, _unreadable(error))


def _failed(path: str, unusable: Unusable) -> Entry:
    return Entry(path, reason=unusable.reason, message=unusable.message)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))  # noqa: PTH118 - not `//` for the root


def _place_status(place: Path, top: str) -> os.stat_result:
    try:
        return os.stat(top)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        hint = "name a folder of pictures, for example: capprep ingest raw/"
        raise DatasetError(f"{place} does not exist", hint) from None
    except OSError as error:
        hint = "check the link or the permissions on the way to it"
        raise DatasetError(f"{place} cannot be opened: {error.strerror}", hint) from error


def _of_file(path: str, status: os.stat_result) -> Iterator[Entry]:
    """A file's entry, or those of the archive it is."""
    if is_archive(path):
        yield from _in_archive(path)
    else:
        try:
            _check_kind(status.st_mode)
        except Unusable as unusable:
            yield _failed(path, unusable)
        else:
            yield Entry(path, "", status.st_size, status.st_mtime_ns)


def _in_archive(path: str) -> Iterator[Entry]:
    """An archive's pictures, as many as can be found, and the archive itself where it is broken."""
    members: dict[str, Entry] = {}
    try:
        with contextlib.closing(archives.opened(path, _open_regular(path))) as archive:
            for entry in archive.entries():
                members[entry.member] = entry
    except Unusable as unusable:
        yield _failed(path, unusable)
    yield from paired(members.values())


class _Search:
    """Goes through one folder named by the user."""

    def __init__(self, top: str, skipped: frozenset[str], recursive: bool) -> None:
        self._top = top
        self._skipped = skipped
        self._recursive = recursive

    def entries(self) -> Iterator[Entry]:
        """Every picture, and every folder that cannot be opened."""
        waiting = [self._top]
        while waiting:
            folder = waiting.pop()
            try:
                if folder != self._top and os.path.lexists(os.path.join(folder, EXPORTED)):  # noqa: PTH118
                    continue
                with os.scandir(folder) as listing:
                    for item in listing:
                        if item.name.startswith("."):
                            continue
                        if item.is_symlink():
                            yield from self._of_link(item)
                        elif item.is_dir(follow_symlinks=False):
                            if self._recursive and item.path not in self._skipped:
                                waiting.append(item.path)
                        elif is_picture(item.name) or is_archive(item.name):
                            yield from _of_item(item)
            except OSError as error:
                yield _closed(folder, error)

    def _of_link(self, item: os.DirEntry[str]) -> Iterator[Entry]:
        """A link's target where it is a file within the place; links to folders within it lead to nothing new."""
        named = is_picture(item.name) or is_archive(item.name)
        target = os.path.realpath(item.path)
        if any(_within(target, folder) for folder in self._skipped):
            return
        try:
            status = item.stat()
        except OSError as error:
            if named:
                yield _closed(item.path, error)
            return
        inside = _within(target, self._top)
        if stat.S_ISDIR(status.st_mode):
            if self._recursive and not inside:
                yield _outside(item.path, "folder")
        elif named and stat.S_ISREG(status.st_mode) and not inside:
            yield _outside(item.path, "file")
        elif named:
            yield from _of_file(item.path, status)


def _outside(path: str, kind: str) -> Entry:
    message = f"it is a link that leads out of the folder; to use it, name that {kind} itself"
    return Entry(path, reason="outside", message=message)


def _of_item(item: os.DirEntry[str]) -> Iterator[Entry]:
    try:
        status = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # somebody took it away just now
    except OSError as error:
        yield _closed(item.path, error)
        return
    yield from _of_file(item.path, status)


def open_square(path: Path) -> NDArray[np.uint8]:
    """A stored square's pixels, shape (size, size, 3), RGB.

    Raises:
        Unusable: `square_lost`: the file is gone or damaged.
    """
    try:
        content = path.read_bytes()
        # without Python's lock, so that one thread opens squares while another has something else to do
        fast = imagecodecs.png_decode if content.startswith(b"\x89PNG") else imagecodecs.webp_decode
        with contextlib.suppress(imagecodecs.PngError, imagecodecs.WebpError, ValueError):
            decoded = fast(content)
            if decoded.dtype == np.uint8 and decoded.shape[2:] == (3,):
                return np.asarray(decoded)
        # Pillow knows the rest, and says what is wrong
        with Image.open(path, formats=("PNG", "WEBP")) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unusable(
            "square_lost", f"its stored square cannot be read ({error}); delete {path} and ingest again"
        ) from error
