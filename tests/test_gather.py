"""What a workspace knows, as candidates: every picture with the facts that hold now, and files nobody could open."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from capprep import gather, pipeline
from capprep.candidates import KEEP, NO, TEXT
from capprep.decisions import Decision
from capprep.engines.local import LocalEngine
from capprep.facts import BOORU, PICTURE, Appearance, PictureFact, TagScore
from capprep.pipeline import Step
from capprep.sources import Source, cut_id
from capprep.stage import Cut, Reader, Runtime, Stage, Value
from capprep.stages.picture import Picture
from capprep.thresholds import Thresholds
from capprep.workspace import Workspace


def put(folder: Path, name: str | bytes, seed: int, size: tuple[int, int] = (90, 80), kind: str = "PNG") -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(buffer, kind)
    (folder / os.fsdecode(name)).write_bytes(buffer.getvalue())


def ingest(workspace: Workspace, *, policy: dict[str, object] | None = None, **fields: object) -> int:
    step = Step(Picture(size=64, **fields), LocalEngine())  # type: ignore[arg-type]
    return pipeline.ingest(workspace, [workspace.root / "raw"], step, policy=policy).computed


@pytest.fixture
def workspace(tmp_path: Path):
    for n in range(2):
        put(tmp_path / "raw", f"p{n}.png", n)
    with Workspace(tmp_path, create=True) as opened:
        yield opened


def test_every_picture_comes_once_with_all_its_files_and_its_facts(workspace: Workspace) -> None:
    put(workspace.root / "raw", "a copy.png", 1)
    ingest(workspace)
    first, second = gather.Candidates(workspace)
    assert (first.name, first.sources) == ("00001-a_copy", ("raw/a copy.png", "raw/p1.png"))
    assert (second.number, second.part, second.sources) == (2, 0, ("raw/p0.png",))
    facts = workspace.facts(PICTURE)
    for each in (first, second):
        fact = facts[each.id]
        assert each.picture == PictureFact.from_json(fact.data)
        assert each.crop == fact.blobs["crop"].name
        assert (each.caption, each.tags, each.embedding, each.mirrored, each.failures) == (None, None, None, None, ())


def test_looks_are_there_where_they_are_asked_for(workspace: Workspace) -> None:
    ingest(workspace)
    facts = workspace.facts(PICTURE)
    for without, whole in zip(gather.Candidates(workspace), gather.Candidates(workspace, looks=True), strict=True):
        stored = Appearance.stored(json.dumps(facts[whole.id].data))
        assert whole.appearance == stored
        assert without.appearance is not None
        assert (without.appearance.pixels, without.appearance.words) == (stored.pixels, stored.words)
        assert without.appearance.tint == stored.tint


def test_what_failed_has_its_reason_and_what_could_not_be_opened_is_apart(workspace: Workspace) -> None:
    raw = workspace.root / "raw"
    (raw / "broken.png").write_bytes(b"no picture")
    (raw / "empty.png").write_bytes(b"")
    ingest(workspace)
    (broken,) = [each for each in gather.Candidates(workspace) if each.picture is None]
    ((stage, reason, _),) = broken.failures
    assert (broken.sources, stage, reason) == (("raw/broken.png",), PICTURE, "not_image")
    (left,) = gather.unreadable(workspace)
    assert (left.sources, left.stage, left.reason, left.name) == (("raw/empty.png",), "source", "empty", "")


def test_only_facts_that_hold_now_count(workspace: Workspace) -> None:
    ingest(workspace)
    before = list(gather.Candidates(workspace))
    ingest(workspace, crop="top")
    assert {each.picture.crop for each in gather.Candidates(workspace) if each.picture} == {"top"}
    assert {each.picture.crop for each in before if each.picture} == {"auto"}
    assert ingest(workspace) == 0
    assert list(gather.Candidates(workspace)) == before
    (workspace.root / "raw" / "p0.png").unlink()
    ingest(workspace)
    assert list(gather.Candidates(workspace)) == before[1:]


def test_a_part_has_an_id_of_its_own_and_a_given_box_does_not_change_the_pictures(workspace: Workspace) -> None:
    put(workspace.root / "raw", "wide.png", 7, (240, 80))
    ingest(workspace, policy={"split": True})
    parts = [each for each in gather.Candidates(workspace) if each.part]
    assert [each.name for each in parts] == [f"00003-wide-{n}" for n in range(1, len(parts) + 1)]
    assert len({each.id for each in parts}) == len(parts) > 1
    one = gather.Candidates(workspace)[0]
    pipeline.decide(workspace, [Decision("1", "crop", "[0.0, 0.0, 64.0, 64.0]"), Decision("1", TEXT, "mine")])
    pipeline.recut(workspace, LocalEngine())
    cut = gather.Candidates(workspace)[0]
    assert (cut.id, cut.name, cut.part) == (one.id, one.name, 0)
    assert cut.picture is not None
    assert (cut.picture.box, cut.picture.crop) == ((0.0, 0.0, 64.0, 64.0), "given")
    assert cut.crop != one.crop
    assert cut_id(one.id, Cut((0, 0, 64, 64))) in workspace.facts(PICTURE)
    pipeline.decide(workspace, [Decision("1", "crop", None)])
    assert pipeline.recut(workspace, LocalEngine()).computed == 0
    assert gather.Candidates(workspace)[0] == one


def test_a_decision_on_a_part_is_about_that_part_only(workspace: Workspace) -> None:
    put(workspace.root / "raw", "wide.png", 7, (240, 80))
    ingest(workspace, policy={"split": True})
    everything = [example.name for example in pipeline.refresh(workspace).selection.examples]
    pipeline.decide(workspace, [Decision("00003-wide-2", KEEP, NO)])
    names = [example.name for example in pipeline.refresh(workspace).selection.examples]
    assert names == [name for name in everything if name != "00003-wide-2"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"{root}/raw/a.png", "raw/a.png"),
        (b"{root}/raw/a.zip\0in/b.png", "raw/a.zip!in/b.png"),
        (b"{root}/\xff\xfe\n.png", "\\xff\\xfe\n.png"),
        (b"/else/where.png", "/else/where.png"),
        (b"{root}2/beside.png", "{root}2/beside.png"),
    ],
)
def test_a_path_is_shown_as_text_whatever_it_is(tmp_path: Path, key: bytes, said: str) -> None:
    root = str(tmp_path.resolve())
    with Workspace(tmp_path, create=True) as workspace:
        source = Source(key.replace(b"{root}", os.fsencode(root)), "a" * 64, 1, 1)
        assert gather.shown(workspace, source) == said.replace("{root}", root)
        assert said.encode()


@dataclass(frozen=True)
class Tagger(Stage):
    """Gives every picture the same answer."""

    name: ClassVar[str] = BOORU
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    answer: str = "{}"

    def load(self, runtime: Runtime) -> Reader:
        data = {"tags": [["long_hair", "general", 0.9]], **json.loads(self.answer)}
        return lambda rows: [Value(data) for _ in rows]


@pytest.mark.parametrize(
    ("answer", "thresholds", "beneath"),
    [
        ('{"thresholds": {"default": 0.3, "character": 0.8}, "beneath": {"general": 0.04}}', {"character": 0.8}, 0.04),
        ("{}", {}, None),  # as an earlier version left it
    ],
)
def test_tags_come_with_the_taggers_own_thresholds_and_what_was_too_low_to_be_stored(
    workspace: Workspace, answer: str, thresholds: dict[str, float], beneath: float | None
) -> None:
    ingest(workspace)
    pipeline.caption(workspace, [Step(Tagger(answer), LocalEngine())])
    for each in gather.Candidates(workspace):
        assert each.tags == (TagScore("long_hair", "general", 0.9),)
        assert each.thresholds == Thresholds(0.3 if thresholds else 0.5, thresholds)
        assert each.beneath.get("general") == beneath
