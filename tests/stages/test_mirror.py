"""The mirror fact: the square the other way round, to the pixel, stored as the square is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from capprep.facts import CROP, PICTURE
from capprep.images.encode import ENCODERS, encode
from capprep.images.unusable import Unusable
from capprep.stage import Fact, Failure, Row, Runtime, Value
from capprep.stages.mirror import Mirror, flipped


def noise(seed: int, side: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def row(path: Path, way: str) -> Row:
    return Row(path.name, facts={PICTURE: Fact({"format_out": way}, {CROP: path})})


@pytest.mark.parametrize("way", sorted(ENCODERS))
def test_a_square_is_turned_round_to_the_pixel_in_its_own_format(tmp_path: Path, way: str) -> None:
    paths = [tmp_path / str(n) for n in range(3)]
    for n, path in enumerate(paths):
        path.write_bytes(encode(noise(n), way))
    outcomes = Mirror().load(Runtime())([row(path, way) for path in paths])
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, Value)
        with Image.open(io.BytesIO(outcome.blobs[CROP])) as picture:
            assert picture.format == {"png": "PNG", "webp-lossless": "WEBP"}[way]
            assert np.array_equal(np.asarray(picture), noise(n)[:, ::-1])
        again = tmp_path / "again"
        again.write_bytes(outcome.blobs[CROP])
        assert flipped(again, way) == encode(noise(n), way), "twice round is the square itself"


@pytest.mark.parametrize("content", [None, b"", b"no picture", encode(noise(0), "png")[:2000]])
def test_a_square_that_is_lost_costs_one_copy_and_says_how_to_mend_it(tmp_path: Path, content: bytes | None) -> None:
    lost, whole = tmp_path / "lost", tmp_path / "whole"
    if content is not None:
        lost.write_bytes(content)
    whole.write_bytes(encode(noise(1), "png"))
    failure, value = Mirror().load(Runtime())([row(lost, "png"), row(whole, "png")])
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.retry) == ("square_lost", True)
    assert "ingest again" in failure.message
    assert isinstance(value, Value)
    with pytest.raises(Unusable):
        flipped(lost, "png")


def test_a_square_painted_with_transparency_or_a_palette_is_what_is_seen_the_other_way_round(tmp_path: Path) -> None:
    square = Image.fromarray(noise(3))
    palette = square.quantize(16)
    palette.save(tmp_path / "palette", "PNG")
    file = flipped(tmp_path / "palette", "png")
    with Image.open(io.BytesIO(file)) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(palette.convert("RGB"))[:, ::-1])
