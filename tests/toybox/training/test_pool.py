from pathlib import Path

import numpy as np
import pytest

from capprep.toybox.drawing import COLOURS
from capprep.toybox.shapes import KINDS
from capprep.toybox.training import pool
from capprep.toybox.training.pool import (
    CELL,
    FIRST_SEED,
    SIDE,
    UNSEEN_STYLE,
    Pool,
    draw_pool,
    labelled,
    picture,
    sample,
)
from capprep.toybox.world import TAGS

SAMPLES = [sample(index) for index in range(400)]


def test_a_number_is_a_sample_and_no_other() -> None:
    assert sample(3) == SAMPLES[3]
    assert len({each.scene.seed for each in SAMPLES}) == len(SAMPLES)


def test_nothing_held_out_is_trained_on() -> None:
    assert not any(each.scene.held_out for each in SAMPLES)
    assert all(each.scene.seed >= FIRST_SEED for each in SAMPLES)
    assert UNSEEN_STYLE not in {each.style for each in SAMPLES}


def test_samples_come_in_all_other_styles_damaged_and_whole() -> None:
    assert {each.style for each in SAMPLES} == set(pool.KNOWN_STYLES)
    assert {name for each in SAMPLES for name in each.damage} == set(pool.DAMAGE_TAGS)
    assert {len(each.damage) for each in SAMPLES} == {0, 1, 2}


def test_a_picture_is_of_the_readers_size_and_its_boxes_lie_in_it() -> None:
    for each in SAMPLES[:40]:
        image, boxes = picture(each)
        assert image.size == (SIDE, SIDE)
        assert image.mode == "RGB"
        assert len(boxes) == len(each.scene.things)
        assert 0 <= np.min(boxes) <= np.max(boxes) <= SIDE


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 16 training pictures in two chunks."""
    monkeypatch.setattr(pool, "CHUNK", 8)
    draw_pool(tmp_path, 12, workers=1)
    return tmp_path


def test_the_pool_holds_the_pictures_as_drawn(few: Path) -> None:
    drawn = Pool(few, 12)
    assert drawn.count == 16
    batch = drawn.batch([11, 2])
    for row, index in enumerate((11, 2)):
        np.testing.assert_array_equal(batch.images_NSSC[row], np.asarray(picture(sample(index))[0]))
        assert batch.scenes[row] == sample(index).scene


def test_chunks_that_are_there_are_left_alone_and_more_can_follow(few: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in few.iterdir()}
    draw_pool(few, 20, workers=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(few.iterdir())) == len(before) + 2


def test_a_shifted_picture_is_labelled_where_it_lies_then(few: Path) -> None:
    drawn = Pool(few, 16)
    straight, moved = drawn.batch([5] * 20), drawn.batch([5] * 20, np.random.RandomState(1))
    assert any((a != b).any() for a, b in zip(straight.images_NSSC, moved.images_NSSC, strict=True))
    image = straight.images_NSSC[0]
    found = 0
    for down in range(-6, 7):
        for right in range(-6, 7):
            part = image[max(0, -down) : SIDE - max(0, down), max(0, -right) : SIDE - max(0, right)]
            for other, offsets in zip(moved.images_NSSC, moved.offsets_NGG2, strict=True):
                there = other[max(0, down) : SIDE + min(0, down), max(0, right) : SIDE + min(0, right)]
                if (there == part).all():
                    found += 1
                    both = (offsets != 0).all(axis=-1) & (straight.offsets_NGG2[0] != 0).all(axis=-1)
                    change = (offsets - straight.offsets_NGG2[0])[both] * SIDE
                    np.testing.assert_allclose(change, np.broadcast_to((right, down), change.shape), atol=1e-3)
    assert found >= 20


def test_cells_tell_what_lies_in_them() -> None:
    drawn = [each for each in SAMPLES[:200] if not each.damage]
    boxes_NM4 = np.zeros((len(drawn), 3, 4), np.float32)
    for row, each in enumerate(drawn):
        boxes_NM4[row, : len(each.scene.things)] = each.scene.boxes((SIDE, SIDE))
    batch = labelled(np.zeros((len(drawn), SIDE, SIDE, 3), np.uint8), drawn, boxes_NM4)
    for row, each in enumerate(drawn):
        assert batch.middles_NGG[row].sum() == len(each.scene.things)
        for thing, (left, top, right, bottom) in zip(each.scene.things, boxes_NM4[row], strict=False):
            x, y = (left + right) / 2, (top + bottom) / 2
            cell = int(y // CELL), int(x // CELL)
            assert batch.middles_NGG[row][cell] == 1
            own = (batch.kinds_NGG[row] == list(KINDS).index(thing.kind) + 1) & (
                batch.colours_NGG[row] == list(COLOURS).index(thing.colour) + 1
            )
            assert own.any()
        covered = batch.kinds_NGG[row] > 0
        assert {list(KINDS)[number - 1] for number in batch.kinds_NGG[row][covered]} == {
            thing.kind for thing in each.scene.things
        }
        rows, columns = np.nonzero(covered)
        middles = np.stack([columns, rows], axis=-1) * CELL + CELL / 2 + batch.offsets_NGG2[row][covered] * SIDE
        true = [((a + c) / 2, (b + d) / 2) for a, b, c, d in boxes_NM4[row][: len(each.scene.things)]]
        assert all(min(np.hypot(*(middle - np.array(t))) for t in true) < 0.01 for middle in middles)


def test_tags_are_the_scenes_and_the_pictures() -> None:
    chosen = SAMPLES[:50]
    images = np.zeros((len(chosen), SIDE, SIDE, 3), np.uint8)
    batch = labelled(images, chosen, np.full((len(chosen), 3, 4), 10, np.float32))
    for tags_T, each in zip(batch.tags_NT, chosen, strict=True):
        assert {tag for tag, true in zip(TAGS, tags_T, strict=True) if true} == set(
            each.scene.tags_drawn(each.style, each.damage)
        )
