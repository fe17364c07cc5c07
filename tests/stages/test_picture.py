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
    value = outcome(png(width, height), Picture(size=256, crop="center"))
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


def spot(width: int, height: int, x: int, y: int) -> bytes:
    """A picture with one thing in it, at (x, y)."""
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels += np.random.default_rng(1).integers(0, 6, pixels.shape, dtype=np.uint8)
    pixels[y - 40 : y + 40, x - 40 : x + 40] = (180, 30, 20)
    pixels[y - 20 : y + 20, x - 20 : x + 20] = (20, 30, 180)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_auto_keeps_what_stands_out_and_says_why() -> None:
    content = spot(900, 300, 800, 150)
    middle, auto = (outcome(content, Picture(size=256, crop=crop)) for crop in ("center", "auto"))
    assert isinstance(middle, Value)
    assert isinstance(auto, Value)
    there, here = (PictureFact.from_json(value.data) for value in (middle, auto))
    assert there.box[2] < 760
    assert here.box[2] >= 840
    assert here.crop == "auto"
    assert "right" in here.why


def test_only_square_pictures_are_taken_where_nothing_may_be_cut_off() -> None:
    assert isinstance(outcome(png(300, 300), Picture(size=256, crop="none")), Value)
    failure = outcome(png(300, 200), Picture(size=256, crop="none"))
    assert isinstance(failure, Failure)
    assert failure.reason == "not_square"


def test_the_frame_of_an_animation_is_chosen_and_said() -> None:
    frames = [Image.new("RGB", (300, 300), (shade, shade, shade)) for shade in (10, 120, 240)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    for frame, number, shade in (("first", 0, 10), ("middle", 1, 120)):
        value = outcome(buffer.getvalue(), Picture(size=256, frame=frame))
        assert isinstance(value, Value)
        assert (value.data["frame"], value.data["frames"]) == (number, 3)
        with Image.open(io.BytesIO(value.blobs[CROP])) as square:
            assert np.abs(np.asarray(square, int) - shade).max() <= 2
    failure = outcome(buffer.getvalue(), Picture(size=256, frame="reject"))
    assert isinstance(failure, Failure)
    assert failure.reason == "animated"


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
