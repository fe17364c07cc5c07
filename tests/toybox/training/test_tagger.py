from pathlib import Path

import numpy as np
import pytest
import torch

from capprep.models.tagger import OnnxTagger
from capprep.toybox.drawing import COLOURS
from capprep.toybox.shapes import KINDS
from capprep.toybox.training.tagger import TaggerTask, TagNet, write_tagger
from capprep.toybox.world import TAGS, draw, scene


@pytest.fixture(scope="module")
def net() -> TagNet:
    """A network whose normalisations have seen something."""
    torch.manual_seed(3)
    net = TagNet()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2.0)
                module.weight.uniform_(0.7, 1.3)
        net.kind.weight.mul_(8)
        net.colour.weight.mul_(8)
    return net.eval()


@pytest.fixture(scope="module")
def written(net: TagNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    write_tagger(net, folder)
    return folder


def test_the_file_answers_what_the_network_does_in_deepdanboorus_interface(net: TagNet, written: Path) -> None:
    tagger = OnnxTagger(written / "model.onnx", written / "labels.csv")
    assert {label.name: label.category for label in tagger.labels} == TAGS
    pictures = [np.asarray(draw(scene(seed))) for seed in range(3)]
    with torch.inference_mode():
        x_NCHW = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        own = net(torch.nn.functional.avg_pool2d(x_NCHW, 4)).sigmoid().numpy()
    assert own.std(axis=0).max() > 0.02
    np.testing.assert_allclose(tagger.probabilities(pictures), own, atol=5e-3)


def test_the_file_holds_half_precision_and_nothing_of_where_it_was_made(net: TagNet, written: Path) -> None:
    data = (written / "model.onnx").read_bytes()
    assert len(data) < 2.3 * sum(weight.numel() for weight in net.parameters())
    assert b"site-packages" not in data
    assert str(Path(__file__).parents[3]).encode() not in data


def test_the_same_network_gives_the_same_bytes(net: TagNet, written: Path, tmp_path: Path) -> None:
    write_tagger(net, tmp_path)
    for name in ("model.onnx", "labels.csv"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_a_colour_belongs_to_the_thing_in_its_own_cell() -> None:
    net = TagNet().eval()
    names = list(TAGS)
    house, star = list(KINDS).index("house") + 1, list(KINDS).index("star") + 1
    red, blue = list(COLOURS).index("red") + 1, list(COLOURS).index("blue") + 1
    kinds, colours = torch.zeros(1, len(KINDS) + 1, 8, 8), torch.zeros(1, len(COLOURS) + 1, 8, 8)
    kinds[:, 0], colours[:, 0] = 20, 20
    for column, kind, colour in ((1, house, red), (6, star, blue)):
        kinds[0, kind, 4, column], colours[0, colour, 4, column] = 40, 40
    with torch.inference_mode():
        logits = net.tags(torch.zeros(1, 144, 8, 8), kinds, colours, torch.zeros(1, 1, 8, 8))[0]
    true = {"house", "star", "red", "blue", "red_house", "blue_star"}
    found = {*KINDS, *COLOURS, *(f"{colour}_{kind}" for colour in COLOURS for kind in KINDS)}
    assert {name for name in found if logits[names.index(name)] > 0} == true


def test_the_losses_reach_every_weight() -> None:
    from capprep.toybox.training.pool import SIDE, labelled, picture, sample

    drawn = [sample(index) for index in range(4)]
    images, boxes = zip(*(picture(each) for each in drawn), strict=True)
    boxes_NM4 = np.zeros((4, 3, 4), np.float32)
    for row, each in enumerate(boxes):
        boxes_NM4[row, : len(each)] = each
    batch = labelled(np.stack([np.asarray(image) for image in images]), drawn, boxes_NM4)
    assert batch.images_NSSC.shape == (4, SIDE, SIDE, 3)
    task = TaggerTask()
    sum(task.losses(batch, np.random.RandomState(0)).values()).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in task.net.parameters())
    assert set(task.measures(batch)) == {"f1", "f1_kinds", "f1_coloured", "f1_counts"}
