"""What a search for pictures finds: files, pictures inside archives, texts beside them, and what cannot be opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

SUFFIXES = frozenset(".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .jxl .mpo .png .ppm .tif .tiff .webp".split())
"""File suffixes taken for pictures when a folder is searched; what a file is, its content decides."""

TEXT_SUFFIXES = (".txt", ".caption")
"""File suffixes of the texts that lie beside pictures; of two the first counts."""

EXPORTED = ".capprep-export.json"
"""The file that marks a folder as written by an export: what lies in it is no source."""

Key: TypeAlias = bytes
"""What tells an entry from every other: its path, and NUL and its name there if it lies in an archive."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture as a search found it, not opened yet.

    Attributes:
        path: The file, absolute; bytes that are no text stand as surrogates, as `os.fsdecode` gives them.
        member: Its name inside the archive at `path`; "" for a plain file, and for an archive that is broken itself.
        bytes: Its size, unpacked.
        stamp: Differs where the content does; for a plain file the time of its last change in ns. Fits 64 bits, signed.
        offset: Where in its archive it lies; reading in this order goes through an archive once.
        reason, message: Why it cannot be read, where that is known without opening it, or "".
        text: The text that lies beside it, see `texts.with_texts`, or None.
    """

    path: str
    member: str = ""
    bytes: int = 0
    stamp: int = 0
    offset: int = 0
    reason: str = ""
    message: str = ""
    text: Entry | None = None

    @property
    def key(self) -> Key:
        """Its identity as bytes; no path holds a NUL."""
        path = os.fsencode(self.path)
        return b"%b\0%b" % (path, _encoded(self.member)) if self.member else path

    @property
    def order(self) -> tuple[Key, int, Key]:
        """Sorts by path, and within an archive as the pictures lie there."""
        return os.fsencode(self.path), self.offset, _encoded(self.member)


def split(key: Key) -> tuple[str, str]:
    """The path and the name in the archive that an entry's key stands for."""
    path, _, member = key.partition(b"\0")
    return os.fsdecode(path), decoded(member)


def decoded(member: Key) -> str:
    """A name in an archive as `Entry.member` has it."""
    return member.decode("utf-8", "surrogateescape")


def is_picture(name: str) -> bool:
    """Whether a file's name says that it is a picture, in upper case or lower."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a `Path` for each of a million names is slow


def is_text(name: str) -> bool:
    """Whether a file's name says that it may be the text beside a picture, in upper case or lower."""
    return name.lower().endswith(TEXT_SUFFIXES)


def _encoded(member: str) -> Key:
    # names in archives do not depend on the language this machine is set to, as `os.fsencode` does
    return member.encode("utf-8", "surrogateescape")
