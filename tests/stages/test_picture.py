"""The picture fact."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capprep.errors import ConfigError
from capprep.facts import CROP, PictureFact
from capprep.stage import Failure, Row, Runtime, Value
from capprep.stages.picture import Picture


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    Image.fromarray(np.stack([x, y, x], axis=-1).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def outcome(content: bytes, stage: Picture) -> Value | Failure:
    (result,) = stage.load(Runtime())([Row("id", content)])
    return result


@pytest.mark.parametrize(("width", "height"), [(640, 480), (300, 500), (512, 512), (1001, 777)])
def test_the_square_is_cut_from_the_middle_and_never_squashed(width: int, height: int) -> None:
    value = outcome(png(width, height), Picture(size=256))
    assert isinstance(value, Value)
    fact = PictureFact.from_json(value.data)
    left, top, right, bottom = fact.box
    assert right - left == bottom - top == min(width, height)
    assert abs(left + right - width) <= 1
    assert abs(top + bottom - height) <= 1
    assert fact.scale == min(width, height) / 256
    with Image.open(io.BytesIO(value.blobs[CROP])) as square:
        assert (square.format, square.size, square.mode) == ("PNG", (256, 256), "RGB")
        middle = np.asarray(square)[128, 128].astype(float)
    assert np.abs(middle - 127.5).max() < 3
    assert PictureFact.from_json(fact.to_json()) == fact


def test_a_small_picture_is_enlarged_and_the_fact_says_how_much() -> None:
    value = outcome(png(100, 200), Picture(size=256))
    assert isinstance(value, Value)
    assert value.data["scale"] == 100 / 256


def test_a_picture_of_the_right_size_is_kept_to_the_pixel_even_off_by_one() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 129, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    value = outcome(buffer.getvalue(), Picture(size=128))
    assert isinstance(value, Value)
    with Image.open(io.BytesIO(value.blobs[CROP])) as square:
        assert np.array_equal(np.asarray(square), noise[:, :128])


def test_one_colour_has_one_key_however_it_is_written() -> None:
    assert Picture(background="white") == Picture(background="#ffffff") == Picture(background="#FFF")


def test_too_little_memory_is_no_lasting_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("capprep.stages.picture.decode", hungry)
    failure = outcome(b"", Picture())
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.retry) == ("memory", True)


def test_what_cannot_be_decoded_is_a_failure_with_a_reason() -> None:
    failure = outcome(b"GIF89a", Picture())
    assert isinstance(failure, Failure)
    assert failure.reason in ("corrupt", "truncated", "not_image")


@pytest.mark.parametrize("wrong", [{"size": 500}, {"size": 32}, {"background": "no colour"}])
def test_a_bad_option_is_refused_when_the_stage_is_built(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Picture(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in caught.value.message


def test_batch_equals_single(tmp_path: Path) -> None:
    contents = [png(300, 260), b"nothing", png(256, 512)]
    read = Picture(size=256).load(Runtime())
    rows = [Row(str(n), content) for n, content in enumerate(contents)]
    assert list(read(rows)) == [read([row])[0] for row in rows]
