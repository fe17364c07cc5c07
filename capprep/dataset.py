"""The folder `dataset/`: rendered from the selection, file by file, around whatever a person edited there."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from capprep.candidates import PIXELS, TEXT
from capprep.errors import DatasetError
from capprep.facts import SUFFIXES
from capprep.files import TEMPORARY_PREFIX, sync_folder, write_atomically
from capprep.ledger import Wanted, Written
from capprep.manifest import PICTURE_SUFFIXES, Entry, Manifest, build, check_length
from capprep.portions import portions
from capprep.select import Example, Selection, edited_pixels
from capprep.workspace import Workspace

TEXT_SUFFIX = ".txt"
WRITTEN_SUFFIXES = (*SUFFIXES.values(), TEXT_SUFFIX)

_AT_ONCE = 500
"""Files that are written before they are said to be."""

_FORMATS = {".png": "PNG", ".webp": "WEBP"}


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


def adopt(workspace: Workspace, named: Callable[[str], str | None]) -> Adopted:
    """Look into `dataset/`, and turn what a person changed there into decisions.

    A file is a person's where it differs from what was written there last, or where nothing was.

    Args:
        workspace: Where.
        named: Gives the id of the picture whose files have a stem, or None; asked for files never written before.

    Raises:
        DatasetError: What a person left there is no UTF-8 text, or no square picture.
    """
    look(workspace)
    edited, withdrawn = [], []
    for name, status, written in workspace.ledger.touched():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a `Path` for each of thousands is slow
        file = written
        if file is None and suffix in WRITTEN_SUFFIXES and (id_ := named(stem)) is not None:
            file = Written(name, id_, "")
        if file is None:
            continue
        # the status is from before the content: if a person saves in between, the next run sees another status
        path = workspace.dataset / name
        content = path.read_bytes()
        digest = _digest(content)
        if digest not in (file.digest, file.previous) and _decide(workspace, file, path, content):
            edited.append(name)
        workspace.ledger.set([Written(name, file.id, digest, None, *status)])
    # a dataset/ that was moved away as a whole takes nothing back
    if workspace.dataset.is_dir():
        decisions = workspace.decisions()
        for file in workspace.ledger.vanished():
            kind = TEXT if file.name.endswith(TEXT_SUFFIX) else PIXELS
            if (file.id, kind) in decisions:
                workspace.decide(file.id, kind, None)
                withdrawn.append(file.name)
    return Adopted(tuple(edited), tuple(withdrawn))


def look(workspace: Workspace) -> None:
    """See what is in `dataset/` now; `render` and `foresee` go by it."""
    workspace.ledger.see(_listing(workspace))


def foresee(workspace: Workspace, examples: Iterable[Example]) -> Rendered:
    """What `render` would do to what `look` saw; nothing is written."""
    count = workspace.ledger.want(_files(examples))
    due = sum(1 for _ in _due(workspace))
    stale = sum(1 for _ in workspace.ledger.stale())
    return Rendered(due, count - due, stale, _foreign(workspace))


def render(workspace: Workspace, examples: Iterable[Example]) -> Rendered:
    """Make `dataset/` what the set says, after `adopt` has seen to a person's edits there.

    Every file is written whole; a crash leaves the old or the new one, and which of the two is known. A file
    that a person changes while this runs is left alone, for the next `adopt`.

    Args:
        workspace: Where.
        examples: All that is trained on; gone through once.
    """
    workspace.dataset.mkdir(exist_ok=True)
    for name in workspace.ledger.seen(TEMPORARY_PREFIX):
        (workspace.dataset / name).unlink(missing_ok=True)
    count = workspace.ledger.want(_files(examples))
    foreign = _foreign(workspace)
    removed = sum(_remove(workspace, some) for some in portions(workspace.ledger.stale(), _AT_ONCE))
    written = sum(_write_some(workspace, some) for some in portions(_due(workspace), _AT_ONCE))
    return Rendered(written, count - written, removed, foreign)


Due = tuple[Wanted, Written | None]
"""A file that has to be written, and as it was last written."""


def _due(workspace: Workspace) -> Iterator[Due]:
    for wanted, known, there in workspace.ledger.due():
        if not there or not _says(workspace.dataset / wanted.name, known, wanted):
            yield wanted, known


def _foreign(workspace: Workspace) -> tuple[str, ...]:
    """Pictures that are nobody's."""
    names = workspace.ledger.foreign()
    return tuple(name for name in names if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES)  # noqa: PTH122


def _write_some(workspace: Workspace, some: Sequence[Due]) -> int:
    """Write files; how many were, but for those that a person is just changing."""
    # first what will be there, with what may still be there: after a crash in between both are ours
    workspace.ledger.set(
        Written(file.name, file.id, file.digest, known.digest if known else None) for file, known in some
    )
    done = [_write(workspace, file, known) for file, known in some]
    sync_folder(workspace.dataset)
    workspace.ledger.set(file for file in done if file is not None)
    return sum(file is not None for file in done)


def _listing(workspace: Workspace) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of each file in `dataset/`."""
    try:
        with os.scandir(workspace.dataset) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    yield entry.name, status.st_size, status.st_mtime_ns
    except FileNotFoundError:
        return


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
        Entry(workspace.dataset / (example.name + example.suffix), example.crop, example.text or "")
        for example in selection.training
    )
    return build(entries, str(workspace.dataset))


def _files(examples: Iterable[Example]) -> Iterator[Wanted]:
    """The files that examples stand for."""
    for example in examples:
        yield Wanted(example.name + example.suffix, example.id, example.crop)
        if example.text is not None:
            digest = _digest(example.text.encode())
            yield Wanted(example.name + TEXT_SUFFIX, example.id, digest, example.text, example.edited)


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
    if path.suffix != TEXT_SUFFIX:
        side = _side(path, content)
        workspace.decide(file.id, PIXELS, edited_pixels(side, workspace.blobs.add(content), path.suffix))
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
    """The side in pixels of a square picture that a person left."""
    kind = _FORMATS.get(path.suffix, "PNG")
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as picture:
            picture.load()
            width, height = picture.size
    except Exception as error:  # whatever a decoder raises is about the file
        raise DatasetError(
            f"{path} was edited and is no whole {kind} picture", f"save it as {kind}, or delete it"
        ) from error
    if width != height:
        raise DatasetError(f"{path} was edited and is {width}x{height}, no square", "cut it square, or delete it")
    return width


def _says(path: Path, known: Written | None, wanted: Wanted) -> bool:
    """True if a file that is there already says what it should; a person's own spelling of the same text counts."""
    if known is None:
        return False
    if wanted.edited:
        return _text(path, path.read_bytes()) == wanted.text
    return known.digest == wanted.digest


def _write(workspace: Workspace, wanted: Wanted, known: Written | None) -> Written | None:
    """Write a file and say as what; None where a person changed it since `adopt`."""
    path = workspace.dataset / wanted.name
    content = workspace.blobs.path(wanted.digest).read_bytes() if wanted.text is None else wanted.text.encode()
    status = write_atomically(path, content, ready=lambda: _untouched(path, known), lasting=False)
    return status and Written(wanted.name, wanted.id, wanted.digest, None, status.st_size, status.st_mtime_ns)


def _remove(workspace: Workspace, files: Sequence[Written]) -> int:
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
    workspace.ledger.forget(forgotten)
    return removed
