"""Squares opened ahead of the network: the same outcomes whatever the batches, and a kill costs one batch."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import capprep.toybox
from capprep.engines.local import LocalEngine
from capprep.facts import CROP, PICTURE, embedding_from_json
from capprep.images.encode import ENCODERS, encode
from capprep.images.files import open_square, scan
from capprep.run import run, run_sources
from capprep.stage import Fact, Failure, Outcome, Reader, Row, Runtime, Stage, Value
from capprep.stages import squares
from capprep.stages.blip import Blip
from capprep.stages.booru import Booru
from capprep.stages.match import MatchImage
from capprep.stages.picture import Picture
from capprep.stages.squares import SquareReader
from capprep.toybox.world import draw, scene
from capprep.workspace import Workspace

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
TAGGER = Runtime("cpu", WEIGHTS / "booru" / "model.onnx", WEIGHTS / "booru" / "labels.csv")
READERS: dict[str, tuple[Stage, Runtime]] = {
    "caption": (Blip(num_beams=2, max_new_tokens=10), Runtime("cpu", WEIGHTS / "caption")),
    "tags": (Booru(), TAGGER),
    "match": (MatchImage(), Runtime("cpu", WEIGHTS / "match")),
}
COUNT = 9


def rows(folder: Path, pictures: Sequence[NDArray[np.uint8]], way: str = "png") -> list[Row]:
    made = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number}.{way}"
        path.write_bytes(encode(picture, way))
        made.append(Row(path.name, facts={PICTURE: Fact({"size": len(picture)}, {CROP: path})}))
    return made


def noise(count: int, side: int = 64) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Pictures of the drawn world, and in the middle one whose square is lost."""
    made = rows(
        tmp_path_factory.mktemp("drawn"), [np.asarray(draw(scene(number), (192, 192))) for number in range(COUNT)]
    )
    made[COUNT // 2].facts[PICTURE].blobs[CROP].write_bytes(b"gone")
    return made


@pytest.fixture(scope="module")
def readers() -> dict[str, Reader]:
    return {name: stage.load(runtime) for name, (stage, runtime) in READERS.items()}


@pytest.fixture(scope="module")
def alone(drawn: list[Row], readers: dict[str, Reader]) -> dict[str, list[Outcome]]:
    return {name: [reader([row])[0] for row in drawn] for name, reader in readers.items()}


def check_same(name: str, ours: Outcome, other: Outcome) -> None:
    """Words are the same; numbers differ by no more than the order in which a batch is summed up."""
    if isinstance(other, Failure) or name == "caption":
        assert ours == other
        return
    assert isinstance(ours, Value)
    if name == "match":
        np.testing.assert_allclose(embedding_from_json(ours.data), embedding_from_json(other.data), atol=1e-5)
        return
    ours_data, other_data = json.loads(json.dumps(ours.data)), json.loads(json.dumps(other.data))
    assert numbers_aside(ours_data) == numbers_aside(other_data)
    np.testing.assert_allclose(numbers(ours_data), numbers(other_data), atol=2e-6)


def numbers_aside(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: numbers_aside(value) for key, value in data.items()}
    if isinstance(data, list):
        return [numbers_aside(value) for value in data]
    return None if isinstance(data, float) else data


def numbers(data: Any) -> list[float]:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [data] if isinstance(data, float) else [number for value in inner for number in numbers(value)]


class _Loaded:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def load(self, runtime: Runtime) -> Reader:
        return self.reader


@given(cuts=st.sets(st.integers(1, COUNT - 1)), name=st.sampled_from(sorted(READERS)), limit=st.integers(1, COUNT))
@settings(max_examples=15, deadline=None)
def test_outcomes_are_the_same_whatever_the_batches_and_the_memory(
    cuts: set[int],
    name: str,
    limit: int,
    drawn: list[Row],
    readers: dict[str, Reader],
    alone: dict[str, list[Outcome]],
) -> None:
    reader: Any = readers[name]
    getattr(reader, "reader", reader).batch.limit = limit
    ends = [0, *sorted(cuts), COUNT]
    batches = [drawn[start:end] for start, end in itertools.pairwise(ends)]
    done = list(LocalEngine()(_Loaded(reader), batches))
    assert [batch for batch, _ in done] == batches
    outcomes = [outcome for _, of_batch in done for outcome in of_batch]
    for ours, other in zip(outcomes, alone[name], strict=True):
        check_same(name, ours, other)
    lost = outcomes[COUNT // 2]
    assert isinstance(lost, Failure)
    assert lost.reason == "square_lost"


@pytest.mark.parametrize("way", sorted(ENCODERS))
def test_a_square_is_opened_to_the_pixel_however_it_is_stored(tmp_path: Path, way: str) -> None:
    for picture, row in zip(noise(2), rows(tmp_path, noise(2), way), strict=True):
        opened = open_square(row.facts[PICTURE].blobs[CROP])
        assert opened.dtype == np.uint8
        assert np.array_equal(opened, picture)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_a_square_that_somebody_painted_is_opened_as_pillow_shows_it(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise(1)[0]).convert(mode).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        assert np.array_equal(open_square(tmp_path / "x.png"), np.asarray(image.convert("RGB")))


def test_squares_are_opened_ahead_only_as_far_as_memory_is_to_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def fit(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
        opened.append(1)
        return square

    monkeypatch.setattr(squares, "MAX_BYTES_AHEAD", 3 * 64 * 64 * 3)
    pictures = noise(10)
    made = rows(tmp_path, pictures)
    reader = SquareReader(lambda given: [Value({"sum": int(square.sum())}) for square in given], fit=fit)
    reader.ahead(made)
    reader.ahead(made[3:])
    reader._threads.shutdown(wait=True)
    assert len(opened) == 3
    reader._threads = SquareReader(lambda _: [])._threads
    assert reader(made) == [Value({"sum": int(picture.sum())}) for picture in pictures]
    assert len(opened) == 10, "each is opened once"


def test_the_next_batch_is_opened_while_the_network_is_at_work_and_none_behind_it() -> None:
    happened: list[str] = []

    class Telling:
        def ahead(self, batch: Sequence[Row]) -> None:
            happened.append(f"ahead {batch[0].id}")

        def __call__(self, batch: Sequence[Row]) -> list[Outcome]:
            happened.append(f"learn {batch[0].id}")
            return [Value({}) for _ in batch]

    def batches():
        for number in range(3):
            happened.append(f"take {number}")
            yield [Row(str(number))]

    for batch, _ in LocalEngine()(_Loaded(Telling()), batches()):
        happened.append(f"store {batch[0].id}")
    assert happened == (
        "take 0/ahead 0/take 1/ahead 1/learn 0/store 0/ahead 1/take 2/ahead 2/learn 1/store 1/ahead 2/learn 2/store 2"
    ).split("/")


@dataclass(frozen=True)
class Counted(Booru):
    """The tagger, and a line in a file for every picture that the network has seen."""

    name: ClassVar[str] = "tags.counted"

    log: str = ""

    def load(self, runtime: Runtime) -> Reader:
        reader = super().load(runtime)

        def read(batch: Sequence[Row]) -> Sequence[Outcome]:
            outcomes = reader(batch)
            with Path(self.log).open("a") as file:
                file.write("".join(f"{row.id}\n" for row in batch))
            return outcomes

        return read


BATCH, PICTURES = 4, 60


def tag_all(folder: Path, log: Path) -> int:
    with Workspace(folder) as workspace:
        return run(workspace, Counted(log=str(log)), LocalEngine(TAGGER), batch=BATCH).computed


def kill_when(seen: Callable[[], bool], process: Any) -> None:
    process.start()
    deadline = time.monotonic() + 60
    while not seen():
        assert process.is_alive(), "it ended before"
        assert time.monotonic() < deadline
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)


def test_a_run_killed_again_and_again_does_at_most_the_batch_under_way_once_more(tmp_path: Path) -> None:
    raw, log = tmp_path / "raw", tmp_path / "log"
    raw.mkdir()
    for number, picture in enumerate(noise(PICTURES, 192)):
        Image.fromarray(picture).save(raw / f"{number:02}.png")
    with Workspace(tmp_path, create=True) as workspace:
        workspace.sources.begin_search()
        workspace.sources.find(scan([raw]))
        run_sources(workspace, Picture(size=192), LocalEngine())
    log.touch()
    random_, kills = random.Random(1), 2

    def lines() -> list[str]:
        return log.read_text().split()

    for _ in range(kills):
        more = len(lines()) + random_.randint(1, 10)
        process = multiprocessing.get_context("spawn").Process(target=tag_all, args=(tmp_path, log))
        kill_when(lambda more=more: len(lines()) >= more, process)
    before = len(lines())
    assert before < PICTURES, "there is something left to do"
    with Workspace(tmp_path) as workspace:
        stored = workspace.missing(replace(Counted(), log=str(log)), workspace.begin(Counted(log=str(log))))[1]
    assert stored >= before - kills * BATCH
    assert tag_all(tmp_path, log) == PICTURES - stored
    seen = Counter(lines())
    assert len(seen) == PICTURES
    assert sum(seen.values()) <= PICTURES + kills * BATCH
    assert max(seen.values()) <= 1 + kills
