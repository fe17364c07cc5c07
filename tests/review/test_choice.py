"""What was chosen, as the report's data: crops, measures, flaws, duplicates, mirrored copies, what was left out."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.candidates import KEEP, NO, YES, Candidate, LeftOut, Policy
from capprep.curate import curate
from capprep.facts import Appearance
from capprep.images.duplicates import Fingerprint
from capprep.review.page import page_data, shown_squares
from capprep.review.report import render
from capprep.review.rows import left_out_counts, overview
from capprep.review.thumbnails import SIDE, SMALL, Thumbnail
from capprep.select import Judgements, Selection, select
from capprep.wording import Wordings


def data_of(html: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(html.split('id="data">')[1].split("</script>", maxsplit=1)[0])
    return data


@pytest.fixture
def data(make: Any, tmp_path: Path) -> dict[str, Any]:
    return data_of(render(make.curated(tmp_path)))


def test_a_picture_says_how_and_why_it_was_cropped_and_what_was_measured(data: dict[str, Any], make: Any) -> None:
    source = data["pictures"][0]["source"]
    assert (source["crop"], source["why"]) == ("auto", "what stands out lies left of the middle")
    assert (source["trimmed"], source["icc"], source["alpha"]) == ([0, 90, 0, 90], "Display P3", 0.25)
    assert source["notes"] == ["its second frame is damaged"]
    assert source["measures"] == make.measures.to_json()
    assert data["pictures"][2]["source"]["measures"] is None


def test_a_picture_says_what_is_wrong_with_it_how_sharp_it_is_among_the_others_and_why_it_was_chosen(
    data: dict[str, Any],
) -> None:
    cat, dog, twin = data["pictures"]
    assert (cat["flaws"], cat["sharper"], cat["chosen"]) == ([], 73.4, "it is the best of all")
    assert (dog["flaws"], dog["sharper"], dog["chosen"]) == (["it looks blurred", "it is very dark"], None, "")
    assert twin["flaws"] == []


def test_a_mirrored_copy_is_no_picture_of_its_own_and_says_what_a_person_made_of_it(data: dict[str, Any]) -> None:
    assert [picture["name"] for picture in data["pictures"]] == ["00001-cat", "00002-dog", "00003-twin"]
    painted, written, none = (picture["mirror"] for picture in data["pictures"])
    assert (painted["name"], painted["text"], painted["pixelsEdited"]) == ("00001-cat-mirror", None, True)
    assert painted["thumbnail"].startswith("data:image/webp")
    assert (written["text"], written["thumbnail"], written["problem"]) == ("a dog that looks left", "", "")
    assert none is None


def test_members_of_a_group_point_to_where_they_are(data: dict[str, Any]) -> None:
    outside, inside = data["groups"]
    assert outside["reason"] == "it is the largest of 2"
    assert [(m["name"], m["keeper"], m["picture"], m["left"]) for m in outside["members"]] == [
        ("00001-cat", True, 0, None),
        ("00004-again", False, None, 0),
    ]
    assert outside["members"][1]["relation"] == "nearly the same, 3 of 256 bits differ"
    assert [(m["picture"], m["left"]) for m in inside["members"]] == [(1, None), (2, None)]


def test_what_a_decision_can_bring_back_names_the_command_and_nothing_else_does(data: dict[str, Any]) -> None:
    assert {item["reason"]: item["undo"] for item in data["left"]} == {
        "duplicate": "capprep select --include 00004-again",
        "too_small": "capprep select --include 00005-tiny",
        "truncated": "",
        "blurred": "capprep select --include 00007-soft",
    }


def test_what_has_no_square_cannot_be_brought_back() -> None:
    items = (
        LeftOut(("raw/a.jpg",), "picture", "too_small", "it is 3x3", "00001-a"),
        LeftOut(("raw/b.jpg",), "caption.blip", "crashed", "its worker ended", "00002-b"),
    )
    assert [item["undo"] for item in page_data(Selection((), items), {})["left"]] == ["", ""]


def test_a_picture_of_the_set_that_a_model_failed_on_is_in_its_group_once(make: Any) -> None:
    cat = make.example()
    left = (LeftOut(cat.sources, "caption.blip", "crashed", "its worker ended", cat.name),)
    [group] = page_data(Selection((cat,), left, (make.twins(cat),)), {})["groups"]
    assert [(member["picture"], member["left"]) for member in group["members"]] == [(0, None)]


@given(st.text(min_size=1))
def test_the_command_names_the_picture_whatever_it_is_called(name: str) -> None:
    item = LeftOut(("raw/a.jpg",), "select", "duplicate", "", name, "square")
    [left] = page_data(Selection((), (item,)), {})["left"]
    assert shlex.split(left["undo"]) == ["capprep", "select", "--include", name]


def test_a_square_that_was_left_out_is_shown_or_says_why_not(data: dict[str, Any]) -> None:
    again, tiny, cut, soft = data["left"]
    assert again["thumbnail"].startswith("data:image/webp")
    assert tiny["thumbnail"].startswith("data:image/webp")
    assert (cut["thumbnail"], cut["problem"]) == ("", "")
    assert (soft["thumbnail"], soft["problem"]) == ("", "its crop is not in the workspace")


def test_what_was_left_out_is_small_but_for_what_stands_beside_others(make: Any, tmp_path: Path) -> None:
    large, small = shown_squares(make.curated(tmp_path).selection)
    assert small - large == {"tiny", "soft"}
    assert large == {"00001-cat", "00002-dog", "00003-twin", "painted", "again"}
    assert SMALL < SIDE


def test_each_square_is_in_the_page_once(make: Any) -> None:
    cat = make.example()
    left = (LeftOut(("a.jpg",), "select", "duplicate", "it is there", "00004-again", "again"),)
    selection = Selection((cat,), left, (make.twins(cat, "00004-again"),) * 3)
    uri = Thumbnail("data:image/webp;base64,THIS")
    assert json.dumps(page_data(selection, {cat.crop: uri, "again": uri})).count("THIS") == 2


def candidate(make: Any, number: int, scene: int, part: int) -> Candidate:
    """A picture of a scene; those of the same scene are duplicates. Parts of one source share its number."""
    rng = np.random.default_rng(scene)
    first, second, third, fourth = (int(word) for word in rng.integers(0, 2**63, 4))
    look_D = np.random.default_rng(100 + number).normal(size=24).astype(np.float32)
    tint = tuple(rng.integers(-20, 20, 32).tolist())
    seen = Appearance.of(f"{scene:064x}", Fingerprint((first, second, third, fourth), tint), look_D)
    fact = replace(make.picture, measures=make.measures)
    return Candidate(
        f"id{number}", 1 if part else number, ("raw/a.png",), fact, f"c{number}", part=part, appearance=seen
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=2, max_size=8),
    st.integers(0, 3),
    st.sampled_from(["near", "exact", "none"]),
    st.dictionaries(st.integers(1, 8), st.sampled_from([YES, NO]), max_size=3),
)
def test_every_member_of_a_group_is_in_the_set_or_left_out_and_its_square_is_known(
    make: Any, drawn: list[tuple[int, bool]], keep: int, duplicates: str, words: dict[int, str]
) -> None:
    candidates = [candidate(make, n, scene, n * part) for n, (scene, part) in enumerate(drawn, start=1)]
    policy = Policy(keep=keep, duplicates=duplicates)
    decisions = {(f"id{number}", KEEP): word for number, word in words.items()}
    curation = curate(candidates, decisions, policy)
    chosen = [candidates[place] for place in curation.places]
    selection = select(chosen, curation, [], Judgements(), decisions, Wordings(policy)).held()
    data = page_data(selection, {})
    assert len(data["groups"]) == len(selection.groups)
    for group in data["groups"]:
        assert sum(member["keeper"] for member in group["members"]) == 1
        for member in group["members"]:
            assert (member["picture"] is None) != (member["left"] is None)
            place = data["left"][member["left"]] if member["picture"] is None else data["pictures"][member["picture"]]
            assert place["name"] == member["name"]
    squares = {item.crop for item in selection.left_out} | {example.crop for example in selection.examples}
    assert squares == {one.crop for one in candidates}
    large, small = shown_squares(selection)
    assert large | small == squares


def test_what_was_left_out_is_counted_by_reason_and_the_most_come_first() -> None:
    def left(stage: str, reason: str) -> LeftOut:
        return LeftOut(("a.jpg",), stage, reason, "")

    items = [left("select", "duplicate")] * 2 + [left("select", "blurred")] + [left("picture", "corrupt")] * 4
    items += [left("select", "not_chosen")] * 3 + [left("source", "denied"), left("caption.blip", "crashed")]
    items += [left("picture", "too_small"), left("select", "decided")]
    assert left_out_counts(items) == [
        "5 that could not be used",
        "3 not among the best",
        "2 duplicates",
        "1 rejected as blurred",
        "1 without caption.blip",
        "1 too small",
        "1 by your decision",
    ]
    assert left_out_counts(items[:1]) == ["1 duplicate"]
    assert left_out_counts([]) == []


def test_the_overview_names_what_was_chosen_mirrored_and_left_out(make: Any, tmp_path: Path) -> None:
    selection = make.curated(tmp_path).selection
    sentences = overview(selection)
    assert sentences[0] == (
        "3 pictures in the set, 2 of them with a mirrored copy, 4 left out: 1 duplicate, 1 too small,"
        " 1 that could not be used, 1 rejected as blurred."
    )
    assert "1 picture to look at." in sentences
    assert "1 group of pictures in it shows the same." in sentences
    each = replace(selection, examples=selection.examples[:2])
    assert overview(each)[0].startswith("2 pictures in the set, each with a mirrored copy, 4 left out")
