"""Which pictures are in the set, through the command: decided, mirrored, split, cut, thinned out, and taken back."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from .conftest import Done, Person

Pixels = NDArray[np.uint8]


def scene(seed: int, width: int = 120, height: int = 100) -> Pixels:
    """A picture unlike those of other seeds: coarse patches of colour with fine grain."""
    rng = np.random.default_rng(seed)
    coarse_HWC = cv2.resize(rng.integers(20, 235, (5, 5, 3)).astype(np.float32), (width, height))
    grain_HWC = rng.normal(0, 18, (height, width, 3))
    return np.asarray(np.clip(coarse_HWC + grain_HWC, 0, 255), np.uint8)


def content(pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, kind, **options)
    return buffer.getvalue()


def put(person: Person, name: str, pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> None:
    path = person.file("raw") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(pixels_HWC, kind, **options))


def scenes(person: Person, count: int) -> None:
    for n in range(count):
        put(person, f"s{n}.png", scene(n, 100 + 7 * n))


def ingest(person: Person, *arguments: str, expect: int | None = 0) -> dict[str, Any]:
    return person.types("ingest", "raw", "--size", "64", "-j", "0", "--json", *arguments, expect=expect).json


def select(person: Person, *arguments: str, expect: int | None = 0) -> dict[str, Any]:
    return person.types("select", "--json", *arguments, expect=expect).json


def there(person: Person) -> dict[str, bytes]:
    """What is in `dataset/`."""
    return {path.name: path.read_bytes() for path in sorted(person.file("dataset").iterdir())}


def stems(person: Person) -> list[str]:
    """The sources' stems of the pictures in `dataset/`, in order of number."""
    return [name[6:].rpartition(".")[0] for name in there(person) if not name.endswith(".txt")]


def square(person: Person, name: str) -> Pixels:
    with Image.open(person.file("dataset") / name) as picture:
        assert picture.size == (64, 64)
        return np.asarray(picture.convert("RGB"))


def write(person: Person, name: str, text: str) -> None:
    """What an editor does: the file is another one afterwards, at another time."""
    path = person.file("dataset") / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(0, 1_000_000_000))


