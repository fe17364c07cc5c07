"""Files of any name through the command: all become squares under safe names, and no terminal is harmed."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from .corpus import JOBS, Done, encoded, ingest, picture, showing, squares, types

SIZE = 128
ARGUMENTS = ("raw", JOBS, "2", "--size", str(SIZE), "--max-upscale", "1", "--duplicates", "none", "--crop", "center")

NAMES = [
    *("new\nline.png", "tab\tand\rreturn.png", "bell\a\b.png", "\x1b[31mred\x1b[2J.png", "\x7f.png", "\u0085.png"),
    *("100%.png", "%s%n%d.png", "{0}{x!r}.png", "-rf.png", "--help.png", "~.png", "$(touch pwned)`id`.png"),
    *("'\".png", "back\\slash.png", "a:b|c<d>e*f?.png", "con.png", " .png", "trailing .png", "#;&.png"),
    *("a.jpg", "a.png", "A.JPG", "A.PnG", "a.b.jpg", "a.png.jpg"),
    *("x y.png", "x_y.png", "x?y.png", "x\ny.png"),
    *(unicodedata.normalize(form, "é ü ガ.png") for form in ("NFC", "NFD")),
    *("\u202egnp.exe.png", "\u200b.png", "\u2028.png", "😀.PNG", "日本語.png", "\ufeff.png"),
    *("n" * 251 + ".png", "é" * 125 + ".png", "/".join(["d" * 200] * 9) + "/deep.png"),
]
RAW_NAMES = [*map(os.fsencode, NAMES), b"\xff\xfe.png", b"latin\xe9.jpg", b"\xed\xa0\x80.png", b"cut \xf0\x9f.png"]


def put_names(raw: Path, content: Callable[[int, bytes], bytes]) -> None:
    for number, name in enumerate(RAW_NAMES):
        path = raw / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number, name))


def named(number: int, name: bytes) -> bytes:
    # JPEG where the name says PNG too: the content decides
    return encoded(picture(100 + number), "JPEG", quality=95)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("names")
    put_names(folder / "raw", named)
    return folder, ingest(folder, *ARGUMENTS, "--json")


def test_a_file_may_have_any_name(names: tuple[Path, Done]) -> None:
    folder, done = names
    assert done.json["pictures"] == len(RAW_NAMES)
    found = squares(folder / "dataset", SIZE)
    shown = [showing(found, picture(100 + number)) for number in range(len(RAW_NAMES))]
    assert all(len(of_one) == 1 for of_one in shown)
    assert len({of_one[0] for of_one in shown}) == len(RAW_NAMES)
    assert not (folder / "pwned").exists()


def test_the_names_in_dataset_are_safe_on_any_file_system(names: tuple[Path, Done]) -> None:
    written = os.listdir(os.fsencode(names[0] / "dataset"))  # noqa: PTH208  # as bytes
    texts = [name.decode() for name in written]
    # also where case and the way of writing an accent make no difference
    assert len({unicodedata.normalize("NFC", text).casefold() for text in texts}) == len(RAW_NAMES)
    for text in texts:
        assert re.fullmatch(r"\d{5,}-[\w.+-]+\.png", text), text
        assert text.isprintable()
        assert len(text.encode()) <= 255 - len(".txt")


def test_a_second_run_knows_every_name_again(names: tuple[Path, Done]) -> None:
    folder, _ = names
    again = ingest(folder, *ARGUMENTS, "--json").json
    assert (again["computed"], again["dataset"]["written"], again["dataset"]["removed"]) == (0, 0, 0)


@pytest.fixture(scope="module")
def bad_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    put_names(folder / "raw", lambda number, _: b"<html>\x1b[31m\a%d" % number)
    return folder


def test_whatever_files_are_called_the_terminal_gets_no_control_characters(bad_names: Path) -> None:
    done = ingest(bad_names, *ARGUMENTS, expect=3)
    failed, _ = types(bad_names, "status", "-w", ".", "--failed")
    assert failed.count("not_image") >= len(RAW_NAMES)
    for text in (done.out, done.err, failed):
        assert all(line.isprintable() for line in text.split("\n")), text
    # spelt out, and not only taken away because this is no terminal
    for spelt in (
        r"\x1b[31mred\x1b[2J.png",
        r"new\nline.png",
        r"\xff\xfe.png",
        r"bell\x07\x08.png",
        r"\u202egnp.exe.png",
    ):
        assert spelt in failed


def test_whatever_files_are_called_the_answer_in_json_is_valid_and_names_all(bad_names: Path) -> None:
    done = ingest(bad_names, *ARGUMENTS, "--json", expect=3)
    assert len(done.reasons) == len(done.json["left_out"]) == len(RAW_NAMES)
    assert set(done.reasons.values()) == {"not_image"}
    assert done.err == ""


def test_a_folder_without_pictures_is_named_without_control_characters(tmp_path: Path) -> None:
    (tmp_path / "bell\a\rempty").mkdir()
    _, said = types(tmp_path, "ingest", "-w", ".", "bell\a\rempty", expect=1)
    assert "empty" in said
    assert all(line.isprintable() for line in said.split("\n")), said
