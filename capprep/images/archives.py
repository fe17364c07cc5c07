"""Pictures in .zip and .tar archives, listed and read where they lie; nothing is ever unpacked to disk.

An archive may come from anywhere. Its names are only names and are never opened as paths; what is read is bounded
before it is read.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from capprep.images.entries import Entry, is_picture, is_text
from capprep.images.unusable import Unusable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
"""Names of archives that are looked into. Not .tar.xz: it may ask for 4 GB of memory to be unpacked."""

MAX_DIRECTORY_BYTES = 1 << 26
"""The largest list of contents of a .zip: about half a million files, some 400 MB while it is open."""

MAX_HEADERS = 4_000_000
"""Headers in a .tar, up to two for each file of any kind."""

MAX_HEADER_BYTES = 1 << 16
"""The largest extended header of a file in a .tar; it usually holds a long name, a hundred bytes."""

MAX_UNPACKED_BYTES = 1 << 34
"""How far a packed .tar is unpacked, since it must be to be listed: about a minute."""

_CHUNK = 1 << 20
_LARGEST = (1 << 62) - 1
"""Sizes are kept as 64 bits, signed."""
_ENCRYPTED = 1
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DESCRIBING = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
)
"""Headers that say more about the next file, or about all that follow."""


class Archive(Protocol):
    """An archive, open for reading."""

    def entries(self) -> Iterator[Entry]:
        """Its pictures and texts, in the order in which they lie in it; of two with one name, the later one counts.

        Raises:
            Unusable: After the last one that can be found: `truncated`, `corrupt`, `too_large`, `unreadable`.
        """

    def read(self, entry: Entry) -> bytes:
        """The bytes of a picture or text; cheapest in the order of `entries`.

        Raises:
            Unusable: `truncated`, `corrupt`, or `unreadable`: the archive is not the one that was listed.
        """

    def close(self) -> None:
        """Close the file."""


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive, in upper case or lower."""
    return name.lower().endswith(SUFFIXES)


def opened(path: str, file: io.FileIO) -> Archive:
    """An archive, of the kind that its content says; a .tar may be packed without its name saying so.

    Args:
        path: Where it lies, for its entries.
        file: The same, open; it is closed with the archive, and where this fails.

    Raises:
        Unusable: `empty`, `corrupt`, `truncated`, `too_large`, `unreadable`.
    """
    try:
        with _explained():
            start = os.pread(file.fileno(), 4, 0)
            if not start:
                raise Unusable("empty", "the file is empty")
            if start.startswith(b"PK") or path.lower().endswith(".zip"):
                return _Zip(path, file)
            return _Tar(path, file, start)
    except BaseException:
        file.close()
        raise


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever goes wrong meanwhile is about the archive; a sentence never quotes a name from inside it."""
    try:
        yield
    except EOFError as error:
        raise Unusable("truncated", "the archive ends before it should") from error
    except NotImplementedError as error:
        raise Unusable("unreadable", "it is packed in a way that is not known here; pack it as a plain .tar") from error
    except (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.HeaderError, zlib.error) as error:
        raise Unusable("corrupt", "the archive is damaged") from error
    except (ValueError, OverflowError, IndexError, struct.error) as error:
        raise Unusable("corrupt", "the archive is damaged: its numbers or names make no sense") from error
    except OSError as error:
        if error.errno is None:  # bz2 says so of its data
            raise Unusable("corrupt", "the archive is damaged") from error
        raise Unusable("unreadable", f"the archive cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise Unusable("memory", "there was not enough memory to read it", retry=True) from error


def _wanted(name: str) -> bool:
    """A picture or text by its name and not hidden, as the shadow files are that macOS puts beside each file."""
    parts = name.split("/")
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return (is_picture(parts[-1]) or is_text(parts[-1])) and not hidden and "__MACOSX" not in parts


def _checked(content: bytes, entry: Entry) -> bytes:
    if len(content) < entry.bytes:
        raise EOFError
    return content


def _changed() -> Unusable:
    return Unusable("unreadable", "the archive changed while it was read", retry=True)


class _BoundedFile(io.BufferedReader):
    """Refuses a single read larger than a list of contents may be: `zipfile` takes all of it at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise Unusable("too_large", "the archive holds too many files; make several of it")
        return super().read(size)


