"""Texts that lie beside the sources, through the commands: said, used when asked for, never touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capprep.images.entries import is_picture
from capprep.toybox.samples import draw_samples
from tests.trainers import kohya_config, webui_folder

from .conftest import Person, make_person

PROBLEM = b"caf\xe9"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A person with four drawn pictures, two of them with texts of their own and one with what is no text."""
    person = make_person(tmp_path_factory.mktemp("existing"))
    draw_samples(person.file("raw"), 4, seed=132)
    for path in person.file("raw").glob("*.txt"):
        path.unlink()
    names = pictures(person)
    beside(person, names[0]).write_text("my own (red) words of it, cat_ears")
    beside(person, names[1], ".caption").write_text("\ufeffhat\r\n")
    beside(person, names[2]).write_bytes(PROBLEM)
    return person


def pictures(person: Person) -> list[Path]:
    return sorted(path for path in person.file("raw").iterdir() if is_picture(path.name))


def beside(person: Person, picture: Path, suffix: str = ".txt") -> Path:
    return picture.with_suffix(suffix)


def texts(person: Person) -> list[str]:
    return [path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))]


def sources(person: Person) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in person.file("raw").iterdir()}


def test_they_are_said_used_on_request_exported_and_never_touched(person: Person) -> None:
    before = sources(person)
    said = person.types("ingest", "raw").out
    assert "2 pictures have a text beside the file, not used; to use it: capprep caption --existing keep" in said
    name = pictures(person)[2].with_suffix(".txt").name
    assert f"1 text beside pictures cannot be used: raw/{name} (it is not UTF-8 text)" in said
    # those that are kept need no words of a model
    done = person.types("caption", "--existing", "keep", "--json").json
    assert {stage: work["computed"] for stage, work in done["stages"].items() if stage != "match.text"} == {
        "caption.blip": 2,
        "tags.booru": 2,
        "match.image": 4,
    }
    assert texts(person)[:2] == [r"my own \(red\) words of it, cat_ears", "hat"]
    assert any("not UTF-8" in remark for remarks in done["remarks"].values() for remark in remarks)
    kept = texts(person)
    for command in (("score",), ("ingest", "raw"), ("select",), ("review",)):
        person.types(*command)
        assert texts(person) == kept
    answer = person.types("ingest", "raw", "--json").json["beside"]
    assert (answer["pictures"], answer["existing"], len(answer["unusable"])) == (2, "keep", 1)
    assert "used as --existing keep says" in person.types("ingest", "raw").out
    # read by the matcher and shown with verdicts like any other words
    page = person.file("report.html").read_text()
    assert "cat ears" in page
    assert "my own (red) words of it" in page
    person.types("caption", "--existing", "append")
    appended = texts(person)
    assert appended[0].endswith(r", my own \(red\) words of it, cat_ears")
    assert appended[2:] == kept[2:]
    person.types("caption", "--existing", "ignore")
    assert all("my own" not in text for text in texts(person))
    assert sources(person) == before
    person.types("export", "table.jsonl")
    rows = [json.loads(line) for line in person.file("table.jsonl").read_text().splitlines()]
    expected = [path.relative_to(person.folder).as_posix() for path in pictures(person)[:3]]
    assert [Path(row["text_beside"]).stem for row in rows[:3]] == [Path(name).stem for name in expected]
    assert rows[3]["text_beside"] is None


def test_a_setting_in_the_file_asks_for_them_too(person: Person) -> None:
    person.file("capprep.toml").write_text('[caption]\nexisting = "keep"\n')
    person.types("ingest", "raw")
    person.types("caption")
    assert texts(person)[1] == "hat"
    person.file("capprep.toml").unlink()
    assert "existing" in person.types("caption", "--existing", "both", expect=2).err
    person.types("caption", "--existing", "ignore")


def test_a_dry_run_says_them_and_keeps_nothing(tmp_path: Path) -> None:
    person = make_person(tmp_path)
    draw_samples(person.file("raw"), 1, seed=1)
    (picture,) = pictures(person)
    beside(person, picture).write_text("mine")
    assert "1 picture has a text beside the file" in person.types("ingest", "raw", "--dry-run").out
    assert not person.file(".capprep").exists()


def test_the_set_is_exported_to_both_trainers_and_the_next_ingest_passes_it_over(person: Person) -> None:
    person.types("ingest", "raw")
    person.types("caption", "--existing", "keep", "--trigger", "zwx")
    said = person.types("export", "--to", "kohya", "out/style", "--repeats", "3").out
    assert "4 pictures with texts for kohya in out/style/" in said
    read = kohya_config(person.file("out/style/dataset.toml"))
    assert [each.prompt for _, each in sorted(read.items())][:2] == [
        "zwx, my own (red) words of it, cat_ears",
        "zwx, hat",
    ]
    assert {(each.repeats, each.front) for each in read.values()} == {(3, ("zwx",))}
    done = person.types("export", "--to", "webui", "flat", "--json").json
    assert (done["pictures"], done["written"], done["edited"]) == (4, 8, [])
    prompts = [prompt for _, prompt in sorted(webui_folder(person.file("flat")).items())]
    assert prompts == texts(person)
    assert person.types("ingest", ".", "--json").json["pictures"] == 4
    mine = sorted(person.file("flat").glob("*.txt"))[0]
    mine.write_text("changed here")
    assert (
        f"changed by hand in flat/, left as they are: {mine.name}"
        in person.types("export", "--to", "webui", "flat").out
    )
    assert mine.read_text() == "changed here"
    person.types("caption", "--existing", "ignore", "--trigger", "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("flat",), 2, "add --to webui or --to kohya"),
        (("--to", "webui", "--repeats", "2", "flat"), 2, "for kohya's folders"),
        (("table.csv", "--name", "x"), 2, "for kohya's folders"),
        (("--to", "webui", "raw/out"), 1, "among the source pictures"),
        (("--to", "webui", "dataset"), 1, "keeps its own work"),
        (("--to", "webui", "."), 1, "no export wrote"),
    ],
)
def test_what_cannot_be_exported_to_is_refused_in_words(
    person: Person, arguments: tuple[str, ...], status: int, said: str
) -> None:
    assert said in person.types("export", *arguments, expect=status).err


def test_an_edit_made_a_moment_before_is_exported(person: Person) -> None:
    person.types("ingest", "raw")
    person.types("caption")
    mine = sorted(person.file("dataset").glob("*.txt"))[3]
    mine.write_text("mine (really)\nin two lines")
    assert f"edited by hand, kept as they are: {mine.name}" in person.types("export", "--to", "kohya", "k").out
    (folder,) = person.file("k").glob("*/")
    assert (folder / mine.name).read_text() == "mine (really) in two lines"
    mine.unlink()
    person.types("score")
