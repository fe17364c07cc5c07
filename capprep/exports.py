"""Folders for other trainers: the training set as the webui and kohya's scripts read it, brought up to date each time.

A folder's marker says which files are ours, by their content. It is written before the files are and again after
them, so that a crash in between leaves none that nobody owns; whatever is not as it says is a person's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capprep.candidates import Policy
from capprep.errors import ConfigError, DatasetError
from capprep.files import TEMPORARY_PREFIX, sync_folder, write_atomically
from capprep.filewords import retarget, split
from capprep.filewords.words import NAME
from capprep.images.entries import EXPORTED, is_picture
from capprep.select import Selection
from capprep.sources import Source
from capprep.workspace import FOLDER, Workspace

WEBUI, KOHYA = "webui", "kohya"
CONFIG = "dataset.toml"

_AT_ONCE = 2000
"""Files that are written before they are said to be."""

Status = tuple[int, int]
"""Size and time (in ns) of a file."""

Record = tuple[str, int, int]
"""SHA-256, size and time of a file as it was written."""


@dataclass(frozen=True)
class Target:
    """Where to and how.

    Attributes:
        trainer: `WEBUI`: pictures and texts side by side. `KOHYA`: the same in a folder REPEATS_NAME, and
            `dataset.toml` beside it.
        folder: The folder; a new or empty one, or one exported to before.
        repeats: How often kohya's scripts show each picture in an epoch.
        name: The second part of that folder's name; "" for the name of `folder`.
    """

    trainer: str
    folder: Path
    repeats: int = 1
    name: str = ""


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Attributes:
        pictures: How many there are, with mirrored copies.
        written: Files written, new or changed.
        unchanged: Files that already were as they should be.
        removed: Files taken away because they are no longer wanted.
        edited: Files that a person changed or put there, left as they are.
        foreign: Pictures that no export wrote and that the trainer would read too.
    """

    pictures: int
    written: int
    unchanged: int
    removed: int
    edited: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass
class _Marker:
    """What is known of a folder.

    Attributes:
        files: What was written there, by name.
        writing: The digest of each file that may have been written since.
    """

    files: dict[str, Record] = field(default_factory=dict)
    writing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """A file that should be there.

    Attributes:
        digest: SHA-256 of its content.
        picture: Name of the square in `dataset/`, or "".
        content: Of any other file.
    """

    digest: str
    picture: str = ""
    content: bytes = b""


def export(workspace: Workspace, selection: Selection, policy: Policy, target: Target) -> Exported:
    """Make a folder what a trainer should read, after `dataset.render`; what a person put there is left alone.

    Args:
        workspace: Where the set comes from.
        selection: The set.
        policy: How its texts are written.
        target: Where to and how.

    Raises:
        ConfigError: What the texts hold is not for that trainer, or the name cannot be a folder's.
        DatasetError: The set is empty or lacks texts, or the folder cannot be taken.
    """
    folder = Path(os.path.realpath(target.folder))
    wanted = dict(_wanted(selection, policy, target, folder))
    _check_place(workspace, folder)
    marker = _read_marker(workspace, folder)
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder, wanted)
    due: dict[str, Status | None] = {}
    edited = set()
    for name, file in wanted.items():
        says, status = _look(folder / name, marker, name, file.digest)
        if says == file.digest and status is not None:
            marker.files[name] = (file.digest, *status)
        elif says is None:
            edited.add(name)
        else:
            due[name] = status
    unchanged = len(wanted) - len(due) - len(edited)
    removed, left = _remove(folder, marker, [name for name in marker.files | marker.writing if name not in wanted])
    marker.writing = {name: wanted[name].digest for name in due}
    _write_marker(workspace, folder, marker)
    changed = _write_all(workspace, folder, marker, wanted, due)
    edited |= left | changed
    foreign = _foreign(folder, target, wanted.keys() | marker.files.keys())
    pictures = sum(bool(file.picture) for file in wanted.values())
    return Exported(
        pictures, len(due) - len(changed), unchanged, removed, tuple(sorted(edited)), tuple(sorted(foreign))
    )


def _write_all(
    workspace: Workspace,
    folder: Path,
    marker: _Marker,
    wanted: Mapping[str, _File],
    due: Mapping[str, Status | None],
) -> set[str]:
    """Write what is due; the names of those that a person changed in the meantime."""
    changed, names = set(), list(due)
    for begin in range(0, len(names), _AT_ONCE):
        some = names[begin : begin + _AT_ONCE]
        for name in some:
            status = _write(workspace, folder / name, wanted[name], due[name])
            if status is None:
                changed.add(name)
            else:
                marker.files[name] = (wanted[name].digest, *status)
            del marker.writing[name]
        for place in {(folder / name).parent for name in some}:
            sync_folder(place)
        _write_marker(workspace, folder, marker)
    return changed