class _Zip:
    def __init__(self, path: str, raw: io.FileIO) -> None:
        self._path = path
        self._file = _BoundedFile(raw)
        try:
            self._zip = zipfile.ZipFile(self._file)
        except zipfile.BadZipFile as error:
            # what a .zip holds stands at its end
            if os.pread(raw.fileno(), 4, 0) == b"PK\3\4" and not zipfile.is_zipfile(self._file):
                raise EOFError from error
            raise

    def entries(self) -> Iterator[Entry]:
        for info in self._zip.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if _wanted(info.filename) and kind in (0, stat.S_IFREG):
                yield Entry(
                    self._path,
                    info.filename,
                    min(info.file_size, _LARGEST),
                    _zip_stamp(info),
                    info.header_offset,
                    *_zip_refusal(info),
                )

    def read(self, entry: Entry) -> bytes:
        with _explained():
            try:
                info = self._zip.getinfo(entry.member)
            except KeyError:
                raise _changed() from None
            if (info.file_size, _zip_stamp(info)) != (entry.bytes, entry.stamp):
                raise _changed()
            # never more than the size declared, whatever the data would unpack to
            with self._zip.open(info) as unpacked:
                return _checked(b"".join(iter(lambda: unpacked.read(_CHUNK), b"")), entry)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


def _zip_stamp(info: zipfile.ZipInfo) -> int:
    """The CRC-32 of the content and the date to 4 seconds, 63 bits."""
    year, month, day, hour, minute, second = info.date_time
    date = (year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | second // 2
    return info.CRC << 31 | date >> 1


def _zip_refusal(info: zipfile.ZipInfo) -> tuple[str, str]:
    """Reason and message, both empty where it can be read."""
    if info.flag_bits & _ENCRYPTED:
        return "unreadable", "it is encrypted; unpack the archive with its password first"
    # bzip2 and LZMA too: `zipfile` unpacks theirs without a bound, a few kilobytes to gigabytes
    if info.compress_type not in _UNPACKED:
        return "unreadable", "it is packed in a way that is not read here; unpack the archive first"
    return "", ""


class _Tar:
    """Walks over the headers itself: `tarfile` takes a damaged one for the end, and may loop or swallow all of a file.

    Each header is still read by `tarfile`.
    """

    def __init__(self, path: str, raw: io.FileIO, start: bytes) -> None:
        self._path = path
        self._start = start
        self._file = io.BufferedReader(raw)
        status = os.fstat(raw.fileno())
        # a .tar has no check sum of a picture, and pictures of one size and one date are common in made-up ones
        self._stamp = status.st_mtime_ns
        self._stream = self._unpacked()
        self._end = status.st_size if self._stream is self._file else None

    def _unpacked(self) -> io.BufferedIOBase:
        self._file.seek(0)
        if self._start.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=self._file)
        if self._start.startswith(b"BZh"):
            return bz2.BZ2File(self._file)
        return self._file

    def entries(self) -> Iterator[Entry]:
        with _explained():
            more = _Described()
            offset = 0
            for _ in range(MAX_HEADERS):
                block = self._block(offset)
                if not any(block):
                    return
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
                offset += tarfile.BLOCKSIZE
                if info.type in _DESCRIBING:
                    more.add(info, self._extended(info))
                    offset += _padded(info.size)
                    continue
                offset = self._after_sparse_map(info, block, offset)
                more.apply(info)
                length = _padded(info.size)
                if info.isreg() and _wanted(info.name):
                    yield Entry(self._path, info.name, info.size, self._stamp, offset, *more.refusal(info))
                # as `tarfile` has it: links and folders have no content whatever size they say
                if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
                    offset += length
                more = _Described()
            raise Unusable("too_large", "the archive holds too many files; make several of it")

    def read(self, entry: Entry) -> bytes:
        with _explained():
            if entry.stamp != self._stamp:
                raise _changed()
            if self._end is not None and entry.offset + entry.bytes > self._end:
                raise EOFError
            try:
                self._stream.seek(entry.offset)
                return _checked(self._stream.read(entry.bytes), entry)
            except Exception:
                self._stream = self._unpacked()  # one that failed cannot be used again
                raise

    def close(self) -> None:
        self._stream.close()
        self._file.close()

    def _block(self, offset: int) -> bytes:
        if self._end is None and offset > MAX_UNPACKED_BYTES:
            size = f"{MAX_UNPACKED_BYTES >> 30} GB"
            raise Unusable("too_large", f"it unpacks to over {size}; unpack it, or pack it as a plain .tar")
        if self._end is not None and offset > self._end:
            raise EOFError
        self._stream.seek(offset)
        block = self._stream.read(tarfile.BLOCKSIZE)
        # a whole archive ends with empty blocks
        if len(block) < tarfile.BLOCKSIZE:
            raise EOFError
        return block

    def _extended(self, info: tarfile.TarInfo) -> bytes:
        """The content of a header that describes the next file; the stream stands at it."""
        if info.type == tarfile.XGLTYPE:
            return b""
        if not 0 <= info.size <= MAX_HEADER_BYTES:
            raise tarfile.HeaderError
        content = self._stream.read(info.size)
        if len(content) < info.size:
            raise EOFError
        return content

    def _after_sparse_map(self, info: tarfile.TarInfo, block: bytes, offset: int) -> int:
        """Where a file's content begins: GNU's sparse files have more blocks of header if a byte says so."""
        more = info.type == tarfile.GNUTYPE_SPARSE and block[482]
        while more:
            more = self._block(offset)[504]
            offset += tarfile.BLOCKSIZE
        return offset


