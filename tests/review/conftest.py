from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, Verdict
from capprep.candidates import LeftOut
from capprep.curate import Group, Member
from capprep.facts import PictureFact
from capprep.images.screening import Measures
from capprep.review.report import Report, write
from capprep.select import Example, Selection, TagChoice


class Make:
    """Parts of a report, so that a test names only what it is about."""

    fits = Verdict(
        SUPPORTED, "fits", "fits its 4 pictures better than the 8 others (AUC 0.95, p = 0.002)", 0.95, 0.002, 4, 8
    )
    misfit = Verdict(
        CONTRADICTED, "misfit", "fits its 3 pictures worse than the 9 others (AUC 0.08, p = 0.01)", 0.08, 0.01, 3, 9
    )
    rare = Verdict(UNKNOWN, "rare", "on 1 picture of 12: too few to tell", None, None, 1, 11)
    weak = Verdict(UNKNOWN, "weak", "7 of the 11 other pictures fit this caption better", 0.36, 0.67, 1, 11)
    low = "its probability is under 0.50"
    picture = PictureFact(800, 600, "JPEG", "RGB", 1, 1, (100.0, 0.0, 700.0, 600.0), 600 / 512, 512, why="the middle")
    measures = Measures(0.55, 0.5, 0.1, 0.9, 0.2, 7.1, 34.0, 0.0, 0.25, 0.03)

    @staticmethod
    def tag(
        text: str,
        probability: float | None = 0.9,
        verdict: Verdict | None = None,
        reason: str = "",
        category: str = "general",
    ) -> TagChoice:
        return TagChoice(text.replace(" ", "_"), text, category, probability, not reason, reason, verdict)

    @classmethod
    def example(cls, name: str = "00001-cat", **changes: Any) -> Example:
        """A picture that was only ingested; its crop has the same name."""
        plain = Example(
            id=hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest(),
            name=name,
            sources=(f"raw/{name}.jpg",),
            picture=cls.picture,
            crop=name,
            caption=None,
            caption_verdict=None,
            tags=(),
            text=None,
        )
        return replace(plain, **changes)

    @staticmethod
    def report(
        *examples: Example, left_out: tuple[LeftOut, ...] = (), groups: tuple[Group, ...] = (), **changes: Any
    ) -> Report:
        plain = Report(
            selection=Selection(examples, left_out, groups),
            crops={},
            title="A set",
            facts=[],
            notices=[],
            made=datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        )
        return replace(plain, **changes)

    def sample(self, folder: Path) -> Report:
        """Pictures of every kind: edited, enlarged, without a preview, without words; verdicts of each state."""
        outdoors, cat = self.tag("outdoors", 0.61, self.misfit), self.tag("cat", 0.99, self.fits)
        sky = self.tag("sky", 0.31, self.fits, self.low)
        rating = self.tag("rating:safe", 0.99, reason="a rating", category="rating")
        small = replace(
            self.picture, box=(0.0, 0.0, 256.0, 256.0), scale=0.5, orientation=6, frames=3, mode="RGBA", format="PNG"
        )
        examples = (
            self.example(
                "00001-cat", caption="a cat on a mat", caption_verdict=self.fits, tags=(cat, sky), text="a cat, cat"
            ),
            self.example(
                "00002-dog",
                caption="two cats",
                caption_verdict=self.misfit,
                tags=(outdoors, sky, rating),
                text="two cats, outdoors",
                picture=small,
                sources=("raw/dog.jpg", "raw/copy of dog.jpg"),
            ),
            self.example(
                "00003-girl",
                caption="a girl",
                caption_verdict=self.rare,
                tags=(self.tag("long hair", 0.84, self.rare),),
                text="mine",
                edited=True,
            ),
            self.example("00004-bare"),
        )
        crops = {one.crop: folder / f"{one.name}.png" for one in examples[:3]}
        for path in crops.values():
            Image.linear_gradient("L").resize((512, 512)).convert("RGB").save(path)
        left = (
            LeftOut(("raw/cut.jpg",), "picture", "truncated", "the file ends before the picture does"),
            LeftOut(("raw/a.txt", "raw/b.txt"), "source", "not-a-picture", "this is no picture"),
        )
        facts = [("captioner", "blip, sha256 d6638651"), ("device", "cpu")]
        return self.report(
            *examples,
            left_out=left,
            crops=crops,
            title="My set",
            facts=facts,
            notices=["these models are toys of `demo`"],
        )

    @classmethod
    def twins(cls, example: Example, *others: str, reason: str = "it is the largest of 2") -> Group:
        """A group of an example, which is its best, and others by name."""
        members = (Member(cls.example(name).id, "nearly the same, 3 of 256 bits differ", name) for name in others)
        return Group((Member(example.id, "", example.name), *members), example.id, reason)

    def curated(self, folder: Path) -> Report:
        """A set that was chosen: with flaws, mirrored copies, duplicates in it and out of it, and squares left out."""
        barred = replace(
            self.picture,
            box=(100.0, 90.0, 520.0, 510.0),
            trimmed=(0.0, 90.0, 0.0, 90.0),
            crop="auto",
            why="what stands out lies left of the middle",
            icc="Display P3",
            alpha=0.25,
            notes=("its second frame is damaged",),
            measures=self.measures,
        )
        soft = replace(self.picture, measures=replace(self.measures, sharpness=0.2))
        cat = self.example("00001-cat", picture=barred, sharper=73.4, chosen="it is the best of all", text="a cat")
        dog = self.example("00002-dog", picture=soft, flaws=("it looks blurred", "it is very dark"), text="a dog")
        twin = self.example("00003-twin", text="a dog too")
        copies = (
            self.example("00001-cat-mirror", crop="painted", pixels_edited=True, text="a cat"),
            self.example("00002-dog-mirror", text="a dog that looks left", edited=True),
        )
        left = (
            LeftOut(("raw/again.jpg",), "select", "duplicate", "00001-cat shows the same", "00004-again", "again"),
            LeftOut(("raw/tiny.jpg",), "picture", "too_small", "it would be enlarged", "00005-tiny", "tiny"),
            LeftOut(("raw/cut.jpg",), "picture", "truncated", "the file ends too soon", "00006-cut"),
            LeftOut(("raw/soft.jpg",), "select", "blurred", "it looks blurred", "00007-soft", "soft"),
        )
        crops = {name: folder / f"{name}.square" for name in ("00001-cat", "00002-dog", "painted", "again", "tiny")}
        for name, path in crops.items():
            square = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
            square.save(path, "WEBP" if name == "00002-dog" else "PNG", lossless=True)
        return self.report(
            *(replace(one, mirror=copy) for one, copy in zip((cat, dog), copies, strict=True)),
            twin,
            left_out=left,
            groups=(self.twins(cat, "00004-again"), self.twins(dog, "00003-twin", reason="it came first")),
            crops=crops,
        )


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by playwright; both are needed and neither is downloaded by the tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.skip("needs a chromium binary: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A report in the browser, and everything the page complained of or asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def open_report(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report from file://; at the end the page must have complained of nothing and asked for nothing."""
    contexts, opened = [], []

    def open_(report: Report, **settings: Any) -> Opened:
        file = tmp_path / f"report-{len(contexts)}.html"
        write(report, file)
        contexts.append(browser.new_context(**settings))
        opened.append(Opened(contexts[-1].new_page()))
        opened[-1].page.goto(file.as_uri())
        return opened[-1]

    yield open_
    for one in opened:
        outside = [url for url in one.requests if not url.startswith(("file:", "data:"))]
        assert (one.complaints, outside) == ([], [])
        assert sum(url.startswith("file:") for url in one.requests) == 1
    for context in contexts:
        context.close()
