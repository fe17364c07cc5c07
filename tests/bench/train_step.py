"""Steps per second of the trainer against a plain loop that encodes picture and text in every step.

    python tests/bench/train_step.py [--base FOLDER_OR_FILE] [--device cpu] [--steps 60] [--json]

Both train the same hypernetwork on the same base model with the same batches' sizes; rounds alternate, and
the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from capprep.models.stable_diffusion import BaseModel, load_base
from capprep.toybox.diffusion import BASE
from capprep.train import text
from capprep.train.batches import generator_of
from capprep.train.config import TrainConfig
from capprep.train.diffusion import attached, attentions, autocast, base_dtype
from capprep.train.examples import Examples
from capprep.train.hypernetwork import build
from capprep.train.plan import describe
from capprep.train.trainer import Trainer

PROMPT = "a red star on a blue sea, flat, outdoors"
ROUNDS = 3


def ours(base: BaseModel, config: TrainConfig, pixels_BCHW: torch.Tensor) -> Callable[[int], None]:
    """So many steps of the trainer, latents and text states made before."""
    count = len(pixels_BCHW)
    states_TD = text.encode(base.tokenizer, base.text_encoder, PROMPT)
    examples = Examples(base.encode(pixels_BCHW), (states_TD,) * count)
    trainer = Trainer(base, network_for(base, config), examples, schedule=config.schedule(), batch_size=count, seed=0)

    def run(steps: int) -> None:
        with attached(base.unet, trainer.network):
            for _ in range(steps):
                trainer.update()

    return run


def plain(base: BaseModel, config: TrainConfig, pixels_BCHW: torch.Tensor) -> Callable[[int], None]:
    """So many steps of the loop one would write first."""
    network = network_for(base, config).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.schedule().rate(0))

    def step() -> None:
        latents_BCHW = base.encode(pixels_BCHW)
        states_BTD = text.stack([text.encode(base.tokenizer, base.text_encoder, PROMPT)] * len(pixels_BCHW))
        noise_BCHW = torch.randn_like(latents_BCHW)
        timesteps_B = torch.randint(1000, (len(latents_BCHW),), device=base.device)
        noisy_BCHW = base.noise.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
        with autocast(base.device, base.dtype):
            predicted_BCHW = base.unet(noisy_BCHW, timesteps_B, states_BTD).sample
        loss = functional.mse_loss(predicted_BCHW.float(), noise_BCHW)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    def run(steps: int) -> None:
        handles = []
        for attention in attentions(base.unet):
            for linear, module in zip(
                (attention.to_k, attention.to_v), network.pair(linear_width(attention)), strict=True
            ):
                handles.append(linear.register_forward_pre_hook(lambda _l, given, module=module: module(given[0])))
        for _ in range(steps):
            step()
        for handle in handles:
            handle.remove()

    return run


def linear_width(attention: Any) -> int:
    return int(attention.to_k.in_features)


def network_for(base: BaseModel, config: TrainConfig) -> Any:
    plan = describe(config, base)
    return build(plan.widths, plan.structure, "Normal", generator_of(0, "init")).to(base.device)


def seconds(run: Callable[[int], None], steps: int, device: torch.device) -> float:
    begin = time.perf_counter()
    run(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(options: argparse.Namespace) -> dict[str, Any]:
    base = load_base(options.base, options.device, base_dtype("auto", options.device))
    config = TrainConfig(steps=10_000_000, learn_rate="1e-5", batch_size=options.batch)
    side = base.resolution
    pixels_BCHW = torch.rand((options.batch, 3, side, side), generator=generator_of(0, "bench")).to(base.device) * 2 - 1
    loops = {"capprep": ours(base, config, pixels_BCHW), "plain": plain(base, config, pixels_BCHW)}
    for run in loops.values():
        run(2)
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(ROUNDS):
        for name, run in loops.items():
            best[name] = min(best[name], seconds(run, options.steps, base.device))
    rates = {name: options.steps / spent for name, spent in best.items()}
    return {
        "base": base.name,
        "resolution": base.resolution,
        "device": str(base.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "batch": options.batch,
        "parameters": describe(config, base).parameters,
        "capprep_steps_per_second": round(rates["capprep"], 3),
        "plain_steps_per_second": round(rates["plain"], 3),
        "ratio": round(rates["capprep"] / rates["plain"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Steps per second against a plain loop.")
    parser.add_argument("--base", type=Path, default=BASE, help="base model (default: the toy one)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=60, help="in each round (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="pictures in a step (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    found = measure(options)
    out = sys.stdout
    out.write(f"{found['base']} at {found['resolution']} px on {found['device']}, {found['dtype']}, ")
    out.write(f"batch {found['batch']}, {found['parameters']:,} parameters\n\n")
    out.write(f"{'loop':<28}{'steps/s':>10}\n")
    out.write(f"{'capprep':<28}{found['capprep_steps_per_second']:>10.2f}\n")
    out.write(f"{'plain, encoding every step':<28}{found['plain_steps_per_second']:>10.2f}\n")
    out.write(f"{'ratio':<28}{found['ratio']:>10.2f}\n")
    if options.json:
        out.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
