from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from capprep.errors import CapprepError
from capprep.models.stable_diffusion import BaseModel
from capprep.train.diffusion import attached, check_bare
from capprep.train.hypernetwork import Hypernetwork, Structure, build
from capprep.train.previews import sample, side_by_side, write_picture


def taught(init: str) -> Hypernetwork:
    return build([48, 16, 32], Structure(), init, torch.Generator().manual_seed(1)).train()


def test_the_same_arguments_give_the_same_picture_and_others_another(base: BaseModel) -> None:
    first, again = (np.asarray(sample(base, "a red star", steps=3)) for _ in range(2))
    assert first.shape == (64, 64, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, sample(base, "a red star", steps=3, seed=1))
    assert not np.array_equal(first, sample(base, "a red star", steps=3, guidance=1.0))


def test_an_untaught_hypernetwork_leaves_the_picture_exactly_as_it_is(base: BaseModel) -> None:
    bare = np.asarray(sample(base, "a red star", steps=3))
    assert np.array_equal(bare, sample(base, "a red star", steps=3, hypernetwork=taught("zero-out")))


def test_strength_decides_how_much_a_hypernetwork_does(base: BaseModel) -> None:
    network = taught("XavierNormal")
    bare, none, full = (
        np.asarray(sample(base, "a star", steps=3, hypernetwork=given, strength=strength), dtype=float)
        for given, strength in ((None, 1.0), (network, 0.0), (network, 1.0))
    )
    assert np.array_equal(bare, none)
    assert not np.array_equal(bare, full)
    pair = network.pair(48)
    assert pair is not None
    assert network.training
    assert pair[0].strength == 1.0
    check_bare(base.unet)


def test_v_prediction_models_draw_too(base: BaseModel) -> None:
    noise = DDPMScheduler.from_config({**base.noise.config, "prediction_type": "v_prediction"})
    other = dataclasses.replace(base, noise=noise)
    assert not np.array_equal(sample(other, "a star", steps=2), sample(base, "a star", steps=2))


def test_an_attached_hypernetwork_cannot_slip_into_the_picture_of_the_base_model(base: BaseModel) -> None:
    with attached(base.unet, taught("Normal")), pytest.raises(CapprepError, match="already"):
        sample(base, "a star", steps=1)


def test_numbers_that_are_no_picture_are_an_error(base: BaseModel) -> None:
    broken = taught("XavierNormal")
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(CapprepError, match="not finite"):
        sample(base, "a star", steps=1, hypernetwork=broken)


def test_two_pictures_lie_side_by_side_with_a_gap(tmp_path: Path) -> None:
    sheet = side_by_side(Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue"))
    assert sheet.size == (129, 64)
    write_picture(tmp_path / "deep" / "p.png", sheet)
    with Image.open(tmp_path / "deep" / "p.png") as again:
        assert [again.getpixel((x, 9)) for x in (63, 64, 65)] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]
