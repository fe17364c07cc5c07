from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN
from capprep.candidates import LeftOut
from capprep.review.rows import UNSCORED, doubts, overview, standing, tag_rows, tally, worst_first
from capprep.select import Selection


def test_a_tag_on_two_pictures_is_one_row_with_its_mean_probability(make: Any) -> None:
    examples = [make.example(f"{n}", tags=(make.tag("cat", p, make.fits),)) for n, p in enumerate((0.6, 0.8))]
    [row] = tag_rows(Selection(tuple(examples)))
    assert (row.text, row.kept, row.dropped, row.probability) == ("cat", 2, 0, pytest.approx(0.7))


def test_where_a_tag_was_left_out_does_not_count_in_its_mean(make: Any) -> None:
    examples = (
        make.example("a", tags=(make.tag("cat", 0.8),)),
        make.example("b", tags=(make.tag("cat", 0.1, None, "low"),)),
    )
    [row] = tag_rows(Selection(examples))
    assert (row.kept, row.dropped, row.probability) == (1, 1, pytest.approx(0.8))


def test_a_tag_that_no_text_holds_has_the_mean_of_what_was_left_out(make: Any) -> None:
    examples = tuple(make.example(f"{n}", tags=(make.tag("sky", p, None, "low"),)) for n, p in enumerate((0.1, 0.3)))
    [row] = tag_rows(Selection(examples))
    assert (row.kept, row.dropped, row.probability) == (0, 2, pytest.approx(0.2))


def test_a_tag_that_a_person_gave_counts_as_kept_and_has_no_part_in_the_mean(make: Any) -> None:
    examples = (
        make.example("a", tags=(make.tag("cat", 0.8),)),
        make.example("b", tags=(make.tag("cat", None), make.tag("dog", None))),
        make.example("c", tags=(make.tag("dog", 0.2, None, "low"),)),
        make.example("d", tags=(make.tag("fox", None),)),
    )
    assert [(row.text, row.kept, row.dropped, row.probability) for row in tag_rows(Selection(examples))] == [
        ("cat", 2, 0, pytest.approx(0.8)),
        ("dog", 1, 1, pytest.approx(0.2)),
        ("fox", 1, 0, None),
    ]


def test_the_tag_on_most_pictures_comes_first_and_equals_in_the_order_of_the_alphabet(make: Any) -> None:
    names = (("b", "a"), ("b", "a", "c"), ("c", "c2"), ("c",))
    examples = tuple(make.example(f"{n}", tags=tuple(map(make.tag, tags))) for n, tags in enumerate(names))
    assert [row.text for row in tag_rows(Selection(examples))] == ["c", "a", "b", "c2"]


@pytest.mark.parametrize(
    ("caption", "tags", "expected"),
    [
        ("misfit", ["fits"], CONTRADICTED),
        ("fits", ["fits", "misfit"], CONTRADICTED),
        ("rare", ["fits"], SUPPORTED),
        ("weak", ["fits"], UNKNOWN),
        ("weak", ["fits", "misfit"], CONTRADICTED),
        ("fits", ["weak"], SUPPORTED),
        ("rare", [None], UNKNOWN),
        (None, [None], UNSCORED),
        (None, [], UNSCORED),
    ],
)
def test_a_picture_stands_by_the_worst_of_its_words_then_by_the_best(
    make: Any, caption: str | None, tags: list[str | None], expected: str
) -> None:
    verdicts = {None: None, "fits": make.fits, "misfit": make.misfit, "rare": make.rare, "weak": make.weak}
    chosen = tuple(make.tag(f"t{n}", 0.9, verdicts[name]) for n, name in enumerate(tags))
    assert standing(make.example(caption="x", caption_verdict=verdicts[caption], tags=chosen)) == expected


def test_a_contradicted_tag_that_was_left_out_does_not_stand_against_the_picture(make: Any) -> None:
    assert standing(make.example(tags=(make.tag("sky", 0.1, make.misfit, "low"),))) == UNSCORED


