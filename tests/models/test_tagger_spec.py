"""Descriptions of taggers: read from TOML, every bad value refused by its name, the same in the key of a fact."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.errors import ConfigError
from capprep.lock import read_lock
from capprep.models.tagger_spec import (
    BUILT_IN,
    DANBOORU,
    DEEPDANBOORU,
    MAX_SPEC_BYTES,
    WD_V3,
    TaggerSpec,
    find_spec,
    read_spec,
)
from capprep.thresholds import Thresholds

DOCS = Path(__file__).parents[2] / "docs" / "models.md"

FULL = """
layout = "NCHW"
size = 448
channels = "BGR"
scale = 255
mean = [0, 127.5, 1]
std = [1, 127.5, 0.5]
padding = "edge"
interpolation = "lanczos"
output = "logits"
labels = "my tags.csv"

[categories]
0 = "general"
5 = "species"

[thresholds]
default = 0.4
species = 1
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "tagger.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32).map(lambda number: number + 0.0)


probabilities = st.floats(0.05, 1)

specs = st.builds(
    TaggerSpec,
    layout=st.sampled_from(["NHWC", "NCHW"]),
    size=st.none() | st.integers(1, 4096),
    channels=st.sampled_from(["RGB", "BGR"]),
    scale=numbers(0.5, 255),
    mean=st.tuples(*[numbers(-300, 300)] * 3),
    std=st.tuples(*[numbers(0.5, 300)] * 3),
    padding=st.sampled_from(["white", "edge", "none"]),
    interpolation=st.sampled_from(["area", "bilinear", "bicubic", "lanczos"]),
    output=st.sampled_from(["probabilities", "logits"]),
    categories=st.just(dict(DANBOORU)),
    thresholds=st.builds(
        Thresholds, probabilities, st.dictionaries(st.sampled_from(sorted(DANBOORU.values())), probabilities)
    ),
)


def test_every_key_is_read(tmp_path: Path) -> None:
    expected = TaggerSpec(
        "NCHW",
        448,
        "BGR",
        255.0,
        (0.0, 127.5, 1.0),
        (1.0, 127.5, 0.5),
        "edge",
        "lanczos",
        "logits",
        "my tags.csv",
        {"0": "general", "5": "species"},
        Thresholds(0.4, {"species": 1.0}),
    )
    for text in (FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL):
        assert read_spec(written(tmp_path, text)) == expected
    named = set(re.findall(r"^\[?(\w+)", FULL, re.MULTILINE)) - {"0", "5", "default", "species"}
    assert named == {each.name for each in dataclasses.fields(TaggerSpec)}


def test_what_a_file_does_not_say_is_as_deepdanbooru_has_it(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path, "")) == DEEPDANBOORU
    assert read_spec(written(tmp_path, "size = 384")) == dataclasses.replace(DEEPDANBOORU, size=384)


@settings(deadline=None)
@given(specs)
def test_a_description_comes_back_from_its_text_exactly(spec: TaggerSpec) -> None:
    assert TaggerSpec.from_text(spec.to_text()) == spec


@settings(deadline=None)
@given(specs, specs)
def test_two_descriptions_have_one_text_only_if_they_are_equal(one: TaggerSpec, other: TaggerSpec) -> None:
    assert (one.to_text() == other.to_text()) == (one == other)


def test_nothing_below_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path, "mean = [-0.0, 0, 0.0]")).to_text() == DEEPDANBOORU.to_text()


