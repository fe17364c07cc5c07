"""The folder dataset/: rendered from the selection, around a person's edits, whatever happens in between."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from capprep import dataset, files
from capprep.candidates import PIXELS, TEXT
from capprep.errors import DatasetError
from capprep.facts import PictureFact
from capprep.select import Example, Selection, painted
from capprep.sources import Source
from capprep.workspace import Workspace

FACT = PictureFact(8, 8, "PNG", "RGB", 1, 1, (0.0, 0.0, 8.0, 8.0), 1.0, 8)


def png(shade: int, size: tuple[int, int] = (8, 8)) -> bytes:
    """A small picture file."""
    buffer = io.BytesIO()
    Image.new("L", size, shade).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path):
    with Workspace(tmp_path, create=True) as opened:
        yield opened


def selection(workspace: Workspace, *texts: str | None) -> Selection:
    """Pictures with these texts, as decided by whatever the workspace's decisions say."""
    decisions = workspace.decisions()
    examples = []
    for n, text in enumerate(texts):
        crop = workspace.blobs.add(png(n))
        edited = decisions.get((f"id{n}", TEXT))
        own = painted(decisions.get((f"id{n}", PIXELS)), 8)
        examples.append(
            Example(
                f"id{n}",
                f"{n:05d}-p",
                ("p",),
                FACT,
                own[0] if own else crop,
                None,
                None,
                (),
                text if edited is None else edited,
                edited is not None,
            )
        )
    return Selection(tuple(examples))


def adopt(workspace: Workspace, selection: Selection) -> dataset.Adopted:
    return dataset.adopt(workspace, {example.name: example.id for example in selection.examples}.get)


def refresh(workspace: Workspace, *texts: str | None) -> tuple[dataset.Adopted, dataset.Rendered]:
    adopted = adopt(workspace, selection(workspace, *texts))
    return adopted, dataset.render(workspace, selection(workspace, *texts).examples)


def contents(workspace: Workspace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(workspace.dataset.iterdir())}


def test_every_picture_gets_a_png_and_its_exact_text_without_a_line_end(workspace: Workspace) -> None:
    refresh(workspace, "ein Märchen", "b")
    assert contents(workspace) == {
        "00000-p.png": png(0),
        "00000-p.txt": "ein Märchen".encode(),
        "00001-p.png": png(1),
        "00001-p.txt": b"b",
    }


