"""The words that the texts teach, and what prompts ask for, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capprep.coverage import coverage

Open = Callable[..., Any]
HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "\u202egnp \x1b[31m"]


def covered(make: Any, *examples: Any, prompts: list[str] | None = None, **changes: Any) -> Any:
    return make.report(*examples, coverage=coverage(examples, prompts), **changes)


@pytest.fixture
def examples(make: Any) -> list[Any]:
    """Four pictures of houses, one of a bird, and on each a tag that does not fit."""
    house, bad = make.tag("red house", 0.9, make.fits), make.tag("outdoors", 0.8, make.misfit)
    texts = "zwx, a red house by the sea, red house, outdoors"
    said = {"caption": "a red house by the sea", "caption_verdict": make.fits, "tags": (house, bad), "text": texts}
    bird = {"caption": "a bird", "caption_verdict": make.weak, "tags": (bad,), "text": "zwx, a bird, outdoors"}
    return [*(make.example(f"{n:05}", **said) for n in range(1, 5)), make.example("00005", **bird)]


def test_words_are_shown_with_counts_and_evidence_and_a_tag_leads_to_its_pictures(
    open_report: Open, make: Any, examples: list[Any]
) -> None:
    page = open_report(covered(make, *examples)).page
    page.click("nav >> text=Words")
    assert page.inner_text("nav a[aria-current]") == "Words 7"
    assert [" ".join(row.split()) for row in page.locator("#words tbody tr").all_inner_texts()] == [
        "outdoors 5 of 5 pictures 5 contradicted",
        "zwx 5 of 5 pictures 5 not scored",
        "house 4 of 5 pictures 4 supported",
        "red 4 of 5 pictures 4 supported",
        "red house 4 of 5 pictures 4 supported",
        "sea 4 of 5 pictures 4 supported",
        "bird 1 of 5 pictures 1 not enough evidence",
    ]
    assert page.inner_text("#words .explanation code") == "capprep review --prompts prompts.txt"
    assert page.locator("#words .asked").count() == 0
    assert '"outdoors" (5 of 5)' in page.inner_text("#words .sentences")
    page.keyboard.press("4")
    assert page.is_visible("#duplicates")
    page.keyboard.press("3")
    page.click("#words >> text='red house'")
    assert page.input_value("#filter") == 'tag:"red house"'
    assert page.locator(".card").count() == 4


def test_each_list_of_what_prompts_ask_for_is_shown_in_words(open_report: Open, make: Any, examples: list[Any]) -> None:
    prompts = ["a (knight:1.2) on a red sea, zwx", "houses, <lora:x:1> bird, outdoors, knight", "red house"]
    page = open_report(covered(make, *examples, prompts=prompts)).page
    page.click("nav >> text=Words")
    shown = {
        section.locator("h3").inner_text(): section.locator("li").all_inner_texts()
        for section in page.locator(".asked").all()
    }
    assert shown == {
        "Never seen 1": ["knight\nin 2 prompts"],
        "Never seen, but something near 1": ["houses\nthe set has house"],
        "Never side by side 1": ["red sea"],
        "Seen where the pictures contradict it 1": ["outdoors\non 5 of 5"],
        "On few pictures 1": ["bird\non 1 picture"],
        "Taught 2": ["red house\non 4 pictures", "zwx\non 5 pictures"],
    }
    assert "Of 3 prompts 1 asks only for what the set teaches." in page.inner_text(".prompts")
    assert "No text speaks of people (2 of 3 prompts do)." in page.inner_text(".sentences")
    assert page.locator("#words [aria-label=Words] .link").count() == 2


def test_hostile_prompts_and_tags_are_text_and_nothing_else(open_report: Open, make: Any) -> None:
    named = [make.example(f"{n}", tags=(make.tag(text),), text=text) for n, text in enumerate(HOSTILE)]
    page = open_report(
        covered(make, *named, prompts=[*HOSTILE, "x" * 5000]), viewport={"width": 320, "height": 600}
    ).page
    page.click("nav >> text=Words")
    assert page.locator("#words img, #words script").count() == 0
    assert HOSTILE[0] in page.locator("#words tbody").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_words_are_drawn_a_hundred_at_first_and_all_when_asked_for(open_report: Open, make: Any) -> None:
    text = " ".join(f"word{n}" for n in range(150))
    prompts = [" ".join(f"other{n}" for n in range(200))]
    page = open_report(covered(make, make.example(caption=text, text=text), prompts=prompts)).page
    page.click("nav >> text=Words")
    assert page.locator("#words tbody tr").count() == 100
    page.click("text=Show all 150")
    assert page.locator("#words tbody tr").count() == 150
    assert page.locator(".asked.unseen li").count() == 60
    page.click("text=140 more")
    page.locator(".asked.unseen li").nth(199).wait_for()  # a browser tells of an opened part a moment later
    assert page.locator(".asked.unseen li").count() == 200


def test_a_set_without_texts_says_what_to_do(open_report: Open, make: Any) -> None:
    page = open_report(covered(make, make.example(), prompts=["a cat"])).page
    page.click("nav >> text=Words")
    assert page.inner_text("#words") == "No texts yet. Run capprep caption --blip --booru."


def test_evidence_is_told_by_words_and_icons_and_headings_are_in_order(
    open_report: Open, make: Any, examples: list[Any]
) -> None:
    page = open_report(covered(make, *examples, prompts=["a knight, outdoors"]), color_scheme="dark").page
    page.click("nav >> text=Words")
    assert page.locator("#words .states li").count() == page.locator("#words .states svg use").count() == 7
    headings = page.locator("#words h2, #words h3").evaluate_all("all => all.map(one => one.tagName)")
    assert headings == ["H2", "H3", "H3", "H2"]
