import hashlib
import itertools
import re
from collections import Counter

import numpy as np
import pytest
from PIL import ImageOps

from capprep.errors import ConfigError
from capprep.toybox.drawing import COLOURS, Thing
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import AIRBORNE, KINDS
from capprep.toybox.styles import STYLES
from capprep.toybox.world import EXCLUSIONS, IMPLICATIONS, TAGS, WORDS, Group, Scene, draw, scene

SEEDS = range(600)
SCENES = [scene(seed) for seed in SEEDS]


def test_a_seed_is_a_scene_and_no_other() -> None:
    assert scene(7) == scene(7)
    assert len({each.things for each in SCENES}) == len(SEEDS)


def test_every_kind_colour_background_light_number_size_and_relation_comes_up() -> None:
    assert {group.kind for each in SCENES for group in each.groups} == set(KINDS)
    assert {group.colour for each in SCENES for group in each.groups} == set(COLOURS)
    assert {each.background for each in SCENES} == set(BACKGROUNDS)
    assert {each.light for each in SCENES} == set(LIGHTS)
    assert {len(each.things) for each in SCENES} == {1, 2, 3}
    assert {group.size for each in SCENES for group in each.groups} == {"small", "", "big"}
    assert {each.relation for each in SCENES} == {"", "left of", "above"}
    assert any(each.groups[0].kind == each.groups[-1].kind for each in SCENES if each.relation)


def test_captions_follow_the_grammar_and_use_the_words_of_the_world() -> None:
    group = rf"(an? ((big|small) )?({'|'.join(COLOURS)}) ({'|'.join(KINDS)})|(two|three) ({'|'.join(COLOURS)}) \w+)"
    place = rf"on a ({'|'.join(BACKGROUNDS)})( at (sunset|night))?"
    for each in SCENES:
        assert re.fullmatch(rf"{group}( (left of|above) {group})? {place}", each.caption), each.caption
        assert set(each.caption.split()) <= set(WORDS)
        assert not re.search(r"\ba orange|\ban (?!orange)", each.caption)


def test_caption_name_tags_and_boxes_tell_what_is_there() -> None:
    things = (
        Thing("fish", "red", 0.2, 0.5, 0.3),
        Thing("fish", "red", 0.5, 0.5, 0.3),
        Thing("star", "blue", 0.8, 0.4, 0.3),
    )
    shown = Scene(1, (Group("fish", "red", 2), Group("star", "blue", 1)), "left of", things, "sandy beach", "night")
    assert shown.caption == "two red fish left of a blue star on a sandy beach at night"
    assert shown.name == "two-red-fish-and-blue-star"
    assert set(shown.tags) == {
        *("fish", "star", "red", "blue", "red_fish", "blue_star", "three_objects", "multiple_objects"),
        *("sandy_beach", "sand", "water", "outdoors", "night", "no_humans", "rating:safe"),
    }
    assert set(shown.tags_drawn("ink", ("blur",))) - set(shown.tags) == {"ink_drawing", "blurry"}
    np.testing.assert_allclose(shown.boxes((200, 100))[0], (50 + 5, 35, 50 + 35, 65))


def test_a_big_thing_alone_is_named_big() -> None:
    things = (Thing("cat", "orange", 0.5, 0.6, 0.65),)
    assert Scene(1, (Group("cat", "orange", 1, "big"),), "", things, "wooden table", "day").caption == (
        "a big orange cat on a wooden table"
    )


def test_tags_are_those_of_the_world_with_all_they_imply_and_nothing_they_exclude() -> None:
    for each in SCENES:
        tags = set(each.tags_drawn("flat"))
        assert tags <= set(TAGS)
        assert tags & set(KINDS) == {thing.kind for thing in each.things}
        assert tags & set(COLOURS) == {thing.colour for thing in each.things}
        assert all(set(IMPLICATIONS.get(tag, ())) <= tags for tag in tags)
        assert all(len(tags & others) == 1 for others in EXCLUSIONS)
    assert {word for tag in TAGS for word in re.split("[_:]", tag)} <= set(WORDS)
    assert {word for implied in IMPLICATIONS.values() for word in implied} | set(IMPLICATIONS) <= set(TAGS)
    assert list(SCENES[0].tags) == [tag for tag in TAGS if tag in SCENES[0].tags]


