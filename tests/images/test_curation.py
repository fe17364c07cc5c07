"""The best few: good and different, keepers first, each with a reason that is true."""

from __future__ import annotations

import re
from itertools import combinations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.errors import ConfigError
from capprep.images.curation import best, describe
from capprep.toybox.styles import STYLES
from capprep.toybox.world import draw, scene


def cloud(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3))


def radius(features: np.ndarray, chosen: tuple[int, ...]) -> float:
    """How far the picture that is farthest from all chosen ones is."""
    apart = np.linalg.norm(features[:, None] - features[list(chosen)], axis=2)
    return float(apart.min(axis=1).max())


@settings(deadline=None, max_examples=30)
@given(st.integers(4, 11), st.integers(1, 4), st.integers(0, 10**6))
def test_with_equal_quality_the_choice_is_within_twice_the_best_possible(count: int, few: int, seed: int) -> None:
    features = cloud(count, seed)
    chosen = best(features, np.ones(count), few).chosen
    least = min(radius(features, each) for each in combinations(range(count), few))
    assert radius(features, chosen) <= 2 * least + 1e-9


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 10**6))
def test_as_many_are_chosen_as_asked_none_twice_and_fewer_are_the_beginning_of_more(
    count: int, few: int, seed: int
) -> None:
    features, quality = cloud(count, seed), np.random.default_rng(seed + 1).random(count)
    selection = best(features, quality, few)
    assert len(set(selection.chosen)) == len(selection.chosen) == len(selection.reasons) == min(few, count)
    assert best(features, quality, few // 2).chosen == selection.chosen[: few // 2]
    assert best(features, quality, few) == selection


@given(st.integers(2, 20), st.integers(0, 10**6))
def test_only_the_order_of_the_qualities_counts(count: int, seed: int) -> None:
    features, quality = cloud(count, seed), np.random.default_rng(seed).permutation(count)
    assert best(features, quality, 6) == best(features, np.exp(quality / 3.0) - 50, 6)


def test_keepers_come_first_in_their_order_and_the_rest_keeps_away_from_them() -> None:
    features = np.array([[0.0], [0.1], [5.0], [9.9], [10.0]])
    selection = best(features, [5, 4, 3, 2, 1], 3, keepers=[3, 0, 3])
    assert selection.chosen == (3, 0, 2)
    assert selection.reasons[:2] == ("it is kept by decision",) * 2
    with pytest.raises(ConfigError, match="2 pictures are to be kept"):
        best(features, np.ones(5), 1, keepers=[3, 0])


def test_of_two_as_different_the_better_one_is_chosen() -> None:
    features = np.array([[0.0, 0], [1.0, 0], [-1.0, 0], [0, 0.2]])
    assert best(features, [9, 1, 5, 0], 2).chosen == (0, 2)
    assert best(features, [9, 5, 1, 0], 2).chosen == (0, 1)


def test_quality_outweighs_a_small_difference_and_not_a_large_one() -> None:
    near, far = np.array([[0.0], [0.9], [1.0]]), np.array([[0.0], [0.1], [1.0]])
    assert best(near, [3, 2, 1], 2).chosen == (0, 1)
    assert best(far, [3, 2, 1], 2).chosen == (0, 2)


def test_copies_come_last_the_best_of_them_first() -> None:
    features = np.array([[0.0], [0.0], [0.0], [1.0]])
    selection = best(features, [4, 1, 2, 3], 4)
    assert selection.chosen == (0, 3, 2, 1)
    assert "looks like one chosen before" in selection.reasons[2]


def test_the_reasons_are_true() -> None:
    features, quality = cloud(60, 3), np.random.default_rng(4).permutation(60)
    selection = best(features, quality, 12)
    assert selection.reasons[0] == "its quality is the best of all 60"
    assert quality[selection.chosen[0]] == 59
    for place in range(1, 12):
        number, reason = selection.chosen[place], selection.reasons[place]
        apart = np.linalg.norm(features[:, None] - features[list(selection.chosen[:place])], axis=2).min(axis=1)
        said = re.search(r"distance ([\d.]+)(?: of ([\d.]+))?\); quality in the top (\d+) %", reason)
        assert said
        assert float(said[1]) == pytest.approx(apart[number], abs=0.006)
        assert float(said[2] or said[1]) == pytest.approx(apart.max(), abs=0.006)
        assert int(said[3]) == pytest.approx(100 * (60 - quality[number]) / 60, abs=1.5)
        assert ("most different" in reason) == (said[2] is None)


def test_nothing_to_choose_from_is_no_error() -> None:
    assert best(np.empty((0, 3)), [], 5).chosen == ()
    assert best(cloud(3, 0), np.ones(3), 0).chosen == ()


def test_descriptions_are_close_for_the_same_picture_and_far_for_another() -> None:
    pictures = [getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket", "retina")]
    pictures += [np.asarray(draw(scene(k), (256, 256), style)) for k, style in enumerate(STYLES)]
    features = np.array([describe(picture) for picture in pictures])
    assert features.shape == (13, 240)
    apart = np.linalg.norm(features[:, None] - features, axis=2)
    assert apart.max() <= 1
    others = apart[np.triu_indices(len(pictures), 1)].min()
    for edit in (
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 1),
        lambda picture: cv2.resize(picture, (200, 200), interpolation=cv2.INTER_AREA),
        lambda picture: np.clip(picture * 1.08, 0, 255).astype(np.uint8),
    ):
        edited = np.array([describe(edit(picture)) for picture in pictures])
        assert np.linalg.norm(features - edited, axis=1).max() < others


def test_descriptions_see_colour_direction_and_place() -> None:
    base = np.full((128, 128, 3), 120, np.uint8)
    wave = (np.sin(np.arange(128) / 3) * 60).astype(np.int16)
    upright = (base + wave[None, :, None]).astype(np.uint8)
    level = (base + wave[:, None, None]).astype(np.uint8)
    assert np.linalg.norm(describe(upright) - describe(level)) > 0.3
    red, blue = base.copy(), base.copy()
    red[..., 0], blue[..., 2] = 230, 230
    assert np.linalg.norm(describe(red) - describe(blue)) > 0.3
    left, right = base.copy(), base.copy()
    left[:, :64], right[:, 64:] = 250, 250
    assert np.linalg.norm(describe(left) - describe(right)) > 0.1
    # what nobody sees makes no difference
    assert (
        np.linalg.norm(
            describe(base) - describe(base + (np.indices((128, 128)).sum(0) % 2)[..., None].astype(np.uint8))
        )
        < 0.1
    )


def test_different_scenes_are_chosen_before_more_pictures_of_the_same() -> None:
    places = [np.asarray(draw(scene(k), (128, 128))) for k in (1, 2, 3, 4)]
    features = [describe(place) for place in places]
    for place in places:
        features += [describe(np.roll(place, shift, axis=1)) for shift in (1, 2, 3)]
    chosen = best(np.array(features), np.ones(16), 4).chosen
    assert len({number if number < 4 else (number - 4) // 3 for number in chosen}) == 4
