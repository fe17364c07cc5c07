from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional

from capprep.errors import ConfigError, ModelMismatch
from capprep.models.stable_diffusion import BaseModel
from capprep.train.diffusion import attached, attentions, autocast, base_dtype, check_bare, widths_of
from capprep.train.hypernetwork import Hypernetwork, Structure, build
from capprep.train.trainer import denoising_loss


def taught(structure: Structure | None = None, init: str = "XavierNormal") -> Hypernetwork:
    return build([48, 16, 32], structure or Structure(), init, torch.Generator().manual_seed(1)).eval()


def scene() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "sample": torch.randn(2, 4, 8, 8, generator=generator),
        "timestep": torch.tensor([20, 700]),
        "encoder_hidden_states": torch.randn(2, 77, 48, generator=generator),
    }


class WebuiAttention:
    """The webui's cross-attention with a hypernetwork, written out: an attention processor that needs no hooks."""

    def __init__(self, pairs: dict[int, Any]) -> None:
        self.pairs = pairs

    def __call__(self, attn: Any, x: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any) -> Tensor:
        context = x if encoder_hidden_states is None else encoder_hidden_states
        k_module, v_module = self.pairs.get(context.shape[2], (nn.Identity(), nn.Identity()))
        q, k, v = attn.to_q(x), attn.to_k(k_module(context)), attn.to_v(v_module(context))
        q, k, v = (t.unflatten(2, (attn.heads, -1)).transpose(1, 2) for t in (q, k, v))
        weights = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, dim=-1)
        return attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("widths", [(48, 16, 32), (48,), (32,)])
def test_it_acts_as_the_webuis_attention_with_a_hypernetwork(base: BaseModel, widths: tuple[int, ...]) -> None:
    network = build(widths, Structure((1, 2, 1), "mish"), "XavierNormal", torch.Generator().manual_seed(1)).eval()
    network.set_strength(0.6)
    original = base.unet.attn_processors
    with torch.no_grad():
        bare = base.unet(**scene()).sample
        with attached(base.unet, network):
            ours = base.unet(**scene()).sample
        try:
            base.unet.set_attn_processor(WebuiAttention({width: network.pair(width) for width in widths}))
            theirs = base.unet(**scene()).sample
        finally:
            base.unet.set_attn_processor(original)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, bare, atol=1e-3)


def test_zero_out_leaves_the_base_models_output_exactly_as_it_is(base: BaseModel) -> None:
    with torch.no_grad():
        bare = base.unet(**scene()).sample
        with attached(base.unet, taught(init="zero-out")):
            assert torch.equal(base.unet(**scene()).sample, bare)


def test_the_base_model_is_bare_again_afterwards_even_after_an_error(base: BaseModel) -> None:
    with torch.no_grad():
        bare = base.unet(**scene()).sample
        with pytest.raises(RuntimeError), attached(base.unet, taught()):
            raise RuntimeError
        assert torch.equal(base.unet(**scene()).sample, bare)
    check_bare(base.unet)
    assert not base.unet._forward_pre_hooks
    assert not base.unet._forward_hooks


def test_a_second_hypernetwork_is_refused(base: BaseModel) -> None:
    with attached(base.unet, taught()), pytest.raises(ModelMismatch, match="already"), attached(base.unet, taught()):
        pass


def test_a_replaced_projection_is_refused(base: BaseModel) -> None:
    class LoraLinear(nn.Linear):
        pass

    attention = attentions(base.unet)[0]
    original = attention.to_v
    attention.to_v = LoraLinear(original.in_features, original.out_features)
    try:
        with pytest.raises(ModelMismatch, match="already"):
            check_bare(base.unet)
    finally:
        attention.to_v = original


def test_the_texts_pair_is_computed_once_for_all_cross_attentions(base: BaseModel) -> None:
    network = taught()
    counts = dict.fromkeys(network.widths, 0)
    for width in network.widths:
        pair = network.pair(width)
        assert pair is not None
        pair[0].register_forward_hook(lambda _m, _i, _o, width=width: counts.update({width: counts[width] + 1}))
    with torch.no_grad(), attached(base.unet, network):
        base.unet(**scene())
    selves = [a.to_k.in_features for a in attentions(base.unet)]
    assert selves.count(48) > 1
    assert counts == {48: 1, 16: selves.count(16), 32: selves.count(32)}


def test_changed_weights_act_at_once_on_the_same_text_states(base: BaseModel) -> None:
    network, same = taught(), scene()
    with torch.no_grad(), attached(base.unet, network):
        before = base.unet(**same).sample
        for weight in network.parameters():
            weight.mul_(0.5)
        assert not torch.allclose(base.unet(**same).sample, before, atol=1e-4)


def test_only_the_hypernetwork_learns(base: BaseModel) -> None:
    network = taught().train()
    with attached(base.unet, network):
        base.unet(**scene()).sample.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())
    assert all(weight.grad is None for weight in base.unet.parameters())


def test_widths_are_listed_the_texts_first(base: BaseModel) -> None:
    assert widths_of(base.unet) == (48, 16, 32)


def test_the_loss_is_the_squared_error_to_the_noise(base: BaseModel) -> None:
    given = scene()
    x, states, t = given["sample"], given["encoder_hidden_states"], given["timestep"]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)[t].reshape(-1, 1, 1, 1)
    with torch.no_grad():
        predicted = base.unet(kept.sqrt() * x + (1 - kept).sqrt() * noise, t, states).sample
        assert torch.allclose(
            denoising_loss(base, x, states, t, noise), functional.mse_loss(predicted, noise), rtol=1e-5
        )


def test_the_loss_of_a_v_prediction_model_is_the_squared_error_to_v(base: BaseModel) -> None:
    noise_config = {**base.noise.config, "prediction_type": "v_prediction"}
    v_base = dataclasses.replace(base, noise=DDPMScheduler.from_config(noise_config))
    given = scene()
    x, states, t = given["sample"], given["encoder_hidden_states"], given["timestep"]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)[t].reshape(-1, 1, 1, 1)
    with torch.no_grad():
        predicted = base.unet(kept.sqrt() * x + (1 - kept).sqrt() * noise, t, states).sample
        v = kept.sqrt() * noise - (1 - kept).sqrt() * x
        assert torch.allclose(denoising_loss(v_base, x, states, t, noise), functional.mse_loss(predicted, v), rtol=1e-5)


def test_precision_follows_the_device() -> None:
    assert base_dtype("auto", "cpu") == torch.float32
    assert base_dtype("bfloat16", "cpu") == torch.bfloat16
    with pytest.raises(ConfigError, match="float16"):
        base_dtype("float16", "cpu")


def test_half_precision_base_models_are_computed_with_under_autocast() -> None:
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert functional.linear(torch.rand(2, 2), torch.rand(2, 2)).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), torch.float32):
        assert functional.linear(torch.rand(2, 2), torch.rand(2, 2)).dtype == torch.float32
