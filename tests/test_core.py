"""The core's promises as properties: nothing twice, grown equals whole, killed equals uninterrupted, keys nest."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capprep.engines.local import LocalEngine
from capprep.errors import WorkspaceError
from capprep.images.entries import Entry
from capprep.images.files import revisit
from capprep.run import Tally, run
from capprep.run import run_sources as run_found
from capprep.stage import Fact, Failure, Outcome, Reader, Row, Runtime, Stage, Value, key
from capprep.workspace import Workspace

COMPUTED: list[tuple[str, str]] = []
"""(stage, id) of every fact computed, in order; each test starts with an empty one."""


@dataclass(frozen=True)
class Letters(Stage):
    """Reads the content: its letters, and the whole of it as a blob; content with an X fails."""

    name: ClassVar[str] = "letters"
    version: ClassVar[int] = 1
    upper: bool = False

    def load(self, runtime: Runtime) -> Reader:
        def read(rows: Sequence[Row]) -> list[Outcome]:
            COMPUTED.extend((self.name, row.id) for row in rows)
            return [self._one(row.content or b"") for row in rows]

        return read

    def _one(self, content: bytes) -> Outcome:
        text = content.decode()
        if "X" in text:
            return Failure("has_x", f"{text} has an X")
        return Value({"text": text.upper() if self.upper else text}, {"whole": content})


@dataclass(frozen=True)
class Length(Stage):
    """Reads the letters."""

    name: ClassVar[str] = "length"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("letters",)
    unit: str = "letters"

    def load(self, runtime: Runtime) -> Reader:
        def read(rows: Sequence[Row]) -> list[Outcome]:
            COMPUTED.extend((self.name, row.id) for row in rows)
            return [Value({"length": len(row.facts["letters"].data["text"]), "unit": self.unit}) for row in rows]

        return read


@dataclass(frozen=True)
class Sound(Stage):
    """Reads the content too, and nothing of the letters."""

    name: ClassVar[str] = "sound"
    version: ClassVar[int] = 1

    def load(self, runtime: Runtime) -> Reader:
        def read(rows: Sequence[Row]) -> list[Outcome]:
            COMPUTED.extend((self.name, row.id) for row in rows)
            return [Value({"sound": (row.content or b"").decode()[::-1]}) for row in rows]

        return read


@dataclass
class Killed(Exception):
    """Stands for a kill: raised by an engine after some batches."""


@dataclass
class StoppingEngine:
    """The local engine, killed after a number of batches."""

    batches: int
    inner: LocalEngine = field(default_factory=LocalEngine)

    def __call__(
        self, stage: Stage, batches: Iterator[Sequence[Row]]
    ) -> Iterator[tuple[Sequence[Row], Sequence[Outcome]]]:
        for number, done in enumerate(self.inner(stage, batches)):
            if number == self.batches:
                raise Killed
            yield done


def put(folder: Path, contents: Sequence[str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for content in contents:
        path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:12]}.txt"
        if not path.exists():
            path.write_text(content)
        paths.append(path)
    return sorted(folder.iterdir())


def run_sources(workspace: Workspace, stage: Stage, engine: object, paths: Sequence[Path], **options: int) -> Tally:
    """Over files as they now are."""
    workspace.sources.begin_search()
    workspace.sources.find(entry for path in paths for entry in revisit(str(path)) or [Entry(str(path))])
    return run_found(workspace, stage, engine, **options)  # type: ignore[arg-type]


def compute(
    workspace: Workspace, paths: Sequence[Path], *, upper: bool = False, unit: str = "letters", engine: object = None
) -> None:
    chosen = engine or LocalEngine()
    run_sources(workspace, Letters(upper), chosen, paths, batch=2)  # type: ignore[arg-type]
    run_sources(workspace, Sound(), chosen, paths, batch=2)  # type: ignore[arg-type]
    run(workspace, Length(unit), chosen, batch=2)  # type: ignore[arg-type]


def everything(workspace: Workspace) -> dict[str, dict[str, object]]:
    """All current facts by stage and id, blobs as their bytes."""

    def plain(fact: Fact | Failure) -> object:
        if isinstance(fact, Failure):
            return fact
        return dict(fact.data), {name: path.read_bytes() for name, path in fact.blobs.items()}

    return {
        name: {subject: plain(fact) for subject, fact in workspace.facts(name).items()}
        for name in ("letters", "sound", "length")
    }


words = st.lists(st.text("abX", min_size=1, max_size=5), min_size=1, max_size=9)
slow_disk = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory):
    def make() -> Workspace:
        COMPUTED.clear()
        return Workspace(tmp_path_factory.mktemp("w"), create=True)

    return make


@slow_disk
@given(words)
def test_running_again_computes_nothing(fresh, contents: list[str]) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", contents)
        compute(workspace, paths)
        before = everything(workspace)
        COMPUTED.clear()
        compute(workspace, paths)
        assert COMPUTED == []
        assert everything(workspace) == before


@slow_disk
@given(words, words)
def test_adding_pictures_equals_starting_with_all_of_them(fresh, first: list[str], more: list[str]) -> None:
    with fresh() as grown, fresh() as whole:
        compute(grown, put(grown.root / "raw", first))
        compute(grown, put(grown.root / "raw", more))
        compute(whole, put(whole.root / "raw", [*first, *more]))
        assert everything(grown) == everything(whole)
        assert grown.sources.pictures() == whole.sources.pictures()


@slow_disk
@given(words, st.integers(0, 8))
def test_killed_after_any_batch_and_run_again_equals_uninterrupted(fresh, contents: list[str], batches: int) -> None:
    with fresh() as killed:
        paths = put(killed.root / "raw", contents)
        with contextlib.suppress(Killed):
            compute(killed, paths, engine=StoppingEngine(batches))
    with Workspace(killed.root) as resumed, fresh() as whole:
        compute(resumed, paths)
        compute(whole, put(whole.root / "raw", contents))
        assert everything(resumed) == everything(whole)
        assert list(resumed.sources.subjects()) == list(whole.sources.subjects())  # the numbers too


@slow_disk
@given(words)
def test_a_changed_parameter_recomputes_its_fact_and_what_reads_it_and_nothing_else(fresh, contents: list[str]) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", contents)
        compute(workspace, paths)
        before = everything(workspace)
        usable = [subject for subject, fact in before["letters"].items() if not isinstance(fact, Failure)]
        COMPUTED.clear()
        compute(workspace, paths, unit="characters")
        assert sorted(COMPUTED) == sorted(("length", subject) for subject in usable)
        COMPUTED.clear()
        compute(workspace, paths, upper=True, unit="characters")
        assert {stage for stage, _ in COMPUTED} <= {"letters", "length"}
        assert sorted(subject for stage, subject in COMPUTED if stage == "letters") == sorted(before["letters"])
        assert sorted(subject for stage, subject in COMPUTED if stage == "length") == sorted(usable)
        assert everything(workspace)["sound"] == before["sound"]


@slow_disk
@given(words)
def test_going_back_to_the_old_parameter_computes_nothing(fresh, contents: list[str]) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", contents)
        compute(workspace, paths)
        before = everything(workspace)
        compute(workspace, paths, upper=True, unit="characters")
        COMPUTED.clear()
        compute(workspace, paths)
        assert COMPUTED == []
        assert everything(workspace) == before


def test_a_reader_is_out_of_date_until_it_is_run_on_the_new_fact(fresh) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", ["ab"])
        compute(workspace, paths)
        run_sources(workspace, Letters(upper=True), LocalEngine(), paths)
        assert workspace.current("length") is None
        assert workspace.facts("length") == {}
        run(workspace, Length(), LocalEngine())
        assert workspace.current("length") is not None


def test_a_failure_is_stored_with_its_reason_and_what_reads_it_is_not_tried(fresh) -> None:
    with fresh() as workspace:
        compute(workspace, put(workspace.root / "raw", ["aX", "b"]))
        letters = workspace.facts("letters")
        assert sorted(type(fact).__name__ for fact in letters.values()) == ["Fact", "Failure"]
        assert [stage for stage, _ in COMPUTED].count("length") == 1


def test_a_failure_that_may_pass_is_tried_again_by_the_next_run(fresh) -> None:
    @dataclass(frozen=True)
    class Flaky(Stage):
        name: ClassVar[str] = "flaky"
        version: ClassVar[int] = 1

        def load(self, runtime: Runtime) -> Reader:
            def read(rows: Sequence[Row]) -> list[Outcome]:
                COMPUTED.extend((self.name, row.id) for row in rows)
                return [Failure("busy", "try later", retry=True) if len(COMPUTED) < 2 else Value({}) for _ in rows]

            return read

    with fresh() as workspace:
        paths = put(workspace.root / "raw", ["a"])
        run_sources(workspace, Flaky(), LocalEngine(), paths)
        run_sources(workspace, Flaky(), LocalEngine(), paths)
        assert len(COMPUTED) == 2
        run_sources(workspace, Flaky(), LocalEngine(), paths)
        assert len(COMPUTED) == 2


def test_the_same_bytes_under_two_names_are_one_picture(fresh) -> None:
    with fresh() as workspace:
        folder = workspace.root / "raw"
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).write_text("same")
        compute(workspace, sorted(folder.iterdir()))
        assert len(workspace.sources.pictures()) == 1
        assert len(workspace.sources) == 2


def test_a_file_whose_size_and_time_are_known_is_not_opened_again(fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", ["ab", "b"])
        compute(workspace, paths)

        def opened(path: Path) -> bytes:
            raise AssertionError(f"{path} was opened")

        monkeypatch.setattr("capprep.images.files.read", opened)
        compute(workspace, paths)


def test_a_changed_file_is_another_picture(fresh) -> None:
    with fresh() as workspace:
        (path,) = put(workspace.root / "raw", ["ab"])
        compute(workspace, [path])
        path.write_text("something else")
        compute(workspace, [path])
        assert {fact.data["text"] for fact in workspace.facts("letters").values()} == {"ab", "something else"}
        assert len(workspace.sources.pictures()) == 1


def test_thousands_of_texts_are_subjects_like_pictures(fresh) -> None:
    @dataclass(frozen=True)
    class Words(Stage):
        name: ClassVar[str] = "words"
        version: ClassVar[int] = 1
        subject: ClassVar[str] = "text"  # type: ignore[assignment]

        def load(self, runtime: Runtime) -> Reader:
            return lambda rows: [Value({"words": len((row.content or b"").split())}) for row in rows]

    with fresh() as workspace:
        workspace.set_texts("word " * n for n in range(1200))
        assert run(workspace, Words(), LocalEngine()).computed == 1200
        workspace.set_texts(["word ", "ein Wort mehr"])
        assert run(workspace, Words(), LocalEngine()).computed == 1
        workspace.set_texts("word " * n for n in range(1200))
        assert run(workspace, Words(), LocalEngine()).computed == 0


def test_a_stage_that_cannot_be_loaded_leaves_what_was_known_in_force(fresh) -> None:
    @dataclass(frozen=True)
    class Broken(Length):
        def load(self, runtime: Runtime) -> Reader:
            raise WorkspaceError("no model")

    with fresh() as workspace:
        compute(workspace, put(workspace.root / "raw", ["ab"]))
        before = everything(workspace)
        with pytest.raises(WorkspaceError, match="no model"):
            run(workspace, Broken("words"), LocalEngine())
        assert everything(workspace) == before


def test_a_fact_whose_blob_is_gone_is_computed_again(fresh) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", ["ab"])
        compute(workspace, paths)
        before = everything(workspace)
        for fact in workspace.facts("letters").values():
            assert isinstance(fact, Fact)
            fact.blobs["whole"].unlink()
        compute(workspace, paths)
        assert everything(workspace) == before


def test_a_file_that_vanishes_or_cannot_be_opened_is_a_source_with_a_reason(fresh) -> None:
    with fresh() as workspace:
        paths = put(workspace.root / "raw", ["a", "b"])
        (workspace.root / "raw" / "folder").mkdir()
        paths[0].unlink()
        tally = run_sources(workspace, Letters(), LocalEngine(), [*paths, workspace.root / "raw" / "folder"])
        assert (tally.computed, dict(tally.failed)) == (1, {"unreadable": 2})
        assert [source.reason for source in workspace.sources if source.id is None] == ["unreadable"] * 2


def test_a_key_does_not_depend_on_the_order_or_place_of_anything_but_the_recipe() -> None:
    assert key(Letters(), {}) == key(Letters(), {})
    assert key(Letters(), {}) != key(Letters(upper=True), {})
    assert key(Length(), {"letters": "1"}) != key(Length(), {"letters": "2"})
    with pytest.raises(ValueError, match="reads"):
        key(Length(), {})


def test_a_stage_that_reads_what_was_never_computed_says_what_to_run(fresh) -> None:
    with fresh() as workspace, pytest.raises(WorkspaceError, match="letters") as caught:
        run(workspace, Length(), LocalEngine())
    assert "capprep ingest" in caught.value.hint
