"""Folders for other trainers: read back to exactly the intended prompts, brought up to date, a person's files left."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from capprep.candidates import Policy
from capprep.errors import ConfigError, DatasetError
from capprep.exports import Exported, Target, export
from capprep.facts import PictureFact
from capprep.filewords import Text, TextRules, Vocabulary, Words, compose, escape, retarget, unescape
from capprep.images.entries import EXPORTED
from capprep.select import Example, Selection
from capprep.sources import Source
from capprep.workspace import Workspace
from tests.filewords.strategies import options, scores, words
from tests.filewords.test_readers import webui_prompt
from tests.trainers import kohya_config, kohya_folder, webui_folder

NAMES = ("00001-cat", "00002-a_b_c_d_e_f", "00003-größe 1.5 [x] (y)", "00004-a_b")
FACT = PictureFact(640, 512, "JPEG", "RGB", 1, 1, (64.0, 0.0, 576.0, 512.0), 1.0, 512)


def square(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path):
    with Workspace(tmp_path / "work", create=True) as opened:
        yield opened


def selection(workspace: Workspace, texts: Iterable[str | None]) -> Selection:
    """A picture for each text, all of them different."""
    return Selection(
        tuple(
            Example(f"id{n}", name, (), FACT, workspace.blobs.add(square(n)), None, None, (), text)
            for n, (name, text) in enumerate(zip(NAMES, texts, strict=False))
        )
    )


def exported(workspace: Workspace, folder: Path, texts: Iterable[str], to: str = "webui", **more: object) -> Exported:
    policy = more.pop("policy", Policy())
    target = Target(to, folder, **more)  # type: ignore[arg-type]
    return export(workspace, selection(workspace, texts), policy, target)  # type: ignore[arg-type]


def emphasised(prompt: str) -> tuple[str, set[float]]:
    """What the webui reads in a prompt, and with which weights."""
    read = webui_prompt(prompt)
    return "".join(character for character, _ in read), {weight for _, weight in read}


def intended(text: Text) -> str:
    """What was kept, as a person would say it."""
    return ", ".join(piece.text for piece in text.kept)


def composed(said: Words, rules: TextRules, escaped_for: str) -> Text:
    return compose(said, Vocabulary.of(TextRules(**{**vars(rules), "merge": "caption, tags", "escape": escaped_for})))


# --- read back ----------------------------------------------------------------------------------

some_words = st.lists(words, min_size=1, max_size=len(NAMES))
targets = st.sampled_from(["webui", "kohya"])
once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(some_words, options(escape="webui"), targets)
@once
def test_the_webui_reads_exactly_the_intended_prompts(
    workspace: Workspace, said: list[Words], rules: TextRules, escaped_for: str
) -> None:
    made = [composed(each, rules, escaped_for) for each in said]
    folder = workspace.root / "webui"
    done = exported(workspace, folder, [text.text for text in made], policy=Policy(escape=escaped_for))
    assert done.pictures == len(made)
    read = {name: emphasised(prompt) for name, prompt in webui_folder(folder).items()}
    assert {name: prompt for name, (prompt, _) in read.items()} == {
        f"{name}.png": intended(text) for name, text in zip(NAMES, made, strict=False)
    }
    assert all(weights <= {1.0} for _, weights in read.values())
    shuffled = webui_folder(folder, shuffle=random.Random(len(made)))
    for name, text in zip(NAMES, made, strict=False):
        pieces = sorted(piece.strip() for piece in emphasised(shuffled[f"{name}.png"])[0].split(","))
        assert pieces == (sorted(piece.text for piece in text.kept) or [""])


@given(some_words, options(escape="kohya"), targets, st.integers(1, 20))
@once
def test_kohyas_scripts_read_exactly_the_intended_prompts_and_keep_the_trigger_in_front(
    workspace: Workspace, said: list[Words], rules: TextRules, escaped_for: str, repeats: int
) -> None:
    made = [composed(each, rules, escaped_for) for each in said]
    folder = workspace.root / "kohya"
    policy = Policy(escape=escaped_for, trigger=rules.trigger)
    exported(workspace, folder, [text.text for text in made], "kohya", policy=policy, repeats=repeats)
    for read in (kohya_folder(folder), kohya_config(folder / "dataset.toml")):
        assert {name: (each.repeats, each.prompt) for name, each in read.items()} == {
            f"{name}.png": (repeats, intended(text)) for name, text in zip(NAMES, made, strict=False)
        }
    for name, text in zip(NAMES, made, strict=False):
        triggers = tuple(piece.text for piece in text.kept if piece.kind == "trigger")
        front = kohya_config(folder / "dataset.toml")[f"{name}.png"].front
        assert front[: len(triggers)] == triggers


HOSTILE = (
    *("a\nb", "a\r\nb\x00", "(((", ")]}", "\\", "\\\\(", "a:1.5)", "(a:1.5)", "[a:b:0.5]", "a|b", "<lora:x:1>"),
    *(
        "BREAK",
        "AND",
        "[name]",
        "{a|b}",
        "ünï 猫 🐈 \u200d",
        "\ufeff",
        "a,b,,c",
        " , ",
        "#",
        "=1+1",
        "'\"",
        "x" * 10_000,
    ),
    *("(" * 10_000, "\ud800", "\u2028\x85", "__a__", ";", "--"),
)


@pytest.mark.parametrize("to", ["webui", "kohya"])
def test_hostile_tags_and_captions_come_back_as_they_were_meant(workspace: Workspace, to: str) -> None:
    for tag in HOSTILE:
        made = [composed(Words(said, scores(tag, "hat")), TextRules(), to) for said in (None, tag, "a cat")]
        folder = workspace.root / to
        exported(workspace, folder, [text.text for text in made], to, policy=Policy(escape=to))
        if to == "webui":
            read = {name: emphasised(prompt)[0] for name, prompt in webui_folder(folder).items()}
        else:
            read = {name: each.prompt for name, each in kohya_folder(folder).items()}
        assert list(map(read.get, (f"{name}.png" for name in NAMES[:3]))) == [intended(text) for text in made], tag


@given(words, options())
def test_a_text_written_for_one_trainer_and_turned_to_the_other_is_the_one_written_for_it(
    said: Words, rules: TextRules
) -> None:
    webui, kohya = (composed(said, rules, to).text for to in ("webui", "kohya"))
    assert retarget(webui, "webui", "kohya") == kohya
    assert retarget(kohya, "kohya", "webui") == webui
    assert retarget(webui, "webui", "webui") == webui


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@once
def test_a_text_that_a_person_wrote_is_exported_to_its_own_trainer_letter_by_letter(
    workspace: Workspace, mine: str
) -> None:
    folder = workspace.root / "webui"
    exported(workspace, folder, [mine])
    assert (folder / "00001-cat.txt").read_bytes().decode() == mine
    exported(workspace, workspace.root / "kohya", [mine], "kohya", repeats=3)
    (read,) = kohya_folder(workspace.root / "kohya").values()
    # of several lines only the first would be read, so they are one
    assert "".join(read.prompt.split()) == "".join(unescape(mine).split())
    # written for kohya's scripts, where a backslash is one
    exported(workspace, folder, [mine], policy=Policy(escape="kohya"))
    (prompt,) = webui_folder(folder, name="[name]").values()
    assert prompt == escape(mine).replace("\r\n", "\n").replace("\r", "\n")


def test_without_their_texts_the_trainers_would_read_something_else(workspace: Workspace) -> None:
    texts = ["one", "two", "three", "four"]
    webui, kohya = workspace.root / "webui", workspace.root / "kohya"
    exported(workspace, webui, texts)
    exported(workspace, kohya, texts, "kohya")
    for path in (*webui.glob("*.txt"), *kohya.glob("1_kohya/0000[23]*.txt")):
        path.unlink()
    assert webui_folder(webui)["00001-cat.png"] == "cat"
    assert kohya_folder(kohya)["00002-a_b_c_d_e_f.png"].prompt == "kohya"
    assert kohya_folder(kohya)["00001-cat.png"].prompt == "one"


def test_an_empty_text_is_an_empty_prompt_for_both(workspace: Workspace) -> None:
    exported(workspace, workspace.root / "webui", [""])
    exported(workspace, workspace.root / "kohya", [""], "kohya")
    assert webui_folder(workspace.root / "webui") == {"00001-cat.png": ""}
    assert [each.prompt for each in kohya_folder(workspace.root / "kohya").values()] == [""]


@pytest.mark.parametrize("name", ['a"b\\c', "ünï 猫", "it's #1", "10_x", "\x7f", "tab\tname"])
def test_the_config_names_any_folder_exactly(workspace: Workspace, name: str) -> None:
    folder = workspace.root / name
    exported(workspace, folder, ["one"], "kohya", repeats=7)
    assert [each.prompt for each in kohya_config(folder / "dataset.toml").values()] == ["one"]
    assert [each.repeats for each in kohya_folder(folder).values()] == [7]
    exported(workspace, folder, ["one"], "kohya", repeats=7, name="my class")
    assert [path.name for path in folder.glob("*/")] == ["7_my class"]


# --- brought up to date ---------------------------------------------------------------------------


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != EXPORTED
    }


def test_a_second_export_writes_only_what_changed_and_takes_away_what_is_gone(workspace: Workspace) -> None:
    folder = workspace.root / "out"
    assert exported(workspace, folder, ["one", "two", "three"], "kohya") == Exported(3, 7, 0, 0)
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.txt")}
    assert exported(workspace, folder, ["one", "two", "three"], "kohya") == Exported(3, 0, 7, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.txt")} == stamps
    assert exported(workspace, folder, ["one", "2"], "kohya") == Exported(2, 1, 4, 2)
    assert exported(workspace, folder, ["one", "2"], "kohya", repeats=3) == Exported(2, 5, 0, 4)
    assert [path.name for path in folder.glob("*/")] == ["3_out"]
    assert exported(workspace, folder, ["one", "2"]) == Exported(2, 4, 0, 5)
    assert sorted(content(folder)) == [f"{name}{suffix}" for name in NAMES[:2] for suffix in (".png", ".txt")]


def test_what_a_person_changed_or_put_there_is_left_and_said(workspace: Workspace) -> None:
    folder = workspace.root / "out"
    exported(workspace, folder, ["one", "two", "three"])
    (folder / "00001-cat.txt").write_text("mine")
    (folder / f"{NAMES[2]}.txt").write_text("mine too")
    (folder / "notes.md").write_text("notes")
    (folder / "more.png").write_bytes(square(99))
    (folder / f"{NAMES[3]}.txt").write_text("was here first")
    before = content(folder)
    done = exported(workspace, folder, ["1", "two", "three", "four"])
    assert done.edited == ("00001-cat.txt", f"{NAMES[2]}.txt", f"{NAMES[3]}.txt")
    assert done.foreign == ("more.png",)
    assert (done.written, done.unchanged) == (1, 4)
    after = content(folder)
    assert before.items() <= after.items()
    assert exported(workspace, folder, ["1"]).edited == done.edited[:2], "the third was never ours"
    assert before.items() - content(folder).items() == {
        (name, each)
        for name, each in before.items()
        if name in (f"{NAMES[1]}.png", f"{NAMES[1]}.txt", f"{NAMES[2]}.png")
    }
    (folder / "00001-cat.txt").unlink()
    exported(workspace, folder, ["1"])
    assert (folder / "00001-cat.txt").read_text() == "1", "a deleted file comes back"


def test_a_file_is_linked_where_dataset_has_it_and_never_to_a_blob(workspace: Workspace) -> None:
    chosen = selection(workspace, ["one"])
    workspace.dataset.mkdir()
    (workspace.dataset / "00001-cat.png").write_bytes(square(0))
    folder = workspace.root / "out"
    export(workspace, chosen, Policy(), Target("webui", folder))
    own, blob = workspace.dataset / "00001-cat.png", workspace.blobs.path(chosen.examples[0].crop)
    assert (folder / "00001-cat.png").samefile(own)
    assert not (folder / "00001-cat.png").samefile(blob)
    # somebody is just painting: what is exported is what was chosen
    (folder / "00001-cat.png").unlink()
    own.write_bytes(square(50))
    export(workspace, chosen, Policy(), Target("webui", folder))
    assert (folder / "00001-cat.png").read_bytes() == square(0)
    assert not list(folder.glob(".tmp-*"))


def test_a_picture_painted_over_in_dataset_is_replaced_in_the_folder(workspace: Workspace) -> None:
    folder = workspace.root / "out"
    chosen = selection(workspace, ["one"])
    export(workspace, chosen, Policy(), Target("webui", folder))
    painted = Selection((replace(chosen.examples[0], crop=workspace.blobs.add(square(77))),))
    assert export(workspace, painted, Policy(), Target("webui", folder)).written == 1
    assert (folder / "00001-cat.png").read_bytes() == square(77)


# --- refused --------------------------------------------------------------------------------------


def test_folders_that_are_not_for_exports_are_refused_and_untouched(workspace: Workspace, tmp_path: Path) -> None:
    raw = workspace.root / "raw"
    raw.mkdir()
    sources = [
        Source(os.fsencode(raw / "a.png"), "a" * 64, 1, 1),
        Source(os.fsencode(tmp_path / "x.zip") + b"\0a", "b" * 64, 1, 1),
    ]
    workspace.sources.add(sources)
    theirs = workspace.root / "theirs"
    theirs.mkdir()
    (theirs / "a.txt").write_text("mine")
    (workspace.root / "file").write_text("")
    (workspace.root / "link").symlink_to(raw)
    for folder, said in (
        (workspace.dataset, "its own work"),
        (workspace.dataset / "in" / "it", "its own work"),
        (workspace.folder, "its own work"),
        (workspace.runs / "x", "its own work"),
        (raw, "source pictures"),
        (raw / "out", "source pictures"),
        (workspace.root / "link" / "out", "source pictures"),
        (workspace.root, "no export wrote"),
        (theirs, "no export wrote"),
        (workspace.root / "file", "is a file"),
    ):
        with pytest.raises(DatasetError, match=said):
            exported(workspace, folder, ["one"])
    assert content(theirs) == {"a.txt": b"mine"}
    assert list(raw.iterdir()) == []
    # below the folder of some pictures lies the workspace itself
    exported(workspace, workspace.root / "out", ["one"])


def test_a_set_that_cannot_be_trained_on_is_not_exported(workspace: Workspace) -> None:
    folder = workspace.root / "out"
    with pytest.raises(DatasetError, match="1 of 2 pictures have no text yet"):
        export(workspace, selection(workspace, ["one", None]), Policy(), Target("webui", folder))
    with pytest.raises(DatasetError, match="no picture"):
        exported(workspace, folder, [])
    with pytest.raises(ConfigError, match="webui only"):
        exported(workspace, folder, ["[name]"], "kohya", policy=Policy(trigger="[name]"))
    with pytest.raises(ConfigError, match="folder's name"):
        exported(workspace, folder, ["one"], "kohya", name="../x")
    assert not folder.exists()


@pytest.mark.parametrize(
    "marker",
    ["", "[]", "{}", '{"files": {"../x": ["a", 1, 2]}, "writing": {}, "workspace": ""}', '{"files": {"a": 1}}', "\xff"],
)
def test_a_damaged_marker_is_an_error_and_nothing_is_written(workspace: Workspace, marker: str) -> None:
    folder = workspace.root / "out"
    folder.mkdir()
    (folder / EXPORTED).write_text(marker)
    with pytest.raises(DatasetError, match="cannot be read"):
        exported(workspace, folder, ["one"])
    assert content(folder) == {}


def test_a_folder_of_another_workspace_is_refused_while_that_is_there(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    exported(workspace, folder, ["one"])
    with Workspace(tmp_path / "other", create=True) as other:
        with pytest.raises(DatasetError, match="exported from the workspace in"):
            exported(other, folder, ["two"])
        workspace.close()
        shutil.move(workspace.root, tmp_path / "moved")
        exported(other, folder, ["two"])
    assert (folder / "00001-cat.txt").read_text() == "two"


# --- killed ---------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from pathlib import Path
from capprep import exports
from capprep.workspace import Workspace
from tests.test_exports import exported
exports._AT_ONCE = 2
left = int(sys.argv[3])
def count(event, arguments):
    global left
    if event in ("os.rename", "os.remove", "os.link"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
with Workspace(Path(sys.argv[1]), create=True) as workspace:
    workspace.root.joinpath("ready").touch()
    sys.addaudithook(count)
    exported(workspace, Path(sys.argv[2]), sys.argv[4].split("|"), "kohya", repeats=int(sys.argv[5]))
"""


