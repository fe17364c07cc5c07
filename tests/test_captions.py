"""Several sentences of a captioner: which of them is written, why, and what is said of one with something wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from capprep import gather, pipeline
from capprep.agreement import best_text
from capprep.candidates import TEXT, Candidate, Policy
from capprep.engines.local import LocalEngine
from capprep.facts import (
    BLIP,
    MATCH_IMAGE,
    MATCH_TEXT,
    PICTURE,
    PictureFact,
    Sentence,
    TagScore,
    embedding_to_json,
    sentences_to_json,
)
from capprep.filewords import caption_text
from capprep.models import clip_tokens
from capprep.pipeline import Refreshed, Step
from capprep.stage import Failure, Outcome, Reader, Row, Runtime, Stage, Value
from capprep.stages.picture import Picture
from capprep.wording import Wordings, vocabulary
from capprep.workspace import Workspace

AXES = np.eye(4, dtype=np.float32)
TWO = "two or more of them than any other sentence has words"
SAID = (
    Sentence("one, two three four five six"),
    Sentence("two, or more of them than any other sentence has words"),
    Sentence("three three three of a kind", ended=False),
)


@dataclass(frozen=True)
class Captioner(Stage):
    """Says the same of every picture."""

    name: ClassVar[str] = BLIP
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    said: tuple[tuple[str, bool], ...] = tuple((each.text, each.ended) for each in SAID)

    def load(self, runtime: Runtime) -> Reader:
        sentences = [Sentence(*each) for each in self.said]
        return lambda rows: [Value(sentences_to_json(sentences)) for _ in rows]


def direction(text: str) -> np.ndarray:
    """Texts lie on the axis of the number they begin with."""
    numbers = ("one", "two", "three")
    return AXES[numbers.index(text.split(maxsplit=1)[0]) if text.split(maxsplit=1)[0] in numbers else 3]


@dataclass(frozen=True)
class Looks(Stage):
    """Every picture fits best what begins with some number."""

    name: ClassVar[str] = MATCH_IMAGE
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    weights: str = "two"

    def load(self, runtime: Runtime) -> Reader:
        return lambda rows: [Value(embedding_to_json(direction(self.weights))) for _ in rows]


@dataclass(frozen=True)
class Reads(Stage):
    """The texts beside `Looks`."""

    name: ClassVar[str] = MATCH_TEXT
    version: ClassVar[int] = 1
    subject: ClassVar[Literal["picture", "text"]] = "text"

    weights: str = "two"

    def load(self, runtime: Runtime) -> Reader:
        def read(rows: Sequence[Row]) -> list[Outcome]:
            return [self._read((row.content or b"").decode()) for row in rows]

        return read

    @staticmethod
    def _read(text: str) -> Outcome:
        return Failure("odd", "it cannot be read") if "odd" in text else Value(embedding_to_json(direction(text)))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Two pictures with three sentences each."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 256, (80, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(raw / f"p{n}.png")
    with Workspace(tmp_path, create=True) as opened:
        pipeline.ingest(opened, [raw], Step(Picture(size=64), LocalEngine()), policy={"duplicates": "none"})
        pipeline.caption(opened, [Step(Captioner(), LocalEngine())])
        yield opened


def score(workspace: Workspace, number: str = "two", **policy: Any) -> tuple[int, Refreshed]:
    """How many vectors were computed, and the set as it is then."""
    images, texts = Step(Looks(number), LocalEngine()), Step(Reads(number), LocalEngine())
    tallies, refreshed = pipeline.score(workspace, images, texts, policy)
    # examples are made when they are looked at, and here as they are now
    held = replace(refreshed, selection=refreshed.selection.held())
    return sum(tally.computed for tally in tallies.values()), held


def written(workspace: Workspace) -> list[str]:
    return [path.read_text() for path in sorted(workspace.dataset.glob("*.txt"))]


def test_before_the_scores_the_captioners_first_sentence_is_written_and_then_the_one_that_fits(
    workspace: Workspace,
) -> None:
    before = pipeline.refresh(workspace).selection
    assert written(workspace) == 2 * ["one two three four five six"]
    assert [example.remarks for example in before.examples] == 2 * [()]
    _, after = score(workspace)
    assert written(workspace) == 2 * [TWO]
    for example in after.selection.examples:
        assert example.caption == TWO
        assert example.remarks == (
            'the caption is the best of 3 by agreement, the captioner itself would say "one two three four five six"',
        )


@pytest.mark.parametrize("budget", [0, 8])
def test_a_second_score_changes_nothing_and_computes_nothing(workspace: Workspace, budget: int) -> None:
    _, first = score(workspace, budget=budget)
    before = written(workspace)
    assert all(text and TWO.startswith(text) and (text == TWO) == (not budget) for text in before)
    computed, second = score(workspace)
    assert computed == 0
    assert second.selection == first.selection
    assert pipeline.refresh(workspace, count=True).selection.held() == first.selection
    assert written(workspace) == before
    assert all(example.caption_verdict for example in first.selection.examples)


def test_another_matcher_may_choose_another_and_the_first_needs_no_word_of_the_captioner(workspace: Workspace) -> None:
    score(workspace)
    _, refreshed = score(workspace, "one")
    assert written(workspace) == 2 * ["one two three four five six"]
    assert refreshed.selection.examples[0].remarks == ("the caption is the best of 3 by agreement",)


def test_while_the_pictures_are_not_scored_by_the_texts_matcher_the_first_sentence_stays(workspace: Workspace) -> None:
    score(workspace)
    pipeline.caption(workspace, [Step(Looks("three"), LocalEngine())])
    pipeline.refresh(workspace)
    assert written(workspace) == 2 * ["one two three four five six"]


def test_a_persons_text_wins_over_every_sentence_and_may_be_one_of_them(workspace: Workspace) -> None:
    pipeline.refresh(workspace)
    first, other = sorted(workspace.dataset.glob("*.txt"))
    first.write_text("my own words of it")
    _, refreshed = score(workspace)
    assert [path.read_text() for path in (first, other)] == [
        "my own words of it",
        TWO,
    ]
    assert refreshed.selection.examples[0].remarks == ()
    assert score(workspace)[1].selection == refreshed.selection
    first.unlink()
    score(workspace)
    assert written(workspace) == 2 * [TWO]


def test_what_is_wrong_with_the_sentence_chosen_is_said_and_nothing_of_the_others(workspace: Workspace) -> None:
    _, fine = score(workspace)
    assert [example.artefacts for example in fine.selection.examples] == 2 * [()]
    _, refreshed = score(workspace, "three")
    for example in refreshed.selection.examples:
        assert [artefact.code for artefact in example.artefacts] == ["loop", "cut_off"]
        assert example.remarks[1] == 'the caption says "three" again and again'
        assert example.text == "three three three of a kind"


def test_what_is_wrong_with_the_captioners_sentence_is_nothing_against_a_persons_text(workspace: Workspace) -> None:
    score(workspace, "three")
    min(workspace.dataset.glob("*.txt")).write_text("my own words of it")
    _, refreshed = score(workspace, "three")
    assert [bool(example.artefacts) for example in refreshed.selection.examples] == [False, True]


def test_a_sentence_that_the_matcher_could_not_read_leaves_the_first_in_force(workspace: Workspace) -> None:
    said = (("one of them", True), ("two odd ones", True), ("two of them", True))
    pipeline.caption(workspace, [Step(Captioner(said), LocalEngine())])
    score(workspace)
    assert written(workspace) == 2 * ["one of them"]
    assert [each.choice for each in gather.Candidates(workspace)] == ["", ""]


def test_a_fact_of_one_sentence_leaves_no_choice(workspace: Workspace) -> None:
    pipeline.caption(workspace, [Step(Captioner((("one", True),)), LocalEngine())])
    score(workspace)
    for each in gather.Candidates(workspace):
        assert (each.caption, each.sentences, each.choice, each.ended) == ("one", (), "", True)


def candidate(**changes: object) -> Candidate:
    picture = PictureFact(640, 512, "JPEG", "RGB", 1, 1, (64.0, 0.0, 576.0, 512.0), 1.0, 512)
    return dataclasses.replace(Candidate("id", 1, ("raw/a.png",), picture, "c0"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caption", "ended", "policy", "codes"),
    [
        ("a cat", True, {}, []),
        ("a cat", False, {}, ["cut_off"]),
        ("a cat that sits on a very long mat", False, {"budget": 8}, []),  # cut at the end of a word
        ("a cat, a dog", False, {"caption_commas": True}, ["cut_off"]),
        ("", True, {}, ["empty"]),
        (", ,", True, {}, ["empty"]),
        ("", True, {"merge": "tags"}, []),
        ("an arafed cat", True, {}, ["made_up_word"]),
        ("an arafed cat", True, {"trigger": "an arafed cat"}, []),  # said by the trigger
    ],
)
def test_artefacts_are_those_of_a_caption_that_is_in_the_text(
    caption: str, ended: bool, policy: dict[str, Any], codes: list[str]
) -> None:
    one = candidate(caption=caption, ended=ended)
    wording = Wordings(Policy(**policy), clip_tokens.encoder()).of(one)
    assert [artefact.code for artefact in wording.artefacts] == codes
    assert [remark for remark in wording.remarks if remark.startswith("the caption has")] == (
        ["the caption has no words"] if codes == ["empty"] else []
    )


def test_the_vocabulary_holds_every_sentence_so_that_any_can_be_chosen() -> None:
    one = candidate(caption=SAID[0].text, sentences=SAID)
    assert set(vocabulary([one], {}, Wordings(Policy()))) == {
        "one two three four five six",
        TWO,
        "three three three of a kind",
    }


POWERS = st.sampled_from([0.125, 0.5, 2.0, 8.0])
"""Lengths that change no digit of a number."""

vectors = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(vectors, st.lists(vectors, min_size=1, max_size=6), POWERS)
def test_the_best_text_is_the_first_of_the_largest_products_whatever_the_lengths(
    image: list[float], texts: list[list[float]], length: float
) -> None:
    place = best_text(np.array(image), np.array(texts))
    cosines = [float(np.dot(image, text) / np.linalg.norm(image) / np.linalg.norm(text)) for text in texts]
    assert cosines[place] >= max(cosines) - 2e-6
    assert all(cosine < cosines[place] + 2e-6 for cosine in cosines[:place])
    assert best_text(np.array(image), np.array([*texts, texts[place]])) == place
    assert best_text(np.array(image), np.array([length * np.array(texts[0]), texts[0]])) == 0
    scaled = best_text(length * np.array(image), np.array(texts))
    assert abs(cosines[scaled] - cosines[place]) < 2e-6


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ("a cat, sitting on a mat", "a cat, sitting on a mat, hat"),
        (" ,a cat ,, on\na mat, ", "a cat, on a mat, hat"),
        (",", "hat"),
    ],
)
def test_commas_in_a_caption_stay_where_that_is_asked_for(caption: str, text: str) -> None:
    one = candidate(caption=caption, tags=(TagScore("hat", "general", 0.9),))
    wordings = Wordings(Policy(caption_commas=True))
    assert wordings.of(one).text == text
    said = wordings.words_of(one, {})
    assert said.caption == text.removesuffix("hat").removesuffix(", ")
    assert {text for text in (said.caption, *said.tags) if text} <= set(vocabulary([one], {}, wordings))
    # with another tag behind it, the sentence is one still
    edited = wordings.words_of(one, {("id", TEXT): text.replace("hat", "cap")})
    assert (edited.caption or "", edited.tags) == (said.caption, ("cap",))


@given(st.text(max_size=60) | st.text("ab, \nBREAK()", max_size=60))
def test_a_caption_with_and_without_its_commas_says_the_same_and_both_are_stable(caption: str) -> None:
    bare, whole = caption_text(caption), caption_text(caption, commas=True)
    assert "," not in bare
    assert caption_text(whole) == bare
    assert caption_text(whole, commas=True) == whole
    assert all(piece.strip() for piece in whole.split(",")) or not whole


@given(st.integers(8, 30))
def test_a_caption_with_commas_that_a_budget_cuts_does_not_end_in_one(budget: int) -> None:
    one = candidate(caption="a cat, a dog, a bird, a fish, a cow, a hen, a pig, a bee, an ant, an elk")
    text = Wordings(Policy(caption_commas=True, budget=budget), clip_tokens.encoder()).of(one).text
    assert text
    assert one.caption is not None
    assert one.caption.startswith(text)
    assert not text.endswith(",")
