"""How a hypernetwork acts on a UNet: what goes into every `to_k` and `to_v` passes through the pair of its width.

Shapes: B pictures, C channels, H and W latent cells, T tokens or cells, D their width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from capprep.errors import ConfigError, ModelMismatch
from capprep.models.pretrained import DTYPES
from capprep.train.hypernetwork import Hypernetwork, HypernetworkModule


def base_dtype(precision: str, device: str) -> torch.dtype:
    """The dtype to load a base model in for a `TrainConfig.precision`, and to compute with.

    "auto" is bfloat16 on a CUDA device that has it, float16 on an older one, and float32 on the CPU.

    Raises:
        ConfigError: float16 was asked for on the CPU, where its small gradients vanish.
    """
    cuda = torch.device(device).type == "cuda"
    if precision == "float16" and not cuda:
        raise ConfigError("precision = 'float16' needs a CUDA device", "choose auto, float32 or bfloat16")
    if precision != "auto":
        return DTYPES[precision]
    if not cuda:
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Lets float32 hypernetwork weights meet a half-precision base model; nothing where that is float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def attentions(unet: nn.Module) -> list[Any]:
    """The self- and cross-attentions a hypernetwork acts on, in the UNet's order."""
    return [module for module in unet.modules() if isinstance(module, Attention)]


def widths_of(unet: Any) -> tuple[int, ...]:
    """The widths of what goes into keys and values, as the webui lists them: the text's first, the others rising."""
    found = {int(attention.to_k.in_features) for attention in attentions(unet)}
    context = int(unet.config.cross_attention_dim)
    return (context, *sorted(found - {context}))


@contextmanager
def attached(unet: nn.Module, hypernetwork: Hypernetwork) -> Iterator[None]:
    """The UNet with a hypernetwork in front of its keys and values, for as long as the context lasts.

    One pair per width, shared by all attentions of that width; a width without a pair stays as it is.
    The strength is the network's own (`set_strength`).

    Raises:
        ModelMismatch: Something is attached already: training is on the bare base model.
    """
    check_bare(unet)
    handles = []
    shared = {width: tuple(map(_Shared, hypernetwork.pair(width) or ())) for width in hypernetwork.widths}
    try:
        for hooks in shared.values():
            for hook in hooks:
                handles.append(unet.register_forward_pre_hook(hook.forget))
                handles.append(unet.register_forward_hook(hook.forget, always_call=True))
        for attention in attentions(unet):
            hooks = shared.get(attention.to_k.in_features, ())
            for linear, hook in zip((attention.to_k, attention.to_v), hooks, strict=False):
                handles.append(linear.register_forward_pre_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Shared:
    """One module in front of all projections of its width.

    The text states go into every cross-attention unchanged, so what the module makes of them is computed
    once for a pass of the UNet. (It would have to be computed again if activations were recomputed.)
    """

    def __init__(self, module: HypernetworkModule) -> None:
        self.module = module
        self.seen: Tensor | None = None
        self.answer: Tensor | None = None

    def __call__(self, _linear: nn.Module, inputs_BTD: tuple[Tensor, ...]) -> Tensor:
        """What the projection gets in place of its input."""
        if self.answer is None or inputs_BTD[0] is not self.seen:
            self.seen, self.answer = inputs_BTD[0], self.module(inputs_BTD[0])
        return self.answer

    def forget(self, *_arguments: Any) -> None:
        """A pass of the UNet begins or has ended: weights may change, memory is wanted back."""
        self.seen = self.answer = None


def check_bare(unet: nn.Module) -> None:
    """Refuse a UNet that anything is attached to: another hypernetwork, a LoRA, an adapter.

    Raises:
        ModelMismatch: Something is.
    """
    for attention in attentions(unet):
        for linear in (attention.to_k, attention.to_v):
            hooks = (linear._forward_pre_hooks, linear._forward_hooks)
            if type(linear) is not nn.Linear or any(hooks):
                raise ModelMismatch(
                    "the base model already has something attached to its attention",
                    "load the base model again and use it for one hypernetwork at a time",
                )
