import random
import re
from collections import Counter

import pytest

from capprep.toybox.negatives import POINTS, altered
from capprep.toybox.world import scene

SCENES = [scene(seed) for seed in range(300)]


@pytest.mark.parametrize("point", POINTS)
def test_a_caption_is_wrong_in_that_point_and_still_of_the_grammar(point: str) -> None:
    rng = random.Random(1)
    changed = [(shown, text) for shown in SCENES if (text := altered(shown, point, rng)) is not None]
    assert len(changed) > 40
    for shown, text in changed:
        assert text != shown.caption
        assert not re.search(r"\ba orange|\ban (?!orange)", text)
    assert len({text for _, text in changed}) > 0.8 * len(changed)


@pytest.mark.parametrize(("point", "most"), [("kind", 2), ("colour", 4), ("background", 4), ("light", 4), ("size", 2)])
def test_only_the_words_of_that_point_are_others(point: str, most: int) -> None:
    rng = random.Random(2)
    for shown in SCENES:
        text = altered(shown, point, rng)
        if text is not None:
            there, here = (
                Counter(word for word in caption.split() if word not in ("a", "an"))
                for caption in (shown.caption, text)
            )
            assert 0 < sum(((there - here) + (here - there)).values()) <= most, (shown.caption, text)


def test_order_and_binding_keep_every_word() -> None:
    rng = random.Random(3)
    for point in ("order", "binding"):
        for shown in SCENES:
            text = altered(shown, point, rng)
            if text is not None and not any(group.count > 1 for group in shown.groups):
                assert sorted(re.sub(r"\ban\b", "a", text).split()) == sorted(
                    re.sub(r"\ban\b", "a", shown.caption).split()
                )


def test_a_point_that_a_scene_does_not_have_is_not_altered() -> None:
    rng = random.Random(4)
    for shown in SCENES:
        single = len(shown.groups) == 1
        assert (altered(shown, "order", rng) is None) == single
        assert (altered(shown, "size", rng) is None) == (len(shown.things) > 1)
        if single:
            assert altered(shown, "binding", rng) is None
