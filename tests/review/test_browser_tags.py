"""The tags of the set in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def names(page: Any) -> list[str]:
    """The names of the pictures drawn."""
    found: list[str] = page.locator(".card h2").all_text_contents()
    return found


@pytest.fixture
def page(open_report: Callable[..., Any], make: Any, tmp_path: Path) -> Any:
    return open_report(make.sample(tmp_path)).page


def test_the_tag_table_sorts_and_says_so(page: Any) -> None:
    page.click("nav >> text=Tags")
    column = "#tags tbody td:first-child"
    assert page.locator(column).all_inner_texts() == ["cat", "long hair", "outdoors"]
    assert page.get_attribute("th:nth-child(3)", "aria-sort") == "descending"
    assert page.locator("th[aria-sort]").count() == 1
    for _ in range(2):
        page.click("#tags th >> text=Mean probability")
    assert page.locator(column).all_inner_texts() == ["outdoors", "long hair", "cat"]
    assert page.get_attribute("th:nth-child(5)", "aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.textContent") == "Mean probability"
    page.click("#tags th >> text=Verdict")
    assert page.locator("#tags tbody td:nth-child(6)").all_inner_texts() == [
        "contradicted",
        "not enough evidence",
        "supported",
    ]
    page.click("#tags th >> text=AUC")
    assert page.locator("#tags tbody td:nth-child(7)").all_inner_texts() == ["0.95", "0.08", "\N{EN DASH}"]


def test_tags_that_no_text_holds_are_shown_on_demand(page: Any) -> None:
    page.click("nav >> text=Tags")
    page.click("text=Show 2 tags that no text holds")
    assert page.locator("#tags tbody tr").count() == 5
    page.click('#tags bdi:text-is("sky")')
    assert page.input_value("#filter") == 'dropped:"sky"'
    assert names(page) == ["00001-cat", "00002-dog"]


def test_a_tag_pressed_anywhere_shows_its_pictures_and_its_verdict(page: Any, make: Any) -> None:
    page.click("nav >> text=Tags")
    page.click("#tags >> text=outdoors")
    assert page.evaluate("location.hash") == "#pictures"
    assert page.input_value("#filter") == 'tag:"outdoors"'
    assert names(page) == ["00002-dog"]
    panel = page.inner_text(".tag-panel")
    assert "general tag in 1 text, left out of 0 texts; mean probability 0.61" in panel
    assert make.misfit.reason in panel
    page.go_back()
    page.locator("#tags").wait_for(state="visible")
    assert not page.is_visible("#pictures")