def test_the_words_are_true_of_the_places() -> None:
    for each in SCENES:
        first = each.things[: each.groups[0].count]
        second = each.things[each.groups[0].count :]
        assert Counter((thing.kind, thing.colour) for thing in each.things) == {
            (group.kind, group.colour): group.count for group in each.groups
        }
        if each.relation == "left of":
            assert max(thing.x for thing in first) < min(thing.x for thing in second)
        if each.relation == "above":
            assert max(one.y + one.size / 2 for one in first) < min(two.y - two.size / 2 for two in second)
            assert {thing.kind for thing in first} <= AIRBORNE
        if len(each.things) == 1:
            word = {"small": (0, 0.35), "": (0.4, 0.55), "big": (0.6, 1)}[each.groups[0].size]
            assert word[0] < each.things[0].size < word[1]


def test_things_lie_in_the_central_square_and_do_not_cover_each_other() -> None:
    for each in SCENES:
        for left, top, right, bottom in each.boxes((100, 100)):
            assert min(left, top) >= 0
            assert max(right, bottom) <= 100
        for one, two in itertools.combinations(each.boxes((100, 100)), 2):
            wide = min(one[2], two[2]) - max(one[0], two[0])
            high = min(one[3], two[3]) - max(one[1], two[1])
            assert min(wide, high) < 2.5, each.seed


def test_no_thing_has_the_colour_of_its_background() -> None:
    lost = {("green field", "green"), ("blue sea", "blue"), ("sandy beach", "yellow"), ("snowy hill", "white")}
    shown = {(each.background, thing.colour) for each in SCENES for thing in each.things}
    assert not shown & lost


def test_combinations_are_held_out_now_and_then() -> None:
    share = np.mean([each.held_out for each in SCENES])
    assert 0.03 < share < 0.2


@pytest.mark.parametrize("size", [(300, 200), (200, 300)])
def test_a_centre_crop_shows_the_whole_scene(size: tuple[int, int]) -> None:
    shown = SCENES[9]
    cropped = ImageOps.fit(draw(shown, size), (200, 200), centering=(0.5, 0.5))
    for box in shown.boxes((200, 200)):
        inside = tuple(round(side) for side in box)
        there, here = (np.asarray(image.crop(inside), int) for image in (draw(shown, (200, 200)), cropped))
        assert np.abs(there - here).mean() < 6


def test_a_style_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="oil"):
        draw(scene(1), style="oil")


def test_scenes_are_the_same_on_every_machine() -> None:
    told = "\n".join(f"{each.caption} {each.things} {each.tags}" for each in SCENES)
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "c5b0f87b398edd43"
    assert [scene(seed).caption for seed in range(4)] == [
        "a blue car on a snowy hill at sunset",
        "a red car on a blue sea at night",
        "a small white boat on a green field",
        "two pink stars left of a purple cat on a blue sea at night",
    ]


PIXELS = {
    "flat": "f7af409eafd6d87d",
    "ink": "436a579598102904",
    "pixel": "663a16a4c9376eda",
    "crayon": "32a7a43c95f951c3",
    "neon": "0d6f62ef49413c53",
    "negative": "1daca4c26d7ce3c4",
    "pastel": "2174b6d10e3a151a",
    "woodcut": "40e591890751b100",
}


@pytest.mark.parametrize("style", STYLES)
def test_pictures_are_the_same_on_every_machine(style: str) -> None:
    pixels = b"".join(draw(shown, (120, 96), style).tobytes() for shown in SCENES[:12])
    assert hashlib.sha256(pixels).hexdigest()[:16] == PIXELS[style]
