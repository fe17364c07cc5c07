from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from capprep.errors import ConfigError
from capprep.toybox import damage
from capprep.toybox.damage import DAMAGE_TAGS, DAMAGES, Box, damaged
from capprep.toybox.world import TAGS, draw, scene

SEEDS = range(24)
MOVING = ("crop", "border")
PAINT = ((230, 20, 20), (20, 200, 20), (20, 20, 230))
SQUARES = ((0.1, 0.15, 0.36, 0.41), (0.62, 0.2, 0.9, 0.48), (0.35, 0.6, 0.65, 0.9))


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image, np.int64)


def squares(size: tuple[int, int]) -> tuple[Image.Image, list[Box]]:
    """A grey picture with three squares in its central square, and where they are."""
    image, unit = Image.new("RGB", size, (120, 120, 120)), min(size)
    left, top = (size[0] - unit) // 2, (size[1] - unit) // 2
    boxes = [(left + a * unit, top + b * unit, left + c * unit, top + d * unit) for a, b, c, d in SQUARES]
    for colour, box in zip(PAINT, boxes, strict=True):
        image.paste(colour, tuple(round(edge) for edge in box))
    return image, boxes


def extent(image: Image.Image, colour: tuple[int, int, int]) -> Box:
    """Where a picture has a colour."""
    rows, columns = np.nonzero(np.abs(pixels(image) - colour).max(axis=2) < 60)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def test_every_damage_has_its_tag_and_every_tag_its_damage() -> None:
    assert list(DAMAGES) == list(DAMAGE_TAGS)
    assert all(TAGS[tag] == "meta" for tag in DAMAGE_TAGS.values())


@pytest.mark.parametrize("name", DAMAGES)
def test_the_same_seed_does_the_same_damage_and_another_another(name: str) -> None:
    image = draw(scene(5), (150, 128))
    before = image.tobytes()
    made = [damaged(image, name, seed)[0] for seed in (1, 1, 2, 3)]
    assert made[0].tobytes() == made[1].tobytes()
    assert len({each.tobytes() for each in made}) == 3
    assert image.tobytes() == before


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("size", [(48, 48), (131, 97), (90, 200)])
def test_a_damaged_picture_has_the_size_it_had(name: str, size: tuple[int, int]) -> None:
    image, boxes = squares(size)
    for seed in range(6):
        picture, moved = damaged(image, name, seed, boxes)
        assert (picture.size, picture.mode) == (size, "RGB")
        assert len(moved) == len(boxes)


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_plain_to_see(name: str) -> None:
    for seed in SEEDS:
        image = draw(scene(seed), (128, 128))
        assert np.abs(pixels(damaged(image, name, seed)[0]) - pixels(image)).mean() > 0.6


@pytest.mark.parametrize("name", ["blur", "jpeg", "dark", "noise"])
def test_where_things_lie_light_and_dark_go_together_as_before(name: str) -> None:
    for seed in SEEDS:
        shown, size = scene(seed), (128, 128)
        image = draw(shown, size).convert("L")
        picture = damaged(draw(shown, size), name, seed)[0].convert("L")
        for box in shown.boxes(size):
            then, now = (pixels(each.crop(tuple(round(edge) for edge in box))).ravel() for each in (image, picture))
            assert np.corrcoef(then, now)[0, 1] > 0.5


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_at_128_pixels_is_that_at_512_pixels_scaled_down(name: str) -> None:
    large = draw(scene(8), (512, 512))
    small = large.reduce(4)
    for seed in range(8):
        large_damaged, small_damaged = damaged(large, name, seed)[0].reduce(4), damaged(small, name, seed)[0]
        apart = np.abs(pixels(large_damaged) - pixels(small_damaged)).mean()
        done = np.abs(pixels(small_damaged) - pixels(small)).mean()
        assert apart < 0.45 * done


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("size", [(256, 256), (320, 240), (200, 300)])
def test_boxes_follow_the_things(name: str, size: tuple[int, int]) -> None:
    image, boxes = squares(size)
    for seed in range(8):
        # without boxes to look at a crop could take a thing away whole
        picture, moved = damaged(image, name, seed, boxes)
        if name in MOVING:
            assert moved != boxes
            found = [extent(picture, colour) for colour in PAINT]
            np.testing.assert_allclose(found, moved, atol=2.5)
        else:
            assert moved == boxes


@pytest.mark.parametrize(("size", "most"), [((200, 200), 0.97), ((280, 200), 0.75), ((200, 280), 0.65)])
def test_a_crop_leaves_most_of_each_thing_in_the_central_square_and_mostly_cuts_one(
    size: tuple[int, int], most: float
) -> None:
    cuts, image, unit = [], Image.new("RGB", size), min(size)
    left, top = (size[0] - unit) / 2, (size[1] - unit) / 2
    for seed in range(150):
        whole = scene(seed).boxes(size)
        boxes = damaged(image, "crop", seed, whole)[1]
        in_square = np.clip(boxes, [left, top] * 2, [left + unit, top + unit] * 2)
        # enlarged by a half at most, by an eighth at least
        seen = [area(now) / area(was) for now, was in zip(in_square, whole, strict=True)]
        assert min(seen) >= 0.6 / 0.88**2
        assert max(seen) <= 1 / 0.68**2
        cuts.append(any(min(box[:2]) == 0 or box[2] == size[0] or box[3] == size[1] for box in boxes))
    assert np.mean(cuts) > most


