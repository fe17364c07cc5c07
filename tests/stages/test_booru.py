"""The tag fact: every probability from the floor on, what lies beneath it, and a key that knows the description."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import capprep.toybox
from capprep.errors import ModelMismatch
from capprep.facts import CROP, PICTURE, tags_from_json
from capprep.images.encode import encode
from capprep.models.labels import read_labels
from capprep.models.tagger_spec import DEEPDANBOORU, WD_V3, TaggerSpec
from capprep.stage import Fact, Failure, Row, Runtime, Value, key
from capprep.stages.booru import Booru
from capprep.thresholds import Thresholds, over
from capprep.toybox.world import draw, scene

from ..models.graphs import echo, network, noise

BOORU = Path(capprep.toybox.__file__).parent / "weights" / "booru"


def rows(folder: Path, squares: list[NDArray[np.uint8]]) -> list[Row]:
    made = []
    for number, square in enumerate(squares):
        path = folder / f"{number}.png"
        path.write_bytes(encode(square, "png"))
        made.append(Row(path.name, facts={PICTURE: Fact({}, {CROP: path})}))
    return made


def labels(path: Path, count: int) -> Path:
    """Every fourth tag a character, the last one a rating."""
    kinds = [9 if n == count - 1 else 4 if n % 4 == 3 else 0 for n in range(count)]
    path.write_text("name,category\n" + "".join(f"tag_{n},{kind}\n" for n, kind in enumerate(kinds)))
    return path


def test_a_fact_holds_every_probability_from_the_floor_on_and_the_highest_beneath_it(tmp_path: Path) -> None:
    squares = [np.asarray(draw(scene(number))) for number in range(3)]
    stage = Booru()
    outcomes = stage.load(Runtime("cpu", BOORU / "model.onnx", BOORU / "labels.csv"))(rows(tmp_path, squares))
    known = read_labels(BOORU / "labels.csv")
    session = onnxruntime.InferenceSession(str(BOORU / "model.onnx"), providers=["CPUExecutionProvider"])
    for square, outcome in zip(squares, outcomes, strict=True):
        assert isinstance(outcome, Value)
        data = json.loads(json.dumps(outcome.data))
        single = session.run(None, {"input": square[None].astype(np.float32) / 255})[0][0]
        tags = tags_from_json(data)
        assert {tag.name for tag in tags} == {known[t].name for t in np.flatnonzero(single >= 0.05)}
        assert [tag.probability for tag in tags] == sorted((tag.probability for tag in tags), reverse=True)
        for category in {label.category for label in known}:
            low = [p for p, label in zip(single, known, strict=True) if label.category == category and p < 0.05]
            assert data["beneath"].get(category) == (pytest.approx(max(low), abs=2e-6) if low else None)
        assert data["thresholds"] == {"default": 0.5}


def test_what_lies_just_beneath_the_floor_is_kept_for_each_category_as_a_number(tmp_path: Path) -> None:
    square = np.zeros((8, 8, 3), np.uint8)
    square.ravel()[[0, 1, 2, 3, 7, 190, 191]] = [13, 12, 9, 255, 3, 11, 20]  # of 255; 3 and 7 are characters
    read = Booru().load(Runtime("cpu", echo(tmp_path / "m.onnx"), labels(tmp_path / "tags.csv", 192)))
    (outcome,) = read(rows(tmp_path, [square]))
    assert isinstance(outcome, Value)
    assert [tag.name for tag in tags_from_json(outcome.data)] == ["tag_3", "tag_191", "tag_0"]
    assert outcome.data["beneath"] == {"general": round(12 / 255, 6), "character": round(3 / 255, 6)}


def test_a_fact_carries_the_taggers_own_thresholds_for_policy_to_use(tmp_path: Path) -> None:
    spec = dataclasses.replace(DEEPDANBOORU, layout="NCHW", thresholds=Thresholds(0.1, {"character": 0.6}))
    path = network(tmp_path / "m.onnx", "NCHW", "N")
    runtime = Runtime("cpu", path, labels(tmp_path / "tags.csv", 40))
    for outcome in Booru(spec=spec.to_text()).load(runtime)(rows(tmp_path, noise(24))):
        assert isinstance(outcome, Value)
        tags, own = tags_from_json(outcome.data), Thresholds.from_json(outcome.data["thresholds"])
        assert own == spec.thresholds
        kept = {tag for tag, reason in zip(tags, over(tags, own), strict=True) if not reason}
        assert kept == {tag for tag in tags if tag.probability >= (0.6 if tag.category == "character" else 0.1)}
        assert kept


def test_every_field_of_the_description_is_in_the_key() -> None:
    changes = {
        "layout": "NCHW",
        "size": 448,
        "channels": "BGR",
        "scale": 255.0,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "padding": "edge",
        "interpolation": "bicubic",
        "output": "logits",
        "categories": {"0": "general"},
        "thresholds": Thresholds(0.4),
    }
    assert set(changes) == {each.name for each in dataclasses.fields(TaggerSpec)} - {"labels"}
    specs = [DEEPDANBOORU, WD_V3, *(dataclasses.replace(DEEPDANBOORU, **{name: changes[name]}) for name in changes)]
    keys = {key(Booru(spec=spec.to_text()), {PICTURE: "k"}) for spec in specs}
    assert len(keys) == len(specs)
    assert key(Booru(), {PICTURE: "k"}) == key(Booru(spec=DEEPDANBOORU.to_text()), {PICTURE: "k"})


def test_a_batch_has_the_facts_that_each_picture_has_alone(tmp_path: Path) -> None:
    spec = TaggerSpec(layout="NCHW", output="logits")
    path = network(tmp_path / "m.onnx", "NCHW", "N", logits=True)
    read = Booru(spec=spec.to_text()).load(Runtime("cpu", path, labels(tmp_path / "tags.csv", 40)))
    some = rows(tmp_path, noise(24, 6))
    for together, row in zip(read(some), some, strict=True):
        (alone,) = read([row])
        assert isinstance(together, Value)
        assert isinstance(alone, Value)
        assert [tag.name for tag in tags_from_json(together.data)] == [tag.name for tag in tags_from_json(alone.data)]


def test_a_lost_square_costs_only_its_own_row_and_an_impossible_answer_ends_the_work(tmp_path: Path) -> None:
    read = Booru().load(Runtime("cpu", echo(tmp_path / "m.onnx"), labels(tmp_path / "tags.csv", 192)))
    some = rows(tmp_path, noise(8))
    (tmp_path / "1.png").write_bytes(b"no picture")
    outcomes = read(some)
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False]
    blank = rows(tmp_path, [noise(8, 1)[0], np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(ModelMismatch, match=r"the same number for every tag.*; the picture is .*1\.png$"):
        read(blank)
