"""The report in a real browser: what people see and press."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capprep.candidates import LeftOut
from capprep.curate import Group, Member

Open = Callable[..., Any]
TIMES = "\N{MULTIPLICATION SIGN}"

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "<!--<script>",
    "javascript:alert(4)",
    "{{ constructor.constructor('alert(5)')() }}",
    "a&amp;b &lt;b&gt;",
]


def names(page: Any) -> list[str]:
    """The names of the pictures drawn."""
    found: list[str] = page.locator(".card h2").all_text_contents()
    return found


def search(page: Any, text: str) -> list[str]:
    page.fill("#filter", text)
    return names(page)


@pytest.fixture
def page(open_report: Open, make: Any, tmp_path: Path) -> Any:
    return open_report(make.sample(tmp_path)).page


def test_the_page_shows_what_the_set_is_like(page: Any) -> None:
    assert page.title() == page.inner_text("h1") == "My set"
    assert page.inner_text("#when") == "4 March 2026, 05:06 UTC"
    assert page.inner_text(".notice") == "Note: these models are toys of demo"
    assert page.inner_text(".notice code") == "demo"
    assert "4 pictures in the set, 2 left out: 2 that could not be used. 3 captions: 1 supported" in page.inner_text(
        "#overview"
    )
    assert page.locator(".tally li").all_inner_texts() == ["1 supported", "1 not enough evidence", "1 contradicted"] * 2
    page.click("text=How this was made")
    assert page.locator("#facts > div").all_inner_texts() == ["captioner\nblip, sha256 d6638651", "device\ncpu"]
    assert page.locator("nav a").all_inner_texts() == ["Pictures 4", "Tags 3", "Duplicates 0", "Left out 2"]


def test_a_card_shows_a_picture_with_its_words_verdicts_and_reasons(page: Any, make: Any) -> None:
    card = page.locator(".card").nth(1)
    assert card.get_attribute("aria-label") == "00002-dog"
    assert card.locator("img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 192
    assert card.locator(".sources").inner_text() == "from raw/dog.jpg; the same picture as raw/copy of dog.jpg"
    assert card.locator(".source li").all_inner_texts() == [
        f"800 {TIMES} 600 PNG",
        "crop: center",
        f"enlarged 2.00{TIMES}",
    ]
    assert card.locator(".caption").inner_text() == "two cats"
    assert card.locator(".judgement").inner_text().split("\n") == ["contradicted", make.misfit.reason]
    assert card.locator(".chip").inner_text().split("\n") == ["outdoors", "0.61", "contradicted"]
    assert card.locator(".against").inner_text() == f"outdoors {make.misfit.reason}"
    assert card.locator("pre").inner_text() == "two cats, outdoors"
    assert card.locator(".dropped .chip").count() == 0
    card.locator("summary", has_text="2 tags left out").click()
    card.locator(".dropped > div").first.wait_for()
    assert card.locator(".dropped > div").all_inner_texts() == [
        f"{make.low}\n\nsky\n0.31",
        "a rating\n\nrating:safe\n0.99",
    ]
    line = "s => getComputedStyle(s).textDecorationLine"
    assert card.locator(".dropped s").first.evaluate(line) == "line-through"


def test_what_a_person_wrote_is_shown_with_its_verdicts_and_every_doubtful_word_is_marked(
    open_report: Open, make: Any
) -> None:
    little = replace(make.weak, reason="fits its 1 picture no better than the 11 others (AUC 0.40, p = 0.6)")
    tags = (
        make.tag("dog", None, little),
        make.tag("sky", 0.7, make.misfit),
        make.tag("day", 0.9, make.fits),
        make.tag("mat", None, make.rare),
        make.tag("cat", 0.9, make.fits, "not in the text written by hand"),
    )
    written = {"caption": "a dog on a blue mat", "caption_verdict": make.weak, "tags": tags, "text": "as I wrote it"}
    remarks = ("behind the first 75 tokens: sky", "<b>the caption</b> is left out")
    edited = make.example("edited", **written, edited=True, replaced="a cat on a mat", remarks=remarks)
    tags_only = make.example("tags only", edited=True, text="", replaced="a cat")
    page = open_report(make.report(edited, make.example("by the models", **written), tags_only)).page
    card, models, bare = (page.locator(".card").nth(n) for n in range(3))
    assert card.locator(".caption").inner_text() == "a dog on a blue mat"
    assert card.locator(".judgement").inner_text().split("\n") == ["not enough evidence", make.weak.reason]
    assert card.locator(".replaced").inner_text() == "the captioner's was: a cat on a mat"
    assert card.locator(".remark").all_inner_texts() == list(remarks)
    assert models.locator(".remark").count() == 0
    assert card.locator("pre").inner_text() == "as I wrote it"
    assert [chip.split("\n") for chip in card.locator(".chip.doubtful").all_inner_texts()] == [
        ["dog", "by hand", "not enough evidence"],
        ["sky", "0.70", "contradicted"],
    ]
    assert card.locator(".chips .chip").count() == 4
    assert card.locator(".against li").all_inner_texts() == [f"dog {little.reason}", f"sky {make.misfit.reason}"]
    assert models.locator(".chip.doubtful .tag-text").all_inner_texts() == ["sky"]
    assert models.locator(".replaced").count() == 0
    assert "the captioner's was: a cat" in bare.inner_text()
    assert "no caption" in bare.inner_text()
    assert page.evaluate(CONTRAST) == []


def test_the_crop_is_drawn_on_the_shape_of_the_source(page: Any) -> None:
    outer = page.locator(".card").first.locator(".crop-map").bounding_box()
    inner = page.locator(".card").first.locator(".crop-map .box").bounding_box()
    assert outer["width"] / outer["height"] == pytest.approx(800 / 600, rel=0.05)
    assert (inner["x"] - outer["x"]) / outer["width"] == pytest.approx(100 / 800, abs=0.03)
    assert inner["width"] / inner["height"] == pytest.approx(1, rel=0.06)
    assert inner["height"] / outer["height"] == pytest.approx(1, abs=0.06)


def test_what_is_missing_or_edited_is_said_in_words(page: Any) -> None:
    assert page.locator(".card").nth(2).locator(".mark").all_inner_texts() == ["text edited by hand"]
    bare = page.locator(".card").nth(3).inner_text()
    assert "no preview: its crop is not in the workspace" in bare
    assert "no caption and no tags yet" in bare


def test_every_verdict_is_told_by_a_word_and_an_icon(page: Any) -> None:
    for chip in page.locator(".chip, .badge").all():
        assert chip.locator("svg use").count() == 1
        words = chip.text_content()
        assert any(word in words for word in ("supported", "contradicted", "not enough evidence", "not scored")), words
    icons = page.eval_on_selector_all("symbol", "all => all.map(one => one.innerHTML)")
    assert len(set(icons)) == len(icons) == 5


FILTERS = [
    ("CAT", ["00001-cat", "00002-dog"]),
    ("cat mat", ["00001-cat"]),
    ('"two cats"', ["00002-dog"]),
    ("copy of", ["00002-dog"]),
    ("tag:cat", ["00001-cat"]),
    ("tag:c*", ["00001-cat"]),
    ('tag:"c*"', []),
    ('tag:"long hair"', ["00003-girl"]),
    ("tag:long", []),
    ("dropped:sky", ["00001-cat", "00002-dog"]),
    ("sky", []),
    ("caption:girl", ["00003-girl"]),
    ("file:dog.jpg", ["00002-dog"]),
    ("is:edited", ["00003-girl"]),
    ("is:enlarged", ["00002-dog"]),
    ("is:nothing", []),
    ("-tag:cat -is:edited", ["00002-dog", "00004-bare"]),
    ("tag:", ["00001-cat", "00002-dog", "00003-girl", "00004-bare"]),
    ("", ["00001-cat", "00002-dog", "00003-girl", "00004-bare"]),
    ("(", []),
    ('tag:"', ["00001-cat", "00002-dog", "00003-girl", "00004-bare"]),
]


def test_the_filter_finds(page: Any) -> None:
    for text, expected in FILTERS:
        assert search(page, text) == expected, text
        assert page.inner_text("#status") == f"{len(expected)} of 4 pictures"


def test_the_verdict_buttons_count_and_filter(page: Any) -> None:
    labels = [" ".join(text.split()) for text in page.locator(".choice").all_inner_texts()]
    assert labels == ["all 4", "contradicted 1", "not enough evidence 1", "supported 1", "not scored 1"]
    page.check("input[value=contradicted]")
    assert names(page) == ["00002-dog"]
    assert search(page, "girl") == []
    assert "No picture fits this filter." in page.inner_text("#cards")
    page.click("text=Show all")
    assert len(names(page)) == 4
    assert page.is_checked("input[value=all]")


def test_worst_first_puts_the_contradicted_on_top(page: Any) -> None:
    page.select_option("#order", "worst")
    assert names(page) == ["00002-dog", "00003-girl", "00004-bare", "00001-cat"]
    page.locator("#order").blur()
    page.keyboard.press("s")
    assert names(page)[0] == "00001-cat"


def test_the_keys_do_what_the_help_says(page: Any) -> None:
    focused = "document.activeElement.getAttribute('aria-label')"
    for key, expected in zip("jjknp", ["00001-cat", "00002-dog", "00001-cat", "00002-dog", "00002-dog"], strict=True):
        page.keyboard.press(key)
        assert page.evaluate(focused) == expected, key
    page.keyboard.press("/")
    page.keyboard.type("jk?")
    assert page.input_value("#filter") == "jk?"
    page.keyboard.press("Escape")
    assert page.input_value("#filter") == ""
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    page.keyboard.press("3")
    assert page.is_visible("#duplicates")
    page.keyboard.press("4")
    assert page.is_visible("#left-out")
    page.keyboard.press("j")
    page.keyboard.press("Control+1")
    assert page.is_visible("#left-out")
    page.keyboard.press("1")
    assert page.is_visible("#pictures")


def test_hostile_text_is_shown_letter_by_letter_and_runs_nothing(open_report: Open, make: Any) -> None:
    verdict = replace(make.misfit, reason=HOSTILE[0])
    tags = tuple(make.tag(text, 0.9, verdict, category=HOSTILE[1]) for text in HOSTILE)
    dropped = tuple(make.tag(f"{text}-", 0.1, None, text) for text in HOSTILE)
    pictures = [
        make.example(
            text, sources=tuple(HOSTILE), caption=text, caption_verdict=verdict, tags=tags + dropped, text=text
        )
        for text in HOSTILE
    ]
    source = replace(make.picture, crop=HOSTILE[0], why=HOSTILE[1], notes=(HOSTILE[2],), icc=HOSTILE[3])
    copy = make.example(HOSTILE[6], text=HOSTILE[5], edited=True)
    pictures[0] = replace(pictures[0], picture=source, flaws=tuple(HOSTILE), chosen=HOSTILE[4], mirror=copy)
    left = (LeftOut(tuple(HOSTILE), HOSTILE[0], HOSTILE[1], HOSTILE[2]),)
    group = Group(
        (Member(pictures[0].id, "", HOSTILE[0]), Member("", HOSTILE[4], HOSTILE[1])), pictures[0].id, HOSTILE[3]
    )
    rest = {"title": HOSTILE[1], "notices": HOSTILE, "facts": [(text, text) for text in HOSTILE]}
    page = open_report(make.report(*pictures, left_out=left, groups=(group,), **rest)).page
    assert page.title() == page.inner_text("h1") == HOSTILE[1]
    for part in ("h2", ".caption", "pre:not(.filewords + .filewords pre)", ".against li:first-child bdi"):
        expected = HOSTILE if "bdi" not in part else [HOSTILE[0]] * len(HOSTILE)
        assert page.locator(f".card {part}").all_text_contents() == expected
    assert page.locator(".card").first.locator(".chips .tag-text").all_inner_texts() == HOSTILE
    page.locator(".card summary").first.click()
    page.locator(".dropped .reason").first.wait_for()  # a fold's content comes with its own event
    assert page.locator(".dropped .reason").all_inner_texts() == HOSTILE
    assert page.locator(".flaws li").all_inner_texts() == HOSTILE
    page.locator(".square summary").first.click()
    page.locator(".square dd").first.wait_for()
    assert [HOSTILE[2], f"{HOSTILE[0]}: {HOSTILE[1]}"] == [
        page.locator(".square dd").nth(place).inner_text() for place in (5, 1)
    ]
    page.locator(".card").first.locator(".chip").nth(2).click()
    assert len(names(page)) == len(HOSTILE)
    assert page.inner_text(".tag-panel h2") == HOSTILE[2]
    page.keyboard.press("2")
    assert sorted(page.locator("#tags .tag-text").all_inner_texts()) == sorted(HOSTILE)
    page.keyboard.press("3")
    assert page.locator(".member").last.locator(".files, .reason").all_inner_texts() == [HOSTILE[1], HOSTILE[4]]
    page.keyboard.press("4")
    assert page.locator("#left-out li p").nth(1).inner_text() == HOSTILE[2]
    assert page.locator("script").count() == len(page.query_selector_all("head ~ body > script"))
    assert page.locator("main script, main svg[onload], img[onerror]").count() == 0


def test_characters_without_a_shape_are_made_visible(open_report: Open, make: Any) -> None:
    name = "a\x00b\x1bc\x7fd caf\udce9 \ud800 \u202egpj.exe \u200b\u2066\U000e0041 \u05d0\u200f 👩\u200d🚀"
    page = open_report(make.report(make.example(name, tags=(make.tag("line\nbreak \\ \"q\" 'r' \\n *"),)))).page
    expected = "a␀b␛c␡d caf\\xe9 ⟨U+D800⟩ ⟨U+202E⟩gpj.exe ⟨U+200B⟩⟨U+2066⟩⟨U+E0041⟩ \u05d0⟨U+200F⟩ 👩\u200d🚀"
    assert names(page) == [expected]
    page.click(".chip")
    assert names(page) == [expected]


def test_texts_without_end_stay_within_the_page(open_report: Open, make: Any) -> None:
    long = "x" * 10_000
    tags = (make.tag(long), make.tag(long + "y", 0.1, None, long))
    source = replace(make.picture, crop=long, why=long, notes=(long,), icc=long)
    picture = make.example(long, caption=long, tags=tags, text=long, picture=source, flaws=(long,), chosen=long)
    left, groups = (LeftOut((long,), "select", long, long, long, "square"),), (make.twins(picture, long, reason=long),)
    report = make.report(picture, left_out=left, groups=groups, title=long, notices=[long])
    page = open_report(report, viewport={"width": 390, "height": 800}).page
    for summary in page.locator(".card summary").all():
        summary.click()
    for key in "1234":
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_no_width_needs_sideways_scrolling(page: Any) -> None:
    for width in (320, 390, 704, 760, 1000, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        for key in "1234?":
            page.keyboard.press(key)
            assert page.evaluate("document.documentElement.scrollWidth") == width, (width, key)
        box = page.locator("#help").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        page.keyboard.press("Escape")


CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3) return colour;
    }
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest('.hidden-label')) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast_enough_in_light_and_dark(
    open_report: Open, make: Any, tmp_path: Path, scheme: str
) -> None:
    curated = open_report(make.curated(tmp_path), color_scheme=scheme).page
    page = open_report(make.sample(tmp_path), color_scheme=scheme).page
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert all(value < 60 if scheme == "dark" else value > 200 for value in ground)
    page.click("text=How this was made")
    for one in (page, curated):
        for summary in one.locator(".card summary").all():
            summary.click()
        for key in "1234?":
            one.keyboard.press(key)
            assert one.evaluate(CONTRAST) == []


def test_everything_that_can_be_pressed_has_a_name(page: Any) -> None:
    for key in "1234?":
        page.keyboard.press(key)
        for button in page.get_by_role("button").all():
            assert button.text_content().strip()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert page.get_by_role("radio", name="contradicted").count() == 1
    assert page.get_by_role("searchbox", name="Filter pictures by name, caption or tag").count() == 1
    assert page.get_by_role("combobox", name="Sort").count() == 1
    assert page.get_by_role("article", name="00003-girl").count() == 1
    assert page.get_by_role("img", name="Preview of 00001-cat").count() == 1
    page.keyboard.press("2")
    assert page.get_by_role("columnheader", name="Mean probability").count() == 1
    assert page.get_by_role("cell", name="outdoors").count() == 1


def test_an_empty_set_says_what_to_run(open_report: Open, make: Any) -> None:
    page = open_report(make.report()).page
    assert "No pictures yet. Run capprep ingest FOLDER" in page.inner_text("#cards")
    assert not page.is_visible("#facts-block")
    page.keyboard.press("j")
    page.keyboard.press("2")
    assert page.inner_text("#tags") == "No tags yet. Run capprep caption --booru."
    page.keyboard.press("3")
    assert page.inner_text("#duplicates") == "No two pictures show the same."
    page.keyboard.press("4")
    assert page.inner_text("#left-out") == "Nothing was left out."


def test_many_pictures_are_drawn_as_they_come_into_sight(open_report: Open, make: Any) -> None:
    tags = tuple(make.tag(f"tag {n}", 0.9 if n < 300 else 0.1, None, "" if n < 300 else "low") for n in range(400))
    pictures = [make.example(f"{n:04d}", tags=tags[n % 300 :][:40]) for n in range(300)]
    left = tuple(LeftOut((f"{n}.jpg",), "source", "gone", "it is gone") for n in range(450))
    page = open_report(make.report(*pictures, left_out=left)).page
    drawn = page.locator(".card").count()
    assert 20 < drawn < 200
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.locator(".card").nth(drawn).wait_for(state="attached")
    page.locator(".card").nth(20).focus()
    for _ in range(30):
        page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "0050"
    assert page.get_attribute(".card:focus", "aria-posinset") == "51"
    assert page.get_attribute(".card:focus", "aria-setsize") == "300"
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("2")
    assert page.locator("#tags tbody tr").count() == 200
    page.click("text=Show all 300 tags")
    assert page.locator("#tags tbody tr").count() == 300
    page.keyboard.press("4")
    assert page.locator("#left-out li").count() == 200
    page.click("text=Show 250 more files")
    assert page.locator("#left-out li").count() == 450


def test_all_pictures_are_there_for_the_printer(open_report: Open, make: Any) -> None:
    page = open_report(make.report(*(make.example(f"{n:04d}") for n in range(120)))).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".card").count() == 120


def test_without_scripts_the_page_says_what_it_needs(open_report: Open, make: Any, tmp_path: Path) -> None:
    page = open_report(make.sample(tmp_path), java_script_enabled=False).page
    assert page.inner_text("h1") == "My set"
    assert "needs JavaScript" in page.inner_text("header")
