"""Which pictures are in the set, through the command: decided, mirrored, split, cut, thinned out, and taken back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from capprep.stages.picture import Picture

from .conftest import Person
from .curating import apply, ingest, paint, put, reasons, scene, scenes, select, square, stems, there, tree, write

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
    assert reasons(rejected) == {"grey": "blank"}
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


def test_what_a_person_wrote_for_a_mirrored_copy_keeps_its_picture(person: Person) -> None:
    scenes(person, 1)
    ingest(person, "--mirror")
    write(person, "00001-s0-mirror.txt", "mine")
    put(person, "larger.png", cv2.resize(scene(0, 100), (300, 300), interpolation=cv2.INTER_CUBIC))
    ingest(person)
    assert there(person)["00001-s0-mirror.txt"] == b"mine"


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


def test_decisions_after_an_update_of_the_program_cost_no_other_picture(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes(person, 2)
    ingest(person)
    monkeypatch.setattr(Picture, "version", Picture.version + 1)
    person.file("d.json").write_text('{"decisions": [{"picture": "1", "crop": [0, 0, 64, 64]}]}')
    person.types("review", "--apply", "d.json", expect=None)
    assert "s1" in stems(person)
    ingest(person)
    assert np.array_equal(square(person, "00001-s0.png"), scene(0, 100)[:64, :64])


def test_a_crop_needs_no_face_model_and_faces_without_one_are_an_error(person: Person) -> None:
    scenes(person, 1)
    said = person.types("ingest", "raw", "--crop", "face", expect=2).err
    assert "face detector" in said
    assert "--face-model" in said
    person.file("not.onnx").write_bytes(b"no network")
    said = person.types("ingest", "raw", "--size", "64", "--crop", "face", "--face-model", "not.onnx", expect=2).err
    assert "not.onnx is not a face detector" in said
