"""A text that a person wrote in `dataset/` outlives every command, in whatever order they are given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from capprep.images.entries import is_picture
from capprep.toybox.samples import draw_samples

from .conftest import Person, make_person

MINE = ("my own words, (red) hat", "long_hair\nand a second line", " x ,, y\\ ", "zwx", "größe 猫")
"""What a person writes; none of it as capprep would."""

INGEST = ("ingest", "raw", "-j", "0", "--max-upscale", "4", "--duplicates", "none")

COMMANDS = [
    INGEST,
    (*INGEST, "--size", "256"),
    (*INGEST, "--crop", "center", "--mirror"),
    (*INGEST, "--dry-run"),
    *(("caption", "--existing", mode) for mode in ("ignore", "keep", "prepend", "append")),
    ("caption", "--trigger", "zwx", "--escape", "kohya", "--merge", "tags"),
    ("caption", "--trigger", "", "--escape", "webui", "--merge", "caption, tags"),
    ("caption", "--booru", "--preset", "style", "--booru-threshold", "0.1", "--budget", "24"),
    ("caption", "--blip", "--beams", "1", "--order", "alphabetical", "--budget", "0"),
    ("score", "--booru-threshold", "0.9"),
    ("select", "--keep", "1"),
    ("select", "--keep", "0", "--screen", "off"),
    ("select", "--exclude", "1"),
    ("select", "--undecide", "1"),
    ("review",),
    ("review", "--apply", "others.json"),
    ("export", "table.csv"),
    ("export", "--to", "webui", "flat"),
    ("export", "--to", "kohya", "style", "--repeats", "2"),
    ("status",),
]


class Work:
    """A folder in which commands are given, and what a person wrote there."""

    def __init__(self, person: Person) -> None:
        self.person = person
        (self.text,) = person.file("dataset").glob("00001-*.txt")
        self.raw = next(path for path in sorted(person.file("raw").iterdir()) if is_picture(path.name))
        self.mine = ""

    def write(self, text: str) -> None:
        """Edit the first picture's text, where it is there to be edited."""
        if self.text.exists():
            self.mine = text
            self.text.write_text(text)

    def beside(self, text: str | None) -> None:
        """Write or delete the text beside the source."""
        if text is None:
            self.raw.with_suffix(".txt").unlink(missing_ok=True)
        else:
            self.raw.with_suffix(".txt").write_text(text)

    def source(self, there: bool) -> None:
        """Take the source away, or bring it back."""
        away = self.person.file("away")
        if there and away.exists():
            away.rename(self.raw)
        elif not there and self.raw.exists():
            self.raw.rename(away)

    def check(self) -> None:
        """What a person wrote is there, or the picture is not in the set."""
        if self.mine and self.text.exists():
            assert self.text.read_text() == self.mine
        assert self.text.exists() or not self.text.with_suffix(".png").exists()


Step = Callable[[Work], None]


def command(arguments: tuple[str, ...]) -> tuple[str, Step]:
    def run(work: Work) -> None:
        # 1 or 3 where the set is empty or a file is lost; 2 would be a mistake in this test
        assert work.person.types(*arguments, expect=None).status in (0, 1, 3), arguments

    return " ".join(arguments), run


def act(name: str, values: st.SearchStrategy) -> st.SearchStrategy[tuple[str, Step]]:
    return values.map(lambda value: (f"{name} {value!r}", lambda work: getattr(work, name)(value)))


steps = st.one_of(
    *(st.just(command(arguments)) for arguments in COMMANDS),
    act("write", st.sampled_from(MINE)),
    act("write", st.sampled_from(MINE)),
    act("beside", st.none() | st.sampled_from(["a cat", "other words, (hat)"])),
    act("source", st.booleans()),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Three pictures, captioned."""
    person = make_person(tmp_path_factory.mktemp("hand"))
    draw_samples(person.file("raw"), 3, seed=7)
    for path in person.file("raw").glob("*.txt"):
        path.unlink()
    person.types(*INGEST)
    person.types("caption")
    others = [
        {"picture": "1", "crop": [0, 0, 300, 300]},
        {"picture": "2", "text": "theirs"},
        {"picture": "3", "keep": True},
    ]
    person.file("others.json").write_text(json.dumps({"decisions": others}))
    return person


def survives(prepared: Person, folder: Path, text: str, sequence: list[tuple[str, Step]]) -> None:
    """Give the commands, one after the other, to a copy, and at last bring the picture back into the set."""
    shutil.copytree(prepared.folder, folder)
    work = Work(Person(folder, prepared.environment))
    work.write(text)
    for _, step in sequence:
        step(work)
        work.check()
    work.source(True)
    for arguments in (INGEST, ("select", "--keep", "0", "--undecide", "1"), ("caption", "--escape", "webui")):
        work.person.types(*arguments, expect=None)
        work.check()
    assert work.text.read_text() == work.mine
    work.person.types("export", "--to", "webui", "last")
    assert (folder / "last" / work.text.name).read_text() == work.mine


_COMMON: Mapping[str, object] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": (Phase.generate,),
    "suppress_health_check": list(HealthCheck),
}


@given(st.sampled_from(MINE), st.lists(steps, min_size=3, max_size=6))
@settings(max_examples=6, **_COMMON)  # type: ignore[arg-type]
def test_a_text_edited_by_hand_outlives_every_command(
    prepared: Person, tmp_path_factory: pytest.TempPathFactory, text: str, sequence: list[tuple[str, Step]]
) -> None:
    survives(prepared, tmp_path_factory.mktemp("copy") / "work", text, sequence)


@pytest.mark.slow
@given(st.sampled_from(MINE), st.lists(steps, min_size=5, max_size=15))
@settings(max_examples=60, **_COMMON)  # type: ignore[arg-type]
def test_a_text_edited_by_hand_outlives_long_days_of_work(
    prepared: Person, tmp_path_factory: pytest.TempPathFactory, text: str, sequence: list[tuple[str, Step]]
) -> None:
    survives(prepared, tmp_path_factory.mktemp("copy") / "work", text, sequence)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_text_edited_by_hand_outlives(prepared: Person, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    beside = ("beside", lambda work: work.beside("other words"))
    survives(prepared, tmp_path / "work", MINE[0], [beside, command(arguments)])