def killed(workspace: Workspace, folder: Path, after: int, texts: str, repeats: int) -> int:
    """An export in a process that dies before it changes a name for the so many-eth time."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, workspace.root, folder, str(after), texts, str(repeats)],
        cwd=Path(__file__).parent.parent,
        check=False,
        timeout=120,
    ).returncode


@pytest.mark.parametrize("then", [["one", "2", "3", "four"], ["one", "zwei", "drei"]])
@pytest.mark.parametrize("after", [0, 7, 12, 18])
def test_an_export_that_was_killed_is_completed_by_the_next_one(
    workspace: Workspace, after: int, then: list[str]
) -> None:
    folder = workspace.root / "out"
    exported(workspace, folder, ["one", "two", "three"], "kohya")
    assert killed(workspace, folder, after, "one|2|3|four", 5) == -signal.SIGKILL
    done = exported(workspace, folder, then, "kohya", repeats=5)
    assert done.edited == done.foreign == ()
    assert {name: each.prompt for name, each in kohya_folder(folder).items()} == {
        f"{name}.png": text for name, text in zip(NAMES, then, strict=False)
    }
    assert [path.name for path in folder.glob("*/")] == ["5_out"]
    assert len(content(folder)) == 2 * len(then) + 1
    assert not list(folder.rglob(".tmp-*"))
    assert json.loads((folder / EXPORTED).read_text())["writing"] == {}


def test_the_first_export_may_be_killed_before_it_wrote_anything(workspace: Workspace) -> None:
    folder = workspace.root / "out"
    assert killed(workspace, folder, 0, "one", 1) == -signal.SIGKILL
    assert exported(workspace, folder, ["one"], "kohya").written == 3
