"""Archives made in memory for tests, and what comes of them."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from capprep.images.files import Entry, Opener
from capprep.images.unusable import Unusable

from .searching import scan

Contents = Mapping[str, bytes] | Iterable[tuple[str, bytes]]


def zipped(contents: Contents, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A .zip with some files, all of one date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in pairs(contents):
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 2, 3, 4, 6)), content, compression)
    return buffer.getvalue()


def tarred(contents: Contents, mode: str = "w:", form: int = tarfile.GNU_FORMAT) -> bytes:
    """A .tar with some files, all of one date."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form, encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for name, content in pairs(contents):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def pairs(contents: Contents) -> Iterable[tuple[str, bytes]]:
    """Names and contents in their order; names may come twice."""
    return contents.items() if isinstance(contents, Mapping) else contents


KINDS: dict[str, tuple[str, Callable[[Contents], bytes]]] = {
    "stored": (".zip", lambda contents: zipped(contents, zipfile.ZIP_STORED)),
    "deflated": (".ZIP", zipped),
    "gnu": (".tar", tarred),
    "pax": (".tar", lambda contents: tarred(contents, form=tarfile.PAX_FORMAT)),
    "gzip": (".tar.gz", lambda contents: tarred(contents, "w:gz")),
    "tgz": (".TGZ", lambda contents: tarred(contents, "w:gz")),
    "bzip2": (".tar.bz2", lambda contents: tarred(contents, "w:bz2")),
}


def packed(folder: Path, kind: str, contents: Contents) -> Path:
    """An archive of a kind, written."""
    suffix, pack = KINDS[kind]
    path = folder / f"archive{suffix}"
    path.write_bytes(pack(contents))
    return path


def outcome(opener: Opener, entry: Entry) -> bytes | str:
    """A picture's bytes, or the reason why there are none."""
    try:
        return opener.read(entry)
    except Unusable as unusable:
        return unusable.reason if unusable.message else "no sentence"


def outcomes(place: Path) -> dict[str, bytes | str]:
    """What a scan finds and reads, by the name in the archive; the archive itself by its own name."""
    entries = scan([place])
    with Opener() as opener:
        read = {entry.member or Path(entry.path).name: outcome(opener, entry) for entry in entries}
    assert len(read) == len(entries)
    return read


def noise(number: int, size: int = 2000) -> bytes:
    """Bytes that cannot be packed, other ones for each number."""
    return random.Random(number).randbytes(size)
