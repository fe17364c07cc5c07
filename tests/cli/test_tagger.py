"""A tagger of a person's own, through the command: described beside it, by name, or by file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from capprep.cli.resolve import find_tagger
from capprep.cli.session import Session
from capprep.lock import Lock, read_lock
from capprep.models.tagger_spec import WD_V3
from capprep.thresholds import Thresholds

from ..models.graphs import names, network
from .conftest import Person

DESCRIPTION = 'layout = "NCHW"\nlabels = "x.txt"\n[thresholds]\ndefault = 0.3\n'


def pictures(person: Person) -> None:
    raw = person.file("raw")
    raw.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(raw / f"{number}.png")
    person.types("ingest", "raw", "--size", "64", "--screen", "off", "--duplicates", "none")


def tagged(person: Person, *arguments: str) -> tuple[int, int]:
    """How many pictures were tagged anew, and how many are known."""
    work = person.types("caption", "--booru", *arguments, "--json").json["stages"]["tags.booru"]
    return work["computed"], work["known"]


def test_a_tagger_is_described_by_the_file_beside_it_and_another_description_makes_other_facts(person: Person) -> None:
    pictures(person)
    graph: Path = network(person.file("x.onnx"), "NCHW", 2, side=48)
    names(person.file("x.txt"), 40)
    said = person.types("caption", "--booru", "--booru-model", "x.onnx", expect=1)
    assert "not one float32 input of shape (pictures, side, side, 3)" in said.err
    assert "--booru-spec" in said.err

    person.file("x.toml").write_text(DESCRIPTION)
    assert tagged(person, "--booru-model", "x.onnx") == (3, 0)
    assert tagged(person, "--booru-model", "x.onnx") == (0, 3)
    person.file("x.toml").rename(person.file("elsewhere.toml"))
    assert tagged(person, "--booru-model", "x.onnx", "--booru-spec", "elsewhere.toml") == (0, 3)

    person.file("x.toml").write_text(DESCRIPTION.replace("0.3", "0.4"))
    assert tagged(person, "--booru-model", "x.onnx") == (3, 0)
    person.file("x.toml").write_text(DESCRIPTION)
    assert tagged(person, "--booru-model", "x.onnx") == (0, 3), "what was known is found again"

    network(graph, "NHWC", "N", side=48)
    assert tagged(person, "--booru-model", "x.onnx", "--booru-spec", "deepdanbooru", "--booru-labels", "x.txt") == (
        3,
        0,
    )


def test_a_description_that_cannot_be_used_is_named(person: Person) -> None:
    pictures(person)
    network(person.file("x.onnx"), "NCHW", "N")
    person.file("x.toml").write_text(DESCRIPTION)
    assert "there is no label file at x.txt" in person.types("caption", "--booru-model", "x.onnx", expect=1).err
    person.file("x.toml").write_text("siez = 448")
    assert "x.toml: there is no siez" in person.types("caption", "--booru-model", "x.onnx", expect=2).err
    said = person.types("caption", "--booru-model", "x.onnx", "--booru-spec", "wd-v4", expect=2).err
    assert "deepdanbooru, wd-v3" in said
    said = person.types("caption", "--booru-model", "x.onnx", "--booru-spec", "wd-v3", expect=1).err
    assert "there is no label file at selected_tags.csv" in said
    said = person.types("caption", "--booru-spec", "wd-v3", expect=2).err
    assert "--booru-spec is for a tagger of your own" in said
    assert "--booru-model" in said


def test_a_model_of_the_lock_is_described_by_its_entry_with_its_own_thresholds(tmp_path: Path) -> None:
    lock = read_lock()
    tiny = lock.named("tiny-booru")
    own = dataclasses.replace(tiny, name="own", tagger="wd-v3", thresholds={"default": 0.26, "character": 0.9})
    plain = dataclasses.replace(tiny, name="plain", tagger="wd-v3")
    session = Session(tmp_path, "tiny", Lock({**lock.models, "own": own, "plain": plain}, lock.profiles), {}, True)
    expected = dataclasses.replace(WD_V3, thresholds=Thresholds(0.26, {"character": 0.9}))
    assert find_tagger(session, "own", None, None)[1] == expected
    assert find_tagger(session, "plain", None, None)[1] == WD_V3
    assert find_tagger(session, None, None, None)[1].thresholds == Thresholds(0.5)


def test_a_taggers_own_thresholds_choose_its_tags_and_another_description_of_it_is_said(person: Person) -> None:
    pictures(person)
    network(person.file("x.onnx"), "NCHW", 2, side=48)
    names(person.file("x.txt"), 40)

    def written(least: float, *arguments: str) -> tuple[list[str], str]:
        person.file("x.toml").write_text(DESCRIPTION.replace("0.3", str(least)))
        said = person.types("caption", "--booru", "--booru-model", "x.onnx", *arguments).err
        return [path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))], said

    many, said = written(0.05)
    assert all(many)
    assert said == ""
    few, said = written(1)
    assert few == ["", "", ""]
    assert "tags.booru: another description of the tagger; what was made so before is kept" in said
    assert written(1, "--booru-threshold", "0.05")[0] == many
    assert written(1, "--booru-threshold", "")[0] == few
