from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from capprep.errors import DeviceError, ModelMismatch, ModelMissing
from capprep.models.stable_diffusion import load_base, moved
from capprep.toybox.diffusion import BASE

pytestmark = pytest.mark.usefixtures("no_network")


def test_everything_is_frozen_and_in_evaluation_mode() -> None:
    base = load_base(BASE, "auto", torch.float32)
    for network in (base.unet, base.vae, base.text_encoder):
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())
    assert base.kind == "Stable Diffusion 1.x"
    assert base.vae_name == "the folder's own (AutoencoderKL)"


def test_loading_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    load_base(BASE, "cpu", torch.bfloat16)
    assert capfd.readouterr() == ("", "")


def test_nothing_there_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no base model at") as error:
        load_base(tmp_path / "gone", "cpu", torch.float32)
    assert "a diffusers folder" in error.value.hint


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DeviceError):
        load_base(BASE, "cuda", torch.float32)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BASE, tmp_path / "base"))


def changed(copy: Path, part: str, **values: Any) -> None:
    path = copy / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_folder_of_half_precision_files_only_is_read(copy: Path) -> None:
    for path in list(copy.rglob("*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    base = load_base(copy, "cpu", torch.float32)
    with torch.no_grad():
        assert torch.isfinite(base.unet(torch.zeros(1, 4, 8, 8), 5, torch.zeros(1, 77, 48)).sample).all()


def test_a_folder_with_a_tiny_autoencoder_is_read(copy: Path) -> None:
    blocks = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    shutil.rmtree(copy / "vae")
    layers = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    AutoencoderTiny(**blocks, **layers, latent_channels=4).save_pretrained(copy / "vae")
    base = load_base(copy, "cpu", torch.float32)
    assert (base.vae_name, base.resolution) == ("the folder's own (AutoencoderTiny)", 64)


@pytest.mark.parametrize("part", ["unet", "scheduler"])
def test_a_folder_without_a_part_is_refused_naming_it(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    with pytest.raises(ModelMismatch, match=f"no {part}/"):
        load_base(copy, "cpu", torch.float32)


@pytest.mark.parametrize(
    ("part", "values", "what"),
    [
        ("unet", {"in_channels": 9}, "cannot be loaded|an inpainting model"),
        ("unet", {"_class_name": "SD3Transformer2DModel"}, "not a Stable Diffusion 1.x or 2.x"),
        ("vae", {"_class_name": "AsymmetricAutoencoderKL"}, "AsymmetricAutoencoderKL"),
        ("unet", {"sample_size": None}, "do not fit together"),
    ],
)
def test_a_folder_of_another_kind_is_refused(copy: Path, part: str, values: dict[str, Any], what: str) -> None:
    changed(copy, part, **values)
    with pytest.raises(ModelMismatch, match=what):
        load_base(copy, "cpu", torch.float32)


def test_an_inpainting_folder_is_refused_by_name(copy: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(copy / "unet", low_cpu_mem_usage=False)
    UNet2DConditionModel.from_config({**unet.config, "in_channels": 9}).save_pretrained(copy / "unet")
    with pytest.raises(ModelMismatch, match="an inpainting model"):
        load_base(copy, "cpu", torch.float32)


def test_a_model_that_predicts_something_else_is_refused(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"prediction_type": "sample"}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelMismatch, match="predicts 'sample'"):
        load_base(copy, "cpu", torch.float32)


@pytest.mark.parametrize(
    "file", ["unet/config.json", "tokenizer/tokenizer.json", "vae/diffusion_pytorch_model.safetensors"]
)
def test_a_damaged_folder_is_an_error_naming_the_place(copy: Path, file: str) -> None:
    (copy / file).write_bytes(b"{")
    with pytest.raises(ModelMismatch, match=re.escape(str(copy))) as error:
        load_base(copy, "cpu", torch.float32)
    assert error.value.hint == "get the whole folder again"


def test_a_folder_that_lacks_a_weight_is_an_error_and_not_a_random_number(copy: Path) -> None:
    path = copy / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    del weights["text_model.final_layer_norm.bias"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelMismatch, match="lacks 1 weights"):
        load_base(copy, "cpu", torch.float32)


def test_a_network_moved_for_a_while_comes_back() -> None:
    network = torch.nn.Linear(2, 2, device="meta")
    with moved(network, torch.device("meta")):
        pass
    assert next(network.parameters()).device.type == "meta"
