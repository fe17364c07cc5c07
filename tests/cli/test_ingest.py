"""Ingest through the command: rehearsed, in other formats, from archives; and the table of what came of it."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from .conftest import Person
from .curating import apply, content, ingest, put, scene, scenes, select, square, there, tree

# --- rehearsed, other formats, archives ----------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--mirror",), ("--split",), ("--keep", "2"), ("--format", "webp-lossless")])
def test_a_dry_run_writes_nothing_and_foretells_what_then_happens(person: Person, more: tuple[str, ...]) -> None:
    scenes(person, 3)
    put(person, "s0-again.bmp", scene(0, 100), "BMP")
    put(person, "wide.png", scene(5, 300, 100))
    person.file("raw/broken.jpg").write_bytes(b"\xff\xd8\xff")
    for _ in range(2):
        before = tree(person)
        foretold = ingest(person, *more, "--dry-run", expect=3)
        assert tree(person) == before
        done = ingest(person, *more, expect=3)
        for answer in (foretold, done):
            del answer["seconds"], answer["dry_run"]
        assert foretold == done
        # the second time there is something to change and to keep
        put(person, "new.png", scene(20))
        person.file("raw/s1.png").unlink(missing_ok=True)


def test_squares_in_webp_are_seen_in_the_report(person: Person) -> None:
    scenes(person, 1)
    ingest(person, "--format", "webp-lossless")
    person.types("review", "page.html")
    assert "data:image/webp" in person.file("page.html").read_text()


def test_squares_in_webp_go_the_whole_way(person: Person) -> None:
    scenes(person, 3)
    ingest(person)
    exact = {name: square(person, f"{name}.png") for name in ("00001-s0", "00002-s1", "00003-s2")}
    ingest(person, "--format", "webp-lossless")
    assert not list(person.file("dataset").glob("*.png"))
    for name, pixels in exact.items():
        assert np.array_equal(square(person, f"{name}.webp"), pixels)
    person.types("caption", "--blip", "--booru")
    person.types("train", "--steps", "2", "--device", "cpu")
    assert list(person.file("runs").glob("*/*.pt"))


def test_archives_are_read_in_place_and_once(person: Person) -> None:
    raw = person.file("raw")
    raw.mkdir()
    with zipfile.ZipFile(raw / "a.zip", "w") as archive:
        for n in range(2):
            archive.writestr(f"in/z{n}.png", content(scene(n)))
        archive.writestr("notes.txt", "no picture")
    with tarfile.open(raw / "b.tar", "w") as tar:
        for n in range(2, 4):
            member = tarfile.TarInfo(f"t{n}.jpg")
            data = content(scene(n), "JPEG", quality=95)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    before = tree(person)
    first = ingest(person, "--crop", "center")
    assert (first["pictures"], first["computed"]) == (4, 4)
    assert {name: tree(person)[name] for name in before if "raw/" in name} == {
        name: status for name, status in before.items() if "raw/" in name
    }
    made = there(person)
    assert (ingest(person, "--crop", "center")["computed"], there(person)) == (0, made)
    apply(person, [{"picture": "raw/a.zip!in/z1.png", "crop": [0, 0, 64, 64]}])
    assert np.array_equal(square(person, "00002-z1.png"), scene(1)[:64, :64])
    assert select(person, "--exclude", "raw/b.tar!t2.jpg")["pictures"] == 3


def test_folders_in_folders_are_left_alone_on_request(person: Person) -> None:
    put(person, "top.png", scene(1))
    put(person, "below/deep.png", scene(2))
    assert ingest(person, "--no-recursive")["pictures"] == 1
    assert ingest(person)["pictures"] == 2
    assert ingest(person, "--no-recursive")["pictures"] == 2, "what was ingested before stays"


# --- the table -----------------------------------------------------------------------------------


def test_the_table_has_every_picture_once_and_no_formula(person: Person) -> None:
    scenes(person, 2)
    hostile = "=1+2 \n\r\"',;\x1b.png"
    put(person, hostile, scene(3))
    put(person, "s0-again.bmp", scene(0, 100), "BMP")
    person.file("raw/broken.jpg").write_bytes(b"nothing at all")
    os.mkfifo(person.file("raw/pipe.png"))
    ingest(person, expect=3)
    apply(person, [{"picture": "raw/s1.png", "text": "=SUM(A1), -x"}])
    answer = person.types("export", "table.csv", "--json").json
    with person.file("table.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file, strict=True))
    person.types("export", "table.jsonl")
    rows = [json.loads(line) for line in person.file("table.jsonl").read_text().splitlines()]
    assert len(cells) == len(rows) == answer["rows"] == 6
    assert all(list(row) == list(cells[0]) for row in rows)
    status = {row["source"]: row["status"] for row in rows}
    assert status.pop("raw/pipe.png") == "unreadable"
    assert status.pop("raw/broken.jpg") == "left out"
    assert sorted(status.values()) == ["kept", "kept", "kept", "left out"]
    assert f"raw/{hostile}" in status
    for row, cell in zip(rows, cells, strict=True):
        assert cell["source"] == row["source"]
        assert cell["width"] == ("" if row["width"] is None else str(row["width"]))
        assert not any(value[:1] in tuple("=+-@\t\r\n") and not _number(value) for value in cell.values())
    (texts,) = [cell["text"] for cell in cells if cell["source"] == "raw/s1.png"]
    assert texts == "'=SUM(A1), -x"
    assert "no table" in person.types("export", "table.xls", expect=2).err


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("command", [("select",), ("export", "t.csv"), ("review", "page.html"), ("status",)])
def test_every_answer_is_one_json_object(person: Person, command: tuple[str, ...]) -> None:
    scenes(person, 2)
    ingest(person)
    assert person.types(*command, "--json").json


def test_an_answer_is_utf8_whatever_the_file_is_called(person: Person) -> None:
    scenes(person, 1)
    ingest(person)
    name = os.fsdecode(b"\xff.csv")
    answer = person.types("export", name, "--json")
    assert answer.out.encode().isascii()
    assert Path(answer.json["file"]) == person.file(name)