def _wanted(selection: Selection, policy: Policy, target: Target, folder: Path) -> Iterator[tuple[str, _File]]:
    """Every file that should be there, by its name under the folder."""
    kohya = target.trainer == KOHYA
    if kohya and NAME in policy.trigger + policy.merge:
        raise ConfigError(f"{NAME} is filled in by the webui only", "give the word itself with `capprep caption`")
    inner = f"{target.repeats}_{_class_name(target, folder)}" if kohya else ""
    count, silent, size = 0, list[str](), 0
    for example in selection.training:
        count, size = count + 1, example.picture.size
        silent += [example.name] if example.text is None else []
        stem = f"{inner}/{example.name}" if kohya else example.name
        text = retarget(example.text or "", policy.escape, target.trainer)
        content = (_line(text) if kohya else text).encode()
        yield stem + example.suffix, _File(example.crop, example.name + example.suffix)
        yield stem + ".txt", _File(_digest(content), content=content)
    if silent:
        message = f"{len(silent)} of {count} pictures have no text yet, for instance {silent[0]}"
        raise DatasetError(message, "run `capprep caption --blip --booru` first")
    if not count:
        raise DatasetError("there is no picture in the set", "run `capprep status` to see why")
    if kohya:
        content = _config(folder / inner, target.repeats, size, policy).encode()
        yield CONFIG, _File(_digest(content), content=content)


def _class_name(target: Target, folder: Path) -> str:
    """What stands behind the number of repeats."""
    if not target.name:
        return re.sub(r"[^\w.+ -]+", "_", folder.name).strip() or "pictures"
    if not target.name.isprintable() or re.search(r'[/\\:*?"<>|]', target.name) or len(target.name.encode()) > 200:
        raise ConfigError(f"name = {target.name[:80]!r} cannot be part of a folder's name", "give one plain word")
    return target.name


def _line(text: str) -> str:
    """A text as kohya's scripts read it: of a file the first line, and an empty file is an error."""
    return re.sub(r"\s*[\r\n]+\s*", " ", text).strip() or "\n"


def _config(pictures: Path, repeats: int, size: int, policy: Policy) -> str:
    """What `--dataset_config` of kohya's scripts takes; by itself they would look for texts called `.caption`."""
    keep = len(split(policy.trigger)) if policy.template().startswith("{trigger}") else 0
    return (
        "# written by capprep export; for --dataset_config of kohya's scripts\n"
        f'[general]\ncaption_extension = ".txt"\nshuffle_caption = false\nkeep_tokens = {keep}\n\n'
        f"[[datasets]]\nresolution = {size}\n\n"
        f"[[datasets.subsets]]\nimage_dir = {_quoted(str(pictures))}\nnum_repeats = {repeats}\n"
    )


def _quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0): JSON's, but for DEL.

    Raises:
        DatasetError: It is no text.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"{text!r} is no text", "name a folder whose path is UTF-8") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check_place(workspace: Workspace, folder: Path) -> None:
    """Raise where a folder must not be written to."""
    for own in (workspace.dataset, workspace.runs, workspace.folder):
        if folder.is_relative_to(os.path.realpath(own)):
            raise DatasetError(f"{folder} is where capprep keeps its own work", "name another folder")
    for place in {_folder(source) for source in workspace.sources}:
        # where pictures lie beside the workspace, everything is below their folder
        if folder.is_relative_to(place) and not workspace.root.is_relative_to(place):
            raise DatasetError(f"{folder} is among the source pictures in {place}", "name a folder elsewhere")
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder} is a file", "name a folder")


def _folder(source: Source) -> str:
    return os.path.dirname(os.fsdecode(source.key.partition(b"\0")[0]))  # noqa: PTH120 - there are thousands


