"""The statistics on pictures: drawn ones, read by the tiny matcher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import capprep.toybox
from capprep.agreement import (
    CONTRADICTED,
    SUPPORTED,
    Cells,
    Verdict,
    cell_verdicts,
    class_of,
    set_verdict,
    tag_verdicts,
)
from capprep.agreement.sets import FINE, NO_INFORMATION
from capprep.filewords import tag_text
from capprep.models.match import BlipMatcher
from capprep.toybox.world import TAGS, draw, scene

PICTURES, SIDE, FIRST = 40, 256, 1_060_000_000
NAMES = [tag for tag, category in TAGS.items() if category == "general"]

Vectors = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Of the pictures, the same mirrored, their captions and all tags."""
    matcher = BlipMatcher(Path(capprep.toybox.__file__).parent / "weights" / "match")
    scenes = [scene(FIRST + n) for n in range(PICTURES)]
    pictures = [np.asarray(draw(shown, (SIDE, SIDE))) for shown in scenes]
    found = {
        "images": matcher.image_embeddings(pictures),
        "mirrored": matcher.image_embeddings([np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]),
        "tags": matcher.text_embeddings([tag_text(tag) for tag in NAMES]),
        "captions": matcher.text_embeddings([shown.caption for shown in scenes]),
    }
    return {name: each.astype(np.float64) for name, each in found.items()}


@pytest.fixture(scope="module")
def truth_NM() -> NDArray[np.bool_]:
    return np.array([[tag in scene(FIRST + n).tags for tag in NAMES] for n in range(PICTURES)])


def judged(images_ND: NDArray[np.float64], vectors: Vectors, tags_NM: NDArray[np.bool_]) -> tuple[list[Verdict], Cells]:
    similarity_NM = images_ND @ vectors["tags"].T
    verdicts = tag_verdicts(similarity_NM, tags_NM, classes=[class_of(tag_text(tag)) for tag in NAMES])
    return verdicts, cell_verdicts(similarity_NM, tags_NM, verdicts)


def test_mirrored_pictures_get_nearly_the_same_verdicts(vectors: Vectors, truth_NM: NDArray[np.bool_]) -> None:
    # left is right in them, and the model is not quite even-handed: equal they cannot be
    verdicts, here = judged(vectors["images"], vectors, truth_NM)
    mirrored, there = judged(vectors["mirrored"], vectors, truth_NM)
    pairs = list(zip(verdicts, mirrored, strict=True))
    tested = [(one, other) for one, other in pairs if one.auc is not None and one.carriers >= 3]
    assert len(tested) > 25
    assert np.mean([one.state == other.state for one, other in tested]) >= 0.95
    assert all({one.state, other.state} != {SUPPORTED, CONTRADICTED} for one, other in pairs)
    assert max(abs(one.auc - other.auc) for one, other in tested if one.auc and other.auc) < 0.1
    assert np.mean(here.wrong_NM[truth_NM] == there.wrong_NM[truth_NM]) >= 0.98


def test_true_tags_are_supported_and_hardly_one_is_said_to_be_wrong(
    vectors: Vectors, truth_NM: NDArray[np.bool_]
) -> None:
    verdicts, found = judged(vectors["images"], vectors, truth_NM)
    tested = [verdict for verdict in verdicts if verdict.auc is not None and verdict.carriers >= 3]
    assert np.mean([verdict.state == SUPPORTED for verdict in tested]) > 0.9
    assert all(verdict.state != CONTRADICTED for verdict in verdicts)
    assert found.wrong_NM.sum() <= 0.01 * truth_NM.sum()


def test_a_tag_given_to_the_pictures_that_do_not_show_it_is_contradicted(
    vectors: Vectors, truth_NM: NDArray[np.bool_]
) -> None:
    swapped_NM = truth_NM.copy()
    indoors, outdoors = NAMES.index("indoors"), NAMES.index("outdoors")
    swapped_NM[:, [indoors, outdoors]] = truth_NM[:, [outdoors, indoors]]
    verdicts, _ = judged(vectors["images"], vectors, swapped_NM)
    assert verdicts[indoors].state == verdicts[outdoors].state == CONTRADICTED
    assert "worse than the" in verdicts[indoors].reason


def test_captions_and_tags_of_other_pictures_are_seen_to_carry_no_information(
    vectors: Vectors, truth_NM: NDArray[np.bool_]
) -> None:
    similarity_NR = vectors["images"] @ np.vstack([vectors["captions"], vectors["tags"]]).T
    texts = [[n, *(PICTURES + np.flatnonzero(truth_NM[n]))] for n in range(PICTURES)]
    assert set_verdict(similarity_NR, texts).kind == FINE
    assert set_verdict(similarity_NR, [*texts[7:], *texts[:7]]).kind == NO_INFORMATION
