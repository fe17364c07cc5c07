"""`capprep review --prompts`: which words of intended prompts the texts do not teach, as a person runs it."""

from __future__ import annotations

import json
import re

import pytest

from capprep.toybox.samples import draw_samples

from .conftest import Person, make_person


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A person whose six drawn pictures are captioned, tagged and scored; one text is their own."""
    person = make_person(tmp_path_factory.mktemp("prompts"))
    draw_samples(person.file("raw"), 6, seed=5)
    person.types("ingest", "raw")
    person.types("caption", "--trigger", "zwx")
    (text, *_) = sorted(person.file("dataset").glob("*.txt"))
    text.write_text(r"zwx, a drawing of a quokka \(sleeping\), t-shirt")
    person.types("score")
    return person


def test_without_prompts_the_answer_names_the_most_taught_words(person: Person) -> None:
    done = person.types("review")
    assert re.search(r"^the texts teach \d+ words and tags, most of all: .*zwx \(6\)", done.out, re.MULTILINE)
    assert done.out.endswith("open it in a browser; next: capprep train\n")
    data = person.types("review", "--json").json["coverage"]
    assert (data["prompts"], data["pictures"]) == (None, 6)
    assert len(data["words"]) == data["count"]
    (trigger,) = [term for term in data["words"] if term["text"] == "zwx"]
    assert trigger == {
        "text": "zwx", "tag": False, "pictures": 6, "supported": 0, "contradicted": 0, "unknown": 0, "unscored": 6,
    }  # fmt: skip


def test_the_words_of_prompts_are_said_list_by_list_and_are_in_the_page(person: Person) -> None:
    lines = [
        "\ufeff# mine",
        "(zwx:1.2), a knight in armour, <lora:film:0.8>, BREAK a quokka",
        "quokkas, zwx, knight --n blurry --w 512",
    ]
    person.file("prompts.txt").write_text("\n".join(lines), encoding="utf-8")
    done = person.types("review", "--prompts", "prompts.txt")
    assert "2 prompts, of which none asks only for what the set teaches\n" in done.out
    assert "  never seen: knight (in 2 prompts), armour\n" in done.out
    assert "  never seen, but something near: quokkas (the set has quokka)\n" in done.out
    assert "  on few pictures: quokka (1)\n" in done.out
    assert "No text speaks of people (2 of 2 prompts do)." in done.out
    assert "Few texts speak of clothes (1 of 6; 1 of 2 prompts does)." in done.out
    answer = person.types("review", "--prompts", "prompts.txt", "--json").json["coverage"]["prompts"]
    assert (answer["prompts"], answer["within"]) == (2, 0)
    assert [(asked["text"], asked["prompts"]) for asked in answer["unseen"]] == [("knight", 2), ("armour", 1)]
    assert answer["near"][0]["near"] == [{"text": "quokka", "how": "form"}]
    assert [asked["text"] for asked in answer["aside"]] == ["a", "in"]
    island = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', person.file("report.html").read_text()
    )
    assert island is not None
    assert json.loads(island[1])["coverage"]["prompts"] == answer


def test_the_sets_own_texts_as_prompts_are_within_what_it_teaches(person: Person) -> None:
    texts = [path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))]
    person.file("own.txt").write_text("\n".join(texts))
    answer = person.types("review", "--prompts", "own.txt", "--json").json["coverage"]["prompts"]
    assert (answer["prompts"], answer["within"]) == (6, 6)
    assert answer["unseen"] == answer["near"] == answer["apart"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe", "cannot be read"), (b"# none", "holds no prompt"), (b"a\n" * 6000, "holds 6,000 prompts")],
)
def test_a_file_that_holds_no_prompts_is_refused_and_no_report_is_written(
    person: Person, content: bytes, said: str
) -> None:
    person.file("bad.txt").write_bytes(content)
    assert said in person.types("review", "--prompts", "bad.txt", "new.html", expect=2).err
    assert not person.file("new.html").exists()
    assert "does not exist" in person.types("review", "--prompts", "gone.txt", expect=2).err


def test_hostile_prompts_reach_the_terminal_as_plain_text(person: Person) -> None:
    person.file("hostile.txt").write_text("\x1b[31mred\x1b]0;x\x07, \u202eevil\n<script>alert(1)</script>, ((((\n")
    done = person.types("review", "--prompts", "hostile.txt")
    assert all(line.isprintable() for line in done.out.splitlines())
    assert "script" in done.out
