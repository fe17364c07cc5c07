"""What was chosen, in a real browser: crops, measures, flaws, duplicates, mirrored copies, what was left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capprep.candidates import LeftOut
from capprep.curate import Group, Member

TIMES = "\N{MULTIPLICATION SIGN}"
LOADED = "picture => picture.decode().then(() => picture.naturalWidth)"


def names(page: Any) -> list[str]:
    """The names of the pictures drawn."""
    found: list[str] = page.locator(".card h2").all_text_contents()
    return found


@pytest.fixture
def page(open_report: Callable[..., Any], make: Any, tmp_path: Path) -> Any:
    return open_report(make.curated(tmp_path)).page


def test_the_fold_says_how_a_picture_was_cropped_and_what_was_measured(page: Any) -> None:
    card = page.locator(".card").first
    assert card.locator(".square dd").count() == 0
    card.locator(".square summary").click()
    card.locator(".square dd").first.wait_for()
    assert dict(zip(*(card.locator(f".square {part}").all_inner_texts() for part in ("dt", "dd")), strict=True)) == {
        "Source": f"800 {TIMES} 600 JPEG, RGB",
        "Crop": "auto: what stands out lies left of the middle",
        "Box": f"420 {TIMES} 420 at 100, 90",
        "Bars": "pixels cut off: 90 at the top, 90 at the bottom",
        "Scale": f"1.17 source pixels a pixel, to 512 {TIMES} 512",
        "Transparency": "25 % is background",
        "Colour profile": "Display P3, converted to sRGB",
        "Note": "its second frame is damaged",
        "Sharpness": "0.55 of 1, sharper than 73 % of this set",
        "Brightness": "0.50 of 1 on average, 0.10 to 0.90",
        "Contrast": "0.20 of at most 0.5",
        "Information": "7.1 of 8 bits a pixel",
        "JPEG blocks": "0.03 of 1",
        "Colourfulness": "34, moderately colourful",
        "Margins": "25 % light",
    }
    bare = page.locator(".card").nth(2)
    bare.locator(".square summary").click()
    bare.locator(".square dd").first.wait_for()
    assert bare.locator(".square dt").all_inner_texts() == ["Source", "Crop", "Box", "Scale"]


def test_bars_and_boxes_that_reach_over_the_picture_are_drawn_where_they_are(
    page: Any, open_report: Callable[..., Any], make: Any
) -> None:
    map_ = page.locator(".card").first.locator(".crop-map")
    assert map_.locator(".bar").count() == 2
    whole, bar = (map_.locator(part).first.bounding_box() for part in (".whole", ".bar"))
    assert bar["height"] / whole["height"] == pytest.approx(90 / 600, abs=0.03)
    padded = replace(make.picture, box=(0.0, -100.0, 800.0, 700.0), crop="pad")
    other = open_report(make.report(make.example(picture=padded))).page
    whole, box, drawing = (other.locator(part).bounding_box() for part in (".whole", ".crop-map .box", ".crop-map"))
    assert whole["height"] / box["height"] == pytest.approx(600 / 800, abs=0.05)
    assert drawing["height"] == pytest.approx(box["height"], abs=2)


def test_what_is_to_be_looked_at_is_said_on_the_card_and_can_be_listed(page: Any) -> None:
    assert page.locator(".flaws").count() == 1
    flaws = page.locator(".card").nth(1).locator(".flaws")
    assert flaws.inner_text().split("\n") == ["to look at", "it looks blurred", "it is very dark"]
    assert [" ".join(text.split()) for text in page.locator(".choice").all_inner_texts()][-1] == "to look at 1"
    page.check("input[value=flawed]")
    assert names(page) == ["00002-dog"]
    page.check("input[value=all]")
    page.fill("#filter", "-is:flawed")
    assert names(page) == ["00001-cat", "00003-twin"]


def test_the_least_sharp_come_first_and_what_was_not_measured_last(page: Any) -> None:
    page.select_option("#order", "sharpness")
    assert names(page) == ["00002-dog", "00001-cat", "00003-twin"]
    page.locator("#order").blur()
    page.keyboard.press("s")
    assert names(page) == ["00001-cat", "00002-dog", "00003-twin"]


def test_a_card_says_why_it_was_chosen_what_shows_the_same_and_what_its_mirrored_copy_has_of_its_own(page: Any) -> None:
    cat, dog, twin = (page.locator(".card").nth(n) for n in range(3))
    assert cat.locator(".chosen p").all_inner_texts() == [
        "among the best: it is the best of all",
        "1 other picture shows the same",
    ]
    assert cat.locator(".mark").all_inner_texts() == ["with a mirrored copy"]
    assert cat.locator("pre").all_inner_texts() == ["a cat"]
    assert cat.locator(".mirrored img").evaluate(LOADED) == 192
    assert dog.locator(".filewords").all_inner_texts() == [
        "00002-dog.txt\na dog",
        "00002-dog-mirror.txt\na dog that looks left",
    ]
    assert twin.locator(".mark").count() == 0


def test_duplicates_stand_side_by_side_with_the_best_and_what_became_of_each(page: Any) -> None:
    page.locator(".card").nth(1).locator(".chosen button").click()
    assert page.evaluate("location.hash") == "#duplicates"
    assert page.evaluate("document.activeElement.id") == "group-1"
    assert page.locator(".group h2").all_inner_texts() == ["2 pictures that show the same"] * 2
    assert [text.split("\n") for text in page.locator(".member p:not(.thumbnail)").all_inner_texts()] == [
        *(["00001-cat"], ["in the set", "the best"], ["it is the largest of 2"]),
        *(["00004-again"], ["left out"], ["nearly the same, 3 of 256 bits differ"]),
        *(["00002-dog"], ["in the set", "the best"], ["it came first"]),
        *(["00003-twin"], ["in the set"], ["nearly the same, 3 of 256 bits differ"]),
    ]
    assert [image.evaluate(LOADED) for image in page.locator(".group").first.locator("img").all()] == [192, 192]
    first, second = (page.locator(".member").nth(n).bounding_box() for n in range(2))
    assert first["y"] == second["y"]
    page.locator(".member button", has_text="00003-twin").click()
    assert names(page) == ["00003-twin"]


def test_what_was_left_out_is_listed_with_its_picture_its_reason_and_the_way_back(page: Any) -> None:
    page.keyboard.press("4")
    items = page.locator("#left-out li")
    assert page.inner_text("#left-out .explanation").startswith("Left out: 1 duplicate, 1 too small, ")
    assert [text.split("\n\n") for text in items.locator("div").all_inner_texts()] == [
        [
            "raw/again.jpg",
            "00001-cat shows the same",
            "at select because duplicate; to have it: capprep select --include 00004-again",
        ],
        [
            "raw/tiny.jpg",
            "it would be enlarged",
            "at picture because too_small; to have it: capprep select --include 00005-tiny",
        ],
        ["raw/cut.jpg", "the file ends too soon", "at picture because truncated"],
        [
            "raw/soft.jpg",
            "it looks blurred",
            "at select because blurred; to have it: capprep select --include 00007-soft",
        ],
    ]
    assert [items.nth(n).locator("img").count() for n in range(4)] == [1, 1, 0, 0]
    assert items.nth(1).locator("img").evaluate(LOADED) == 96
    assert "no preview: its crop is not in the workspace" in items.nth(3).inner_text()
    assert not page.is_visible("#tools")


def test_a_thousand_pictures_that_were_left_out_are_drawn_when_they_are_asked_for(
    open_report: Callable[..., Any], make: Any
) -> None:
    left = tuple(
        LeftOut((f"{n}.jpg",), "select", "duplicate", "another shows the same", f"{n}", "square") for n in range(1000)
    )
    pairs = [
        Group((Member("a", "", f"{n}"), Member("b", "alike", f"{n + 1}")), "a", "first") for n in range(0, 1000, 2)
    ]
    examples = [make.example("cat"), make.example("dog")]
    far = make.twins(examples[1], "999")
    page = open_report(make.report(*examples, left_out=left, groups=(*pairs, far))).page
    page.keyboard.press("3")
    assert page.locator(".member").count() == 120
    assert page.inner_text("#duplicates .more") == "Show 441 more groups"
    page.keyboard.press("1")
    page.locator(".card").nth(1).locator(".chosen button").click()
    assert page.evaluate("document.activeElement.id") == "group-500"
    assert page.locator(".group").count() == 501
    assert page.locator(".group").last.is_visible()