def _padded(size: int) -> int:
    """How far it is from one header to the next over content of some size."""
    if not 0 <= size <= _LARGEST:
        raise tarfile.HeaderError
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


class _Described:
    """What the headers before a file's own say about it: its name, its size, whether it is sparse."""

    def __init__(self) -> None:
        self._name: bytes | None = None
        self._size: int | None = None
        self._sparse = False

    def add(self, info: tarfile.TarInfo, content: bytes) -> None:
        if info.type == tarfile.GNUTYPE_LONGNAME:
            self._name = content.partition(b"\0")[0]
        elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            for keyword, value in _pax_records(content):
                if keyword == b"size":
                    self._size = int(value)
                elif keyword in (b"path", b"GNU.sparse.name"):
                    self._name = value
                self._sparse = self._sparse or keyword.startswith(b"GNU.sparse.")

    def apply(self, info: tarfile.TarInfo) -> None:
        if self._name is not None:
            info.name = self._name.decode("utf-8", "surrogateescape")
        if self._size is not None:
            info.size = self._size

    def refusal(self, info: tarfile.TarInfo) -> tuple[str, str]:
        """Reason and message, both empty where the file can be read."""
        if self._sparse or info.type == tarfile.GNUTYPE_SPARSE:
            return "unreadable", "it is stored with holes (tar --sparse); pack the archive without that option"
        return "", ""


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keywords and values of an extended header: "LENGTH KEYWORD=VALUE", a line each (POSIX.1-2001, pax).

    Raises:
        HeaderError: It is not made like that.
    """
    start = 0
    while start < len(content) and content[start]:
        space = content.find(b" ", start, start + 8)
        length = content[start:space]
        end = start + int(length) if space > 0 and length.isdigit() else 0
        keyword, equals, value = content[space + 1 : end - 1].partition(b"=")
        if not (space < end <= len(content) and equals and content[end - 1 : end] == b"\n"):
            raise tarfile.HeaderError
        yield keyword, value
        start = end
