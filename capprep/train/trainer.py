"""One update of a hypernetwork on a frozen base model, and its state on disk and back.

Shapes: B pictures of a batch, C channels, H and W latent cells, T text states, D their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from capprep.models.stable_diffusion import BaseModel
from capprep.train import checkpoint, text
from capprep.train.batches import draw
from capprep.train.checkpoint import Description
from capprep.train.diffusion import autocast
from capprep.train.examples import Examples
from capprep.train.hypernetwork import Hypernetwork
from capprep.train.metrics import smoothed
from capprep.train.runs import Run
from capprep.train.schedule import Schedule


@dataclass(frozen=True)
class Update:
    """What one update did.

    Attributes:
        step: Updates made so far, this one included.
        epoch: How often the whole set had been seen before this batch.
        loss: Mean squared error of the batch, before the update.
        rate: The learning rate used.
    """

    step: int
    epoch: int
    loss: float
    rate: float


class Trainer:
    """A hypernetwork, its optimizer and how far they are.

    Args:
        base: Frozen; the hypernetwork is attached to its UNet by the caller.
        network: Float32, on the base model's device.
        examples: What to learn from.
        schedule: Learning rates.
        batch_size: Pictures in one update.
        seed: Of the order, timesteps and noise.
    """

    def __init__(
        self,
        base: BaseModel,
        network: Hypernetwork,
        examples: Examples,
        *,
        schedule: Schedule,
        batch_size: int,
        seed: int,
    ) -> None:
        self.base, self.network, self.examples = base, network.train(), examples
        self.schedule, self.batch_size, self.seed = schedule, batch_size, seed
        self.step = 0
        self.smoothed_loss = 0.0
        # torch's defaults, as in the webui: betas 0.9 and 0.999, weight decay 0.01; each update sets its rate
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)
        # float16 gradients vanish unless the loss is scaled up; bfloat16 has float32's range
        half = base.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(base.device.type, enabled=half)

    def update(self) -> Update:
        """Learn from the next batch."""
        rate = self.schedule.rate(self.step)
        base = self.base
        seen = draw(
            self.seed,
            self.step,
            count=len(self.examples),
            batch_size=self.batch_size,
            latent_shape=tuple(self.examples.latents_NCHW.shape[1:]),
            timesteps=int(base.noise.config.num_train_timesteps),
        )
        latents_BCHW = torch.stack([self.examples.latents_NCHW[i] for i in seen.pictures])
        states_BTD = text.stack([self.examples.states[i] for i in seen.pictures])
        loss = denoising_loss(base, latents_BCHW, states_BTD, self._sent(seen.timesteps_B), self._sent(seen.noise_BCHW))
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        # the one wait for the device in a step, after everything is on its way to it
        value = loss.item()
        self.smoothed_loss = smoothed(self.smoothed_loss, value, self.step)
        return Update(self.step, seen.epoch, value, rate)

    def finite(self) -> bool:
        """True if every weight is a finite number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.network.parameters())

    def save(self, path: Path, description: Description) -> None:
        """Write the hypernetwork and, beside it, what is needed to go on from here.

        Raises:
            CheckpointError: Something is not finite or would not read back the same; nothing was written.
        """
        sha256 = checkpoint.write(path, self.network, description)
        extra = {"smoothed_loss": self.smoothed_loss, "scaler": self.scaler.state_dict()}
        checkpoint.write_optimizer(path, sha256, self.optimizer, extra)

    def resume(self, run: Run) -> int | None:
        """Go back to a run's last whole checkpoint; its step, or None where there is none."""
        point = run.resume_point()
        if point is None:
            return None
        file, state, extra = point
        self.network.load_state_dict(file.network.state_dict())
        self.optimizer.load_state_dict(state)
        self.scaler.load_state_dict(extra["scaler"])
        self.smoothed_loss = extra["smoothed_loss"]
        self.step = file.description.step
        return self.step

    def _sent(self, tensor: Tensor) -> Tensor:
        """On the training device, without waiting for the copy."""
        if self.base.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.base.device, non_blocking=True)


def denoising_loss(
    base: BaseModel, latents_BCHW: Tensor, states_BTD: Tensor, timesteps_B: Tensor, noise_BCHW: Tensor
) -> Tensor:
    """Mean squared error, in float32, of what the UNet predicts of noised latents: the noise, or v.

    v = sqrt(a) noise - sqrt(1 - a) x (Salimans and Ho, 2022), for models that predict it.
    """
    noisy_BCHW = base.noise.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
    with autocast(base.device, base.dtype):
        predicted_BCHW = base.unet(noisy_BCHW, timesteps_B, encoder_hidden_states=states_BTD, return_dict=False)[0]
    if base.prediction_type == "v_prediction":
        target_BCHW = base.noise.get_velocity(latents_BCHW, noise_BCHW, timesteps_B)
    else:
        target_BCHW = noise_BCHW
    return functional.mse_loss(predicted_BCHW.float(), target_BCHW.float())
