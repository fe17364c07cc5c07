"""Texts that lie beside pictures, found by their names and read within bounds."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from capprep.images.entries import TEXT_SUFFIXES, Entry, is_text
from capprep.images.unusable import Unusable

MAX_BYTES = 1 << 16
"""The largest file that is read as the text of one picture."""


Found = TypeVar("Found")


class Reading(Protocol):
    """Reads the bytes of what a search found, as `files.Opener` does."""

    def read(self, entry: Entry) -> bytes:
        """Its bytes.

        Raises:
            Unusable: It cannot be read.
        """


FOLDERS = 32
"""Lists of folders that are kept: pictures come folder by folder, deeper ones in between."""


def with_texts(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Files as they were found, each with the text that lies beside it.

    For `a.jpg` that is `a.txt`, else `a.caption`, else `a.jpg.txt`. Folders are listed, and only texts that belong to
    a picture are looked at. Members of archives have theirs already.

    Args:
        entries: As from `files.scan`.
    """
    texts_in = functools.lru_cache(FOLDERS)(_texts_in)
    for entry in entries:
        yield entry if entry.member or entry.reason else _with_text(entry, texts_in)


def _with_text(entry: Entry, texts_in: Callable[[str], Mapping[str, str]]) -> Entry:
    folder, name = os.path.split(entry.path)
    there = texts_in(folder)
    found = _own(name, there) if there else None
    text = _looked_at(folder, found) if found else None
    return entry if text is None else replace(entry, text=text)


def paired(members: Iterable[Entry]) -> Iterator[Entry]:
    """The pictures among an archive's members, in their order, each with the text of the same name."""
    members = list(members)
    texts = {member.member: member for member in members if is_text(member.member)}
    by_name = {spelled: texts[name] for spelled, name in _spelled(texts).items()}
    for member in members:
        if member.member not in texts:
            text = _own(member.member, by_name) if by_name else None
            yield member if text is None else replace(member, text=text)


def read_text(entry: Entry, opener: Reading) -> str:
    """What a text says, without control characters and with line ends as they are everywhere else.

    Args:
        entry: The text's own.
        opener: Opens files and archives.

    Raises:
        Unusable: `too_large`, `encoding`, or as from `Opener.read`; an empty file is an empty text.
    """
    _check_size(entry.bytes)
    try:
        content = opener.read(entry)
    except Unusable as unusable:
        if unusable.reason == "empty":
            return ""
        raise
    _check_size(len(content))  # it may have grown
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable("encoding", "it is not UTF-8 text") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in lines if each in "\n\t" or not _is_control(each)).strip()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise Unusable("too_large", f"it has {size:,} bytes; the text of one picture has at most {MAX_BYTES:,}")


def _is_control(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0


def _own(name: str, there: Mapping[str, Found]) -> Found | None:
    """What is there under the first name that a picture's text may have."""
    stem = os.path.splitext(name)[0]  # noqa: PTH122 - a `Path` for each of thousands is slow
    for candidate in (*(stem + suffix for suffix in TEXT_SUFFIXES), name + TEXT_SUFFIXES[0]):
        if candidate in there:
            return there[candidate]
    return None


def _spelled(names: Iterable[str]) -> dict[str, str]:
    """Names of texts by the same with a suffix in lower case; of two the one that is so itself counts."""
    found: dict[str, str] = {}
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        spelled = stem + suffix.lower()
        if spelled == name or spelled not in found:
            found[spelled] = name
    return found


def _texts_in(folder: str) -> dict[str, str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are enough
    except OSError:  # whoever looked for pictures has said so
        return {}
    return _spelled(name for name in names if is_text(name))


def _looked_at(folder: str, name: str) -> Entry | None:
    """A text's entry; None where it is no file. A link may lead to somewhere below the folder only."""
    path = os.path.join(folder, name)  # noqa: PTH118
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            base = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118
            if not os.path.realpath(path).startswith(base):
                return Entry(path, reason="outside", message="it is a link that leads out of its folder")
            status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return Entry(path, "", status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
