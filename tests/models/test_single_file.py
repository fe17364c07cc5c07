"""Single files are written here by a key mapping of its own and must load to the same outputs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

import capprep.models
from capprep.errors import ModelMismatch
from capprep.models.stable_diffusion import BaseModel, load_base

CONFIGS = Path(capprep.models.__path__[0]) / "sd_configs"
TINY = {
    "unet": {"block_out_channels": [32, 64, 64, 64], "cross_attention_dim": 40, "sample_size": 8},
    "vae": {"block_out_channels": [32, 32, 64, 64]},
    "text_encoder": {
        "hidden_size": 40,
        "intermediate_size": 48,
        "projection_dim": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
}


pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped descriptions at a tiny size."""
    folder = tmp_path_factory.mktemp("configs")
    for family in ("sd1", "sd2"):
        (folder / family).mkdir()
        for part in ("unet", "vae", "text_encoder", "scheduler"):
            config = json.loads((CONFIGS / family / f"{part}.json").read_text(encoding="utf-8")) | TINY.get(part, {})
            if part == "unet" and family == "sd2":
                config["attention_head_dim"] = [2, 4, 4, 4]
            (folder / family / f"{part}.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def networks(configs: Path, family: str) -> tuple[Any, Any, Any]:
    """UNet, VAE and text encoder with random weights."""
    unet, vae, text = (
        json.loads((configs / family / f"{part}.json").read_text(encoding="utf-8"))
        for part in ("unet", "vae", "text_encoder")
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        built = UNet2DConditionModel(**unet), AutoencoderKL(**vae), CLIPTextModel(CLIPTextConfig(**text))
    for network in built:
        network.eval()
    return built


def compvis(unet: Any, vae: Any, text: Any, family: str) -> dict[str, Tensor]:
    """The three networks as one file of the original code would name their weights."""
    layers = unet.config.layers_per_block
    tensors = {f"model.diffusion_model.{unet_key(key, layers)}": value for key, value in unet.state_dict().items()}
    for key, value in vae.state_dict().items():
        name = vae_key(key, len(vae.config.block_out_channels))
        convolution = re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name)
        tensors[f"first_stage_model.{name}"] = value[:, :, None, None] if convolution else value
    states = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    tensors |= open_clip(states, text.config.num_hidden_layers) if family == "sd2" else clip(states)
    tensors["betas"] = torch.linspace(0, 1, 1000)
    tensors["model_ema.decay"] = torch.tensor(0.9999)
    return {key: value.detach().clone().contiguous() for key, value in tensors.items()}


def unet_key(key: str, layers: int) -> str:
    plain = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    plain |= {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    stem, _, end = key.rpartition(".")
    if stem in plain:
        return f"{plain[stem]}.{end}"
    parts = key.split(".")
    if parts[0] == "mid_block":
        place = {"resnets": 2 * int(parts[2]), "attentions": 1}[parts[1]]
        return f"middle_block.{place}.{within(parts[3:])}"
    block, kind, number = int(parts[1]), parts[2], int(parts[3])
    if parts[0] == "down_blocks":
        first = 1 + block * (layers + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + layers}.0.op.{end}"
        return f"input_blocks.{first + number}.{int(kind == 'attentions')}.{within(parts[4:])}"
    first = block * (layers + 1)
    if kind == "upsamplers":
        return f"output_blocks.{first + layers}.{1 if block == 0 else 2}.conv.{end}"
    return f"output_blocks.{first + number}.{int(kind == 'attentions')}.{within(parts[4:])}"


def within(parts: list[str]) -> str:
    """A weight inside a residual block; an attention's names are the same in both."""
    names = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    return ".".join([names[parts[0]], *parts[1:]] if len(parts) == 2 and parts[0] in names else parts)


def vae_key(key: str, blocks: int) -> str:
    rules = [
        (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_(q|k|v)", r"mid.attn_1.\1"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{blocks - 1 - int(m[1])}.block.{m[2]}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample"),
        (r"conv_shortcut", "nin_shortcut"),
        (r"conv_norm_out", "norm_out"),
    ]
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def clip(states: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {f"cond_stage_model.transformer.text_model.{key}": value for key, value in states.items()}
    named["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return named


def open_clip(states: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    prefix = "cond_stage_model.model."
    width = states["embeddings.token_embedding.weight"].shape[1]
    named = {
        f"{prefix}token_embedding.weight": states["embeddings.token_embedding.weight"],
        f"{prefix}positional_embedding": states["embeddings.position_embedding.weight"],
        f"{prefix}ln_final.weight": states["final_layer_norm.weight"],
        f"{prefix}ln_final.bias": states["final_layer_norm.bias"],
        f"{prefix}text_projection": torch.eye(width),
        f"{prefix}logit_scale": torch.tensor(1.0),
    }
    pieces = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    pieces["self_attn.out_proj"] = "attn.out_proj"
    for layer in range(layers + 1):  # the last one is in the file and not used
        ours, theirs = f"encoder.layers.{min(layer, layers - 1)}", f"{prefix}transformer.resblocks.{layer}"
        for end in ("weight", "bias"):
            for mine, other in pieces.items():
                named[f"{theirs}.{other}.{end}"] = states[f"{ours}.{mine}.{end}"]
            qkv = [states[f"{ours}.self_attn.{x}_proj.{end}"] for x in "qkv"]
            named[f"{theirs}.attn.in_proj_{end}"] = torch.cat(qkv)
    return named


@pytest.fixture(scope="module")
def tensors(configs: Path) -> dict[str, Tensor]:
    return compvis(*networks(configs, "sd1"), "sd1")


@pytest.mark.parametrize("family", ["sd1", "sd2"])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_single_file_gives_the_outputs_of_the_networks_it_was_made_of(
    configs: Path, tmp_path: Path, family: str, suffix: str
) -> None:
    unet, vae, text = networks(configs, family)
    path = tmp_path / f"model{suffix}"
    if suffix == ".ckpt":
        torch.save({"state_dict": compvis(unet, vae, text, family), "global_step": 5}, path)
    else:
        save_file(compvis(unet, vae, text, family), path)
    base = load_base(path, "cpu", torch.float32, configs)
    generator = torch.Generator().manual_seed(1)
    x, ids = torch.randn(1, 4, 8, 8, generator=generator), torch.tensor([[49406, 320, 1125] + [49407] * 74])
    states, pixels = torch.randn(1, 77, 40, generator=generator), torch.rand(1, 3, 32, 32, generator=generator)
    with torch.no_grad():
        pairs = [
            (unet(x, 500, states).sample, base.unet(x, 500, states).sample),
            (vae.encode(pixels).latent_dist.mean * 0.18215, base.encode(pixels)),
            (vae.decode(x / 0.18215).sample, base.decode(x)),
            (text(ids).last_hidden_state, base.text_encoder(ids).last_hidden_state),
        ]
    for expected, found in pairs:
        assert torch.allclose(expected, found, atol=1e-5)
    assert (base.name, base.resolution, base.latent_scale) == ("model", 64, 8)
    assert base.vae_name == "the checkpoint's own (AutoencoderKL)"
    first = family == "sd1"
    assert base.kind == f"Stable Diffusion {'1' if first else '2'}.x"
    assert base.prediction_type == ("epsilon" if first else "v_prediction")
    assert base.tokenizer.pad_token_id == (49407 if first else 0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(2)}, "a LoRA"),
        ({"unet.attn.to_k.lora_A.weight": torch.zeros(2)}, "a LoRA"),
        ({"conditioner.embedders.1.model.ln_final.bias": torch.zeros(2)}, "Stable Diffusion XL"),
        ({"conditioner.embedders.0.model.ln_final.bias": torch.zeros(2)}, "the Stable Diffusion XL refiner"),
        ({"control_model.time_embed.0.weight": torch.zeros(2)}, "a ControlNet"),
        ({"first_stage_model.encoder.conv_in.weight": torch.zeros(2)}, "only a VAE"),
        ({"decoder.weight": torch.zeros(2)}, "not a Stable Diffusion checkpoint"),
        ({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 9, 3, 3)}, "an inpainting model"),
        ({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)}, "holds no VAE"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, content: dict[str, Tensor], what: str) -> None:
    save_file(content, tmp_path / "x.safetensors")
    with pytest.raises(ModelMismatch, match=what) as error:
        load_base(tmp_path / "x.safetensors", "cpu", torch.float32)
    assert "Stable Diffusion 1.x or 2.x" in error.value.hint


def test_a_hypernetwork_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({320: ({}, {}), "layer_structure": [1, 2, 1], "name": "x"}, tmp_path / "x.pt")
    with pytest.raises(ModelMismatch, match="is a hypernetwork"):
        load_base(tmp_path / "x.pt", "cpu", torch.float32)


def test_a_checkpoint_without_its_text_encoder_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    rest = {key: value for key, value in tensors.items() if not key.startswith("cond_stage_model")}
    save_file(rest, tmp_path / "x.safetensors")
    with pytest.raises(ModelMismatch, match="holds no text encoder"):
        load_base(tmp_path / "x.safetensors", "cpu", torch.float32)


@pytest.mark.parametrize(
    "gone",
    [
        "model.diffusion_model.out.2.bias",
        "first_stage_model.decoder.conv_out.bias",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    ],
)
def test_a_missing_weight_is_an_error_and_not_a_random_number(
    configs: Path, tmp_path: Path, tensors: dict[str, Tensor], gone: str
) -> None:
    save_file({key: value for key, value in tensors.items() if key != gone}, tmp_path / "x.safetensors")
    with pytest.raises(ModelMismatch, match="does not have the weights"):
        load_base(tmp_path / "x.safetensors", "cpu", torch.float32, configs)


def test_weights_of_another_size_are_an_error(configs: Path, tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    key = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
    save_file(tensors | {key: torch.zeros(41)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelMismatch, match="CLIP text encoder"):
        load_base(tmp_path / "x.safetensors", "cpu", torch.float32, configs)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("loaded",))


def test_a_pickle_with_more_than_weights_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "x.ckpt")
    with pytest.raises(ModelMismatch, match="more than weights") as error:
        load_base(tmp_path / "x.ckpt", "cpu", torch.float32)
    assert "safetensors" in error.value.hint
    assert "loaded" not in capsys.readouterr().out


@pytest.fixture
def lightning() -> Iterator[type]:
    """The class that training checkpoints of 2022 name."""
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"]
    for name in names:
        sys.modules[name] = ModuleType(name)
    kind = type("ModelCheckpoint", (), {"__module__": names[-1]})
    sys.modules[names[-1]].ModelCheckpoint = kind  # type: ignore[attr-defined]
    yield kind
    for name in names:
        del sys.modules[name]


def test_a_training_checkpoint_with_lightnings_callbacks_is_read(tmp_path: Path, lightning: type) -> None:
    torch.save(
        {"callbacks": {lightning: {"best": 1}}, "state_dict": {"control_model.x": torch.zeros(1)}}, tmp_path / "x.ckpt"
    )
    with pytest.raises(ModelMismatch, match="a ControlNet"):
        load_base(tmp_path / "x.ckpt", "cpu", torch.float32)


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_a_damaged_file_is_an_error_with_a_hint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"cut off before it began")
    with pytest.raises(ModelMismatch, match=re.escape(name)) as error:
        load_base(tmp_path / name, "cpu", torch.float32)
    assert error.value.hint


def test_what_is_no_checkpoint_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ModelMismatch, match="suffix"):
        load_base(tmp_path / "x.txt", "cpu", torch.float32)
    torch.save([1], tmp_path / "x.pt")
    with pytest.raises(ModelMismatch, match="no checkpoint"):
        load_base(tmp_path / "x.pt", "cpu", torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_a_file_of_the_real_size_loads_with_the_right_shapes(tmp_path: Path, family: str) -> None:
    def empty(network: Any) -> Any:
        generator = torch.Generator().manual_seed(0)
        for module in network.modules():
            for name, weight in list(module.named_parameters(recurse=False)):
                values = torch.randn(weight.shape, generator=generator, dtype=torch.float32).mul_(0.02).half()
                setattr(module, name, torch.nn.Parameter(values, requires_grad=False))
        return network

    parts = {
        part: json.loads((CONFIGS / family / f"{part}.json").read_text(encoding="utf-8"))
        for part in ("unet", "vae", "text_encoder")
    }
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel(**parts["unet"]), AutoencoderKL(**parts["vae"])
        text = CLIPTextModel(CLIPTextConfig(**parts["text_encoder"]))
    path = tmp_path / "real.safetensors"
    save_file(compvis(empty(unet), empty(vae), empty(text), family), path)
    base: BaseModel = load_base(path, "cpu", torch.float32)
    path.unlink()  # gigabytes
    expected = (859_520_964, 512, 768) if family == "sd1" else (865_910_724, 768, 1024)
    parameters = sum(weight.numel() for weight in base.unet.parameters())
    assert (parameters, base.resolution, base.text_encoder.config.hidden_size) == expected
    with torch.no_grad():
        assert base.unet(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 77, expected[2])).sample.shape == (1, 4, 8, 8)
        assert base.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 8, 8)
