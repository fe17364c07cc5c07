"""The demo's promise: with readers that see right, what was planted wrong is flagged and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from capprep.cli.demo import PICTURES, SEED
from capprep.facts import Sentence
from capprep.models.tagger import Label
from capprep.toybox.samples import draw_folder

from .conftest import Person

Pixels = NDArray[np.uint8]


class Truth:
    """What is true of each square in a workspace, and readers that know it."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        draw_folder(folder / "drawn", PICTURES, SEED, truth=folder / "truth.jsonl")
        lines = (folder / "truth.jsonl").read_text().splitlines()
        self.known = {Path(line["file"]).stem: line for line in map(json.loads, lines)}
        tags = {tag: category for line in self.known.values() for tag, category in line["tags"].items()}
        self.labels = [Label(tag, category) for tag, category in sorted(tags.items())]
        self.dataset = dataset

    def of(self, pictures: Sequence[Pixels]) -> list[dict]:
        squares = {}
        for path in self.dataset.glob("*.png"):
            with Image.open(path) as square:
                squares[hashlib.sha256(np.asarray(square).tobytes()).digest()] = path.stem.split("-", 1)[1]
        return [self.known[squares[hashlib.sha256(picture.tobytes()).digest()]] for picture in pictures]


@pytest.fixture
def seeing(
    person: Person, tmp_path: Path, oracle: Callable[[str], NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> Person:
    """A person whose three readers make no mistake in the drawn world."""
    truth = Truth(person.file("show/dataset"), tmp_path)

    class Captioner:
        def __init__(self, *_: object) -> None: ...

        def candidates(self, pictures: Sequence[Pixels], _: object) -> list[tuple[Sentence, ...]]:
            return [(Sentence(line["caption"]),) for line in truth.of(pictures)]

    class Matcher:
        def __init__(self, *_: object) -> None: ...

        def image_embeddings(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
            return np.stack([oracle(line["caption"]) for line in truth.of(pictures)])

        def text_embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.stack([oracle(text) for text in texts])

    class Tagger:
        labels = truth.labels

        def __init__(self, *_: object) -> None: ...

        def fit(self, picture: Pixels) -> Pixels:
            return picture

        def probabilities(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
            return np.array(
                [[0.9 * (label.name in line["tags"]) for label in self.labels] for line in truth.of(pictures)]
            )

    monkeypatch.setattr("capprep.models.blip.BlipCaptioner", Captioner)
    monkeypatch.setattr("capprep.models.match.BlipMatcher", Matcher)
    monkeypatch.setattr("capprep.models.tagger.OnnxTagger", Tagger)
    return person


def test_every_planted_mistake_is_flagged_and_nothing_else_and_once_is_enough(seeing: Person) -> None:
    out = seeing.types("demo", "show", "--steps", "2").out
    told = out[out.index("as a hurried person might") :]
    assert "exchanged" in told.splitlines()[0]
    assert "wrote" in told.splitlines()[0]
    assert told.index("as a hurried") < told.index("edited by hand, kept as they are") < told.index("$ capprep review")
    assert "20 captions written: 17 fit their pictures, 0 do not, 3 cannot be told" in told
    assert "planted: 3 wrong texts; flagged: 3 of 3, and 0 of the 17 others" in told
    assert told.count(".txt  flagged: ") == 3
    assert told.count("other pictures fit this caption better") >= 2
    before = {path.name: path.read_bytes() for path in seeing.file("show/dataset").iterdir()}

    again = seeing.types("demo", "show", "--steps", "2", "--json")
    assert {path.name: path.read_bytes() for path in seeing.file("show/dataset").iterdir()} == before
    assert "as a hurried" not in again.err
    assert again.err.count("nothing to compute") == 6
    data = again.json
    assert (data["flagged"], data["others"], data["others_flagged"]) == (3, 17, 0)
    assert [entry["flagged"] for entry in data["planted"]] == [True] * 3
    for entry in data["planted"]:
        assert seeing.file(f"show/dataset/{entry['name']}.txt").read_text() == entry["text"]
        assert entry["reason"]

    # what a person puts right is no longer called wrong
    entry = data["planted"][0]
    seeing.file(f"show/dataset/{entry['name']}.txt").unlink()
    mended = seeing.types("demo", "show", "--steps", "2", "--json").json
    assert entry["name"] not in {planted["name"] for planted in mended["planted"]}
    assert (mended["flagged"], mended["others"], mended["others_flagged"]) == (2, 18, 0)


def test_the_report_of_the_demo_puts_what_was_planted_first(seeing: Person) -> None:
    data = seeing.types("demo", "show", "--steps", "1", "--json").json
    page = seeing.file("show/report.html").read_text()
    island = json.loads(page.split('id="data">')[1].split("</script>")[0])
    queue = sorted(island["pictures"], key=lambda picture: picture["worst"])
    assert {picture["name"] for picture in queue[:3]} == {entry["name"] for entry in data["planted"]}
    for picture in queue[:3]:
        assert (picture["edited"], picture["verdict"]["kind"], picture["standing"]) == (True, "weak", "unknown")
        assert picture["caption"] == picture["text"].split(",")[0]
    assert {picture["verdict"]["state"] for picture in queue[3:]} == {"supported"}


def test_edits_are_judged_by_the_command_that_finds_them_and_only_new_words_are_read(seeing: Person) -> None:
    seeing.types("demo", "show", "--steps", "1")
    mine = seeing.file("show/dataset")
    first, *_ = sorted(mine.glob("*.txt"))
    first.write_text("a plaid elephant on a green field, elephant, day\n")
    done = seeing.types("score", "-w", "show", "--json").json
    assert (done["stages"]["match.image"]["computed"], done["stages"]["match.text"]["computed"]) == (0, 2)
    (judged,) = [text for text in done["written_by_hand"] if text["name"] == first.stem]
    assert judged["caption"] == "a plaid elephant on a green field"
    assert judged["verdict"]["kind"] in ("weak", "misfit")
    assert {tag["text"]: tag["verdict"] is None for tag in judged["tags"]} == {"elephant": False, "day": False}
    assert done["edited_by_hand"] == [first.name]
    again = seeing.types("caption", "-w", "show", "--json").json
    assert {stage: work["computed"] for stage, work in again["stages"].items()} == dict.fromkeys(again["stages"], 0)
    assert again["edited_by_hand"] == []
    assert judged in again["written_by_hand"]
    # without a matcher a new text waits for its verdict; it is read once, by whichever command has one
    first.write_text("a wordless something in a strange place")
    shown = seeing.types("review", "-w", "show", "--json").json
    (waiting,) = [text for text in shown["written_by_hand"] if text["name"] == first.stem]
    assert waiting["verdict"] is None


def test_what_is_saved_while_the_matcher_reads_is_kept_and_judged_the_next_time(
    seeing: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capprep.models.match import BlipMatcher

    seeing.types("demo", "show", "--steps", "1")
    first, second, *_ = sorted(seeing.file("show/dataset").glob("*.txt"))
    read = BlipMatcher.text_embeddings

    def read_slowly(self: BlipMatcher, texts: Sequence[str]) -> NDArray[np.float32]:
        second.write_text("a sentence that came late")
        return read(self, texts)

    first.write_text("a sentence that came early")
    monkeypatch.setattr(BlipMatcher, "text_embeddings", read_slowly)
    done = seeing.types("score", "-w", "show", "--json").json
    assert done["edited_by_hand"] == [first.name, second.name]
    verdicts = {text["text"]: text["verdict"] for text in done["written_by_hand"]}
    assert verdicts["a sentence that came early"]
    assert verdicts["a sentence that came late"] is None
    done = seeing.types("score", "-w", "show", "--json").json
    assert done["stages"]["match.text"]["computed"] == 1
    assert all(text["verdict"] for text in done["written_by_hand"])
    assert second.read_text() == "a sentence that came late"
