import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from capprep.errors import ConfigError
from capprep.toybox.drawing import BACKGROUNDS, COLOURS
from capprep.toybox.shapes import AIRBORNE, KINDS
from capprep.toybox.world import TAGS, WORDS, Scene, Thing, draw, draw_samples, scene

SEEDS = range(400)


def test_a_seed_is_a_scene_and_no_other() -> None:
    assert scene(7) == scene(7)
    assert len({scene(seed).things for seed in SEEDS}) == len(SEEDS)


def test_scenes_are_the_same_on_every_machine() -> None:
    assert [scene(seed).caption for seed in (0, 5, 9, 17, 19)] == [
        "two blue cars on a snowy hill",
        "a red boat and a white heart under a night sky",
        "an orange car and two pink flowers on a snowy hill",
        "a yellow boat and a blue car under a night sky",
        "three orange hearts on a green field",
    ]


def test_every_kind_colour_background_and_number_comes_up() -> None:
    scenes = [scene(seed) for seed in SEEDS]
    assert {thing.kind for each in scenes for thing in each.things} == set(KINDS)
    assert {thing.colour for each in scenes for thing in each.things} == set(COLOURS)
    assert {each.background for each in scenes} == set(BACKGROUNDS)
    assert {len(each.things) for each in scenes} == {1, 2, 3}


def test_captions_follow_the_grammar_and_use_the_words_of_the_world() -> None:
    group = rf"(an? ({'|'.join(COLOURS)}) ({'|'.join(KINDS)})|(two|three) ({'|'.join(COLOURS)}) \w+)"
    place = rf"(on|under) a ({'|'.join(BACKGROUNDS)})"
    for seed in SEEDS:
        caption = scene(seed).caption
        assert re.fullmatch(rf"{group}( and {group})? {place}", caption), caption
        assert set(caption.split()) <= set(WORDS)
        assert not re.search(r"\ba orange|\ban (?!orange)", caption)


def test_captions_and_tags_tell_what_is_there() -> None:
    things = (
        Thing("fish", "red", 0.2, 0.5, 0.3),
        Thing("fish", "red", 0.5, 0.5, 0.3),
        Thing("star", "blue", 0.8, 0.4, 0.3),
    )
    shown = Scene(1, things, "night sky")
    assert shown.caption == "two red fish and a blue star under a night sky"
    assert shown.name == "two-red-fish-and-blue-star"
    assert shown.tags == (
        *("fish", "star", "red", "blue", "three_objects", "night_sky", "night"),
        *("outdoors", "no_humans", "illustration", "rating:safe"),
    )


def test_tags_are_those_of_the_world_and_fit_the_scene() -> None:
    for seed in SEEDS:
        shown = scene(seed)
        tags = set(shown.tags)
        assert tags <= set(TAGS)
        assert tags & set(KINDS) == {thing.kind for thing in shown.things}
        assert tags & set(COLOURS) == {thing.colour for thing in shown.things}
        assert ("night" in tags) != ("day" in tags)
        assert ("night" in tags) == (shown.background == "night sky")
    assert {word for tag in TAGS for word in re.split("[_:]", tag)} <= set(WORDS)


def test_things_lie_in_the_central_square_and_do_not_cover_each_other() -> None:
    for seed in SEEDS:
        things = scene(seed).things
        for thing in things:
            assert thing.x - thing.size / 2 >= 0
            assert thing.x + thing.size / 2 <= 1
            assert thing.y - thing.size / 2 >= 0
            assert thing.y + thing.size / 2 <= 1
        for left, right in itertools.pairwise(things):
            assert left.x + left.size / 2 <= right.x - right.size / 2 + 0.02


def test_no_thing_has_the_colour_of_its_background() -> None:
    lost = {("green field", "green"), ("blue sea", "blue"), ("sandy beach", "yellow"), ("snowy hill", "white")}
    shown = {(each.background, thing.colour) for each in map(scene, SEEDS) for thing in each.things}
    assert not shown & lost


