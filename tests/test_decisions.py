"""Decisions from files: read whole or refused, whatever is in them, and each about one picture that is there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capprep.candidates import BOX, KEEP, NO, TEXT, YES, Candidate
from capprep.decisions import Decision, read, resolve
from capprep.errors import DatasetError
from capprep.workspace import Workspace

PROPERTY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_json(folder: Path, content: object, name: str = "decisions.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def one(folder: Path, row: Mapping[str, Any]) -> list[Decision]:
    return read(as_json(folder, {"decisions": [row]}))


def as_csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "decisions.CSV"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_each_thing_that_is_said_of_a_picture_is_a_decision_and_null_takes_it_back(tmp_path: Path) -> None:
    said = {"picture": "00017-cat", "keep": True, "crop": [10, 0.5, 522, 512], "text": "a cat, red\n"}
    assert one(tmp_path, said) == [
        Decision("00017-cat", KEEP, YES),
        Decision("00017-cat", BOX, "[10.0, 0.5, 522.0, 512.0]"),
        Decision("00017-cat", TEXT, "a cat, red"),
    ]
    back = {"picture": 17, "keep": None, "crop": None, "text": None}
    assert one(tmp_path, back) == [Decision("17", kind, None) for kind in (KEEP, BOX, TEXT)]
    assert one(tmp_path, {"picture": "17"}) == []
    assert one(tmp_path, {"picture": "17", "text": ""}) == [Decision("17", TEXT, "")]


@pytest.mark.parametrize("word", [True, "yes", "YES ", "true", 1, "1"])
def test_in_can_be_said_in_many_ways(tmp_path: Path, word: object) -> None:
    assert one(tmp_path, {"picture": "a", "keep": word}) == [Decision("a", KEEP, YES)]


@pytest.mark.parametrize("word", [False, "No", "false", 0, "0"])
def test_and_so_can_out(tmp_path: Path, word: object) -> None:
    assert one(tmp_path, {"picture": "a", "keep": word}) == [Decision("a", KEEP, NO)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"keep": True}, "without a picture"),
        ({"picture": "", "keep": True}, "without a picture"),
        ({"picture": None, "keep": True}, "without a picture"),
        ({"picture": True, "keep": True}, "without a picture"),
        ({"picture": ["a"], "keep": True}, "without a picture"),
        ({"picture": 1.5, "keep": True}, "without a picture"),
        ({"picture": "a", "keep": "perhaps"}, "must be yes or no"),
        ({"picture": "a", "keep": [True]}, "must be yes or no"),
        ({"picture": "a", "keep": 2}, "must be yes or no"),
        ({"picture": "a", "crop": "1,2,3,4"}, "four numbers"),
        ({"picture": "a", "crop": [1, 2, 3]}, "four numbers"),
        ({"picture": "a", "crop": [1, 2, 3, 4, 5]}, "four numbers"),
        ({"picture": "a", "crop": [1, 2, 3, "4"]}, "four numbers"),
        ({"picture": "a", "crop": [0, 0, True, True]}, "four numbers"),
        ({"picture": "a", "crop": [0, 0, float("nan"), 4]}, "four numbers"),
        ({"picture": "a", "crop": [0, 0, float("inf"), 4]}, "four numbers"),
        ({"picture": "a", "crop": [0, 0, 10**400, 4]}, "four numbers"),
        ({"picture": "a", "crop": [5, 0, 5, 4]}, "is empty"),
        ({"picture": "a", "crop": [5, 4, 6, 0]}, "is empty"),
        ({"picture": "a", "text": 5}, "must be text"),
        ({"picture": "a", "text": ["b"]}, "must be text"),
        ({"picture": "a", "text": "\ud800"}, "half a character"),
        ({"picture": "a", "text": "x" * 20_001}, "at most 20000"),
        ({"picture": "a", "delete": True}, "unknown delete; choose from keep, crop, text"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, row: dict[str, object], said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        one(tmp_path, row)
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        "17",
        '{"decisions": {}}',
        '{"decisions": [1]}',
        '{"decisions": [null]}',
        '{"decisions": [{"picture": "a", "keep": true}]',
        "[" * 100_000,
        '{"decisions": [{"picture": "a", "keep": ' + "[" * 100_000 + "]" * 100_000 + "}]}",
        '{"decisions": [{"keep": ' + "[" * 900 + "]" * 900 + "}]}",
        '{"decisions": [{"picture": "a", "crop": [0, 0, 1' + "0" * 5000 + ", 5]}]}",
        "picture,keep\na,yes\n",
    ],
)
def test_what_is_no_file_of_decisions_is_refused_in_words(tmp_path: Path, content: str) -> None:
    with pytest.raises(DatasetError, match="holds no decisions"):
        read(as_json(tmp_path, content))


@pytest.mark.parametrize("raw", [b"\xff\xfe{\0}\0", b"\x89PNG\r\n\x1a\n\0\0", b'{"decisions": [{"picture": "\xe9"}]}'])
def test_what_is_no_utf8_is_refused_in_words(tmp_path: Path, raw: bytes) -> None:
    for name in ("d.json", "d.csv"):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(DatasetError, match="holds no decisions"):
            read(tmp_path / name)


def test_a_file_that_is_too_large_is_not_read_at_all(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(DatasetError, match="over 64 MB"):
        read(tmp_path / "huge.json")


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    content = '\ufeff{"decisions": [{"picture": "a", "keep": "yes"}]}'
    assert read(as_json(tmp_path, content)) == [Decision("a", KEEP, YES)]
    assert read(as_csv(tmp_path, "\ufeffpicture,keep\r\na,yes\r\n")) == [Decision("a", KEEP, YES)]


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, between: str, end: str) -> None:
    rows = [
        ["text", "picture", "left", "top", "right", "bottom", "keep"],
        ['a "red", cat; so', "00017-cat", "", "", "", "", " yes "],
        ["", "raw/a,b;c.png", "1", "2.5", "1e2", " 70 ", ""],
        ["", "", "", "", "", "", ""],
        ["", "18", "", "", "", "", ""],
    ]
    table = io.StringIO()
    csv.writer(table, delimiter=between, lineterminator=end).writerows(rows)
    assert read(as_csv(tmp_path, table.getvalue())) == [
        Decision("00017-cat", KEEP, YES),
        Decision("00017-cat", TEXT, 'a "red", cat; so'),
        Decision("raw/a,b;c.png", BOX, "[1.0, 2.5, 100.0, 70.0]"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "columns must be"),
        ("keep\nyes\n", "columns must be"),
        ("picture,delete\na,yes\n", "columns must be"),
        ("picture, keep\na,yes\n", "columns must be"),
        ("picture,keep,keep\na,yes,no\n", "column twice"),
        ("picture,keep\na,yes,no\n", "line 2 has more values"),
        ("picture,keep\n,yes\n", "without a picture"),
        ("picture,keep\na,maybe\n", "must be yes or no"),
        ("picture,left,top,right\na,1,2,3\n", "four numbers"),
        ("picture,left,top,right,bottom\na,1,2,3,\n", "four numbers"),
        ("picture,left,top,right,bottom\na,1,2,3,x\n", "float"),
        ("picture,left,top,right,bottom\na,1,2,nan,5\n", "four numbers"),
        ("picture,left,top,right,bottom\na,1,2,1e999,5\n", "four numbers"),
        ('picture,keep\n"a,yes\n', "unexpected end of data"),
        ('picture,keep\n"a"b,yes\n', "expected after"),
        ("picture,text\na," + "x" * 140_000 + "\n", "field larger"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(as_csv(tmp_path, content))
    assert said in caught.value.message


ANY = st.text(max_size=200) | st.text('[]{}",:;picturekeep0.e-\n\r\0\\u', max_size=80)


@PROPERTY
@given(content=ANY, suffix=st.sampled_from(["csv", "json"]))
def test_no_file_breaks_the_reader(tmp_path: Path, content: str, suffix: str) -> None:
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        found = read(path)
    except DatasetError:
        return
    assert all(isinstance(decision, Decision) for decision in found)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


@PROPERTY
@given(row=st.fixed_dictionaries({"picture": JSON}, optional={"keep": JSON, "crop": JSON, "text": JSON}))
def test_whatever_is_accepted_can_be_kept(tmp_path: Path, row: dict[str, object]) -> None:
    try:
        found = one(tmp_path, row)
    except DatasetError:
        return
    for decision in found:
        assert decision.kind in (KEEP, BOX, TEXT)
        (decision.payload or "").encode()
        if decision.kind == BOX and decision.payload is not None:
            left, top, right, bottom = json.loads(decision.payload)
            assert left < right
            assert top < bottom


# --- which picture is meant ----------------------------------------------------------------------

CAT = Candidate("c0ffee11" + "0" * 56, 17, ("raw/cat.jpg", "raw/cat copy.jpg"))
DOG = Candidate("c0ffee22" + "0" * 56, 18, ("raw/18/dog.jpg",))
HALVES = tuple(Candidate(f"abcdef0{part}" + "1" * 56, 19, ("raw/wide.jpg",), part=part) for part in (1, 2))
ALL = (CAT, DOG, *HALVES)


@pytest.mark.parametrize(
    "name", ["00017-cat", "17", "00017", "raw/cat.jpg", "raw/cat copy.jpg", "c0ffee11", "C0FFEE110", CAT.id]
)
def test_a_picture_is_named_as_in_the_report(name: str) -> None:
    assert resolve([Decision(name, KEEP, YES)], ALL) == [(CAT.id, KEEP, YES)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cat", "no picture is"),
        ("cat.jpg", "no picture is"),
        ("17.0", "no picture is"),
        ("0", "no picture is"),
        ("19", "no picture is"),
        ("c0ffee1", "no picture is"),
        ("c0ffeeff", "no picture is"),
        ("\ud800", "no picture is"),
        ("raw/wide.jpg", "2 pictures are"),
    ],
)
def test_none_or_several_is_an_error_and_nothing_is_taken(name: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said) as caught:
        resolve([Decision("17", KEEP, YES), Decision(name, KEEP, NO)], ALL)
    assert "SHA-256" in caught.value.hint


def test_the_start_of_a_digest_must_be_ones_own() -> None:
    twin = Candidate("c0ffee11" + "9" * 56, 20, ("raw/twin.jpg",))
    with pytest.raises(DatasetError, match="2 pictures are called 'c0ffee11'"):
        resolve([Decision("c0ffee11", KEEP, YES)], (*ALL, twin))
    assert resolve([Decision("c0ffee119", KEEP, YES)], (*ALL, twin)) == [(twin.id, KEEP, YES)]


def test_a_part_may_be_left_out_or_described_but_not_cut_again() -> None:
    assert resolve([Decision("00019-wide-2", KEEP, NO)], ALL) == [(HALVES[1].id, KEEP, NO)]
    assert resolve([Decision("00019-wide-2", TEXT, "a hill")], ALL) == [(HALVES[1].id, TEXT, "a hill")]
    with pytest.raises(DatasetError, match="part of a picture that was split"):
        resolve([Decision("00019-wide-2", BOX, "[0, 0, 1, 1]")], ALL)


def test_of_two_decisions_on_one_picture_the_last_one_holds(tmp_path: Path) -> None:
    given_ = [Decision("17", KEEP, YES), Decision("raw/cat.jpg", KEEP, NO), Decision("18", KEEP, YES)]
    back = [Decision("c0ffee22", KEEP, None)]
    with Workspace(tmp_path, create=True) as workspace:
        workspace.decide_all(resolve(given_, ALL))
        workspace.decide_all(resolve(back, ALL))
        assert workspace.decisions() == {(CAT.id, KEEP): NO}
