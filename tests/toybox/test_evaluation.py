import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from capprep.errors import ConfigError
from capprep.toybox import evaluation as ev
from capprep.toybox.negatives import POINTS
from capprep.toybox.world import TAGS, Group, Scene, scene

SCENES = [scene(10**9 + number) for number in range(300)]
ONCE = np.ones((1, 3))


def shown(*groups: Group, background: str = "green field", light: str = "day", relation: str = "left of") -> Scene:
    return Scene(0, groups, relation, (), background, light)


TWO = shown(Group("house", "red", 1), Group("star", "blue", 2), background="snowy hill", light="night")


def hits(caption: str, truth: Scene = TWO) -> dict[str, tuple[float, float]]:
    return {name: (top[0], bottom[0]) for name, (top, bottom) in ev.caption_hits([caption], [truth]).items()}


def test_a_true_caption_is_heard_whole() -> None:
    for each in SCENES:
        said = ev.heard(each.caption)
        assert said.groups == {(group.colour, group.kind, group.count) for group in each.groups}
        assert (said.backgrounds, said.light) == ((each.background,), each.light)
    captions = [each.caption for each in SCENES]
    assert all(np.array_equal(top, bottom) for top, bottom in ev.caption_hits(captions, SCENES).values())


@pytest.mark.parametrize("point", POINTS)
def test_a_caption_wrong_in_one_point_is_not_exact_and_loses_only_what_the_point_is_about(point: str) -> None:
    lost = {
        "kind": {"objects", "numbers"},
        "colour": {"objects", "numbers"},
        "count": {"numbers"},
        "background": {"background"},
        "light": {"light"},
        "binding": {"objects", "numbers"},
    }.get(point, set())
    pairs = [
        (wrong[point], each) for each, wrong in zip(SCENES, ev.wrong_captions(SCENES), strict=True) if point in wrong
    ]
    assert len(pairs) > 20
    counted = ev.caption_hits(*zip(*pairs, strict=True))
    for name, (top_N, bottom_N) in counted.items():
        assert (top_N < bottom_N).all() if name in lost | {"exact"} else (top_N == bottom_N).all()


def test_things_count_where_colour_and_kind_are_both_right_and_stand_together() -> None:
    assert hits("a red house left of two blue stars on a snowy hill at night")["exact"] == (1, 1)
    assert hits("a blue house left of two red stars on a snowy hill at night")["objects"] == (0, 2)
    assert hits("a big red house left of a blue star on a snowy hill")["objects"] == (2, 2)
    assert hits("a big red house left of a blue star on a snowy hill")["numbers"] == (1, 2)
    assert hits("red house house red blue")["objects"] == (1, 2)
    assert hits("red house")["numbers"] == (0, 2)
    assert hits("a red housed blue starship")["objects"] == (0, 2)
    assert hits("a red house left of a red house on a snowy hill")["objects"] == (1, 2)


def test_two_sceneries_are_not_the_right_one() -> None:
    assert hits("a red house on a snowy hill at night on a blue sea")["background"] == (0, 1)
    assert hits("a red house on a snowy hill at sunset")["light"] == (0, 1)
    assert hits("a red house on a snowy hill")["light"] == (0, 1)
    assert hits("", shown(Group("cat", "pink", 1)))["light"] == (1, 1)


def test_f1_is_what_a_hand_computes() -> None:
    said = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    true = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)
    assert ev.micro_f1(said, true, ONCE)[0] == pytest.approx(2 * 2 / (3 + 4))
    weights = np.array([[2.0, 1, 0], [0, 0, 1]])  # the first twice, the third left out; the third alone
    assert ev.micro_f1(said, true, weights) == pytest.approx([2 * 3 / (5 + 4), 0])


def test_f1_of_tags_that_are_never_true_is_not_a_number() -> None:
    said, true = np.array([[True], [False], [False]]), np.zeros((3, 1), dtype=bool)
    assert math.isnan(ev.micro_f1(said, true, ONCE)[0])


scored = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40)


@given(scored)
def test_auroc_is_the_statistic_of_mann_and_whitney_ties_and_weights_included(
    rows: list[tuple[int, bool, int]],
) -> None:
    scores, truth = np.array([row[0] for row in rows], float) / 7, np.array([row[1] for row in rows])
    times = np.array([row[2] for row in rows])
    found = ev.auroc(scores, truth, np.stack([np.ones(len(rows)), times]))
    for value, often in zip(found, (np.ones(len(rows), dtype=int), times), strict=True):
        true, false = (np.repeat(scores[which], often[which]) for which in (truth, ~truth))
        if len(true) and len(false):
            assert value == pytest.approx(mannwhitneyu(true, false).statistic / (len(true) * len(false)))
        else:
            assert math.isnan(value)


def test_auroc_of_nothing_is_not_a_number() -> None:
    assert np.isnan(ev.auroc(np.empty(0), np.empty(0, dtype=bool), np.empty((4, 0)))).all()


