"""How texts are written, through the command: thresholds, rules, forms; remembered, checked, and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from capprep.toybox.samples import draw_samples

from .conftest import Person, make_person


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A person whose four drawn pictures are captioned and tagged."""
    person = make_person(tmp_path_factory.mktemp("wording"))
    draw_samples(person.file("raw"), 4, seed=132)
    person.types("ingest", "raw")
    person.types("caption")
    return person


@pytest.fixture(autouse=True)
def _as_it_was(person: Person):
    """Takes back what a test asked for."""
    yield
    person.file("capprep.toml").unlink(missing_ok=True)
    person.types(
        *("caption", "--booru-threshold", "", "--no-mcut", "--trigger", "", "--preset", "none", "--concept", ""),
        *("--alias", "", "--blacklist", "", "--whitelist", "", "--keep-tags", "", "--drop-implied", "--merge"),
        *("caption, tags", "--order", "score", "--budget", "0", "--escape", "webui"),
    )


def texts(person: Person) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))}


def test_options_change_every_text_run_no_captioner_and_are_remembered_and_taken_back(person: Person) -> None:
    before = texts(person)
    done = person.types("caption", "--trigger", "zwx", "--blacklist", "no_humans", "--merge", "tags", "--json").json
    assert all(work["computed"] == 0 for work in done["stages"].values())
    after = texts(person)
    assert all(text.startswith("zwx, ") for text in after.values())
    assert any("no humans" in text for text in before.values())
    assert not any("no humans" in text for text in after.values())
    assert set(done["remarks"]) == set(after)
    assert done["verdicts"]["captions"] == {"supported": 0, "contradicted": 0, "not_enough_evidence": 0}
    for command in (("review",), ("ingest", "raw"), ("select",), ("score",)):
        person.types(*command)
        assert texts(person) == after
    person.types("caption", "--trigger", "", "--blacklist", "", "--merge", "caption, tags")
    assert texts(person) == before


def test_rules_of_a_file_are_remembered_without_it_and_those_about_no_tag_are_said(person: Person) -> None:
    rules = person.file("rules.txt")
    rules.write_text("# mine\nno_humans\nno_hmuans\nsaber_\\(fate\\)\n")
    said = person.types("caption", "--blacklist", "rules.txt", "--alias", "outdors = outside").out
    assert "--blacklist: no picture has a tag for no_hmuans, saber_\\(fate\\)" in said
    assert "--alias: no picture has a tag for outdors = outside" in said
    rules.unlink()
    done = person.types("score", "--json").json
    assert done["unmatched_rules"] == [
        {"option": "alias", "text": "outdors = outside"},
        {"option": "blacklist", "text": "no_hmuans"},
        {"option": "blacklist", "text": "saber_\\(fate\\)"},
    ]
    assert not any("no humans" in text for text in texts(person).values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--booru-threshold", "often"), "booru_threshold"),
        (("--booru-threshold", "character=2"), "booru_threshold"),
        (("--blacklist", "gone.txt"), "blacklist = 'gone.txt' cannot be read"),
        (("--merge", "words"), "merge = 'words' is no form"),
        (("--preset", "concept"), "name its tags with --concept"),
        (("--concept", "katana"), "add --preset concept"),
        (("--alias", "a = b, b = a"), "lead back to itself"),
        (("--escape", "kohya", "--trigger", "[name]"), "filled in by the webui only"),
        (("--budget", "3"), "budget"),
        (("--budget", "8", "--trigger", "a b c d e f g h i j k"), "longer than the budget of 8 tokens"),
    ],
)
def test_what_is_not_possible_is_refused_before_anything_changes(
    person: Person, arguments: tuple[str, ...], said: str
) -> None:
    before = texts(person)
    assert said in person.types("caption", *arguments, expect=2).err
    person.types("score")
    assert texts(person) == before


def test_a_command_that_fails_changes_no_option(person: Person) -> None:
    before = texts(person)
    person.types("caption", "--trigger", "zwx", "--caption-model", "gone", expect=1)
    person.types("score")
    assert texts(person) == before


@pytest.mark.parametrize("written", ["0.97", '"0.97"', '"general=0.97"'])
def test_a_threshold_in_the_settings_may_be_a_number_or_a_text(person: Person, written: str) -> None:
    before = texts(person)
    person.file("capprep.toml").write_text(f"[caption]\nbooru_threshold = {written}\n")
    person.types("caption")
    fewer = texts(person)
    assert all(len(fewer[name]) <= len(before[name]) for name in before)
    assert fewer != before


def test_other_texts_cannot_be_numbers_in_the_settings(person: Person) -> None:
    person.file("capprep.toml").write_text("[caption]\ntrigger = 3\n")
    assert "caption.trigger = 3 is not possible" in person.types("caption", expect=2).err
    person.file("capprep.toml").write_text("[caption]\nbooru_threshold = true\n")
    assert "caption.booru_threshold = True is not possible" in person.types("caption", expect=2).err


def test_a_budget_keeps_every_text_short_in_every_command(person: Person) -> None:
    before = texts(person)
    person.types("caption", "--budget", "24")
    short = texts(person)
    assert all(len(short[name]) < len(before[name]) for name in before)
    person.types("select")
    assert texts(person) == short


def test_a_text_written_over_one_with_a_trigger_is_scored_without_it(person: Person) -> None:
    person.types("caption", "--trigger", "zwx")
    name, text = next(iter(texts(person).items()))
    path: Path = person.file("dataset") / f"{name}.txt"
    path.write_text(text.replace("zwx, ", "zwx, a green dragon on a mat, "))
    (mine,) = person.types("score", "--json").json["written_by_hand"]
    assert mine["caption"] == "a green dragon on a mat"
    assert mine["verdict"] is not None
    assert "zwx" not in [tag["text"] for tag in mine["tags"]]
    path.unlink()
    person.types("score")


def test_the_report_names_the_thresholds_that_count(person: Person) -> None:
    person.types("review")
    assert "kept from probability 0.5" in person.file("report.html").read_text()
    person.types("caption", "--booru-threshold", "character=0.9", "--mcut")
    person.types("review")
    page = person.file("report.html").read_text()
    assert "cut at the largest gap of each picture, else kept from probability 0.5, character tags from 0.9" in page
