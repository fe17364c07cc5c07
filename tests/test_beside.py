"""Texts beside pictures in the workspace: read once, seen when they change, forgotten when they go."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from capprep import gather, pipeline, schema
from capprep.candidates import Beside
from capprep.engines.local import LocalEngine
from capprep.pipeline import Step
from capprep.stages.picture import Picture
from capprep.workspace import Workspace
from tests.images.archiving import tarred, zipped
from tests.test_gather import ingest, put


@pytest.fixture
def workspace(tmp_path: Path):
    for n in range(2):
        put(tmp_path / "raw", f"p{n}.png", n)
    with Workspace(tmp_path, create=True) as opened:
        yield opened


def texts(workspace: Workspace) -> dict[str, Beside | None]:
    """The text of each picture, by its first source."""
    return {each.sources[0]: each.beside for each in gather.Candidates(workspace)}


def stored(workspace: Workspace) -> dict[bytes, int]:
    """The size of each text that is stored, by its picture's path."""
    return dict(workspace.sources.db.execute("SELECT path, bytes FROM beside"))


def write(workspace: Workspace, name: str, said: str) -> Path:
    path = workspace.root / "raw" / name
    path.write_text(said)
    return path


def test_a_text_is_found_changed_and_forgotten_with_its_file(workspace: Workspace) -> None:
    path = write(workspace, "p0.txt", "a cat")
    ingest(workspace)
    assert texts(workspace) == {"raw/p0.png": Beside("raw/p0.txt", "a cat"), "raw/p1.png": None}
    path.write_text("a red cat")
    write(workspace, "p1.caption", "a dog")
    ingest(workspace)
    assert texts(workspace) == {
        "raw/p0.png": Beside("raw/p0.txt", "a red cat"),
        "raw/p1.png": Beside("raw/p1.caption", "a dog"),
    }
    path.unlink()
    ingest(workspace)
    assert texts(workspace)["raw/p0.png"] is None
    (workspace.root / "raw/p1.png").unlink()
    ingest(workspace)
    assert stored(workspace) == {}


def test_a_text_whose_size_and_time_are_the_same_is_not_opened_again(workspace: Workspace) -> None:
    path = write(workspace, "p0.txt", "a cat")
    ingest(workspace)
    before = path.stat().st_mtime_ns
    path.write_text("a dog")
    os.utime(path, ns=(before, before))
    ingest(workspace)
    assert texts(workspace)["raw/p0.png"] == Beside("raw/p0.txt", "a cat")


def test_a_picture_that_moves_takes_its_text_along(workspace: Workspace) -> None:
    write(workspace, "p0.txt", "a cat")
    ingest(workspace)
    raw = workspace.root / "raw"
    (raw / "sub").mkdir()
    for name in ("p0.png", "p0.txt"):
        (raw / name).rename(raw / "sub" / f"new{Path(name).suffix}")
    ingest(workspace)
    assert texts(workspace) == {"raw/sub/new.png": Beside("raw/sub/new.txt", "a cat"), "raw/p1.png": None}


def test_a_workspace_that_is_moved_as_a_whole_knows_its_texts(workspace: Workspace, tmp_path: Path) -> None:
    write(workspace, "p0.txt", "a cat")
    ingest(workspace)
    workspace.close()
    (tmp_path / "moved").mkdir()
    for name in ("raw", ".capprep"):
        shutil.move(tmp_path / name, tmp_path / "moved" / name)
    with Workspace(tmp_path / "moved") as moved:
        assert texts(moved)["raw/p0.png"] == Beside("raw/p0.txt", "a cat")
        assert set(stored(moved)) == {b"raw/p0.png"}


