"""What is trained is what the real classes then do: the same numbers from the same pictures and words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capprep.models.blip import BlipCaptioner
from capprep.models.match import BlipMatcher
from capprep.toybox.readers import VOCABULARY, write_blip
from capprep.toybox.training.captioner import CaptionerTask
from capprep.toybox.training.match import JUDGED, MatchTask
from capprep.toybox.training.pool import Batch, labelled, picture, sample
from capprep.toybox.training.tower import TowerTask, states
from capprep.toybox.world import TAGS


@pytest.fixture(scope="module")
def batch() -> Batch:
    drawn = [sample(index) for index in range(6)]
    images, boxes = zip(*(picture(each) for each in drawn), strict=True)
    boxes_NM4 = np.zeros((len(drawn), 3, 4), np.float32)
    for row, each in enumerate(boxes):
        boxes_NM4[row, : len(each)] = each
    return labelled(np.stack([np.asarray(image) for image in images]), drawn, boxes_NM4)


@pytest.fixture
def tower() -> TowerTask:
    torch.manual_seed(1)
    tower = TowerTask()
    tower.net.eval()
    return tower


def test_the_towers_losses_reach_every_weight_and_its_measures_are_shares(tower: TowerTask, batch: Batch) -> None:
    sum(tower.losses(batch, np.random.RandomState(0)).values()).backward()
    # the last layer's keys matter to nobody's gradient by a constant, hence parameters and not elements
    assert all(weight.grad is not None for weight in tower.net.parameters())
    with torch.inference_mode():
        assert all(0 <= value <= 1 for value in tower.measures(batch).values())


def test_the_captioner_starts_from_the_tower_and_its_class_says_what_it_learned(
    tower: TowerTask, batch: Batch, tmp_path: Path
) -> None:
    task = CaptionerTask(tower)
    task.net.eval()
    task.model.text_decoder.cls.predictions.bias.data[VOCABULARY.index("[PAD]")] = -100
    with torch.inference_mode():
        seen = states(task.model.vision_model, batch)
        torch.testing.assert_close(seen, states(tower.vision, batch))
        tokens, logits = task._read(seen, batch)
    assert [VOCABULARY[token] for token in tokens[0] if token] == ["[DEC]", *batch.scenes[0].caption.split(), "[SEP]"]
    write_blip(task.model, tmp_path)
    said = BlipCaptioner(tmp_path).captions(list(batch.images_NSSC), num_beams=1, min_new_tokens=1, max_new_tokens=1)
    logits = logits.clone()
    logits[:, 0, VOCABULARY.index("[SEP]")] = -100
    assert said == [VOCABULARY[number] for number in logits[:, 0].argmax(dim=-1)]


def test_every_part_of_the_captioner_learns(tower: TowerTask, batch: Batch) -> None:
    task = CaptionerTask(tower)
    losses = task.losses(batch, np.random.RandomState(0))
    sum(losses.values()).backward()
    assert all(weight.grad is not None for weight in task.net.parameters())
    assert 0.5 * np.log(len(VOCABULARY)) < losses["words"].item() < 2 * np.log(len(VOCABULARY))


def test_the_matchers_class_gives_the_vectors_and_answers_that_are_trained(
    tower: TowerTask, batch: Batch, tmp_path: Path
) -> None:
    task = MatchTask(tower)
    task.net.eval()
    write_blip(task.model, tmp_path)
    matcher = BlipMatcher(tmp_path)
    texts = [shown.caption for shown in batch.scenes]
    with torch.inference_mode():
        seen = states(task.model.vision_model, batch)
        np.testing.assert_allclose(
            matcher.image_embeddings(list(batch.images_NSSC)), task._picture_vectors(seen), atol=4e-3
        )
        np.testing.assert_allclose(matcher.text_embeddings(texts), task._text_vectors(texts), atol=4e-3)
        tokens = task._words(texts, padding=True, return_tensors="pt")
        pair = task.model(
            pixel_values=_pixels(batch), input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).itm_score
        torch.testing.assert_close(pair, task._pair_logits(seen, texts, "[CLS]"), atol=1e-4, rtol=1e-4)


def _pixels(batch: Batch) -> torch.Tensor:
    from capprep.toybox.readers import pixels

    return pixels(torch.from_numpy(batch.images_NSSC))


def test_every_part_of_the_matcher_learns(tower: TowerTask, batch: Batch) -> None:
    task = MatchTask(tower)
    task.net.eval()
    losses = task.losses(batch, np.random.RandomState(0))
    assert {"contrast", "tags", "pairs", "cell_kind"} <= set(losses)
    sum(losses.values()).backward()
    left = [name for name, weight in task.net.named_parameters() if weight.grad is None]
    assert all("heads" in name or name.startswith("1.") for name in left), left  # the tower's tags are not asked here
    with torch.inference_mode():
        measures = task.measures(batch)
    assert all(0 <= value <= 1 for value in measures.values())


def test_the_same_sentence_twice_is_no_wrong_answer(tower: TowerTask, batch: Batch) -> None:
    task = MatchTask(tower)
    task.net.eval()
    twice = Batch(
        **{
            name: (list(value) + list(value) if name == "scenes" else np.concatenate([value, value]))
            for name, value in vars(batch).items()
        }
    )
    wrong = ["a red cat on a blue sea"] * 12
    with torch.inference_mode():
        seen = states(task.model.vision_model, twice)
        alone = task._contrast(seen[:6], batch, wrong[:6])
        both = task._contrast(seen, twice, wrong)
    # six more copies of the one wrong sentence are all that is added
    assert both.item() < alone.item() + np.log(2)


def test_only_what_a_text_may_say_is_judged() -> None:
    assert set(JUDGED) == {tag for tag, category in TAGS.items() if category == "general"}
