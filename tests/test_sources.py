"""The tables of files, pictures and cuts: numbers that never change, files that move with their folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from capprep.sources import Source, Subject, cut_id
from capprep.stage import Cut
from capprep.workspace import Workspace


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def source(root: Path, name: bytes, content: str | None = None, **more: str) -> Source:
    key = bytes(root.resolve()) + b"/raw/" + name
    return Source(key, None if content is None else digest(content), 10, 20, **more)


def numbers(workspace: Workspace) -> dict[str, int]:
    return {subject.picture: subject.number for subject in workspace.sources.subjects()}


def test_a_picture_keeps_its_number_whatever_comes_and_goes(tmp_path: Path) -> None:
    with Workspace(tmp_path, create=True) as workspace:
        sources = workspace.sources
        sources.add([source(tmp_path, b"a.png", "a"), source(tmp_path, b"b.png", "b")])
        sources.add([source(tmp_path, b"bad.png", None, reason="corrupt", message="it is")])
        sources.add(
            [source(tmp_path, b"a.png", "a"), source(tmp_path, b"a2.png", "a"), source(tmp_path, b"c.png", "c")]
        )
        assert numbers(workspace) == {digest("a"): 1, digest("b"): 2, digest("c"): 3}
        assert len(sources) == 5
        sources.forget([source(tmp_path, b"b.png").key])
        assert numbers(workspace) == {digest("a"): 1, digest("c"): 3}
        assert sources.pictures() == {digest("a"), digest("c")}
        sources.add([source(tmp_path, b"d.png", "d"), source(tmp_path, b"back.png", "b")])
        assert numbers(workspace) == {digest("a"): 1, digest("b"): 2, digest("c"): 3, digest("d"): 4}


def test_a_picture_is_there_as_long_as_one_of_its_files_is(tmp_path: Path) -> None:
    with Workspace(tmp_path, create=True) as workspace:
        two = [source(tmp_path, b"one.png", "same"), source(tmp_path, b"two.png", "same")]
        workspace.sources.add(two)
        assert sorted(each.key for each in workspace.sources.of(digest("same"))) == [each.key for each in two]
        workspace.sources.forget([two[0].key])
        assert list(workspace.sources.of(digest("same"))) == [two[1]]
        assert len(numbers(workspace)) == 1
        workspace.sources.forget([two[1].key])
        assert numbers(workspace) == {}


def test_files_move_with_their_folder_and_others_stay_where_they_are(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    elsewhere = Source(b"/somewhere/else.png", digest("else"), 1, 2)
    beside = Source(bytes(tmp_path.resolve()) + b"/before2/x.png", digest("x"), 1, 2)
    with Workspace(before, create=True) as workspace:
        workspace.sources.add([source(before, b"a.zip\0in/b.png", "b"), elsewhere, beside])
    before.rename(after)
    with Workspace(after) as workspace:
        assert set(workspace.sources) == {source(after, b"a.zip\0in/b.png", "b"), elsewhere, beside}
        workspace.sources.forget([source(after, b"a.zip\0in/b.png").key])
        assert set(workspace.sources) == {elsewhere, beside}


NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name)


@given(st.lists(NAMES, unique=True, max_size=8))
def test_any_bytes_are_a_name(names: list[bytes]) -> None:
    with Workspace(Path("/nowhere/at all"), create=True, rehearse=True) as workspace:
        given_ = [source(workspace.root, name, str(n)) for n, name in enumerate(names)]
        workspace.sources.add(given_)
        assert list(workspace.sources) == sorted(given_, key=lambda each: each.key)


def test_what_a_file_was_read_as_last_counts(tmp_path: Path) -> None:
    with Workspace(tmp_path, create=True) as workspace:
        workspace.sources.add([source(tmp_path, b"a.png", "old")])
        workspace.sources.add([source(tmp_path, b"a.png", None, reason="truncated", message="it ends early")])
        (found,) = workspace.sources
        assert (found.id, found.reason, found.message) == (None, "truncated", "it ends early")
        assert numbers(workspace) == {}
        workspace.sources.add([source(tmp_path, b"a.png", "new")])
        assert numbers(workspace) == {digest("new"): 2}


def test_what_is_cut_stands_for_its_picture_in_order_and_goes_again(tmp_path: Path) -> None:
    with Workspace(tmp_path, create=True) as workspace:
        sources = workspace.sources
        sources.add([source(tmp_path, name.encode(), name) for name in "abc"])
        parts = [Cut((0, 0, 5, 5), 1), Cut((2.5, 0, 7.5, 5), 2)]
        own = Cut((1, 1, 3, 3))
        sources.set_cuts({digest("b"): parts, digest("c"): [own], digest("unknown"): []})
        assert list(sources.subjects()) == [
            Subject(digest("a"), digest("a"), 1, 0),
            Subject(cut_id(digest("b"), parts[0]), digest("b"), 2, 1),
            Subject(cut_id(digest("b"), parts[1]), digest("b"), 2, 2),
            Subject(cut_id(digest("c"), own), digest("c"), 3, 0),
        ]
        assert [(picture, cut) for _, picture, cut in sources.cuts()] == [
            (digest("b"), parts[0]),
            (digest("b"), parts[1]),
            (digest("c"), own),
        ]
        sources.forget([source(tmp_path, b"b").key])
        assert [subject.picture for subject in sources.subjects()] == [digest("a"), digest("c")]
        assert [picture for _, picture, _ in sources.cuts()] == [digest("c")]
        sources.set_cuts({})
        assert list(numbers(workspace)) == [digest("a"), digest("c")]
        assert all(subject.id == subject.picture for subject in sources.subjects())


@given(st.floats(0, 1e6), st.integers(0, 20))
def test_a_cuts_id_is_its_own_and_whole_numbers_are_those_numbers(edge: float, part: int) -> None:
    cut = Cut((0.0, 1.0, edge + 1, 5.0), part)
    assert cut_id("p", cut) == cut_id("p", Cut((0, 1, edge + 1, 5), part))
    others = [Cut((0.5, 1.0, edge + 1, 5.0), part), Cut(cut.box, part + 1), Cut((1.0, 0.0, edge + 1, 5.0), part)]
    assert len({cut_id("p", cut), cut_id("q", cut), *(cut_id("p", other) for other in others)}) == 5