def _read_marker(workspace: Workspace, folder: Path) -> _Marker:
    """What an earlier export left; nothing for a new or empty folder.

    Raises:
        DatasetError: The folder is somebody else's, or its marker is damaged.
    """
    path = folder / EXPORTED
    if not path.exists():
        if folder.is_dir() and any(not each.name.startswith(TEMPORARY_PREFIX) for each in folder.iterdir()):
            raise DatasetError(
                f"{folder} holds files that no export wrote", "name a new or an empty folder; nothing was changed"
            )
        return _Marker()
    try:
        data = json.loads(path.read_bytes())
        files = {str(name): (str(digest), int(size), int(at)) for name, (digest, size, at) in data["files"].items()}
        writing = {str(name): str(digest) for name, digest in data["writing"].items()}
        whose = str(data["workspace"])
        names = [*files, *writing]
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
            raise ValueError("a name leads out of the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "name another folder; or empty this one, if nothing in it is yours"
        raise DatasetError(f"{path} cannot be read: {error}", hint) from error
    if whose != str(workspace.root) and (Path(whose) / FOLDER / "capprep.db").exists():
        raise DatasetError(f"{folder} was exported from the workspace in {whose}", "name another folder")
    return _Marker(files, writing)


def _write_marker(workspace: Workspace, folder: Path, marker: _Marker) -> None:
    data: dict[str, Any] = {"workspace": str(workspace.root), "files": marker.files, "writing": marker.writing}
    write_atomically(folder / EXPORTED, json.dumps(data).encode())


def _sweep(folder: Path, wanted: Mapping[str, _File]) -> None:
    """Take away what a crash left half written."""
    for place in {folder / Path(name).parent for name in wanted} | {folder}:
        if place.is_dir():
            for left in place.glob(TEMPORARY_PREFIX + "*"):
                left.unlink(missing_ok=True)


def _look(path: Path, marker: _Marker, name: str, digest: str) -> tuple[str | None, Status | None]:
    """What a file says, as its digest, "" where there is none and None where it is a person's; and its status."""
    record = marker.files.get(name)
    try:
        status = _status(path)
        if record and status == record[1:]:
            return record[0], status
        # the status is from before the content: a change in between is seen when the file is written
        found = _digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
    except FileNotFoundError:
        return (None, None) if path.is_symlink() else ("", None)
    except NotADirectoryError:
        return None, None
    return found if found in (digest, marker.writing.get(name), record and record[0]) else None, status


def _status(path: Path) -> Status:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _remove(folder: Path, marker: _Marker, names: list[str]) -> tuple[int, set[str]]:
    """Take away files that are ours and no longer wanted, and folders that are empty then.

    Returns:
        How many files that were, and the names of those that a person changed.
    """
    removed, left = 0, set()
    for name in names:
        says, _ = _look(folder / name, marker, name, "")
        if says is None:
            left.add(name)
            continue
        if says:
            (folder / name).unlink()
            removed += 1
        marker.files.pop(name, None)
    for place in {(folder / name).parent for name in names} - {folder}:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    return removed, left


def _write(workspace: Workspace, path: Path, file: _File, before: Status | None) -> Status | None:
    """Write a file and return its size and time; None where it is not as it was a moment ago."""

    def ready() -> bool:
        return _status(path) == before if os.path.lexists(path) else before is None

    own = _unchanged(workspace.dataset / file.picture, file.digest) if file.picture else None
    if own is not None and _linked(workspace.dataset / file.picture, path, ready):
        return own
    content = workspace.blobs.path(file.digest).read_bytes() if file.picture else file.content
    status = write_atomically(path, content, ready, lasting=False)
    return status and (status.st_size, status.st_mtime_ns)


def _unchanged(path: Path, digest: str) -> Status | None:
    """The status of a square in `dataset/` where it is what was chosen; somebody may just be painting on it."""
    try:
        # from before the content is read: a later change is seen by the next export
        status = _status(path)
        return status if _digest(path.read_bytes()) == digest else None
    except OSError:
        return None


def _linked(own: Path, path: Path, ready: Callable[[], bool]) -> bool:
    """Give a file a second name; False where that cannot be. Never a blob's: it could be written to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMPORARY_PREFIX + uuid.uuid4().hex)
    try:
        os.link(own, temporary)
        if not ready():
            return False
        temporary.replace(path)
    except OSError:
        return False
    finally:
        # of two names of one file, a rename leaves both
        temporary.unlink(missing_ok=True)
    return True


def _foreign(folder: Path, target: Target, ours: Container[str]) -> Iterator[str]:
    """Pictures in the folders that the trainer reads which no export wrote."""
    inner = [each for each in folder.iterdir() if each.is_dir() and re.match(r"\d+(_|$)", each.name)]
    for place in inner if target.trainer == KOHYA else [folder]:
        for path in place.iterdir():
            name = path.relative_to(folder).as_posix()
            if is_picture(path.name) and name not in ours:
                yield name


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
