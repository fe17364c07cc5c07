"""The four commands of the card, literally, on real photographs: the whole way once, looked at from every side."""

from __future__ import annotations

import html.parser
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from .conftest import PHOTOGRAPHS, Done, Person, make_person, photographs


def readme_commands() -> list[list[str]]:
    """The commands of the README's first console block that calls capprep, word for word."""
    readme = (Path(__file__).parent.parent.parent / "README.md").read_text()
    block = next(
        block for block in re.findall(r"```console\n(.*?)```", readme, re.DOTALL) if "$ capprep ingest" in block
    )
    return [shlex.split(line)[2:] for line in block.splitlines() if line.startswith("$ capprep ")]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> tuple[Person, dict[str, Done]]:
    """A folder holding raw/ and one setting, and the README's four commands run in it."""
    person = make_person(tmp_path_factory.mktemp("way"))
    photographs(person.file("raw"))
    # some of them are smaller than 512 pixels
    person.file("capprep.toml").write_text("[select]\nmax_upscale = 2.0\n")
    done = {}
    for command in readme_commands():
        # ingest ends with 3: some files cannot be used
        done[command[0]] = person.starts(*command, expect=3 if command[0] == "ingest" else 0)
    return person, done


def test_the_readme_shows_the_four_commands_of_the_card() -> None:
    assert [" ".join(command) for command in readme_commands()] == [
        "ingest raw/",
        "caption --blip --booru",
        "review report.html",
        "train",
    ]


def test_the_bad_files_are_named_with_reasons_and_all_the_others_go_through(way) -> None:
    person, done = way
    out = done["ingest"].out
    assert "2 files left out" in out
    (cut,) = [line for line in out.splitlines() if "cut.jpg" in line]
    (notes,) = [line for line in out.splitlines() if "notes.jpg" in line]
    assert "truncated" in cut
    assert "not_image" in notes
    stems = sorted(path.stem.split("-", 1)[1] for path in person.file("dataset").glob("*.png"))
    assert stems == sorted(Path(name).stem for name in PHOTOGRAPHS)


def test_every_picture_is_exactly_512_square_and_upscaling_is_said(way) -> None:
    person, done = way
    for path in person.file("dataset").glob("*.png"):
        with Image.open(path) as picture:
            assert (picture.size, picture.mode, picture.format) == ((512, 512), "RGB", "PNG")
    assert re.search(r"enlarged.*0000\d-chelsea 1\.71x", done["ingest"].out)


def test_every_picture_has_a_text_in_utf8_on_one_line(way) -> None:
    person, _ = way
    pictures = sorted(person.file("dataset").glob("*.png"))
    for picture in pictures:
        text = picture.with_suffix(".txt").read_bytes().decode()
        assert text
        assert text == text.strip()
        assert "\n" not in text


def test_the_provider_and_device_in_use_are_printed_and_what_the_models_know_is_said_once(way) -> None:
    _, done = way
    out = done["caption"].out
    assert "tiny-caption on cpu" in out
    assert "tiny-booru on CPUExecutionProvider" in out
    assert out.count("drawn world") == 1
    assert done["train"].out.count("drawn world") == 1


class Page(html.parser.HTMLParser):
    """Collects what would make a request, and the data."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.island = ""
        self._in_island = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_island = tag == "script" and dict(attrs).get("type") == "application/json"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        if self._in_island:
            self.island += data

    def handle_endtag(self, tag: str) -> None:
        self._in_island = False


def test_the_report_is_one_file_that_holds_every_picture_word_and_failure(way) -> None:
    person, _ = way
    page = Page()
    page.feed(person.file("report.html").read_text(encoding="utf-8"))
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    everything = json.dumps(json.loads(page.island), ensure_ascii=False)
    for path in person.file("dataset").glob("*.txt"):
        assert json.dumps(path.read_text(), ensure_ascii=False)[1:-1] in everything
    for expected in (*PHOTOGRAPHS, "cut.jpg", "truncated", "notes.jpg", "not_image"):
        assert expected in everything
    assert everything.count("drawn world") == 1


def test_the_hypernetwork_is_there_with_its_metrics_and_preview(way) -> None:
    person, done = way
    (weights,) = person.file("runs").glob("*/*.pt")
    content = torch.load(weights, weights_only=True)
    assert content["name"] == weights.stem == "work"
    assert content["step"] == 200
    assert {key for key in content if type(key) is int} == {16, 32, 48}
    assert weights.parent.joinpath("metrics.csv").read_text().startswith("step,epoch,loss")
    (preview,) = weights.parent.glob("previews/*.png")
    with Image.open(preview) as picture:
        assert np.asarray(picture).std() > 0
    assert str(weights.relative_to(person.folder)) in done["train"].out


def test_sources_are_never_touched(way) -> None:
    person, _ = way
    source = Path(__import__("skimage").__file__).parent / "data"
    for name in PHOTOGRAPHS:
        assert (person.file("raw") / name).read_bytes() == (source / name).read_bytes()


def test_every_command_again_computes_nothing_and_changes_nothing(way) -> None:
    person, _ = way
    before = {path: path.read_bytes() for path in person.file("dataset").iterdir()}
    ingested = person.types("ingest", "raw/", "--json", expect=3).json
    assert (ingested["computed"], ingested["known"]) == (0, len(PHOTOGRAPHS) + 2)
    captioned = person.types("caption", "--blip", "--booru", "--json").json
    assert {stage: work["computed"] for stage, work in captioned["stages"].items()} == {
        "caption.blip": 0,
        "tags.booru": 0,
        "match.image": 0,
        "match.text": 0,
    }
    trained = person.types("train", "--json").json
    assert trained["already_done"]
    assert {path: path.read_bytes() for path in person.file("dataset").iterdir()} == before


def test_status_says_what_is_done_and_what_failed(way) -> None:
    person, _ = way
    out = person.types("status", "--failed").out
    assert "8 pictures" in out
    assert "6 of 6, 0 edited by hand" in out
    assert "truncated" in out
    data = person.types("status", "--json").json
    assert data["stages"] == {"picture": 6, "caption.blip": 6, "tags.booru": 6, "match.image": 6}
    assert "capprep status --failed" in person.types("status").out
