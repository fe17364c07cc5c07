"""Files that people see: written whole under a temporary name, flushed, then renamed; and locks between processes."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from capprep.errors import CapprepError

TEMPORARY_PREFIX = ".tmp-"


def write_atomically(
    path: Path, data: bytes, ready: Callable[[], bool] | None = None, *, lasting: bool = True
) -> os.stat_result | None:
    """Write a file so that at any instant the old or the new content is there, never a part.

    Args:
        path: Where; folders are made.
        data: The whole content.
        ready: Asked just before the file gets its name; where it says no, nothing is written.
        lasting: See to it that the name lasts through a loss of power; where many files are written to one folder,
            one `sync_folder` after them does it for all.

    Returns:
        The new file's status, as it was before anybody else could see the file; None where `ready` said no.

    Raises:
        OSError: As from writing, with the file's own name; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is there and no regular file", str(path))
    # a short name of its own: the file's name plus a prefix could be longer than a name may be
    temporary = path.with_name(TEMPORARY_PREFIX + uuid.uuid4().hex)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            status = os.fstat(file.fileno())
        if ready is not None and not ready():
            temporary.unlink()
            return None
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    if lasting:
        sync_folder(path.parent)
    return status


def sync_folder(folder: Path) -> None:
    """Make renames last through a loss of power, where a folder can be opened (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def locked(path: Path, busy: CapprepError) -> FileLock:
    """A lock between processes, taken; it ends with its `release` or with the process.

    Args:
        path: The lock's file; its folder must be there.
        busy: Raised where another process has the lock.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise busy from error
    return lock