def test_of_several_files_of_one_picture_the_first_that_says_something_counts(workspace: Workspace) -> None:
    put(workspace.root / "raw", "a copy.png", 0)
    put(workspace.root / "raw", "z copy.png", 0)
    (workspace.root / "raw/a copy.txt").write_bytes(b"\xff")
    ingest(workspace)
    assert texts(workspace)["raw/a copy.png"] == Beside("raw/a copy.txt", "", "it is not UTF-8 text")
    write(workspace, "p0.txt", "")
    write(workspace, "z copy.txt", "last")
    ingest(workspace)
    assert texts(workspace)["raw/a copy.png"] == Beside("raw/z copy.txt", "last")
    write(workspace, "p0.txt", "the middle")
    ingest(workspace)
    assert texts(workspace)["raw/a copy.png"] == Beside("raw/p0.txt", "the middle")


def test_a_text_that_could_not_be_read_is_tried_again_and_one_that_is_none_is_not(workspace: Workspace) -> None:
    (workspace.root / "raw/p0.txt").symlink_to(workspace.root / "elsewhere.txt")
    (workspace.root / "elsewhere.txt").write_text("a cat")
    (workspace.root / "raw/p1.txt").write_bytes(b"\xff")
    ingest(workspace)
    found = texts(workspace)
    assert found["raw/p0.png"] == Beside("raw/p0.txt", "", "it is a link that leads out of its folder")
    assert stored(workspace) == {b"raw/p0.png": -1, b"raw/p1.png": 1}


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zipped), ("a.tar", tarred), ("a.tar.gz", tarred)])
def test_a_member_of_an_archive_has_the_member_beside_it(workspace: Workspace, name: str, pack: object) -> None:
    raw = workspace.root / "raw"
    pictures = {n: (raw / f"p{n}.png").read_bytes() for n in range(2)}
    for n in range(2):
        (raw / f"p{n}.png").unlink()

    def packed(said: bytes) -> None:
        members = {"in/0.png": pictures[0], "in/0.txt": said, "in/1.png": pictures[1], "in/1.caption": b"a dog"}
        (raw / name).write_bytes(pack(members))  # type: ignore[operator]

    packed(b"a cat")
    ingest(workspace)
    before = {f"raw/{name}!in/0.png": Beside(f"raw/{name}!in/0.txt", "a cat")}
    also = {f"raw/{name}!in/1.png": Beside(f"raw/{name}!in/1.caption", "a dog")}
    assert texts(workspace) == before | also
    packed(b"a red cat")
    ingest(workspace)
    assert texts(workspace) == {f"raw/{name}!in/0.png": Beside(f"raw/{name}!in/0.txt", "a red cat")} | also


def test_pictures_ingested_from_elsewhere_keep_their_texts_without_being_named(workspace: Workspace) -> None:
    other = workspace.root / "other"
    put(other, "q.png", 7)
    (other / "q.txt").write_text("a bird")
    step = Step(Picture(size=64), LocalEngine())
    pipeline.ingest(workspace, [other], step)
    ingest(workspace)
    assert texts(workspace)["other/q.png"] == Beside("other/q.txt", "a bird")


def test_the_parts_of_a_picture_have_its_text(workspace: Workspace) -> None:
    put(workspace.root / "raw", "wide.png", 9, size=(300, 90))
    write(workspace, "wide.txt", "a view")
    ingest(workspace, policy={"split": True})
    parts = [each for each in gather.Candidates(workspace) if each.part]
    assert len(parts) > 1
    assert {each.beside for each in parts} == {Beside("raw/wide.txt", "a view")}


def test_a_workspace_made_before_there_were_texts_can_be_read_and_gets_them_with_the_next_ingest(
    workspace: Workspace,
) -> None:
    ingest(workspace)
    workspace.close()
    with sqlite3.connect(workspace.folder / "capprep.db") as db:
        db.execute("DROP TABLE beside")
        db.execute(f"PRAGMA user_version = {len(schema.STEPS) - 1}")
    db.close()
    with Workspace(workspace.root, read_only=True) as opened:
        assert set(texts(opened).values()) == {None}
    with Workspace(workspace.root) as opened:
        assert set(texts(opened).values()) == {None}
        write(opened, "p0.txt", "a cat")
        ingest(opened)
        assert texts(opened)["raw/p0.png"] == Beside("raw/p0.txt", "a cat")
