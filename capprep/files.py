"""Files that people see: written whole under a temporary name, flushed, then renamed."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at any instant the old or the new content is there, never a part.

    Raises:
        OSError: As from writing; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # a short name of its own: the file's name plus a prefix could be longer than a name may be
    temporary = path.with_name(TEMPORARY_PREFIX + uuid.uuid4().hex)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
