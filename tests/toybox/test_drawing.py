import colorsys
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from capprep.errors import ConfigError
from capprep.toybox.drawing import COLOURS, Thing, paint
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import AIRBORNE, KINDS
from capprep.toybox.styles import STYLES

UNSEEN = {("green", "green field"), ("blue", "blue sea"), ("yellow", "sandy beach"), ("white", "snowy hill")}


def thing(kind: str, colour: str, x: float = 0.5, size: float = 0.5) -> Thing:
    return Thing(kind, colour, x, 0.38 if kind in AIRBORNE else 0.86 - size / 2, size)


def pixels(picture: Image.Image) -> NDArray[np.int64]:
    return np.asarray(picture).astype(np.int64)


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


def changed(one: Image.Image, other: Image.Image) -> NDArray[np.bool_]:
    """Where two pictures plainly differ."""
    return np.asarray(np.abs(pixels(one) - pixels(other)).max(axis=2) > 48)


def box(where_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Left, top, right and bottom of what is true, as shares."""
    rows, columns = np.flatnonzero(where_HW.any(axis=1)), np.flatnonzero(where_HW.any(axis=0))
    height, width = where_HW.shape
    return np.array([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])


def test_the_world_has_the_parts_that_captions_speak_of() -> None:
    assert len(KINDS) == 12
    assert {"star", "heart", "balloon", "bird"} == AIRBORNE
    assert list(BACKGROUNDS) == ["green field", "blue sea", "sandy beach", "snowy hill", "wooden table"]
    assert list(LIGHTS) == ["day", "sunset", "night"]
    assert STYLES == ("flat", "ink", "pixel", "crayon", "neon", "negative", "pastel", "woodcut")


@pytest.mark.parametrize("style", STYLES)
def test_the_same_call_paints_the_same_picture(style: str) -> None:
    things = [thing("cat", "red", 0.3, 0.4), thing("bird", "blue", 0.7, 0.4)]
    first = paint(things, "wooden table", "night", 5, (96, 80), style)
    paint([], "blue sea", "day", 9, (96, 80), style)  # what was painted between leaves no trace
    assert paint(things, "wooden table", "night", 5, (96, 80), style).tobytes() == first.tobytes()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(48, 48), (131, 97), (60, 200), (300, 61)])
def test_any_size_and_aspect_can_be_painted_to_its_edges(style: str, size: tuple[int, int]) -> None:
    picture = paint([thing("boat", "red")], "sandy beach", "day", 1, size, style)
    assert (picture.size, picture.mode) == (size, "RGB")
    edges = np.concatenate([pixels(picture)[0], pixels(picture)[-1], pixels(picture)[:, 0], pixels(picture)[:, -1]])
    assert (edges.sum(axis=1) > 0).all()  # an unpainted pixel is black


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_another_seed_changes_the_scenery_but_not_the_things(background: str) -> None:
    boxes = []
    for seed in (1, 2):
        empty = paint([], background, "day", seed, (256, 256))
        full = paint([thing("star", "red")], background, "day", seed, (256, 256))
        boxes.append(box(changed(empty, full)))
    assert np.abs(boxes[0] - boxes[1]).max() < 0.02
    one, two = (paint([], background, "day", seed, (256, 256)) for seed in (1, 2))
    assert one.tobytes() != two.tobytes()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_style_does_not_move_things(style: str, kind: str) -> None:
    shown, found = thing(kind, "red", 0.45), []
    for name in ("flat", style):
        empty = paint([], "blue sea", "day", 3, (192, 192), name)
        found.append(box(changed(empty, paint([shown], "blue sea", "day", 3, (192, 192), name))))
    assert np.abs(found[0] - found[1]).max() < 0.045  # a shadow below, or two cells of the coarsest style


def test_every_style_looks_different_from_every_other() -> None:
    things = [thing("house", "orange", 0.3, 0.4), thing("heart", "blue", 0.7, 0.4)]
    looks = {style: paint(things, "green field", "day", 2, (256, 256), style) for style in STYLES}
    for one, other in itertools.combinations(STYLES, 2):
        assert distance(looks[one], looks[other]) > 3, (one, other)


def test_the_negative_is_the_flat_picture_turned_round() -> None:
    flat, negative = (
        paint([thing("fish", "pink")], "blue sea", "sunset", 4, (128, 128), style) for style in ("flat", "negative")
    )
    assert (pixels(flat) + pixels(negative) == 255).all()


def test_pixel_pictures_are_made_of_square_cells_in_few_colours() -> None:
    picture = pixels(paint([thing("tree", "purple")], "snowy hill", "day", 4, (256, 256), "pixel"))
    cells = picture.reshape(64, 4, 64, 4, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) <= 40


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_three_lights_differ_in_every_style_and_scenery(style: str, background: str) -> None:
    lit = {light: paint([], background, light, 6, (128, 128), style) for light in LIGHTS}
    for one, other in itertools.combinations(LIGHTS, 2):
        assert distance(lit[one], lit[other]) > 6, (one, other)
    darker = pixels(lit["day"]).mean() - pixels(lit["night"]).mean()
    assert darker < -20 if style == "negative" else darker > 10
    warmth = {light: float((pixels(lit[light])[..., 0] - pixels(lit[light])[..., 2]).mean()) for light in LIGHTS}
    assert warmth["sunset"] < warmth["day"] if style == "negative" else warmth["sunset"] > warmth["day"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("light", LIGHTS)
def test_sceneries_can_be_told_apart_in_every_style_and_light(style: str, light: str) -> None:
    lower = {}
    for background in BACKGROUNDS:
        ground = pixels(paint([], background, light, 6, (128, 128), style))[80:]
        lower[background] = ground.reshape(-1, 3).mean(axis=0)
    for one, other in itertools.combinations(BACKGROUNDS, 2):
        assert np.abs(lower[one] - lower[other]).max() > 6, (one, other)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("light", LIGHTS)
def test_colours_can_be_told_apart_in_every_style_and_light(style: str, light: str) -> None:
    seen = {}
    for colour in COLOURS:
        picture = pixels(paint([thing("heart", colour, 0.5, 0.8)], "wooden table", light, 1, (128, 128), style))
        seen[colour] = picture[24:72, 36:92].reshape(-1, 3).mean(axis=0)
    for one, other in itertools.combinations(COLOURS, 2):
        assert np.abs(seen[one] - seen[other]).max() > 14, (one, other)


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("colour", [colour for colour in COLOURS if colour != "white"])
def test_light_tints_things_without_changing_their_hue(light: str, colour: str) -> None:
    picture = pixels(paint([thing("heart", colour, 0.5, 0.8)], "wooden table", light, 1, (128, 128)))
    red, green, blue = picture[60, 64] / 255
    true = colorsys.rgb_to_hsv(*(channel / 255 for channel in COLOURS[colour]))[0]
    off = abs(colorsys.rgb_to_hsv(red, green, blue)[0] - true)
    assert min(off, 1 - off) < 0.04


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("light", LIGHTS)
def test_a_thing_stands_out_from_its_scenery(style: str, background: str, light: str) -> None:
    empty = paint([], background, light, 8, (96, 96), style)
    for colour in COLOURS:
        if (colour, background) in UNSEEN:
            continue
        full = paint([thing("mushroom", colour)], background, light, 8, (96, 96), style)
        cap = np.abs(pixels(full) - pixels(empty))[40:58, 30:66]
        assert cap.max(axis=2).mean() > 16, colour


@pytest.mark.parametrize("style", STYLES)
def test_kinds_can_be_told_apart_at_thirty_pixels(style: str) -> None:
    small = {}
    for kind in KINDS:
        picture = paint([Thing(kind, "red", 0.5, 0.5, 0.5)], "blue sea", "day", 1, (60, 60), style)
        small[kind] = picture.crop((14, 14, 46, 46))
    for one, other in itertools.combinations(KINDS, 2):
        assert distance(small[one], small[other]) > 8, (one, other)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("light", LIGHTS)
def test_a_small_picture_looks_like_the_large_one_scaled_down(style: str, light: str) -> None:
    things = [thing("cat", "red", 0.3, 0.4), thing("bird", "white", 0.7, 0.4)]
    large, small = (paint(things, "green field", light, 5, (size, size), style) for size in (512, 128))
    assert distance(large.reduce(16), small.reduce(4)) < 5
    assert distance(large.reduce(4), small) < 12


@pytest.mark.parametrize("style", STYLES)
def test_wide_and_tall_pictures_show_the_same_central_square(style: str) -> None:
    things = [thing("car", "blue", 0.3, 0.4), thing("star", "white", 0.7, 0.4)]
    square = paint(things, "green field", "sunset", 5, (128, 128), style)
    wide = paint(things, "green field", "sunset", 5, (256, 128), style).crop((64, 0, 192, 128))
    tall = paint(things, "green field", "sunset", 5, (128, 256), style).crop((0, 64, 128, 192))
    for other in (wide, tall):
        assert distance(square.reduce(8), other.reduce(8)) < 7


def test_an_unknown_style_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="'oil'") as caught:
        paint([], "blue sea", "day", 1, (64, 64), "oil")
    assert all(style in caught.value.hint for style in STYLES)