def test_a_drawing_is_the_same_every_time() -> None:
    first, second = (np.asarray(draw(scene(3), (200, 140))) for _ in range(2))
    assert first.shape == (140, 200, 3)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_shows_its_colour_where_it_stands(kind: str) -> None:
    y = 0.4 if kind in AIRBORNE else 0.6
    empty = np.asarray(draw(Scene(1, (), "snowy hill"), (128, 128)), int)
    for colour, rgb in COLOURS.items():
        picture = np.asarray(draw(Scene(1, (Thing(kind, colour, 0.5, y, 0.6),), "snowy hill"), (128, 128)), int)
        changed = np.abs(picture - empty).max(axis=2) > 8
        of_colour = (np.abs(picture - rgb).max(axis=2) <= 2) & (changed | (colour == "white"))
        assert 0.03 < changed.mean() < 0.45
        assert of_colour.sum() > 0.1 * changed.sum()
        rows, columns = np.nonzero(changed)
        assert rows.min() >= 128 * (y - 0.31)
        assert columns.min() >= 128 * 0.19
        assert columns.max() <= 128 * 0.81


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (200, 200)])
def test_a_centre_crop_shows_the_whole_scene(size: tuple[int, int]) -> None:
    shown = scene(9)
    square = np.asarray(draw(shown, (200, 200)), int)
    cropped = np.asarray(ImageOps.fit(draw(shown, size), (200, 200), centering=(0.5, 0.5)), int)
    things = np.abs(square - np.asarray(draw(Scene(9, (), shown.background), (200, 200)), int)).max(axis=2) > 30
    assert np.abs(square - cropped)[things].mean() < 6


def test_backgrounds_look_different() -> None:
    means = [np.asarray(draw(Scene(1, (), name), (64, 64))).mean(axis=(0, 1)) for name in BACKGROUNDS]
    gaps = [np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]]
    assert min(gaps) > 8


def test_a_style_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="oil"):
        draw(scene(1), style="oil")


def test_samples_look_like_a_persons_folder(tmp_path: Path) -> None:
    paths = draw_samples(tmp_path / "raw", 9, seed=1)
    assert len(set(paths)) == 9
    assert sorted(paths) == sorted((tmp_path / "raw").iterdir())
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)+\.(jpg|png)", path.name) for path in paths)
    formats, sizes = set(), set()
    for path in paths:
        with Image.open(path) as image:
            formats.add(image.format)
            sizes.add(image.size)
    assert formats == {"JPEG", "PNG"}
    assert len(sizes) > 5
    assert min(min(size) for size in sizes) >= 560


def test_the_second_sample_lies_on_its_side_and_the_third_has_clear_corners(tmp_path: Path) -> None:
    _, turned, clear = draw_samples(tmp_path, 3, seed=4)
    with Image.open(turned) as image:
        assert image.getexif()[0x0112] == 6
        upright = ImageOps.exif_transpose(image)
        assert image.size == upright.size[::-1] != upright.size
        sky, ground = np.asarray(upright, int)[20].mean(axis=0), np.asarray(upright, int)[-20].mean(axis=0)
        assert np.abs(sky - ground).max() > 20
    with Image.open(clear) as image:
        assert image.mode == "RGBA"
        alpha = np.asarray(image)[..., 3]
        assert alpha[0, 0] == 0
        assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255


def test_the_upright_sample_is_the_scene_itself(tmp_path: Path) -> None:
    rng = random.Random(4)
    shown = [scene(rng.randrange(2**31)) for _ in range(2)]
    _, turned = draw_samples(tmp_path, 2, seed=4)
    with Image.open(turned) as image:
        upright = np.asarray(ImageOps.exif_transpose(image), int)
    drawn = np.asarray(draw(shown[1], upright.shape[1::-1]), int)
    assert np.abs(upright - drawn).mean() < 3


def test_samples_that_are_there_are_left_alone(tmp_path: Path) -> None:
    paths = draw_samples(tmp_path, 4, seed=2)
    paths[1].write_bytes(b"mine")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    more = draw_samples(tmp_path, 5, seed=2)
    assert more[:4] == paths
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths} == before


def test_two_scenes_of_one_name_get_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capprep.toybox.world.scene", lambda _: scene(2))
    names = [path.name for path in draw_samples(tmp_path, 5, seed=0)]
    assert names == [
        "yellow-tree.jpg",
        "yellow-tree-2.jpg",
        "yellow-tree.png",
        "yellow-tree-3.jpg",
        "yellow-tree-4.jpg",
    ]


def test_none_asked_for_none_drawn(tmp_path: Path) -> None:
    assert draw_samples(tmp_path, 0, seed=0) == []