def test_what_a_crop_leaves_out_has_an_empty_box_in_its_place() -> None:
    image = Image.new("RGB", (100, 100))
    corners = [(0.0, 0.0, 4.0, 4.0), (48.0, 48.0, 52.0, 52.0), (96.0, 96.0, 100.0, 100.0)]
    for seed in SEEDS:
        _, boxes = damaged(image, "crop", seed, corners)
        assert area(boxes[1]) > 16
        assert 0 in (area(boxes[0]), area(boxes[2]))
        assert all(0 <= edge <= 100 for box in boxes for edge in box)


def test_blur_takes_the_fine_detail_and_noise_adds_some() -> None:
    image = draw(scene(3), (128, 128))

    def roughness(picture: Image.Image) -> float:
        return sum(float(np.abs(np.diff(pixels(picture), axis=axis)).mean()) for axis in (0, 1))

    for seed in SEEDS:
        assert roughness(damaged(image, "blur", seed)[0]) < 0.8 * roughness(image)
        assert roughness(damaged(image, "noise", seed)[0]) > 2 * roughness(image)


def test_jpeg_passes_through_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []
    save = Image.Image.save

    def watched(self: Image.Image, file: object, kind: str, **options: int) -> None:
        saved.append((kind, options["quality"]))
        save(self, file, kind, **options)

    monkeypatch.setattr(Image.Image, "save", watched)
    damaged(draw(scene(3), (128, 128)), "jpeg", 1)
    ((kind, quality),) = saved
    assert kind == "JPEG"
    assert quality < 20


def test_too_little_light_leaves_a_bright_picture_dark_and_a_dark_one_still_to_be_seen() -> None:
    grey = Image.linear_gradient("L").resize((64, 64))
    for seed in SEEDS:
        for gain in (1.0, 0.2):
            image = Image.merge("RGB", [grey.point(lambda level, gain=gain: round(level * gain))] * 3)
            now, then = pixels(damaged(image, "dark", seed)[0]), pixels(image)
            assert now.mean() < 80
            assert now.mean() < 0.65 * then.mean()
            assert now.max() > 28


def test_a_border_goes_all_round() -> None:
    image = Image.new("RGB", (160, 120), (10, 240, 10))
    for seed in SEEDS:
        picture = pixels(damaged(image, "border", seed)[0])
        edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert np.ptp(edges, axis=0).max() == 0
        assert np.abs(edges[0] - (10, 240, 10)).max() > 60
        assert (picture == (10, 240, 10)).all(axis=2).mean() > 0.7


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
def test_a_watermark_shows_on_dark_and_on_light(background: tuple[int, int, int]) -> None:
    size = (200, 128)
    for seed in SEEDS:
        picture = pixels(damaged(Image.new("RGB", size, background), "watermark", seed)[0])
        marked = np.abs(picture - background).max(axis=2) > 30
        assert 0.004 < marked.mean() < 0.3
        assert marked[:, 36:164].sum() > 60  # a centre crop keeps it


def test_watermarks_need_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    damage._written.cache_clear()
    monkeypatch.setattr("PIL.ImageFont.load_default", None)
    monkeypatch.setattr("PIL.ImageFont.truetype", None)
    assert {letter for word in damage._MARKS for letter in word} == set(damage._STROKES)
    assert damaged(Image.new("RGB", (64, 64)), "watermark", 1)[0].getbbox()


def test_strength_does_not_go_with_what_a_scene_of_the_same_seed_shows() -> None:
    means = {}
    for seed in range(400):
        image = Image.new("RGB", (8, 8), (200, 200, 200))
        means.setdefault(scene(seed).background, []).append(pixels(damaged(image, "dark", seed)[0]).mean())
    assert np.ptp([np.mean(each) for each in means.values()]) < 4


def test_a_damage_that_is_not_there_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="rust") as caught:
        damaged(Image.new("RGB", (64, 64)), "rust", 1)
    assert all(name in caught.value.hint for name in DAMAGES)


PIXELS = {
    "blur": "8f648865711634ba",
    "dark": "3bcedfdf442eeaa7",
    "noise": "57781d69da803b77",
    "crop": "6777bd93c39a6ea8",
    "border": "ea04f8f056b30b33",
    "watermark": "d2a667ce14203478",
}
"""Of every damage but JPEG, whose pixels are the encoder's."""


@pytest.mark.parametrize("name", PIXELS)
def test_damage_is_the_same_on_every_machine(name: str) -> None:
    pixels = b"".join(damaged(draw(scene(seed), (120, 96)), name, seed)[0].tobytes() for seed in range(6))
    assert hashlib.sha256(pixels).hexdigest()[:16] == PIXELS[name]
