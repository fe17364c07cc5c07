"""The folder `dataset/`: rendered from the selection, file by file, around whatever a person edited there."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from capprep.candidates import PIXELS, TEXT
from capprep.errors import DatasetError
from capprep.facts import SUFFIXES
from capprep.files import TEMPORARY_PREFIX, sync_folder, write_atomically
from capprep.manifest import PICTURE_SUFFIXES, Entry, Manifest, build, check_length
from capprep.select import Example, Selection, edited_pixels
from capprep.workspace import Workspace, Written

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


@dataclass(frozen=True)
class Look:
    """What is in `dataset/` at one moment.

    Attributes:
        written: The files as they were last written, by name.
        there: Size and time of each file that is there.
    """

    written: Mapping[str, Written]
    there: Mapping[str, tuple[int, int]]


def look(workspace: Workspace) -> Look:
    """See what is in `dataset/`."""
    return Look(workspace.written(), _listing(workspace))


def adopt(workspace: Workspace, seen: Look, named: Callable[[str], str | None]) -> Adopted:
    """Turn what a person changed in `dataset/` into decisions.

    A file is a person's where it differs from what was written there last, or where nothing was.

    Args:
        workspace: Where.
        seen: What is there.
        named: Gives the id of the picture whose files have a stem, or None; asked for files never written before.

    Raises:
        DatasetError: What a person left there is no UTF-8 text, or no square picture.
    """
    edited, withdrawn = [], []
    written, there = seen.written, seen.there
    for name, status in there.items():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - twice as fast, and there are thousands
        file = written.get(name)
        if file is None and suffix in WRITTEN_SUFFIXES and (id_ := named(stem)) is not None:
            file = Written(name, id_, "")
        if file is None or status == (file.bytes, file.mtime_ns):
            continue
        # the status is from before the content: if a person saves in between, the next run sees another status
        path = workspace.dataset / name
        content = path.read_bytes()
        digest = _digest(content)
        if digest not in (file.digest, file.previous) and _decide(workspace, file, path, content):
            edited.append(name)
        workspace.set_written([Written(name, file.id, digest, None, *status)])
    decisions = workspace.decisions()
    for name, file in written.items():
        kind = TEXT if name.endswith(TEXT_SUFFIX) else PIXELS
        # only where it surely was there, and not in a dataset/ that was moved away as a whole
        was_there = file.bytes is not None and workspace.dataset.is_dir()
        if name not in there and was_there and (file.id, kind) in decisions:
            workspace.decide(file.id, kind, None)
            withdrawn.append(name)
    return Adopted(tuple(edited), tuple(withdrawn))


@dataclass(frozen=True)
class _Plan:
    """What has to be done to `dataset/`.

    Attributes:
        known: The files as they were last written.
        wanted: The example and the digest of each file that should be there.
        due: The names of those that are not there, or say something else.
        stale: Files that should not be there.
        foreign: Pictures that are nobody's.
    """

    known: Mapping[str, Written]
    wanted: Mapping[str, tuple[Example, str]]
    due: Sequence[str]
    stale: Sequence[Written]
    foreign: tuple[str, ...]

    def rendered(self, written: int, removed: int) -> Rendered:
        return Rendered(written, len(self.wanted) - written, removed, self.foreign)


def _plan(workspace: Workspace, selection: Selection, seen: Look) -> _Plan:
    known, there = seen.written, seen.there
    wanted = {name: (example, digest) for example in selection.training for name, digest in _files(example)}
    due = [
        name
        for name, (example, digest) in wanted.items()
        if name not in there or not _says(workspace.dataset / name, known.get(name), example, digest)
    ]
    stale = [file for name, file in known.items() if name not in wanted]
    pictures = (name for name in there if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES)  # noqa: PTH122
    return _Plan(
        known, wanted, due, stale, tuple(sorted(name for name in pictures if name not in wanted and name not in known))
    )


def foresee(workspace: Workspace, selection: Selection) -> Rendered:
    """What `render` would do; nothing is written."""
    plan = _plan(workspace, selection, look(workspace))
    return plan.rendered(len(plan.due), len(plan.stale))


def render(workspace: Workspace, selection: Selection, seen: Look | None = None) -> Rendered:
    """Make `dataset/` what the selection says, after `adopt` has seen to a person's edits.

    Every file is written whole; a crash leaves the old or the new one, and which of the two is known. A file
    that a person changes while this runs is left alone, for the next `adopt`.

    Args:
        workspace: Where.
        selection: What should be there.
        seen: What is there, to save looking again where nothing was adopted since.
    """
    workspace.dataset.mkdir(exist_ok=True)
    seen = seen or look(workspace)
    for name in seen.there:
        if name.startswith(TEMPORARY_PREFIX):
            (workspace.dataset / name).unlink(missing_ok=True)
    plan = _plan(workspace, selection, seen)
    removed = _remove(workspace, plan.stale)
    known = plan.known
    if not plan.due:
        return plan.rendered(0, removed)
    # first what will be there, with what may still be there: after a crash in between both are ours
    workspace.set_written(
        Written(name, example.id, digest, known[name].digest if name in known else None)
        for name, (example, digest) in ((name, plan.wanted[name]) for name in plan.due)
    )
    written = 0
    for begin in range(0, len(plan.due), _AT_ONCE):
        names = plan.due[begin : begin + _AT_ONCE]
        done = [_write(workspace, name, *plan.wanted[name], known.get(name)) for name in names]
        sync_folder(workspace.dataset)
        workspace.set_written(file for file in done if file is not None)
        written += sum(file is not None for file in done)
    return plan.rendered(written, removed)


def _listing(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Size and time of each file in `dataset/`."""
    try:
        with os.scandir(workspace.dataset) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except FileNotFoundError:
        return {}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in files}


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


def _files(example: Example) -> Iterator[tuple[str, str]]:
    """(name, digest of the content) of the files an example stands for."""
    yield example.name + example.suffix, example.crop
    if example.text is not None:
        yield example.name + TEXT_SUFFIX, _digest(example.text.encode())


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


def _says(path: Path, known: Written | None, example: Example, digest: str) -> bool:
    """True if a file that is there already says what it should; a person's own spelling of the same text counts."""
    if known is None:
        return False
    if path.suffix == TEXT_SUFFIX and example.edited:
        return _text(path, path.read_bytes()) == example.text
    return known.digest == digest


def _write(workspace: Workspace, name: str, example: Example, digest: str, known: Written | None) -> Written | None:
    """Write a file and say as what; None where a person changed it since `adopt`."""
    path = workspace.dataset / name
    content = (example.text or "").encode() if path.suffix == TEXT_SUFFIX else workspace.blobs.path(digest).read_bytes()
    status = write_atomically(path, content, ready=lambda: _untouched(path, known), lasting=False)
    return status and Written(name, example.id, digest, None, status.st_size, status.st_mtime_ns)


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
    workspace.forget_written(forgotten)
    return removed