def test_where_the_label_file_lies_changes_nothing_that_is_learnt() -> None:
    assert dataclasses.replace(WD_V3, labels="other.csv").to_text() == WD_V3.to_text()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('layout = "HWC"', "layout = 'HWC'"),
        ("layout = 3", "layout = 3"),
        ("size = 0", "size = 0"),
        ("size = 5000", "size = 5000"),
        ("size = 448.0", "size = 448.0"),
        ("size = true", "size = True"),
        ('channels = "GBR"', "channels = 'GBR'"),
        ("scale = 0", "scale = 0.0"),
        ("scale = nan", "scale = nan"),
        ("scale = inf", "scale = inf"),
        (f"scale = 1{'0' * 400}", "scale = 1000"),
        ("scale = false", "scale = False"),
        ("mean = 0.5", "mean = 0.5"),
        ("mean = [0, 0]", "mean = [0, 0]"),
        ('mean = [0, 0, "0"]', "mean = 0"),
        ("std = [1, 0, 1]", "std = [1, 0, 1]"),
        ("std = [1, -1, 1]", "std = [1, -1, 1]"),
        ("std = [1, nan, 1]", "std = nan"),
        ('padding = "black"', "padding = 'black'"),
        ('interpolation = "nearest"', "interpolation = 'nearest'"),
        ('output = "sigmoid"', "output = 'sigmoid'"),
        ("labels = 1", "labels = 1"),
        ('labels = ".."', "labels = .."),
        ('labels = "../tags.csv"', "labels = ../tags.csv"),
        ('labels = "/etc/passwd"', "labels = /etc/passwd"),
        (r'labels = "a\\b.csv"', r"labels = a\b.csv"),
        (r'labels = "a\u0000b"', r"labels = a\x00b"),
        (f'labels = "{"x" * 100}"', "labels = xxx"),
        ("categories = 1", "categories = 1"),
        ("[categories]", "categories = {}"),
        ('[categories]\n0 = "General tags"', "categories.0 = General tags"),
        ("[categories]\n0 = 0", "categories.0 = 0"),
        ("thresholds = 0.5", "thresholds = 0.5"),
        ("[thresholds]\ndefault = 0.01", "threshold default = 0.01"),
        ("[thresholds]\ndefault = 1.5", "threshold 'default' = 1.5"),
        ("[thresholds]\ngeneral = nan", "threshold 'general' = nan"),
        ("[thresholds]\ngeneral = true", "threshold 'general' = True"),
        (f"[thresholds]\ngeneral = 1{'0' * 400}", "threshold 'general' = 1000"),
        ("[thresholds]\ncharcter = 0.8", "thresholds.charcter"),
        ('[thresholds]\n"\\u001b[2J" = 0.8', r"threshold for '\x1b[2J'"),
        ("siez = 448", "siez"),
        ('"\\u001b[2J" = 1', r"there is no \x1b[2J"),
    ],
)
def test_every_bad_value_is_refused_by_its_name(tmp_path: Path, line: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_spec(written(tmp_path, line))
    said = caught.value.message
    assert str(tmp_path / "tagger.toml") in said
    assert named in said
    assert caught.value.hint
    assert len(said) < len(str(tmp_path)) + 300
    assert (said + caught.value.hint).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"layout", b"layout = ", b"\xff\xfe", b"a = 1\na = 2", b"x = " + b"[" * 5000, b"#" * (MAX_SPEC_BYTES + 1)],
    ids=["word", "cut", "bytes", "twice", "deep", "large"],
)
def test_what_is_no_description_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"tagger\.toml"):
        read_spec(written(tmp_path, content))


def test_a_name_that_is_neither_built_in_nor_a_file_lists_those_that_are(tmp_path: Path) -> None:
    assert find_spec("wd-v3") is WD_V3
    assert find_spec(str(written(tmp_path, FULL))).size == 448
    with pytest.raises(ConfigError) as caught:
        find_spec("wd-v4")
    assert caught.value.hint.endswith("deepdanbooru, wd-v3")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_spec(str(tmp_path))


def test_every_tagger_of_the_lock_has_a_description_and_thresholds_that_are_possible() -> None:
    taggers = {model.name: model for model in read_lock().models.values() if model.role == "booru"}
    for model in taggers.values():
        known = BUILT_IN[model.tagger].thresholds
        Thresholds.from_json(model.thresholds or known.to_json())
    published = {"wd-vit-tagger-v3": 0.2614, "wd-swinv2-tagger-v3": 0.2653, "wd-eva02-large-tagger-v3": 0.5296}
    for name, least in published.items():
        assert taggers[name].tagger == "wd-v3"
        assert taggers[name].thresholds == {"default": least, "character": 0.85}
        # the outputs' names are one list for all of them, under the name that the description gives it
        assert [pin.name for pin in taggers[name].files if pin.labels] == [WD_V3.labels]
    assert len({pin.sha256 for name in published for pin in taggers[name].files if pin.labels}) == 1


def test_the_example_in_the_documentation_is_a_description(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        keys = set(re.findall(r"^\[?(\w+)", example, re.MULTILINE))
        assert {each.name for each in dataclasses.fields(TaggerSpec)} <= keys, "every key is shown"
        assert read_spec(written(tmp_path, example)) != DEEPDANBOORU
