from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from capprep.errors import ConfigError
from capprep.toybox.__main__ import main
from capprep.toybox.damage import DAMAGE_TAGS, DAMAGES
from capprep.toybox.samples import FOLDER_DAMAGES, FOLDER_STYLES, draw_folder, draw_samples
from capprep.toybox.styles import STYLES
from capprep.toybox.world import STYLE_TAGS, TAGS, draw, scene

SMALL = (96, 64)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def drawn(folder: Path, count: int, seed: int = 0, **options: Any) -> list[dict[str, Any]]:
    """What is true of the pictures of a folder drawn small."""
    truth = folder.with_suffix(".jsonl")
    draw_folder(folder, count, seed, size=SMALL, truth=truth, **options)
    return lines(truth)


def upright(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures in levels, brought to one size."""
    return float(np.abs(np.asarray(one, int) - np.asarray(other.resize(one.size), int)).mean())


def contents(paths: Sequence[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


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
    monkeypatch.setattr("capprep.toybox.samples.scene", lambda _: scene(2))
    name, names = scene(2).name, [path.name for path in draw_samples(tmp_path, 5, seed=0)]
    assert names == [
        f"{name}.jpg",
        f"{name}-2.jpg",
        f"{name}.png",
        f"{name}-3.jpg",
        f"{name}-4.jpg",
    ]


def test_none_asked_for_none_drawn(tmp_path: Path) -> None:
    assert draw_samples(tmp_path, 0, seed=0) == []


def test_a_folder_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"style": "mixed", "size": SMALL, "damage": ("all",)}
    one, same, other = (
        contents(draw_folder(tmp_path / name, 12, seed, **asked)) for name, seed in (("1", 5), ("2", 5), ("3", 6))
    )
    assert one == same
    assert not set(one.values()) & set(other.values())


def test_a_seed_shows_the_same_scenes_whatever_else_is_asked_for(tmp_path: Path) -> None:
    plain = [each["caption"] for each in drawn(tmp_path / "plain", 14, 3)]
    for number, options in enumerate(({"style": "ink"}, {"style": "mixed", "damage": ("turns", "blur", "crop")})):
        assert [each["caption"] for each in drawn(tmp_path / str(number), 14, 3, **options)] == plain
    copies = drawn(tmp_path / "copies", 14, 3, damage=("duplicates",))
    originals = [each["caption"] for each in copies if not each["duplicate_of"]]
    assert originals == plain[: len(originals)]
    assert len(originals) < 14


def test_without_a_size_there_are_several_and_with_one_there_is_one(tmp_path: Path) -> None:
    several = [upright(path).size for path in draw_folder(tmp_path / "several", 4, 0)]
    assert len(set(several)) == 4
    assert min(min(size) for size in several) >= 560
    assert {upright(path).size for path in draw_folder(tmp_path / "one", 4, 0, size=(80, 120))} == {(80, 120)}


@pytest.mark.parametrize("style", STYLES)
def test_a_folder_is_drawn_in_its_style(tmp_path: Path, style: str) -> None:
    (told,) = drawn(tmp_path / "raw", 1, 7, style=style)
    shown = scene(random.Random(7).randrange(2**31))
    assert told["style"] == style
    assert STYLE_TAGS[style] in told["tags"]
    assert apart(draw(shown, SMALL, style), upright(tmp_path / "raw" / told["file"])) < 8


def test_mixed_is_every_style(tmp_path: Path) -> None:
    assert {each["style"] for each in drawn(tmp_path / "raw", 40, style="mixed")} == set(STYLES)


def test_the_truth_has_a_line_for_every_file_and_says_what_the_scene_is(tmp_path: Path) -> None:
    truth, seeds = tmp_path / "truth.jsonl", random.Random(2)
    paths = draw_folder(tmp_path / "raw", 5, 2, style="ink", truth=truth)
    told = lines(truth)
    assert [each["file"] for each in told] == [path.name for path in paths]
    for each, path in zip(told, paths, strict=True):
        shown = scene(seeds.randrange(2**31))
        assert each["caption"] == shown.caption
        assert each["tags"] == {tag: TAGS[tag] for tag in shown.tags_drawn("ink")}
        assert (each["background"], each["light"]) == (shown.background, shown.light)
        assert (each["damage"], each["orientation"], each["duplicate_of"]) == ([], 1, None)
        assert tuple(each["size"]) == upright(path).size
        assert [(thing["kind"], thing["colour"]) for thing in each["things"]] == [
            (thing.kind, thing.colour) for thing in shown.things
        ]
        np.testing.assert_allclose(
            [thing["box"] for thing in each["things"]], shown.boxes(tuple(each["size"])), atol=0.051
        )


def test_half_of_the_pictures_get_one_of_the_damages_asked_for_and_its_tag(tmp_path: Path) -> None:
    told = drawn(tmp_path / "raw", 60, damage=("blur", "noise"))
    assert {tuple(each["damage"]) for each in told} == {(), ("blur",), ("noise",)}
    assert 20 <= sum(bool(each["damage"]) for each in told) <= 40
    for each in told:
        tags = {DAMAGE_TAGS[name] for name in each["damage"]}
        assert set(each["tags"]) & set(DAMAGE_TAGS.values()) == tags


def test_damaged_pictures_are_damaged_and_the_others_are_not(tmp_path: Path) -> None:
    told = drawn(tmp_path / "raw", 20, 1, damage=("dark",))
    assert {bool(each["damage"]) for each in told} == {True, False}
    plain = draw_folder(tmp_path / "plain", 20, 1, size=SMALL)
    for each, path in zip(told, plain, strict=True):
        hurt = np.asarray(upright(tmp_path / "raw" / each["file"]), int)
        assert (hurt.mean() < 0.7 * np.asarray(upright(path), int).mean()) == (each["damage"] == ["dark"])


def test_boxes_follow_a_border(tmp_path: Path) -> None:
    told = drawn(tmp_path / "raw", 20, 1, damage=("border",))
    plain = drawn(tmp_path / "plain", 20, 1)
    for each, before in zip(told, plain, strict=True):
        for now, then in zip(each["things"], before["things"], strict=True):
            narrower = (now["box"][2] - now["box"][0]) / (then["box"][2] - then["box"][0])
            assert narrower == pytest.approx(1, abs=0.01) if not each["damage"] else 0.8 < narrower < 0.95


def test_duplicates_are_the_same_picture_once_more_under_another_name(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    told = {each["file"]: each for each in drawn(folder, 60, 4, damage=("duplicates",))}
    copies = [each for each in told.values() if each["duplicate_of"]]
    assert len(told) == 60
    assert 5 <= len(copies) <= 20
    endings = set()
    for copy in copies:
        original = told[copy["duplicate_of"]]
        assert original["duplicate_of"] is None
        assert (copy["caption"], copy["tags"]) == (original["caption"], original["tags"])
        one, other = upright(folder / original["file"]), upright(folder / copy["file"])
        assert tuple(copy["size"]) == other.size
        assert apart(one, other) < 16
        ending = re.fullmatch(r".*( \(1\)|-small|-edited)(-\d+)?\.(jpg|png)", copy["file"])
        assert ending
        endings.add(ending[1])
        share = other.width / one.width
        assert {" (1)": share == 1, "-small": 0.55 < share < 0.95, "-edited": 0.9 < share <= 1}[ending[1]]
        for now, then in zip(copy["things"], original["things"], strict=True):
            scaled = [edge * share for edge in then["box"]]
            np.testing.assert_allclose(now["box"], scaled, atol=6 if ending[1] == "-edited" else 0.8)
    assert endings == {" (1)", "-small", "-edited"}
    assert len({(folder / name).read_bytes() for name in told}) == len(told)


def test_turned_pictures_look_upright_to_who_reads_the_orientation(tmp_path: Path) -> None:
    told = drawn(tmp_path / "raw", 60, 4, damage=("turns",))
    assert {each["orientation"] for each in told} == set(range(1, 9))
    assert 18 <= sum(each["orientation"] == 1 for each in told) <= 42
    plain = draw_folder(tmp_path / "plain", 60, 4, size=SMALL)
    for each, path in zip(told, plain, strict=True):
        stored = tmp_path / "raw" / each["file"]
        with Image.open(stored) as image:
            assert image.getexif().get(0x0112, 1) == each["orientation"]
            assert image.size == (SMALL if each["orientation"] < 5 else SMALL[::-1])
        assert tuple(each["size"]) == SMALL
        assert apart(upright(path), upright(stored)) < 3


def test_all_is_everything_mixed(tmp_path: Path) -> None:
    told = drawn(tmp_path / "raw", 120, 1, damage=("all",))
    assert {name for each in told for name in each["damage"]} == set(DAMAGES)
    assert any(each["duplicate_of"] for each in told)
    assert any(each["orientation"] != 1 for each in told)
    assert any(not each["damage"] for each in told)
    assert len({each["file"] for each in told}) == 120


def test_files_that_are_there_are_left_alone_and_the_truth_is_told_of_them_too(tmp_path: Path) -> None:
    folder, truth = tmp_path / "raw", tmp_path / "truth.jsonl"
    paths = draw_folder(folder, 6, 1, size=SMALL, damage=("all",))
    paths[0].write_bytes(b"mine")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    assert draw_folder(folder, 6, 1, size=SMALL, damage=("all",), truth=truth) == paths
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths} == before
    assert [each["file"] for each in lines(truth)] == [path.name for path in paths]


@pytest.mark.parametrize(
    ("options", "wrong", "choices"),
    [
        ({"style": "oil"}, "oil", FOLDER_STYLES),
        ({"damage": ("blur", "rust")}, "rust", FOLDER_DAMAGES),
        ({"size": (512, 20)}, "512x20", ("48",)),
        ({"size": (90000, 64)}, "90000x64", ("8192",)),
    ],
)
def test_what_is_not_possible_is_refused_before_anything_is_drawn(
    tmp_path: Path, options: dict[str, Any], wrong: str, choices: Sequence[str]
) -> None:
    with pytest.raises(ConfigError, match=wrong) as caught:
        draw_folder(tmp_path / "raw", 3, 0, **options)
    assert all(choice in caught.value.hint for choice in choices)
    assert not (tmp_path / "raw").exists()


def test_drawing_from_the_command_line_draws_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, truth = tmp_path / "raw", tmp_path / "truth.jsonl"
    options = [
        "--n",
        "9",
        "--seed",
        "5",
        "--style",
        "pixel",
        "--size",
        "96x64",
        "--damage",
        "blur",
        "--damage",
        "turns",
    ]
    main(["draw", *options, "--truth", str(truth), str(folder)])
    assert capsys.readouterr().out == f"9 pictures in {folder}; what is true of them: {truth}\n"
    damage = ("blur", "turns")
    draw_folder(tmp_path / "same", 9, 5, "pixel", SMALL, damage, tmp_path / "same.jsonl")
    assert contents(list(folder.iterdir())) == contents(list((tmp_path / "same").iterdir()))
    assert lines(truth) == lines(tmp_path / "same.jsonl")


def test_the_commands_help_names_every_style_and_damage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["draw", "--help"])
    assert caught.value.code == 0
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert set(FOLDER_STYLES) | set(FOLDER_DAMAGES) <= words


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--style", "oil"], ("oil", *FOLDER_STYLES)),
        (["--damage", "rust"], ("rust", *FOLDER_DAMAGES)),
        (["--size", "512"], ("512", "512x512")),
        (["--size", "8x8"], ("8x8", "48")),
        (["--n", "-3"], ("-3", "whole number")),
        (["--n", "few"], ("few", "whole number")),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_says_what_is_possible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], told: Sequence[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["draw", *wrong, str(tmp_path / "raw")])
    assert caught.value.code == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert all(word in answer.err for word in told)
    assert not (tmp_path / "raw").exists()


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SystemExit) as caught:
        main(["draw", "--n", "1", str(tmp_path / "file" / "raw")])
    assert caught.value.code == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
