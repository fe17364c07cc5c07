"""Ways of captioning, through the command: candidates, sampling, guards against loops; what is wrong is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capprep.toybox.samples import draw_samples

from .conftest import Person, make_person


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A person with four drawn pictures."""
    person = make_person(tmp_path_factory.mktemp("captions"))
    draw_samples(person.file("raw"), 4, seed=132)
    person.types("ingest", "raw")
    return person


def captions(person: Person, *arguments: str) -> dict[str, Any]:
    return person.types("caption", "--blip", *arguments, "--json").json


def texts(person: Person) -> list[str]:
    return [path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))]


def test_candidates_are_made_once_the_best_is_written_and_scoring_again_changes_nothing(person: Person) -> None:
    done = captions(person, "--candidates", "4", "--min-tokens", "0")
    before = texts(person)
    assert len(before) == 4
    for remarks in done["remarks"].values():
        assert remarks[0].startswith("the caption is the best of 4 by agreement")
    for command in (("score",), ("caption", "--blip", "--candidates", "4", "--min-tokens", "0")):
        again = person.types(*command, "--json").json
        assert all(work["computed"] == 0 for work in again["stages"].values())
        assert (again["remarks"], again["verdicts"]) == (done["remarks"], done["verdicts"])
        assert texts(person) == before
    person.types("export", "table.jsonl")
    for text, line in zip(before, person.file("table.jsonl").read_text().splitlines(), strict=True):
        assert f'"caption": "{text}"' in line


def test_a_persons_text_stays_whatever_candidates_there_are(person: Person) -> None:
    captions(person)
    path = min(person.file("dataset").glob("*.txt"))
    path.write_text("mine and nobody's else")
    for arguments in (("--candidates", "3"), ("--sample", "--candidates", "2"), ()):
        done = captions(person, *arguments)
        assert path.read_text() == "mine and nobody's else"
        assert path.stem not in done["remarks"]
    path.unlink()
    captions(person)


def test_captions_are_drawn_from_a_seed_and_come_back_with_it_and_a_seed_without_sampling_changes_nothing(
    person: Person,
) -> None:
    captions(person)
    looked_for = texts(person)
    drawn = {}
    for seed in ("1", "2"):
        done = captions(person, "--sample", "--temperature", "4", "--top-p", "0.99", "--seed", seed)
        assert done["stages"]["caption.blip"]["computed"] == 4
        drawn[seed] = texts(person)
    assert drawn["1"] != drawn["2"] != looked_for
    person.file("capprep.toml").write_text("[caption]\nsample = true\ntemperature = 4\ntop_p = 0.99\nseed = 1\n")
    assert captions(person)["stages"]["caption.blip"]["computed"] == 0
    assert texts(person) == drawn["1"]
    assert captions(person, "--no-sample", "--seed", "9")["stages"]["caption.blip"]["computed"] == 0
    assert texts(person) == looked_for
    person.file("capprep.toml").unlink()


def test_captions_with_something_wrong_are_counted_and_say_what(person: Person) -> None:
    limits = ("--max-tokens", "4", "--min-tokens", "4")
    said = person.types("caption", "--blip", *limits).out
    assert "4 captions to look at: 00001-" in said
    assert "reached the greatest length before its end" in said
    done = captions(person, *limits)
    assert set(map(tuple, done["artefacts"].values())) == {("cut_off",)}
    assert len(done["artefacts"]) == 4
    assert "captions to look at" not in person.types("caption", "--blip").out
    assert captions(person)["artefacts"] == {}
    long = captions(person, "--min-tokens", "40", "--max-tokens", "45", "--no-repeat-ngram", "0", "--beams", "1")
    assert any("loop" in codes for codes in long["artefacts"].values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--candidates", "0"), "candidates = 0 is out of range"),
        (("--top-p", "0"), "top_p = 0.0 is out of range"),
        (("--temperature", "nan"), "temperature = nan is out of range"),
        (("--repetition-penalty", "0.5"), "repetition_penalty = 0.5 is out of range"),
        (("--no-repeat-ngram", "-1"), "no_repeat_ngram_size = -1 is out of range"),
        (("--seed", "-1"), "seed = -1 is out of range"),
    ],
)
def test_what_is_not_possible_is_refused(person: Person, arguments: tuple[str, ...], said: str) -> None:
    assert said in person.types("caption", "--blip", *arguments, expect=2).err


def test_the_report_says_why_a_caption_was_chosen_and_what_is_wrong_with_it(person: Person) -> None:
    captions(person, "--candidates", "2", "--max-tokens", "4", "--min-tokens", "4")
    person.types("review", "report.html")
    page = Path(person.file("report.html")).read_text()
    assert page.count("the caption is the best of 2 by agreement") == 4
    assert page.count("the caption reached the greatest length") == 4
