"""The folder `dataset/`: rendered from the selection, file by file, around whatever a person edited there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from capprep.errors import DatasetError
from capprep.files import TEMPORARY_PREFIX, write_atomically
from capprep.manifest import PICTURE_SUFFIXES, Entry, Manifest, build, check_length
from capprep.select import PIXELS, TEXT, Example, Selection, edited_pixels
from capprep.workspace import Workspace, Written

PICTURE_SUFFIX = ".png"
TEXT_SUFFIX = ".txt"


@dataclass(frozen=True)
class Rendered:
    """What rendering did to `dataset/`.

    Attributes:
        written: Files written, new or changed.
        unchanged: Files that already were as they should be, and those a person is just changing.
        removed: Files taken away because their picture or text is no longer in the set.
        foreign: Pictures in the folder that capprep did not make; other trainers would use them too.
    """

    written: int
    unchanged: int
    removed: int
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adopted:
    """What a person did in `dataset/` since the last time.

    Attributes:
        edited: Files changed, which are decisions now.
        withdrawn: Files that were such a decision and that the person deleted, which takes it back.
    """

    edited: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edited or self.withdrawn)


def adopt(workspace: Workspace, selection: Selection) -> Adopted:
    """Turn what a person changed in `dataset/` into decisions.

    A file is a person's where it differs from what was written there last, or where nothing was.

    Raises:
        DatasetError: What a person left there is no UTF-8 text, or no square picture.
    """
    edited, withdrawn = [], []
    written, decisions = workspace.written(), workspace.decisions()
    expected = {name: Written(name, example.id, "") for example in selection.examples for name in _names(example)}
    for name, file in {**expected, **written}.items():
        path = workspace.dataset / name
        if not path.is_file():
            kind = PIXELS if path.suffix == PICTURE_SUFFIX else TEXT
            # only where it surely was there, and not in a dataset/ that was moved away as a whole
            was_there = name in written and written[name].bytes is not None and workspace.dataset.is_dir()
            if was_there and (file.id, kind) in decisions:
                workspace.decide(file.id, kind, None)
                withdrawn.append(name)
            continue
        if _untouched(path, file):
            continue
        # the status before the content: if a person saves in between, the next run sees another status
        status = path.stat()
        content = path.read_bytes()
        digest = _digest(content)
        if digest not in (file.digest, file.previous) and _decide(workspace, file, path, content):
            edited.append(name)
        workspace.set_written([Written(name, file.id, digest, None, status.st_size, status.st_mtime_ns)])
    return Adopted(tuple(edited), tuple(withdrawn))


def render(workspace: Workspace, selection: Selection) -> Rendered:
    """Make `dataset/` what the selection says, after `adopt` has seen to a person's edits.

    Every file is written whole; a crash leaves the old or the new one, and which of the two is known. A file
    that a person changes while this runs is left alone, for the next `adopt`.
    """
    workspace.dataset.mkdir(exist_ok=True)
    for left_behind in workspace.dataset.glob(TEMPORARY_PREFIX + "*"):
        left_behind.unlink()
    known = workspace.written()
    wanted = {name: (example, digest) for example in selection.examples for name, digest in _files(example)}
    removed = _remove(workspace, [file for name, file in known.items() if name not in wanted])
    due = {
        name: (example, digest)
        for name, (example, digest) in wanted.items()
        if not _is_there(workspace.dataset / name, known.get(name), example, digest)
    }
    # first what will be there, with what may still be there: after a crash in between both are ours
    workspace.set_written(
        Written(name, example.id, digest, known[name].digest if name in known else None)
        for name, (example, digest) in due.items()
    )
    done = [_write(workspace, name, *due[name], known.get(name)) for name in due]
    workspace.set_written(file for file in done if file is not None)
    written = sum(file is not None for file in done)
    files = (path for path in workspace.dataset.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    foreign = tuple(sorted(path.name for path in files if path.name not in wanted))
    return Rendered(written, len(wanted) - written, removed, foreign)


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


def _untouched(path: Path, file: Written | None) -> bool:
    """True if a file is as it was last written, or not there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    return file is not None and (status.st_size, status.st_mtime_ns) == (file.bytes, file.mtime_ns)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _decide(workspace: Workspace, file: Written, path: Path, content: bytes) -> bool:
    """Keep a person's file as a decision; False where it says the same as what was written."""
    if path.suffix == PICTURE_SUFFIX:
        workspace.decide(file.id, PIXELS, edited_pixels(_side(path, content), workspace.blobs.add(content)))
        return True
    text = _text(path, content)
    if _digest(text.encode()) == file.digest:
        return False
    workspace.decide(file.id, TEXT, text)
    return True


def _text(path: Path, content: bytes) -> str:
    """What a person's text file says: an editor's byte order mark and last line end are no part of it."""
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} was edited and is not UTF-8 text", "save it as UTF-8 and try again") from error
    check_length(text, path)
    return text


def _side(path: Path, content: bytes) -> int:
    """The side in pixels of a square PNG that a person left."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            picture.load()
            width, height = picture.size
    except Exception as error:  # whatever a decoder raises is about the file
        raise DatasetError(f"{path} was edited and is no whole PNG picture", "save it as PNG, or delete it") from error
    if width != height:
        raise DatasetError(f"{path} was edited and is {width}x{height}, no square", "cut it square, or delete it")
    return width


def _is_there(path: Path, known: Written | None, example: Example, digest: str) -> bool:
    """True if a file already says what it should; a person's own spelling of the same text counts."""
    if not path.is_file() or known is None:
        return False
    if path.suffix == TEXT_SUFFIX and example.edited:
        return _text(path, path.read_bytes()) == example.text
    return known.digest == digest


def _write(workspace: Workspace, name: str, example: Example, digest: str, known: Written | None) -> Written | None:
    """Write a file and say as what; None where a person changed it since `adopt`."""
    path = workspace.dataset / name
    content = (example.text or "").encode() if path.suffix == TEXT_SUFFIX else workspace.blobs.path(digest).read_bytes()
    status = write_atomically(path, content, ready=lambda: _untouched(path, known))
    return status and Written(name, example.id, digest, None, status.st_size, status.st_mtime_ns)


def _remove(workspace: Workspace, files: list[Written]) -> int:
    """Take away files that are no longer wanted; what a person edited in them was kept by `adopt`."""
    removed, forgotten = 0, []
    for file in files:
        path = workspace.dataset / file.name
        if not _untouched(path, file):
            continue
        if path.is_file():
            path.unlink()
            removed += 1
        forgotten.append(file.name)
    workspace.forget_written(forgotten)
    return removed
