"""Large parts of facts as files named by their content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from capprep.files import TEMPORARY_PREFIX, write_atomically


@dataclass(frozen=True)
class Blobs:
    """A folder of files that never change, each named by its SHA-256."""

    folder: Path

    def add(self, content: bytes) -> str:
        """Keep bytes and return their SHA-256 (hex)."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(digest)
        if not path.is_file() or path.stat().st_size != len(content):
            # a name that is lost with the power is missed by `has`, and the blob made again
            write_atomically(path, content, lasting=False)
        return digest

    def has(self, digest: str) -> bool:
        """Whether the bytes with this SHA-256 are kept."""
        # asked for each of thousands: a `Path` would take longer than the answer
        return os.access(f"{self.folder}/{digest[:2]}/{digest}", os.F_OK)

    def _folders(self) -> list[str]:
        try:
            return [folder.path for folder in os.scandir(self.folder) if folder.is_dir()]
        except FileNotFoundError:
            return []

    def sweep(self) -> None:
        """Take away what a killed process left half written; nobody else may be writing."""
        for folder in self._folders():
            for name in os.listdir(folder):  # noqa: PTH208 - names only
                if name.startswith(TEMPORARY_PREFIX):
                    Path(folder, name).unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Where the bytes with this SHA-256 lie, or would lie."""
        return self.folder / digest[:2] / digest


class NoBlobs(Blobs):
    """The same folder for somebody who must not write: what is added is named and forgotten."""

    def sweep(self) -> None:
        """Nothing is taken away."""

    def add(self, content: bytes) -> str:
        """The SHA-256 (hex) of bytes that are not kept."""
        return hashlib.sha256(content).hexdigest()
