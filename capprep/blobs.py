"""Large parts of facts as files named by their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from capprep.files import write_atomically


@dataclass(frozen=True)
class Blobs:
    """A folder of files that never change, each named by its SHA-256."""

    folder: Path

    def add(self, content: bytes) -> str:
        """Keep bytes and return their SHA-256 (hex)."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(digest)
        if not path.is_file() or path.stat().st_size != len(content):
            write_atomically(path, content)
        return digest

    def path(self, digest: str) -> Path:
        """Where the bytes with this SHA-256 lie, or would lie."""
        return self.folder / digest[:2] / digest