def test_the_mean_auroc_is_of_the_tags_that_enough_pictures_have_and_lack() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 5), dtype=bool)
    for tag, count in enumerate((4, 5, 20, 35, 36)):
        truth[:count, tag] = True
    scores = rng.normal(size=(40, 5)) + truth
    weights = ev.resamples(40, 20)
    values, judged = ev.mean_auroc(scores, truth, weights)
    assert judged == 3
    each = [mannwhitneyu(scores[truth[:, tag], tag], scores[~truth[:, tag], tag]).statistic for tag in (1, 2, 3)]
    assert values[0] == pytest.approx(np.mean(np.array(each) / np.array([5 * 35, 20 * 20, 35 * 5])))
    assert ev.mean_auroc(scores, truth, weights, least=21)[1] == 0
    assert np.isnan(ev.mean_auroc(scores, truth, weights, least=21)[0]).all()


def test_a_resample_without_any_picture_of_a_tag_takes_the_mean_of_the_others() -> None:
    scores, truth = np.array([[1.0, 0], [0, 1], [2, 2]]), np.array([[True, False], [False, True], [False, False]])
    weights = np.array([[1.0, 1, 1], [1, 0, 1], [0, 0, 1]])
    values, judged = ev.mean_auroc(scores, truth, weights, least=1)
    assert judged == 2
    assert values[:2] == pytest.approx([(0.5 + 0.5) / 2, 0])
    assert math.isnan(values[2])


def test_resamples_hold_as_many_pictures_as_there_are_and_are_the_same_ones_every_time() -> None:
    weights = ev.resamples(50, 200)
    assert weights.shape == (201, 50)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 50).all()
    assert len({row.tobytes() for row in weights}) == 201
    assert np.array_equal(weights, ev.resamples(50, 200))
    assert not np.array_equal(weights, ev.resamples(50, 200, seed=1))


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    right = np.arange(400) % 5 > 0
    found = ev.estimate(ev.share(right, np.ones(400), ev.resamples(400, 4000)))
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert found.value == pytest.approx(0.8)
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.004)


def test_the_interval_of_an_auroc_is_as_wide_as_samples_differ() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(200) % 2 == 0
    samples = [rng.normal(size=200) + truth for _ in range(400)]
    values = [ev.auroc(scores, truth, np.ones((1, 200)))[0] for scores in samples]
    widths = []
    for scores in samples[:20]:
        found = ev.estimate(ev.auroc(scores, truth, ev.resamples(200, 400)))
        widths.append(found.high - found.low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.15)


def test_what_is_undefined_has_no_interval_and_undefined_resamples_are_left_out() -> None:
    nothing = ev.estimate(np.array([np.nan, 0.5, 0.5]))
    assert all(math.isnan(number) for number in (nothing.value, nothing.low, nothing.high))
    assert ev.estimate(np.array([0.5, np.nan, 0.25, 0.25])) == ev.Estimate(0.5, 0.25, 0.25)
    assert math.isnan(ev.estimate(np.array([0.5, np.nan])).low)
    assert math.isnan(ev.share(np.zeros(3), np.zeros(3), ONCE)[0])


def test_every_tag_stands_in_one_group_beside_all_and_all_leaves_only_ratings_out() -> None:
    groups = [tag for name, tags in ev.TAG_GROUPS.items() for tag in tags if name != "all"]
    assert sorted(groups) == sorted(TAGS)
    assert set(TAGS) - set(ev.TAG_GROUPS["all"]) == set(ev.TAG_GROUPS["rating"])
    assert "red_house" in ev.TAG_GROUPS["coloured kinds"]
    assert len(ev.TAG_GROUPS["coloured kinds"]) == len(ev.TAG_GROUPS["kinds"]) * len(ev.TAG_GROUPS["colours"])


def test_flags_stand_in_the_order_of_the_tags() -> None:
    flags = ev.truth([each.tags for each in SCENES[:20]])
    assert [tuple(np.array(list(TAGS))[row]) for row in flags] == [each.tags for each in SCENES[:20]]
    assert ev.truth([("house",)])[0, ev.columns(("house", "tree"))].tolist() == [True, False]


def test_exchanged_captions_are_never_the_picture_s_own_and_come_from_the_set() -> None:
    captions = [each.caption for each in SCENES]
    others = ev.swapped(SCENES)
    assert all(other != own and other in captions for own, other in zip(captions, others, strict=True))
    assert len(set(others)) > len(SCENES) / 3
    assert others == ev.swapped(SCENES)
    with pytest.raises(ConfigError, match="exchanged"):
        ev.swapped([TWO, TWO])


def test_wrong_captions_are_the_same_every_time_and_never_true() -> None:
    wrong = ev.wrong_captions(SCENES)
    assert wrong == ev.wrong_captions(SCENES)
    assert all(each.caption not in texts.values() for each, texts in zip(SCENES, wrong, strict=True))
    assert {point for texts in wrong for point in texts} == set(POINTS)
    random.seed(5)
    assert wrong == ev.wrong_captions(SCENES)
