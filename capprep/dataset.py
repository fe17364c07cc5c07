"""The folder `dataset/`: rendered from the selection, file by file, around whatever a person edited there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capprep.errors import DatasetError
from capprep.files import TEMPORARY_PREFIX, write_atomically
from capprep.manifest import Entry, Manifest, build
from capprep.select import PIXELS, TEXT, Example, Selection
from capprep.workspace import Workspace, Written

PICTURE_SUFFIX = ".png"
TEXT_SUFFIX = ".txt"


@dataclass(frozen=True)
class Rendered:
    """What rendering did to `dataset/`.

    Attributes:
        written: Files written, new or changed.
        unchanged: Files that already were as they should be.
        removed: Files taken away because their picture or text is no longer in the set.
    """

    written: int
    unchanged: int
    removed: int


def adopt(workspace: Workspace, selection: Selection) -> list[str]:
    """Turn what a person changed in `dataset/` into decisions, and return the names of those files.

    A file is a person's where it differs from what was written there last, or where nothing was.

    Raises:
        DatasetError: A text file a person edited is not UTF-8.
    """
    adopted = []
    written = workspace.written()
    expected = {name: Written(name, example.id, "") for example in selection.examples for name in _names(example)}
    for name, file in {**expected, **written}.items():
        path = workspace.dataset / name
        if not path.is_file() or _untouched(path, file):
            continue
        content = path.read_bytes()
        digest = _digest(content)
        status = path.stat()
        if digest not in (file.digest, file.previous):
            _decide(workspace, file.id, path, content)
            adopted.append(name)
        workspace.set_written([Written(name, file.id, digest, None, status.st_size, status.st_mtime_ns)])
    return adopted


def render(workspace: Workspace, selection: Selection) -> Rendered:
    """Make `dataset/` what the selection says, after `adopt` has seen to a person's edits.

    Every file is written whole; a crash leaves the old or the new one, and which of the two is known.
    """
    workspace.dataset.mkdir(exist_ok=True)
    for left_behind in workspace.dataset.glob(TEMPORARY_PREFIX + "*"):
        left_behind.unlink()
    known = workspace.written()
    wanted = {name: (example, content) for example in selection.examples for name, content in _files(example)}
    removed = _remove(workspace, [file for name, file in known.items() if name not in wanted])
    due = [
        (name, example, digest)
        for name, (example, digest) in wanted.items()
        if not _is_there(workspace.dataset / name, known.get(name), example, digest)
    ]
    # first what will be there, with what may still be there: after a crash in between both are ours
    workspace.set_written(
        Written(name, example.id, digest, known[name].digest if name in known else None)
        for name, example, digest in due
    )
    workspace.set_written([_write(workspace, name, example, digest) for name, example, digest in due])
    return Rendered(len(due), len(wanted) - len(due), removed)


def manifest(workspace: Workspace, selection: Selection) -> Manifest:
    """The training set as a trainer takes it: the rendered pictures with their texts.

    Raises:
        DatasetError: There is no picture, or some picture has no text yet.
    """
    silent = [example.name for example in selection.examples if example.text is None]
    if silent:
        raise DatasetError(
            f"{len(silent)} of {len(selection.examples)} pictures have no text yet, for instance {silent[0]}",
            "run `capprep caption --blip --booru` first",
        )
    entries = (
        Entry(workspace.dataset / (example.name + PICTURE_SUFFIX), example.crop, example.text or "")
        for example in selection.examples
    )
    return build(entries, str(workspace.dataset))


def _names(example: Example) -> tuple[str, str]:
    return example.name + PICTURE_SUFFIX, example.name + TEXT_SUFFIX


def _files(example: Example) -> Iterator[tuple[str, str]]:
    """(name, digest of the content) of the files an example stands for."""
    picture, text = _names(example)
    yield picture, example.crop
    if example.text is not None:
        yield text, _digest(example.text.encode())


def _untouched(path: Path, file: Written) -> bool:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (file.bytes, file.mtime_ns)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _decide(workspace: Workspace, subject: str, path: Path, content: bytes) -> None:
    if path.suffix == PICTURE_SUFFIX:
        workspace.decide(subject, PIXELS, workspace.add_blob(content))
        return
    workspace.decide(subject, TEXT, _text(path, content))


def _text(path: Path, content: bytes) -> str:
    """What a person's text file says: an editor's byte order mark and last line end are no part of it."""
    try:
        return content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} was edited and is not UTF-8 text", "save it as UTF-8 and try again") from error


def _is_there(path: Path, known: Written | None, example: Example, digest: str) -> bool:
    """True if a file already says what it should; a person's own spelling of the same text counts."""
    if not path.is_file() or known is None:
        return False
    if path.suffix == TEXT_SUFFIX and example.edited:
        return _text(path, path.read_bytes()) == example.text
    return known.digest == digest


def _write(workspace: Workspace, name: str, example: Example, digest: str) -> Written:
    path = workspace.dataset / name
    is_text = path.suffix == TEXT_SUFFIX
    write_atomically(path, (example.text or "").encode() if is_text else workspace.blob(digest).read_bytes())
    status = path.stat()
    return Written(name, example.id, digest, None, status.st_size, status.st_mtime_ns)


def _remove(workspace: Workspace, files: list[Written]) -> int:
    """Take away files that are no longer wanted; what a person edited in them was kept by `adopt`."""
    removed = 0
    for file in files:
        path = workspace.dataset / file.name
        if path.is_file():
            path.unlink()
            removed += 1
    workspace.forget_written(file.name for file in files)
    return removed