def test_rendering_again_writes_nothing(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    stamps = {path: path.stat().st_mtime_ns for path in workspace.dataset.iterdir()}
    assert refresh(workspace, "a", "b") == (dataset.Adopted(), dataset.Rendered(0, 4, 0))
    assert {path: path.stat().st_mtime_ns for path in workspace.dataset.iterdir()} == stamps


def test_what_is_no_longer_in_the_set_is_taken_away(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    assert refresh(workspace, "a", None)[1] == dataset.Rendered(0, 3, 1)
    assert refresh(workspace, "a")[1].removed == 1
    assert set(contents(workspace)) == {"00000-p.png", "00000-p.txt"}


def test_what_is_taken_away_is_not_called_somebody_elses(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    (workspace.dataset / "mine.PNG").write_bytes(png(7))
    assert refresh(workspace, "a")[1].foreign == ("mine.PNG",)


def test_a_file_somebody_took_away_comes_back(workspace: Workspace) -> None:
    refresh(workspace, "a")
    (workspace.dataset / "00000-p.png").unlink()
    refresh(workspace, "a")
    assert (workspace.dataset / "00000-p.png").read_bytes() == png(0)


@pytest.mark.parametrize("written", [b"my own words", b"my own words\n", b"\xef\xbb\xbfmy own words\r\n"])
def test_a_text_edited_by_hand_becomes_a_decision_and_survives_every_rerun(
    workspace: Workspace, written: bytes
) -> None:
    refresh(workspace, "a", "b")
    path = workspace.dataset / "00000-p.txt"
    path.write_bytes(written)
    assert refresh(workspace, "new text", "b")[0].edited == ("00000-p.txt",)
    assert path.read_bytes() == written
    assert workspace.decisions()[("id0", TEXT)] == "my own words"
    for text in ("newer", "newest"):
        assert refresh(workspace, text, "b")[0] == dataset.Adopted()
        assert path.read_bytes() == written
    path.write_bytes(b"second thoughts")
    refresh(workspace, "x", "b")
    assert workspace.decisions()[("id0", TEXT)] == "second thoughts"


def test_deleting_an_edited_file_takes_the_edit_back(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    path, picture = workspace.dataset / "00000-p.txt", workspace.dataset / "00000-p.png"
    path.write_bytes(b"")  # an accident
    picture.write_bytes(png(99))
    refresh(workspace, "a", "b")
    assert path.read_bytes() == b""
    path.unlink()
    picture.unlink()
    assert set(refresh(workspace, "a", "b")[0].withdrawn) == {path.name, picture.name}
    assert (path.read_bytes(), picture.read_bytes()) == (b"a", png(0))
    assert refresh(workspace, "a", "b")[0] == dataset.Adopted()


def test_edits_survive_when_dataset_is_taken_away_as_a_whole(workspace: Workspace) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.txt"
    path.write_bytes(b"mine")
    refresh(workspace, "a")
    shutil.rmtree(workspace.dataset)
    refresh(workspace, "a")
    assert path.read_bytes() == b"mine"


def test_pictures_that_are_not_ours_are_named(workspace: Workspace) -> None:
    refresh(workspace, "a")
    (workspace.dataset / "old.JPG").write_bytes(b"")
    assert refresh(workspace, "a")[1].foreign == ("old.JPG",)


def test_a_text_too_long_for_a_caption_is_named(workspace: Workspace) -> None:
    refresh(workspace, "a")
    (workspace.dataset / "00000-p.txt").write_text("word " * 10_000)
    with pytest.raises(DatasetError, match="has 50000 characters"):
        refresh(workspace, "a")


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="no regular file"):
        files.write_atomically(tmp_path / "pipe", b"data")
    assert (tmp_path / "pipe").is_fifo()


def test_going_back_by_hand_to_the_text_before_is_an_edit_too(workspace: Workspace) -> None:
    refresh(workspace, "first")
    refresh(workspace, "second")
    path = workspace.dataset / "00000-p.txt"
    path.write_bytes(b"first")
    refresh(workspace, "third")
    assert path.read_bytes() == b"first"


def test_a_text_that_was_there_before_the_first_rendering_is_kept(workspace: Workspace) -> None:
    workspace.dataset.mkdir()
    (workspace.dataset / "00000-p.txt").write_text("mine")
    refresh(workspace, "theirs")
    assert contents(workspace)["00000-p.txt"] == b"mine"


def test_a_picture_painted_over_by_hand_is_kept_and_comes_back(workspace: Workspace) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.png"
    path.write_bytes(png(200))
    refresh(workspace, "a")
    assert path.read_bytes() == png(200)
    refresh(workspace)  # the picture leaves the set, and returns
    assert not path.exists()
    refresh(workspace, "a")
    assert path.read_bytes() == png(200)


@pytest.mark.parametrize(
    ("content", "said"), [(b"no picture", "is no whole PNG"), (png(1, (8, 9)), "is 8x9, no square")]
)
def test_a_picture_that_a_person_broke_is_named_and_not_touched(
    workspace: Workspace, content: bytes, said: str
) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        refresh(workspace, "a")
    assert path.read_bytes() == content


def test_saving_the_same_text_with_a_line_end_is_no_decision(workspace: Workspace) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.txt"
    path.write_bytes(b"a\n")
    assert refresh(workspace, "b")[0] == dataset.Adopted()
    assert workspace.decisions() == {}
    assert path.read_bytes() == b"b"


def test_what_a_person_saves_while_we_write_is_neither_overwritten_nor_taken_for_ours(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    path = workspace.dataset / "00000-p.txt"
    real = files.write_atomically

    def save_first(target: Path, data: bytes, ready: Callable[[], bool], **options: bool) -> os.stat_result | None:
        if target == path:
            path.write_bytes(b"saved in between")
        return real(target, data, ready, **options)

    def save_after(target: Path, data: bytes, ready: Callable[[], bool], **options: bool) -> os.stat_result | None:
        status = real(target, data, ready, **options)
        if target == path:
            path.write_bytes(b"saved right after")
        return status

    for moment, saved in ((save_first, b"saved in between"), (save_after, b"saved right after")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dataset, "write_atomically", moment)
            dataset.look(workspace)
            dataset.render(workspace, selection(workspace, f"new for {saved!r}", "b").examples)
        assert path.read_bytes() == saved
        refresh(workspace, "newer", "b")
        assert path.read_bytes() == saved
        assert workspace.decisions()[("id0", TEXT)] == saved.decode()
        workspace._db.execute("DELETE FROM decision")
        refresh(workspace, "a", "b")


def test_what_a_person_saves_just_before_it_is_taken_away_stays(workspace: Workspace) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.txt"
    now = selection(workspace)
    adopt(workspace, now)
    path.write_bytes(b"saved in between")
    dataset.render(workspace, now.examples)
    assert path.read_bytes() == b"saved in between"
    refresh(workspace)
    assert workspace.decisions()[("id0", TEXT)] == "saved in between"


def test_files_that_are_none_of_ours_are_left_alone(workspace: Workspace) -> None:
    refresh(workspace, "a")
    (workspace.dataset / "notes.md").write_text("keep me")
    refresh(workspace)
    assert contents(workspace) == {"notes.md": b"keep me"}


def test_a_text_that_is_not_utf8_is_named_and_not_touched(workspace: Workspace) -> None:
    refresh(workspace, "a")
    path = workspace.dataset / "00000-p.txt"
    path.write_bytes(b"\xff\xfe\x00caf\xe9")
    with pytest.raises(DatasetError, match=r"00000-p\.txt was edited and is not UTF-8"):
        refresh(workspace, "b")
    assert path.read_bytes() == b"\xff\xfe\x00caf\xe9"


class Killed(Exception):
    pass


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from("ab"), min_size=1, max_size=3),
    after=st.lists(st.sampled_from("abc"), max_size=3),
    writes=st.integers(0, 6),
)
def test_killed_during_any_write_the_next_run_completes_and_takes_nothing_for_an_edit(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str], writes: int
) -> None:
    with Workspace(tmp_path_factory.mktemp("w"), create=True) as workspace, pytest.MonkeyPatch.context() as patch:
        refresh(workspace, *before)
        left = [writes]

        def write(path: Path, data: bytes, ready: Callable[[], bool], **options: bool) -> os.stat_result | None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return files.write_atomically(path, data, ready, **options)

        now = selection(workspace, *after)  # its blobs are written before the kill
        patch.setattr(dataset, "write_atomically", write)
        dataset.look(workspace)
        with contextlib.suppress(Killed):
            dataset.render(workspace, now.examples)
        patch.undo()
        assert refresh(workspace, *after)[0] == dataset.Adopted()
        assert workspace.decisions() == {}
        expected = {f"{n:05d}-p.txt": text.encode() for n, text in enumerate(after)}
        assert {name: data for name, data in contents(workspace).items() if name.endswith(".txt")} == expected


def test_left_over_temporary_files_are_taken_away(workspace: Workspace) -> None:
    workspace.dataset.mkdir()
    (workspace.dataset / ".tmp-1234").write_bytes(b"half")
    refresh(workspace, "a")
    assert ".tmp-1234" not in contents(workspace)


def test_the_manifest_holds_the_rendered_pictures_and_texts(workspace: Workspace) -> None:
    refresh(workspace, "a", "b")
    manifest = dataset.manifest(workspace, selection(workspace, "a", "b"))
    assert [(entry.image.name, entry.text) for entry in manifest.entries] == [
        ("00000-p.png", "a"),
        ("00001-p.png", "b"),
    ]
    other = dataset.manifest(workspace, selection(workspace, "a", "c"))
    assert manifest.digest != other.digest


def test_training_without_texts_or_pictures_says_what_to_run(workspace: Workspace) -> None:
    with pytest.raises(DatasetError, match="1 of 2 pictures have no text") as caught:
        dataset.manifest(workspace, selection(workspace, "a", None))
    assert "capprep caption" in caught.value.hint
    with pytest.raises(DatasetError, match="no picture to train on"):
        dataset.manifest(workspace, selection(workspace))


def test_written_atomically_means_the_old_file_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / ("n" * 250)
    files.write_atomically(path, b"old")

    def broken(*_: object) -> None:
        raise OSError(28, "disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_an_example_is_a_value(workspace: Workspace) -> None:
    (example,) = selection(workspace, "a").examples
    with pytest.raises(dataclasses.FrozenInstanceError):
        example.text = "b"  # type: ignore[misc]


def test_sources_elsewhere_keep_their_full_path(workspace: Workspace) -> None:
    inside, outside = workspace.root / "raw" / "a.png", Path("/elsewhere/b\udcff\n.png")
    for path in (inside, outside):
        workspace.sources.add([Source(os.fsencode(path), None, 0, 0, "unreadable", "gone")])
    assert {source.key for source in workspace.sources} == {os.fsencode(inside), os.fsencode(outside)}
    workspace.sources.forget([os.fsencode(outside)])
    assert [source.key for source in workspace.sources] == [os.fsencode(inside)]
