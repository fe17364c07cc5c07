from __future__ import annotations

from pathlib import Path

import pytest
import torch

from capprep.errors import ConfigError
from capprep.models.stable_diffusion import BaseModel
from capprep.train import checkpoint
from capprep.train.checkpoint import Description
from capprep.train.config import TrainConfig
from capprep.train.hypernetwork import Structure, build
from capprep.train.plan import describe, plan

SD1, SD2 = (768, 320, 640, 1280), (1024, 320, 640, 1280)


# parameters and megabytes of files as measured on networks of the webui
@pytest.mark.parametrize(
    ("layers", "widths", "parameters", "megabytes"),
    [
        ((1, 1), SD1, 5_486_464, 21.95),
        ((1, 2, 1), SD1, 21_939_840, 87.77),
        ((1, 1.5, 1.5, 1), SD1, 28_796_416, 115.2),
        ((1, 2, 2, 1), SD1, 43_873_664, 175.5),
        ((1, 2, 4, 2, 1), SD1, 109_663_104, 438.7),
        ((1, 0.1, 1), SD1, 1_100_248, 4.41),
        ((1, 1), SD2, 6_404_480, 25.6),
        ((1, 2, 1), SD2, 25_611_392, 102.5),
        ((1, 2, 4, 2, 1), SD2, 128_017_792, 512.1),
        ((1, 1), (768,), 1_181_184, None),
        ((1, 2, 1), (768,), 4_723_200, None),
        ((1, 0.1, 1), (768,), 235_160, None),
    ],
)
def test_the_size_of_a_network_is_known_before_it_is_built(
    layers: tuple[float, ...], widths: tuple[int, ...], parameters: int, megabytes: float | None
) -> None:
    known = plan(widths, Structure(layers))
    assert known.parameters == parameters
    assert known.training_bytes == 16 * parameters
    if megabytes is not None:
        assert known.file_bytes / 1e6 == pytest.approx(megabytes, rel=3e-3)


def test_layer_norms_count() -> None:
    assert plan(SD1, Structure((1, 2, 1), "linear", layer_norm=True)).parameters == 21_975_936


def test_the_plan_is_what_is_built_and_written(tmp_path: Path) -> None:
    structure = Structure((1, 1.5, 0.5, 1), "mish", layer_norm=True)
    known = plan((320, 48), structure)
    network = build(known.widths, structure, "Normal", torch.Generator())
    assert sum(weight.numel() for weight in network.parameters()) == known.parameters
    checkpoint.write(tmp_path / "x.pt", network, Description())
    assert (tmp_path / "x.pt").stat().st_size == pytest.approx(known.file_bytes, rel=0.03)


def test_all_widths_of_the_base_model_are_the_default_the_texts_first(base: BaseModel) -> None:
    known = describe(TrainConfig(steps=1001, save_every=500, learn_rate="1e-5"), base)
    assert known.widths == (48, 16, 32)
    assert known.checkpoints == 3


def test_chosen_widths_keep_their_order(base: BaseModel) -> None:
    assert describe(TrainConfig(widths="32, 48"), base).widths == (32, 48)


def test_a_width_that_the_base_model_does_not_have_is_refused_with_those_it_has(base: BaseModel) -> None:
    with pytest.raises(ConfigError, match="no 768") as error:
        describe(TrainConfig(widths="48, 768"), base)
    assert error.value.hint == "it has 48, 16, 32"


def test_a_layer_that_would_be_empty_is_refused(base: BaseModel) -> None:
    with pytest.raises(ConfigError, match="empty"):
        describe(TrainConfig(layer_structure="1, 0.01, 1"), base)