def paint(person: Person, name: str, pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> None:
    path = person.file("dataset") / name
    path.write_bytes(content(pixels_HWC, kind, **options))
    os.utime(path, ns=(0, 1_000_000_000))


def tree(person: Person) -> dict[str, tuple[int, int, int]]:
    """Everything on disk: size, time of the last change of content, and of anything."""
    found = {}
    for path in sorted(person.folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return found


def reasons(answer: Mapping[str, Any]) -> dict[str, str]:
    """Why each picture was left out, by its source's name."""
    return {Path(left["sources"][0]).stem: left["reason"] for left in answer["left_out"]}


# --- in and out ----------------------------------------------------------------------------------


def test_a_person_has_the_last_word_and_can_take_it_back(person: Person) -> None:
    scenes(person, 3)
    put(person, "small.png", scene(9, 40, 40))
    assert reasons(ingest(person, expect=3)) == {"small": "too_small"}
    before = there(person)
    person.types("select", "--include", "raw/small.png", "--exclude", "s1.png", expect=1)
    assert there(person) == before, "one name was wrong, so nothing was decided"
    answer = select(person, "--include", "raw/small.png", "--exclude", "00002-s1")
    assert reasons(answer) == {"s1": "decided"}
    assert stems(person) == ["s0", "s2", "small"]
    assert reasons(ingest(person)) == {"s1": "decided"}
    assert reasons(select(person, "--max-upscale", "1.5")) == {"s1": "decided"}
    answer = select(person, "--undecide", "2", "--undecide", "raw/small.png")
    assert reasons(answer) == {"small": "too_small"}
    assert there(person) == before


def test_the_best_few_are_those_chosen_first_and_all_come_back(person: Person) -> None:
    scenes(person, 7)
    ingest(person)
    everything = there(person)
    few = select(person, "--keep", "3")
    assert len(few["chosen"]) == few["pictures"] == 3
    assert set(reasons(few).values()) == {"not_chosen"}
    more = select(person, "--keep", "5")
    assert set(few["chosen"]) <= set(more["chosen"])
    assert len(more["chosen"]) == 5
    lost = min(set(reasons(few)))
    with_one = select(person, "--keep", "3", "--include", f"raw/{lost}.png")
    assert lost in stems(person)
    assert with_one["pictures"] == 3
    assert ingest(person)["computed"] == 0
    assert len(stems(person)) == 3, "the number is remembered"
    back = select(person, "--keep", "0", "--undecide", f"raw/{lost}.png")
    assert (back["left_out"], back["chosen"]) == ([], {})
    assert there(person) == everything


def test_flaws_are_flagged_or_rejected_or_nothing_and_nothing_is_read_for_it(person: Person) -> None:
    scenes(person, 3)
    put(person, "grey.png", np.full((90, 90, 3), 120, np.uint8))
    flagged = ingest(person)
    everything = there(person)
    (name,) = flagged["flaws"]
    assert name.endswith("-grey")
    rejected = ingest(person, "--screen", "reject", expect=0)
    assert rejected["computed"] == 0
    assert reasons(rejected) == {"grey": "empty"}
    assert "grey" not in stems(person)
    assert "grey" in person.types("select", "--screen", "reject").out
    off = select(person, "--screen", "off")
    assert (off["flaws"], off["left_out"]) == ({}, [])
    assert there(person) == everything
    assert select(person, "--screen", "flag")["flaws"] == flagged["flaws"]


def test_of_duplicates_the_best_stays_and_what_a_duplicate_is_can_be_said(person: Person) -> None:
    scenes(person, 2)
    put(person, "t0-again.bmp", scene(0, 100), "BMP")
    put(person, "s1-large.png", cv2.resize(scene(1, 107), (428, 400), interpolation=cv2.INTER_CUBIC))
    put(person, "t1-other-way.png", np.ascontiguousarray(scene(1, 107)[:, ::-1]))
    near = ingest(person, "--duplicates", "near")
    assert reasons(near) == dict.fromkeys(("t0-again", "s1", "t1-other-way"), "duplicate")
    exact = select(person, "--duplicates", "exact")
    assert reasons(exact) == {"t0-again": "duplicate"}
    assert select(person, "--duplicates", "none")["left_out"] == []
    assert len(stems(person)) == 5
    assert ingest(person, "--duplicates", "near")["left_out"] == near["left_out"]
    kept = select(person, "--exclude", "raw/s1-large.png")
    assert "s1" in stems(person), "without the best one the next best is kept"
    assert reasons(kept)["s1-large"] == "decided"


def test_thresholds_come_from_the_settings_file_in_ingest_and_in_select(person: Person) -> None:
    scenes(person, 4)
    person.file("capprep.toml").write_text('[select]\nkeep = 2\nduplicates = "exact"\n[ingest]\nmirror = true\n')
    assert ingest(person)["pictures"] == 2
    assert len(stems(person)) == 4, "two pictures and their mirrored copies"
    assert select(person, "--keep", "3")["pictures"] == 3
    assert select(person)["pictures"] == 2, "what the file says counts again"
    person.file("capprep.toml").unlink()
    assert select(person)["pictures"] == 2, "without it the last word is remembered"
    person.file("capprep.toml").write_text("[select]\nmax_upscale = 0.5\n")
    assert "max_upscale" in person.types("select", expect=2).err


# --- copies and parts ----------------------------------------------------------------------------


def test_a_mirrored_copy_has_the_same_text_until_a_person_writes_another(person: Person) -> None:
    scenes(person, 2)
    ingest(person, "--mirror")
    person.types("caption", "--booru")
    one = "00001-s0"
    assert np.array_equal(square(person, f"{one}-mirror.png"), square(person, f"{one}.png")[:, ::-1])
    assert there(person)[f"{one}-mirror.txt"] == there(person)[f"{one}.txt"]
    write(person, f"{one}.txt", "my own words")
    write(person, "00002-s1-mirror.txt", "only this way round")
    assert ingest(person)["computed"] == 0
    assert there(person)[f"{one}-mirror.txt"] == b"my own words"
    assert there(person)["00002-s1-mirror.txt"] == b"only this way round"
    assert there(person)["00002-s1.txt"] != b"only this way round"
    everything = there(person)
    ingest(person, "--no-mirror")
    assert not any("mirror" in name for name in there(person))
    assert {name: everything[name] for name in there(person)} == there(person)
    ingest(person, "--mirror")
    assert there(person) == everything, "its own text was kept for its return"


@pytest.mark.parametrize("way", ["png", "webp-lossless"])
def test_a_painted_square_is_mirrored_as_it_was_painted(person: Person, way: str) -> None:
    scenes(person, 2)
    ingest(person, "--mirror", "--format", way)
    suffix, kind = (".png", "PNG") if way == "png" else (".webp", "WEBP")
    painted = scene(77, 64, 64)
    paint(person, f"00001-s0{suffix}", painted, kind, **({} if way == "png" else {"lossless": True}))
    select(person)
    assert np.array_equal(square(person, f"00001-s0{suffix}"), painted)
    assert np.array_equal(square(person, f"00001-s0-mirror{suffix}"), painted[:, ::-1])
    copy = scene(78, 64, 64)
    paint(person, f"00001-s0-mirror{suffix}", copy, kind, **({} if way == "png" else {"lossless": True}))
    ingest(person, "--format", way)
    assert np.array_equal(square(person, f"00001-s0-mirror{suffix}"), copy)
    assert np.array_equal(square(person, f"00001-s0{suffix}"), painted)


def test_a_panorama_is_cut_into_parts_and_whole_again(person: Person) -> None:
    scenes(person, 1)
    wide = scene(5, 300, 100)
    put(person, "wide.png", wide)
    ingest(person)
    whole = there(person)
    split = ingest(person, "--split")
    assert split["computed"] == 4
    assert stems(person) == ["s0", "wide-1", "wide-2", "wide-3", "wide-4"]
    first = square(person, "00002-wide-1.png").astype(float)
    assert np.abs(first - cv2.resize(wide[:, :100], (64, 64), interpolation=cv2.INTER_AREA)).max() <= 1
    assert ingest(person)["computed"] == 0
    select(person, "--exclude", "00002-wide-2")
    assert stems(person) == ["s0", "wide-1", "wide-3", "wide-4"]
    said = person.types("select", "--exclude", "raw/wide.png", expect=1).err
    assert "4 pictures are called" in said
    assert ingest(person, "--no-split")["computed"] == 0
    assert there(person) == whole


# --- a person's crops and texts ------------------------------------------------------------------


def apply(person: Person, decisions: object, name: str = "decisions.json") -> Done:
    text = decisions if isinstance(decisions, str) else json.dumps({"decisions": decisions})
    person.file(name).write_text(text, encoding="utf-8")
    return person.types("review", "page.html", "--json", "--apply", name)


def test_a_given_crop_replaces_the_square_and_is_taken_back(person: Person) -> None:
    scenes(person, 2)
    ingest(person, "--crop", "center")
    before = there(person)
    apply(person, [{"picture": 1, "crop": [0, 0, 64, 64], "text": "my words"}])
    assert np.array_equal(square(person, "00001-s0.png"), scene(0, 100)[:64, :64])
    after = there(person)
    assert after["00001-s0.txt"] == b"my words"
    assert after["00002-s1.png"] == before["00002-s1.png"]
    assert ingest(person, "--crop", "center")["computed"] == 0
    assert there(person) == after
    # other settings hold for it too, but for where it is cut
    other = person.types("ingest", "raw", "--size", "128", "-j", "0", "--max-upscale", "9", "--json").json
    assert other["pictures"] == 2
    with Image.open(person.file("dataset/00001-s0.png")) as picture:
        assert picture.size == (128, 128)
    ingest(person, "--crop", "center", "--max-upscale", "1")
    assert there(person) == after
    apply(person, [{"picture": "00001-s0", "crop": None, "text": None}])
    assert there(person) == before
    apply(person, [{"picture": "raw/s0.png", "crop": [0, 0, 64, 64]}])
    assert there(person)["00001-s0.png"] == after["00001-s0.png"]
    assert ingest(person, "--crop", "center")["computed"] == 0, "what was cut once is still known"


def test_decisions_come_as_csv_too_and_a_wrong_one_leaves_all_as_it_was(person: Person) -> None:
    scenes(person, 3)
    ingest(person)
    before = tree(person)
    person.file("bad.csv").write_text("picture,keep\n00001-s0,no\nnobody,no\n")
    before |= {name: status for name, status in tree(person).items() if name.endswith("bad.csv")}
    person.types("review", "--apply", "bad.csv", expect=1)
    now = tree(person)
    assert {name for name in before if "dataset" in name and before[name] != now[name]} == set()
    assert stems(person) == ["s0", "s1", "s2"]
    rows = 'picture,keep,text,left,top,right,bottom\r\n1,no,,,,,\r\nraw/s1.png,,a "cat",10,5,90,85\r\n'
    apply(person, "\ufeff" + rows, "good.csv")
    assert stems(person) == ["s1", "s2"]
    assert there(person)["00002-s1.txt"] == b'a "cat"'
    expected = cv2.resize(scene(1, 107)[5:85, 10:90], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(square(person, "00002-s1.png").astype(float) - expected).max() <= 1


def test_a_crop_outside_the_picture_is_said_and_costs_only_that_picture(person: Person) -> None:
    scenes(person, 2)
    ingest(person)
    answer = apply(person, [{"picture": "1", "crop": [0, 0, 900, 900]}]).json
    assert reasons(answer) == {"s0": "crop_outside"}
    assert stems(person) == ["s1"]
    answer = apply(person, [{"picture": "1", "crop": None}]).json
    assert answer["left_out"] == []


def test_a_crop_given_under_mirror_is_mirrored_at_once(person: Person) -> None:
    scenes(person, 1)
    ingest(person, "--mirror")
    apply(person, [{"picture": "1", "crop": [0, 0, 64, 64]}])
    cut = scene(0, 100)[:64, :64]
    assert np.array_equal(square(person, "00001-s0.png"), cut)
    assert np.array_equal(square(person, "00001-s0-mirror.png"), cut[:, ::-1])


def test_a_crop_needs_no_face_model_and_faces_without_one_are_an_error(person: Person) -> None:
    scenes(person, 1)
    said = person.types("ingest", "raw", "--crop", "face", expect=2).err
    assert "face detector" in said
    assert "--face-model" in said
    person.file("not.onnx").write_bytes(b"no network")
    said = person.types("ingest", "raw", "--size", "64", "--crop", "face", "--face-model", "not.onnx", expect=2).err
    assert "not.onnx is not a face detector" in said


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
