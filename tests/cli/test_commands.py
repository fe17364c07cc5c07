"""Each command in particular: options, edits, mistakes and what is said of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from capprep import pipeline
from capprep.stages.match import MatchText
from capprep.workspace import Workspace

from .conftest import Person


def put(person: Person, *names: str, size: tuple[int, int] = (600, 520)) -> None:
    person.file("raw").mkdir(exist_ok=True)
    for n, name in enumerate(names):
        Image.effect_mandelbrot(size, (-2.0, -1.2 + n / 99, 1.0, 1.2), 40).convert("RGB").save(
            person.file("raw") / name
        )


def texts(person: Person) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(person.file("dataset").glob("*.txt"))}


def test_a_text_edited_by_hand_is_kept_and_trained_on(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    person.types("caption", "--booru")
    mine = person.file("dataset") / "00001-a.txt"
    mine.write_text("my own words\n")
    out = person.types("caption", "--blip", "--booru").out
    assert "edited by hand, kept as they are: 00001-a.txt" in out
    assert mine.read_text() == "my own words\n"
    assert "my own words" in person.types("review").out + person.file("report.html").read_text()


def test_adding_and_taking_away_pictures_reads_only_what_is_new(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    put(person, "a.png", "b.png")
    again = person.types("ingest", "raw", "--json").json
    assert (again["pictures"], again["computed"], again["known"]) == (2, 1, 1)
    (person.file("raw") / "a.png").unlink()
    again = person.types("ingest", "raw", "--json").json
    assert (again["pictures"], again["computed"]) == (1, 0)
    assert [path.name for path in person.file("dataset").iterdir()] == ["00002-b.png"]


def test_only_blip_or_only_booru_can_be_asked_for_and_neither_means_both(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    assert set(person.types("caption", "--blip", "--json").json["stages"]) == {
        "caption.blip",
        "match.image",
        "match.text",
    }
    assert "tags.booru" in person.types("caption", "--booru", "--json").json["stages"]
    assert {"caption.blip", "tags.booru"} < set(person.types("caption", "--json").json["stages"])
    assert "caption.blip" not in person.types("caption", "--no-blip", "--json").json["stages"]


def test_the_threshold_is_policy_it_runs_no_model_and_is_remembered(person: Person) -> None:
    put(person, "a.png", "b.png", "c.png")
    person.types("ingest", "raw")
    person.types("caption", "--booru", "--booru-threshold", "0.05")
    many = texts(person)
    again = person.types("caption", "--booru", "--booru-threshold", "0.9", "--json").json
    assert all(work["computed"] == 0 for work in again["stages"].values())
    few = texts(person)
    assert sum(map(len, few.values())) < sum(map(len, many.values()))
    person.types("review")
    assert texts(person) == few


def test_scores_can_be_made_again_alone_and_a_new_threshold_changes_the_texts(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    person.types("caption", "--booru")
    before = texts(person)
    assert person.types("score").out.count("drawn world") == 1
    again = person.types("score", "--booru-threshold", "0.1", "--json").json
    assert set(again["stages"]) == {"match.image", "match.text"}
    assert all(work["computed"] == 0 for work in again["stages"].values())
    assert texts(person) != before


def test_what_is_not_asked_for_stays_as_it_was_last_used(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    person.types("caption", "--booru", "--booru-threshold", "0.1")
    before = texts(person)
    for command in (("score",), ("caption", "--booru"), ("ingest", "raw"), ("review",)):
        person.types(*command)
        assert texts(person) == before


def test_how_much_may_be_enlarged_is_policy_and_keeps_every_fact(person: Person) -> None:
    put(person, "big.png")
    put(person, "small.png", size=(400, 300))
    said = person.types("ingest", "raw", expect=3).out
    assert "400x300 would have to be enlarged 1.71 times for 512x512; --max-upscale is 1" in said
    person.types("ingest", "raw", "--max-upscale", "2", "--duplicates", "none")
    person.types("caption", "--booru")
    done = person.types("ingest", "raw", "--max-upscale", "1", "--json", expect=3).json
    assert (done["pictures"], done["computed"]) == (1, 0)
    assert [left["reason"] for left in done["left_out"]] == ["too_small"]
    done = person.types("ingest", "raw", "--max-upscale", "2", "--json").json
    assert (done["pictures"], done["texts"]) == (2, 2)


def test_a_failed_command_leaves_what_was_made_before(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    person.types("caption", "--blip")
    before = texts(person)
    assert "is over max_new_tokens" in person.types("caption", "--min-tokens", "40", "--max-tokens", "30", expect=2).err
    broken = person.file("broken")
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    person.types("caption", "--blip", "--caption-model", "broken", expect=1)
    person.types("review")
    assert texts(person) == before


def test_settings_that_put_everything_out_of_date_are_said(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw", "--size", "256")
    done = person.types("ingest", "raw")
    assert "picture: size 256 before, 512 now" in done.err


def test_verdicts_do_not_depend_on_texts_that_were_there_once(person: Person, tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(7)]
    put(person, *names)
    person.types("ingest", "raw")
    person.types("caption", "--blip-prompt", "two red", "--beams", "1")
    person.types("caption")
    fresh = Person(tmp_path / "fresh", person.environment)
    fresh.folder.mkdir()
    put(fresh, *names)
    fresh.types("ingest", "raw")
    fresh.types("caption")

    def verdicts(somebody: Person) -> list[object]:
        with Workspace(somebody.folder) as workspace:
            examples = pipeline.selected(workspace).examples
        return [(example.caption_verdict, [tag.verdict for tag in example.tags]) for example in examples]

    assert verdicts(person) == verdicts(fresh)
    assert any(verdict for verdict, _ in verdicts(fresh))


def test_vectors_of_different_matchers_are_never_compared(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    person.types("caption")
    with Workspace(person.folder) as workspace:
        other = MatchText(weights="another model")
        workspace.make_current(workspace.begin(other))
        examples = pipeline.selected(workspace).examples
    assert all(example.caption_verdict is None for example in examples)
    person.types("review")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "raw"), ("caption",), ("score",), ("review",), ("status",), ("train", "--steps", "2"),
        ("models", "list"), ("models", "pull"), ("models", "verify"), ("demo", "show", "--count", "2", "--steps", "1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_with_json_the_answer_is_one_object_and_nothing_else(person: Person, arguments: tuple[str, ...]) -> None:
    put(person, "a.png")
    if arguments[0] in ("caption", "score", "review", "status", "train"):
        person.types("ingest", "raw")
    if arguments[0] == "train":
        person.types("caption")
    out = person.types(*arguments, "--json").out
    assert isinstance(json.loads(out), dict)
    assert out.count("\n") == 1


def test_our_own_folders_are_not_ingested(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    assert person.types("ingest", ".", "--json").json["pictures"] == 1
    assert "keeps its own work" in person.types("ingest", "dataset", expect=1).err


def test_labels_without_a_tagger_of_ones_own_are_refused(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    person.file("tags.csv").write_text("name,category\ncat,0\n")
    assert "--booru-model" in person.types("caption", "--booru-labels", "tags.csv", expect=2).err


def test_a_damaged_square_costs_one_caption_and_says_how_to_mend_it(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    blob = next(person.file(".capprep/blobs").glob("*/*"))
    content = blob.read_bytes()
    blob.write_bytes(content[:100] + bytes(len(content) - 100))
    done = person.types("caption", "--booru", expect=3)
    assert "square_lost" in done.out
    blob.unlink()
    person.types("ingest", "raw")
    assert len(person.types("caption", "--booru", "--json").json["left_out"]) == 0


def test_a_file_where_a_folder_should_be_is_an_error_in_words(person: Person) -> None:
    put(person, "a.png")
    person.file("dataset").write_text("I am in the way")
    done = person.types("ingest", "raw", expect=1)
    assert "dataset" in done.err
    assert person.file("dataset").read_text() == "I am in the way"


def test_status_needs_no_right_to_write(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    before = person.file(".capprep/capprep.db").read_bytes()
    person.types("status")
    assert person.file(".capprep/capprep.db").read_bytes() == before
    for beside in person.file(".capprep").glob("capprep.db-*"):
        beside.unlink()
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown", "--"]
    if os.geteuid() or shutil.which("setpriv") is None:
        unprivileged = []
    person.file(".capprep").chmod(0o555)
    done = subprocess.run(
        [*unprivileged, sys.executable, "-m", "capprep", "status"],
        cwd=person.folder, env={**os.environ, **person.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    person.file(".capprep").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "1 of 1" in done.stdout


def test_a_folder_that_cannot_be_opened_costs_only_its_own_pictures(person: Person) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root opens everything")
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    put(person, "a.png", "b.png")
    closed = person.file("raw/closed")
    closed.mkdir()
    (person.file("raw") / "b.png").rename(closed / "b.png")
    person.types("ingest", "raw")
    closed.chmod(0)
    done = subprocess.run(
        [*unprivileged, sys.executable, "-m", "capprep", "ingest", "raw", "--json"],
        cwd=person.folder, env={**os.environ, **person.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    closed.chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert "Permission denied" in done.stdout
    assert json.loads(done.stdout)["pictures"] == 1
    assert person.types("ingest", "raw", "--json").json["pictures"] == 2


def test_an_interrupted_ingest_is_said_by_what_comes_after_it(person: Person) -> None:
    put(person, "a.png", "b.png")
    person.types("ingest", "raw")
    with Workspace(person.folder) as workspace:
        ids = [subject.id for subject in workspace.sources.subjects()]
        workspace._db.execute("DELETE FROM fact WHERE id = ?", (ids[1],))
    done = person.types("caption", "--booru", expect=3)
    assert "not_read" in done.out
    assert "capprep ingest" in done.out


def test_the_report_goes_beside_the_workspace_unless_named(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    Person(person.file("raw"), person.environment).types("review")
    assert person.file("report.html").is_file()
    assert [path.name for path in person.file("raw").iterdir()] == ["a.png"]


def test_settings_come_from_the_command_line_then_the_file_then_the_profile(person: Person) -> None:
    put(person, "a.png")
    person.file("capprep.toml").write_text("[ingest]\nsize = 256\n[caption]\nmax_new_tokens = 3\nmin_new_tokens = 1\n")
    person.types("ingest", "raw")
    with Image.open(next(person.file("dataset").glob("*.png"))) as picture:
        assert picture.size == (256, 256)
    person.types("ingest", "raw", "--size", "320")
    with Image.open(next(person.file("dataset").glob("*.png"))) as picture:
        assert picture.size == (320, 320)
    person.types("caption", "--blip")
    assert len(next(iter(texts(person).values())).split()) <= 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[ingest]\nsize = 100\n", "multiple of 8"),
        ("[ingest]\nsize = 'big'\n", "ingest.size = 'big'"),
        ("[ingest]\nsiez = 512\n", "has no 'siez'"),
        ("[inject]\nsize = 512\n", "has the section 'inject'"),
        ("size = \n", "cannot be read"),
    ],
)
def test_a_mistake_in_the_settings_file_is_named(person: Person, content: str, said: str) -> None:
    put(person, "a.png")
    person.file("capprep.toml").write_text(content)
    done = person.types("ingest", "raw", expect=2)
    assert said in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("ingest", "nowhere"), 2, "does not exist"),
        (("ingest", "empty"), 1, "no picture file"),
        (("ingest",), 2, "SRC"),
        (("caption",), 1, "capprep ingest FOLDER"),
        (("review",), 1, "capprep ingest FOLDER"),
        (("train",), 1, "capprep ingest FOLDER"),
        (("status",), 1, "capprep ingest FOLDER"),
        (("train", "empty"), 1, "no picture to train on"),
        (("ingest", "empty", "--size", "9999"), 2, "size = 9999 is out of range"),
        (("status", "--profile", "huge"), 2, "choose one of: default, tiny"),
        (("caption", "--device", "tpu"), 2, "tpu"),
        (("models", "pull", "nothing"), 2, "no model 'nothing'"),
        (("moddels",), 2, "No such command"),
    ],
)
def test_a_mistake_ends_with_its_status_and_says_what_to_do(
    person: Person, arguments: tuple[str, ...], status: int, said: str
) -> None:
    person.file("empty").mkdir()
    done = person.types(*arguments, expect=status)
    assert said in done.err
    assert not done.out


def test_training_before_captioning_says_so(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    assert "no text yet" in person.types("train", expect=1).err


def test_an_explicit_cuda_that_is_not_there_is_an_error(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    for arguments in (("--blip",), ("--booru",)):
        assert "--device cuda is not possible" in person.types("caption", *arguments, "--device", "cuda", expect=1).err


def test_without_models_and_network_one_message_says_every_way_out(person: Person) -> None:
    put(person, "a.png")
    person.types("ingest", "raw")
    done = person.types("caption", "--profile", "default", expect=1)
    for part in ("pytorch_model.bin (989.8 MB)", "capprep models pull blip-base", "--caption-model", "--profile tiny"):
        assert part in done.err
    assert len(done.err.splitlines()) < 8


def test_models_are_listed_pulled_and_verified(person: Person) -> None:
    listed = person.types("models", "list").out
    assert "* tiny-caption" in listed
    assert "644 MB" in listed
    data = person.types("models", "list", "--json").json
    assert {m["name"] for m in data["models"] if m["here"]} == {"tiny-caption", "tiny-match", "tiny-booru", "tiny-base"}
    assert "tiny-base" in person.types("models", "pull").out
    assert person.types("models", "verify", "--json").json["models"]["tiny-base"] == "ok"
    assert "not on this machine" in person.types("models", "verify", "blip-base", expect=1).out


def test_models_may_be_given_by_path(person: Person) -> None:
    import capprep

    weights = Path(capprep.__file__).parent / "toybox" / "weights"
    for role in ("caption", "match", "booru", "base"):
        shutil.copytree(weights / role, person.file(role))
    put(person, "a.png")
    person.types("ingest", "raw")
    out = person.types(
        "caption",
        "--caption-model",
        "caption",
        "--match-model",
        "match",
        "--booru-model",
        "booru/model.onnx",
        "--booru-labels",
        "booru/labels.csv",
    ).out
    assert "by caption on cpu" in out
    assert "loss" in person.types("train", "--base-model", "base", "--steps", "2").out
    wrong = person.types("caption", "--caption-model", "tiny-base", expect=2)
    assert "tiny-base is a model for base, not for caption" in wrong.err


def test_any_folder_of_pictures_with_texts_can_be_trained_on(person: Person) -> None:
    put(person, "a.png", size=(128, 128))
    (person.file("raw") / "a.txt").write_text("a mandelbrot set")
    done = person.types("train", "raw", "--steps", "3", "--name", "my net!", "--json")
    assert Path(done.json["weights"]).name == "my_net.pt"
    (person.file("raw") / "a.txt").unlink()
    said = person.types("train", "raw", "--steps", "1", "-w", "new/folder").err
    assert "1 picture without words" in said
    assert "on disk in 1 checkpoint" in said
    assert done.json["steps"] == 3


def test_names_with_newlines_bad_bytes_and_control_characters_work_and_cannot_move_the_cursor(person: Person) -> None:
    put(person, "a.png")
    content = (person.file("raw") / "a.png").read_bytes()
    raw = os.fsencode(person.file("raw"))
    for n, name in enumerate((b"new\nline.png", b"bad\xff.PNG", b"esc\x1b[31m.png", b"n" * 250 + b".png", b"a.jpg")):
        with open(raw + b"/" + name, "wb") as file:  # noqa: PTH123  # a name of bytes
            file.write(content + bytes(n + 1))
    with open(raw + b"/broken\x1b[2J.png", "wb") as file:  # noqa: PTH123
        file.write(b"nothing")
    done = person.types("ingest", "raw", "--duplicates", "none", expect=3)
    assert "\x1b" not in done.out
    assert "\\x1b[2J" in done.out
    assert len(list(person.file("dataset").glob("*.png"))) == 6
    person.types("caption", "--booru")
    person.types("review")
    assert person.types("status", "--json").json["pictures"] == 7


def test_two_commands_do_not_write_at_the_same_time(person: Person) -> None:
    from capprep.workspace import Workspace

    put(person, "a.png")
    person.types("ingest", "raw")
    with Workspace(person.folder) as workspace:
        workspace.lock()
        assert "another capprep command is working" in person.types("ingest", "raw", expect=1).err
        assert "1 picture" in person.types("status").out  # reading is always possible


def test_a_workspace_of_a_newer_version_is_not_touched(person: Person) -> None:
    import sqlite3

    put(person, "a.png")
    person.types("ingest", "raw")
    with sqlite3.connect(person.file(".capprep/capprep.db")) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    assert "made by a newer capprep" in person.types("status", expect=1).err


def test_a_file_that_is_no_database_is_an_error_with_a_way_out(person: Person) -> None:
    person.file(".capprep").mkdir()
    person.file(".capprep/capprep.db").write_bytes(b"not a database" * 100)
    assert "cannot be opened" in person.types("status", expect=1).err


def test_killed_in_the_middle_the_next_run_completes(person: Person) -> None:
    put(person, *(f"{n:02}.png" for n in range(40)), size=(1200, 1100))
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "capprep", "ingest", "raw", "--jobs", "0"],
            cwd=person.folder,
            env={**os.environ, **person.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        blobs = person.file(".capprep/blobs")
        before = len(list(blobs.glob("*/*"))) if blobs.exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if blobs.exists() and len(list(blobs.glob("*/*"))) > before + 10:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = person.types("ingest", "raw", "--duplicates", "none", "--json").json
    assert done["pictures"] == 40
    assert len(list(person.file("dataset").glob("*.png"))) == 40
    assert not list(person.file("dataset").glob(".tmp*"))


def test_the_demo_goes_the_whole_way_and_the_second_time_computes_nothing(person: Person) -> None:
    out = person.without("CAPPREP_PROFILE").types("demo", "show", "--count", "6", "--steps", "4").out
    shown = [line.split()[2] for line in out.splitlines() if line.startswith("$ capprep ")]
    assert shown == ["ingest", "caption", "score", "review", "train"]
    for made in ("show/dataset", "show/report.html", ".pt"):
        assert made in out[out.index("made:") :]
    assert out.count("drawn world") == 1  # each command would say it; in one call once is enough
    assert "truncated" in out
    assert "flagged: " in out[out.index("planted: ") :]
    again = person.types("demo", "show", "--count", "6", "--steps", "4").out
    assert "0 read now, 7 known before" in again
    assert again.count("nothing to compute") == 6
    assert "finished before" in again
    assert again[again.index("planted: ") :] == out[out.index("planted: ") :]


def test_help_answers_fast_and_imports_neither_torch_nor_numpy(person: Person) -> None:
    code = """
import sys
from capprep.cli import main
try:
    main(["--help"])
except SystemExit:
    heavy = {"torch", "transformers", "diffusers", "onnxruntime", "cv2", "numpy", "PIL", "ray", "rich"}
    print("HEAVY", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **person.environment},
        check=True,
    )
    assert "HEAVY []" in done.stderr
    assert "capprep caption --blip --booru" in done.stdout
    best = min(_seconds(person, "--help") for _ in range(5))
    # compared with starting Python at all, since machines differ
    assert best < 0.3 or best < 4 * min(_bare_python(person) for _ in range(5))


def _seconds(person: Person, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "capprep", *arguments],
        env={**os.environ, **person.environment},
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - started


def _bare_python(person: Person) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "pass"], env={**os.environ, **person.environment}, capture_output=True, check=True
    )
    return time.perf_counter() - started
