"""Lists of tags: read exactly, or refused with a reason; nothing in them is ever run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from capprep.errors import ModelMismatch, ModelMissing
from capprep.models.labels import MAX_LABEL_BYTES, Label, labels_inside, read_labels


def test_categories_of_a_csv_are_danboorus_numbers(tmp_path: Path) -> None:
    rows = [
        ("tag_id", "name", "category", "count"),
        ("1", "1girl", "0", "9"),
        ("2", "someone", "1", "9"),
        ("3", "a_series", "3", "9"),
        ("4", "alice_(wonderland)", "4", "9"),
        ("5", "highres", "5", "9"),
        ("6", "sensitive", "9", "9"),
        ("7", 'with "quotes", and comma', "0", "9"),
        ("8", "null", "0", "9"),
        ("9", "nan", "0", "9"),
        ("10", "ü_花", "0", "9"),
    ]
    path = tmp_path / "selected_tags.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # with the mark that spreadsheets write
        csv.writer(file).writerows(rows)
    categories = ["general", "artist", "copyright", "character", "meta", "rating", "general", "general", "general"]
    expected = [Label(row[1], category) for row, category in zip(rows[1:], [*categories, "general"], strict=True)]
    assert read_labels(path) == tuple(expected)


def test_columns_of_a_csv_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("category,real_name,name\n9,safe,rating:safe\n0,,solo\n")
    assert read_labels(path) == (Label("rating:safe", "rating"), Label("solo", "general"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_plain_list_reads_the_same_with_either_line_ending(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes((mark + end.join(["1girl", "long_hair", "line\u2028break", "rating:safe", ""])).encode())
    general = [Label(name, "general") for name in ("1girl", "long_hair", "line\u2028break")]
    assert read_labels(path) == (*general, Label("rating:safe", "rating"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tags.txt", b"", "names no tag"),
        ("tags.txt", b"1girl\n\nsolo\n", "name 2 is empty"),
        ("tags.txt", b"caf\xe9\n", "not UTF-8"),
        ("tags.txt", b"a" * 501, "name 1 has 501 characters"),
        ("tags.txt", b"solo\nbell\x07\n", "name 2 holds control characters"),
        ("tags.csv", b"", "it is no table"),
        ("tags.csv", b"name,category\n", "names no tag"),
        ("tags.csv", b"tag,kind\nsolo,0\n", "no columns `name` and `category`"),
        ("tags.csv", b"name,category\nsolo,general\n", "category 'general' is none of 0, 1, 3"),
        ("tags.csv", b"name,category\nsolo\n", "category '' is none of"),
        ("tags.csv", b"name,category\ncaf\xe9,0\n", "not UTF-8"),
        ("tags.csv", b'name,category\n"two\nlines",0\n', "control characters"),
        ("tags.csv", b'name,category\na,0\nb,"0\n', "it is no table"),
        ("tags.csv", b"name,category\na,0\na,b,c,d,e\n", "it is no table"),
    ],
)
def test_a_file_that_is_no_list_of_tags_is_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelMismatch, match=said):
        read_labels(tmp_path / name)


def test_an_absurdly_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    with path.open("wb") as file:
        file.truncate(MAX_LABEL_BYTES + 1)
    with pytest.raises(ModelMismatch, match="larger than 16 MB"):
        read_labels(path)


def test_a_label_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"tags\.csv"):
        read_labels(tmp_path / "tags.csv")


def test_a_csv_reads_the_same_with_either_line_ending(tmp_path: Path) -> None:
    lines = ["tag_id,name,category,count", "9,general,9,1", "1,long_hair,0,2", '2,"a,b",4,3', ""]
    read = []
    for end in ("\n", "\r\n"):
        (tmp_path / "tags.csv").write_bytes(end.join(lines).encode())
        read.append(read_labels(tmp_path / "tags.csv"))
    assert read[0] == read[1] == (Label("general", "rating"), Label("long_hair", "general"), Label("a,b", "character"))


def test_a_tag_keeps_the_name_the_network_learnt_whatever_it_is_called_now(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("name,real_name,category\nold_name,new_name,0\nsame,same,4\n")
    assert [label.name for label in read_labels(tmp_path / "tags.csv")] == ["old_name", "same"]


def test_the_numbers_of_another_site_have_the_meaning_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("name,category\nfox,5\nsolo,0\n")
    assert read_labels(tmp_path / "tags.csv", {"0": "general", "5": "species"}) == (
        Label("fox", "species"),
        Label("solo", "general"),
    )
    with pytest.raises(ModelMismatch, match="category '5' is none of 0"):
        read_labels(tmp_path / "tags.csv", {"0": "general"})


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "\x1b[2J", "x" * 501])
def test_a_hostile_name_is_refused_wherever_it_comes_from(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelMismatch, match="name 2 "):
        labels_inside({"tags": repr(["fine", name])}, tmp_path / "m.onnx")
    with (tmp_path / "tags.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "category"), ("fine", "0"), (name, "0")])
    with pytest.raises(ModelMismatch, match="name 2 "):
        read_labels(tmp_path / "tags.csv")
