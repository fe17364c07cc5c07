"""The table of all pictures: where each came from, what was made of it, and why it is in the set or not."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capprep import pipeline, provenance
from capprep.candidates import KEEP, NO, PIXELS, TEXT, YES
from capprep.decisions import Decision
from capprep.engines.local import LocalEngine
from capprep.facts import PICTURE
from capprep.pipeline import Step
from capprep.select import edited_pixels
from capprep.stages.picture import Picture
from capprep.workspace import Workspace


def content(seed: int, width: int = 100, height: int = 80, kind: str = "PNG") -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((width, height))
    noisy = np.asarray(coarse) * 0.8 + rng.integers(0, 50, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(3):
        (raw / f"p{n}.png").write_bytes(content(n))
    (raw / "q0.bmp").write_bytes(content(0, kind="BMP"))
    (raw / "small.png").write_bytes(content(9, 50, 40))
    (raw / "broken.png").write_bytes(content(3)[:300])
    (raw / "empty.png").write_bytes(b"")
    with Workspace(tmp_path, create=True) as opened:
        pipeline.ingest(opened, [raw], Step(Picture(size=64, crop="center"), LocalEngine()))
        yield opened


def rows(workspace: Workspace) -> dict[str, provenance.Row]:
    found = list(provenance.rows(workspace))
    assert all(tuple(sorted(row)) == tuple(sorted(provenance.COLUMNS)) for row in found)
    assert len(set(provenance.COLUMNS)) == len(provenance.COLUMNS)
    return {Path(row["source"]).stem: row for row in found}


def test_every_file_has_a_row_that_says_what_became_of_it(workspace: Workspace) -> None:
    found = rows(workspace)
    assert {name: (row["status"], row["reason"]) for name, row in found.items()} == {
        "p0": ("kept", None),
        "p1": ("kept", None),
        "p2": ("kept", None),
        "q0": ("left out", "duplicate"),
        "small": ("left out", "too_small"),
        "broken": ("left out", "truncated"),
        "empty": ("unreadable", "empty"),
    }
    assert all(row["message"] for row in found.values() if row["reason"])
    assert found["q0"]["duplicate_of"] == found["p0"]["name"]
    assert [name for name, row in found.items() if row["duplicate_of"]] == ["q0"]


def test_a_row_says_truly_what_was_cut_from_which_bytes(workspace: Workspace) -> None:
    row = rows(workspace)["p1"]
    source = workspace.root / row["source"]
    assert row["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (row["width"], row["height"], row["format"], row["mode"]) == (100, 80, "PNG", "RGB")
    assert [row[edge] for edge in ("left", "top", "right", "bottom")] == [10, 0, 90, 80]
    assert (row["scale"], row["size"], row["crop"]) == (80 / 64, 64, "center")
    assert row["recipe"] == workspace.current(PICTURE)
    assert "Pillow" in row["tools"]
    assert 0 < row["sharpness"] < 1
    pipeline.refresh(workspace)
    file = (workspace.dataset / row["file"]).read_bytes()
    assert hashlib.sha256(file).hexdigest() == row["square_sha256"]


def test_what_a_person_did_is_in_it(workspace: Workspace) -> None:
    painted = content(50, 64, 64)
    digest = workspace.blobs.add(painted)
    given = [("raw/p1.png", KEEP, NO), ("raw/p2.png", TEXT, "mine"), ("raw/small.png", KEEP, YES)]
    pipeline.decide(workspace, [Decision(*each) for each in given])
    workspace.decide(rows(workspace)["p0"]["sha256"], PIXELS, edited_pixels(64, digest))
    found = rows(workspace)
    assert (found["p1"]["status"], found["p1"]["reason"]) == ("left out", "decided")
    assert (found["p2"]["text"], found["p2"]["text_by_hand"]) == ("mine", True)
    assert found["small"]["status"] == "kept"
    assert (found["p0"]["square_sha256"], found["p0"]["square_by_hand"]) == (digest, True)
    assert found["p2"]["square_by_hand"] is False


def test_a_duplicate_that_a_person_wants_is_kept_and_the_other_is_its_duplicate(workspace: Workspace) -> None:
    pipeline.decide(workspace, [Decision("raw/q0.bmp", KEEP, YES)])
    found = rows(workspace)
    assert (found["q0"]["status"], found["q0"]["duplicate_of"]) == ("kept", None)
    assert (found["p0"]["status"], found["p0"]["duplicate_of"]) == ("left out", found["q0"]["name"])


def test_parts_have_a_row_each_and_the_whole_has_none(workspace: Workspace) -> None:
    (workspace.root / "raw" / "wide.png").write_bytes(content(20, 300, 100))
    step = Step(Picture(size=64, crop="center"), LocalEngine())
    pipeline.ingest(workspace, [workspace.root / "raw"], step, policy={"split": True})
    wide = [row for row in provenance.rows(workspace) if row["source"] == "raw/wide.png"]
    assert [row["part"] for row in wide] == [1, 2, 3, 4]
    assert len({row["number"] for row in wide}) == 1
    assert wide[0]["left"] == 0
    assert wide[-1]["right"] == 300


def test_the_best_say_why_they_were_chosen(workspace: Workspace) -> None:
    pipeline.refresh(workspace, {"keep": 2})
    found = rows(workspace)
    assert sum(bool(row["chosen"]) for row in found.values()) == 2
    assert sum(row["reason"] == "not_chosen" for row in found.values()) == 1


def test_reading_it_changes_nothing(workspace: Workspace) -> None:
    pipeline.refresh(workspace)
    before = rows(workspace)
    file = workspace.folder / "capprep.db"
    written = file.stat().st_mtime_ns
    with Workspace(workspace.root, read_only=True) as again:
        assert {Path(row["source"]).stem: row for row in provenance.rows(again)} == before
    assert file.stat().st_mtime_ns == written
