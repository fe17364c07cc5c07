from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from capprep.agreement import SUPPORTED, Verdict
from capprep.candidates import LeftOut
from capprep.curate import Group, Member
from capprep.errors import CapprepError
from capprep.review.report import SCRIPTS, STYLES, render, write


class Shape(HTMLParser):
    """The elements of a page with their attributes, the text of its scripts and styles, and all other text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.comments: list[str] = []
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, attributes))
        self._open = name
        if name in self.inside:
            self.inside[name].append("")

    def handle_endtag(self, name: str) -> None:
        self._open = ""

    def handle_data(self, text: str) -> None:
        if self._open in self.inside:
            self.inside[self._open][-1] += text

    def handle_comment(self, text: str) -> None:
        self.comments.append(text)


def data_of(html: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Shape(html).inside["script"][0])
    return data


def as_utf16(text: str) -> str:
    """As JSON and JavaScript hold it: two halves of a surrogate pair side by side are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


any_text = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.sampled_from(
        [
            "</script>",
            "</script ><script>alert(1)</script>",
            "<!--<script>",
            "-->",
            "]]>",
            '"><svg onload=alert(1)>',
            "<img src=x onerror=alert(1)>",
            "{{ 7 * 7 }}{% raw %}",
            "\x00\x08\x1b[31m\x7f\x85",
            "\u202egnp.exe\u2066\u200f",
            "caf\udce9.jpg",
            "\ud83d\ude00",
            "\u2028\u2029",
            "&lt;&#60;",
            "\\u003c/script\\u003e",
        ]
    ),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_text, min_size=8, max_size=8))
@example(["</script>"] * 8)
def test_any_text_comes_back_from_the_page_and_adds_no_markup(make: Any, texts: list[str]) -> None:
    title, notice, name, source, caption, tag, reason, text = texts
    others = {"crop": title, "why": notice, "notes": (caption,), "icc": tag, "measures": make.measures}
    verdict = Verdict(SUPPORTED, "fits", reason, 0.9, 0.01, 1, 9)
    picture = make.example(
        name,
        sources=(source,),
        caption=caption,
        caption_verdict=verdict,
        tags=(make.tag(tag, 0.9, verdict), make.tag(tag + "2", 0.1, None, reason + ".")),
        text=text,
        picture=replace(make.picture, **others),
        flaws=(reason, title),
        chosen=notice,
        mirror=make.example(caption, text=notice, edited=True),
    )
    left = LeftOut((source,), name, tag, caption, notice, "square")
    group = Group((Member(picture.id, "", title), Member("other", text, notice)), "other", reason)
    html = render(
        make.report(picture, left_out=(left,), groups=(group,), title=title, notices=[notice], facts=[(name, caption)])
    )
    html.encode("utf-8")
    calm = render(make.report(make.example(), title="A set"))
    assert [name for name, _ in Shape(html).elements] == [name for name, _ in Shape(calm).elements]
    assert Shape(html).comments == Shape(calm).comments == []
    data = data_of(html)
    [shown] = data["pictures"]
    assert data["title"] == as_utf16(title)
    assert data["notices"] == [as_utf16(notice)]
    assert data["facts"] == [[as_utf16(name), as_utf16(caption)]]
    assert (shown["name"], shown["caption"], shown["text"]) == (as_utf16(name), as_utf16(caption), as_utf16(text))
    assert shown["sources"] == [as_utf16(source)]
    assert shown["verdict"]["reason"] == as_utf16(reason)
    assert data["tags"][shown["kept"][0][0]]["text"] == as_utf16(tag)
    assert data["reasons"][shown["dropped"][0][2]] == as_utf16(reason + ".")
    assert (data["left"][0]["message"], data["left"][0]["name"]) == (as_utf16(caption), as_utf16(notice))
    assert (shown["source"]["why"], shown["source"]["notes"]) == (as_utf16(notice), [as_utf16(caption)])
    assert (shown["flaws"], shown["mirror"]["text"]) == ([as_utf16(reason), as_utf16(title)], as_utf16(notice))
    assert [member["relation"] for member in data["groups"][0]["members"]] == ["", as_utf16(text)]