def test_the_reasons_to_look_at_a_picture_are_its_caption_if_that_does_not_fit_and_its_contradicted_tags(
    make: Any,
) -> None:
    fine = {"caption": "x", "caption_verdict": make.fits}
    against, dropped = make.tag("sky", 0.9, make.misfit), make.tag("sea", 0.1, make.misfit, "low")
    assert doubts(make.example(**fine, tags=(make.tag("cat", 0.9, make.weak), dropped))) == []
    assert doubts(make.example(caption="x", caption_verdict=make.rare)) == []
    assert doubts(make.example()) == []
    assert doubts(make.example(**fine, tags=(against,))) == [f'"sky" {make.misfit.reason}']
    assert doubts(make.example(caption="x", caption_verdict=make.weak)) == [make.weak.reason]
    both = make.example(caption="x", caption_verdict=make.misfit, tags=(against,))
    assert doubts(both) == [make.misfit.reason, f'"sky" {make.misfit.reason}']


def test_the_worst_come_first_and_equals_in_order_of_arrival(make: Any) -> None:
    one, two = make.tag("a", 0.9, make.misfit), make.tag("b", 0.9, make.misfit)
    enlarged = replace(make.picture, scale=0.9)
    fine = make.example(caption="x", caption_verdict=make.fits)
    examples = [
        fine,
        make.example("no verdict"),
        make.example("hardly weak", caption="x", caption_verdict=replace(make.weak, auc=0.9)),
        make.example("enlarged", picture=enlarged),
        make.example("one tag", tags=(one,)),
        make.example("two tags", tags=(one, two)),
        make.example("weak", caption="x", caption_verdict=make.weak),
        make.example("caption", caption="x", caption_verdict=make.misfit),
        fine,
    ]
    assert worst_first(examples) == [7, 6, 2, 5, 4, 3, 1, 0, 8]


def test_a_tally_names_every_standing_worst_first() -> None:
    assert list(tally(["supported", "supported", "unknown"]).items()) == [
        ("contradicted", 0),
        ("unknown", 1),
        ("supported", 2),
        ("unscored", 0),
    ]


def test_the_overview_says_in_words_what_is_there(make: Any, tmp_path: Any) -> None:
    assert overview(make.sample(tmp_path).selection) == [
        "4 pictures in the set, 2 left out: 2 that could not be used.",
        "3 captions: 1 supported, 1 contradicted, 1 with not enough evidence.",
        "3 tags in the texts: 1 supported, 1 contradicted, 1 with not enough evidence.",
        "1 picture had to be enlarged, which blurs.",
        "1 text edited by hand.",
    ]


def test_the_overview_of_nothing_says_what_to_run() -> None:
    assert overview(Selection(())) == ["No pictures yet. Run `capprep ingest FOLDER` to bring some in."]
    left = (LeftOut(("a.jpg",), "source", "gone", "it is gone"),)
    assert overview(Selection((), left))[0].startswith("No pictures yet, and 1 left out: 1 that could not be used.")


def test_the_overview_without_words_says_what_to_run(make: Any) -> None:
    assert overview(Selection((make.example(),))) == [
        "1 picture in the set, nothing left out.",
        "No captions and no tags yet. Run `capprep caption --blip --booru` to make them.",
    ]


def test_words_without_verdicts_are_counted_as_not_scored(make: Any) -> None:
    selection = Selection((make.example(caption="a cat", tags=(make.tag("cat"),), pixels_edited=True),))
    assert overview(selection)[1:] == [
        "1 caption: 1 not scored.",
        "1 tag in the texts: 1 not scored.",
        "1 picture edited by hand.",
    ]


def test_tags_alone_are_reported_without_captions(make: Any) -> None:
    assert overview(Selection((make.example(tags=(make.tag("cat"),)),)))[1] == "0 captions."
