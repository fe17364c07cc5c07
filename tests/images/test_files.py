"""Folders searched, files read or refused with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capprep.errors import DatasetError
from capprep.images import files
from capprep.images.unusable import Unusable


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    for name, expected in [
        ("pipe.png", "unreadable"),
        ("folder.png", "unreadable"),
        ("gone.png", "unreadable"),
        ("empty.png", "empty"),
    ]:
        with pytest.raises(Unusable) as caught:
            files.read(tmp_path / name)
        assert caught.value.reason == expected


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 3)
    (tmp_path / "a.png").write_bytes(b"1234")
    with pytest.raises(Unusable, match="limit"):
        files.read(tmp_path / "a.png")


def test_folders_are_searched_to_the_bottom_for_picture_suffixes_in_any_case(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "deep/er/c.webp", "notes.txt", ".hidden.png", ".git/x.png", "skip/y.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = files.scan([tmp_path], skip=[tmp_path / "skip"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.png", "b.JPG", "deep/er/c.webp"]
    assert files.scan([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]
    with pytest.raises(DatasetError, match="does not exist"):
        files.scan([tmp_path / "nowhere"])


def test_our_own_folders_are_never_searched_however_they_are_named(tmp_path: Path) -> None:
    for name in ("raw/a.png", "dataset/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (tmp_path, tmp_path / "raw" / "..", tmp_path / "link"):
        assert files.scan([place], skip=[tmp_path / "dataset"]) == [tmp_path / "raw" / "a.png"]
    with pytest.raises(DatasetError, match="keeps its own work"):
        files.scan([tmp_path / "link" / "dataset"], skip=[tmp_path / "dataset"])
