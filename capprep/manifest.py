"""What a trainer is given: pictures, their texts, and one digest of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capprep.errors import DatasetError

MAX_TEXT = 20_000
"""Characters a caption may have; one in use is a few hundred, and the text encoder's time grows with it."""

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Entry:
    """One training example.

    Attributes:
        image: The picture's file.
        sha256: SHA-256 of that file's bytes, hex.
        text: What stands for `[filewords]`.
    """

    image: Path
    sha256: str
    text: str


@dataclass(frozen=True)
class Manifest:
    """The training set in order."""

    entries: tuple[Entry, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what is learnt from: pictures and texts, whatever their names or order."""
        pairs = sorted((entry.sha256, entry.text) for entry in self.entries)
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def build(entries: Iterable[Entry], source: str) -> Manifest:
    """A manifest of at least one entry.

    Raises:
        DatasetError: There is no entry; `source` says where they were looked for.
    """
    manifest = Manifest(tuple(entries))
    if not manifest.entries:
        raise DatasetError(
            f"there is no picture to train on in {source}",
            "run `capprep ingest FOLDER` and `capprep caption` first, or name a folder of pictures with .txt files",
        )
    return manifest


def from_folder(folder: Path) -> Manifest:
    """The pictures of a folder, each with the text of the `.txt` beside it, verbatim ("" where there is none).

    Raises:
        DatasetError: It is no folder, holds no picture, or a text is not UTF-8.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder", "name a folder of pictures with a .txt beside each")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    return build((_entry(path) for path in files), str(folder))


def check_length(text: str, path: Path) -> None:
    """Refuse a text that cannot be meant as a picture's caption.

    Raises:
        DatasetError: It is over `MAX_TEXT` characters.
    """
    if len(text) > MAX_TEXT:
        raise DatasetError(
            f"{path} has {len(text)} characters; a caption has at most {MAX_TEXT}", "shorten it, or delete it"
        )


def _entry(image: Path) -> Entry:
    caption = image.with_suffix(".txt")
    try:
        # decoded from bytes: reading as text would change line ends, and the webui's trainer reads to the letter
        text = caption.read_bytes().decode() if caption.is_file() else ""
    except UnicodeDecodeError as error:
        raise DatasetError(f"{caption} is not UTF-8 text", "save it as UTF-8 and try again") from error
    check_length(text, caption)
    return Entry(image, hashlib.sha256(image.read_bytes()).hexdigest(), text)