def test_the_policy_allows_the_pages_own_scripts_and_styles_and_nothing_else(make: Any) -> None:
    shape = Shape(render(make.report(make.example())))
    [policy] = [
        dict(attributes)["content"]
        for name, attributes in shape.elements
        if name == "meta" and dict(attributes).get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    hashes: Callable[[list[str]], list[str]] = lambda texts: [  # noqa: E731
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
    ]
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["img-src"] == ["data:"]
    assert rules["script-src"] == hashes(shape.inside["script"][1:])
    assert rules["style-src"] == hashes(shape.inside["style"])


def test_the_page_names_no_other_file_and_holds_no_inline_handler(make: Any, tmp_path: Path) -> None:
    shape = Shape(render(make.sample(tmp_path)))
    for name, attributes in shape.elements:
        for attribute, value in attributes:
            assert not attribute.startswith("on"), (name, attribute)
            assert attribute != "style", name
            if attribute in ("src", "href", "action", "srcset", "data"):
                assert value is not None
                assert value.startswith(("#", "data:")), (name, value)


@pytest.mark.parametrize("name", [*SCRIPTS, *STYLES])
def test_scripts_write_no_markup_and_no_asset_ends_its_own_element(name: str) -> None:
    text = (resources.files("capprep.review") / "web" / name).read_text(encoding="utf-8")
    assert "</" not in text
    assert "<!--" not in text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(", text)


def test_a_picture_carries_everything_that_is_known_of_it(make: Any, tmp_path: Path) -> None:
    data = data_of(render(make.sample(tmp_path)))
    assert data["schema"] == 3
    dog = data["pictures"][1]
    assert dog["thumbnail"].startswith("data:image/webp;base64,")
    assert dog["source"] == {
        "width": 800,
        "height": 600,
        "format": "PNG",
        "mode": "RGBA",
        "orientation": 6,
        "frames": 3,
        "frame": 0,
        "notes": [],
        "crop": "center",
        "why": "the middle",
        "trimmed": [0.0, 0.0, 0.0, 0.0],
        "alpha": 0.0,
        "icc": "",
        "measures": None,
        "box": [0.0, 0.0, 256.0, 256.0],
        "scale": 0.5,
        "size": 512,
    }
    assert [(data["tags"][tag]["text"], p) for tag, p in dog["kept"]] == [("outdoors", 0.61)]
    assert [(data["tags"][tag]["text"], data["reasons"][reason]) for tag, _, reason in dog["dropped"]] == [
        ("sky", make.low),
        ("rating:safe", "a rating"),
    ]
    assert dog["verdict"]["state"] == dog["standing"] == "contradicted"
    assert [picture["worst"] for picture in data["pictures"]] == [3, 0, 1, 2]
    assert data["tallies"]["captions"] == {"contradicted": 1, "unknown": 1, "supported": 1, "unscored": 0}
    assert data["made"] == "2026-03-04T05:06:00+00:00"
    assert data["when"] == "4 March 2026, 05:06 UTC"


def test_a_text_written_by_hand_carries_the_verdicts_on_its_own_words_and_what_it_replaced(make: Any) -> None:
    written = make.example(
        caption="a dog on a blue mat",
        caption_verdict=make.weak,
        tags=(make.tag("dog", None, make.misfit), make.tag("cat", 0.9, make.fits, "not in the text written by hand")),
        text="a dog on a blue mat, dog",
        edited=True,
        replaced="a cat on a mat",
    )
    data = data_of(render(make.report(written)))
    [shown] = data["pictures"]
    assert (shown["caption"], shown["replaced"]) == ("a dog on a blue mat", "a cat on a mat")
    assert (shown["verdict"]["kind"], shown["verdict"]["reason"]) == ("weak", make.weak.reason)
    assert [(data["tags"][tag]["text"], p) for tag, p in shown["kept"]] == [("dog", None)]
    assert [data["tags"][tag]["text"] for tag, _, _ in shown["dropped"]] == ["cat"]
    assert data["tags"][shown["kept"][0][0]]["probability"] is None


def test_a_picture_whose_crop_is_unknown_or_gone_says_so(make: Any, tmp_path: Path) -> None:
    report = make.report(make.example("a"), make.example("b"), crops={"b": tmp_path / "b.png"})
    first, second = data_of(render(report))["pictures"]
    assert (first["thumbnail"], first["problem"]) == ("", "its crop is not in the workspace")
    assert (second["thumbnail"], second["problem"]) == ("", "its file is missing")


def test_crops_of_other_pictures_are_not_read(make: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"never opened")
    html = render(make.report(make.example("a"), crops={"other": other}))
    assert "cannot be read" not in html.split('id="data">')[1]


def test_numbers_that_json_cannot_write_become_unknown(make: Any) -> None:
    verdict = replace(make.fits, auc=math.nan, p=math.inf)
    picture = make.example(tags=(make.tag("cat", math.nan, verdict),), picture=replace(make.picture, scale=math.inf))
    [shown] = data_of(render(make.report(picture)))["pictures"]
    assert shown["kept"][0][1] is None
    assert shown["source"]["scale"] is None


def test_the_same_report_gives_the_same_bytes(make: Any, tmp_path: Path) -> None:
    report = make.sample(tmp_path)
    assert render(report) == render(report)


def test_a_report_is_written_whole_and_in_utf_8(make: Any, tmp_path: Path) -> None:
    destination = tmp_path / "deep" / "report.html"
    report = make.report(make.example("caf\udce9 ☕"), title="Ünïcode \udcff")
    write(report, destination)
    assert destination.read_bytes().decode("utf-8") == render(report)
    assert [file.name for file in destination.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_says_what_to_do_and_leaves_the_old_one(make: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CapprepError, match=r"cannot write the report to .*folder: ") as caught:
        write(make.report(), tmp_path / "folder")
    assert "give the name of a file" in caught.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_a_thousand_tags_are_stored_once(make: Any) -> None:
    tags = tuple(make.tag(f"a rather long tag number {n}", 0.5) for n in range(1000))
    one = len(render(make.report(make.example("0", tags=tags))))
    many = len(render(make.report(*(make.example(f"{n}", tags=tags) for n in range(11)))))
    assert (many - one) / 10 < 1000 * len("[999,0.5],") + 1000
