"""What the readers' vision learns first: what lies in each cell of a picture, which is far easier to learn than words.

A transformer that only sees captions stays at chance for hundreds of thousands of pictures: one sentence says
little about 64 patches. Told what lies under each of them, it learns kinds and colours within minutes; captioner and
matcher start from there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss
from transformers.models.blip.modeling_blip import BlipVisionModel

from capprep.toybox.drawing import COLOURS
from capprep.toybox.evaluation import columns, micro_f1
from capprep.toybox.readers import blip_config, pixels
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import KINDS
from capprep.toybox.training.pool import Batch
from capprep.toybox.world import TAGS

# N pictures, L = 1 + G * G states of W numbers (the picture's and the cells'), T tags

_NOTHING = 0.25
"""How much a cell counts in which nothing lies, as most cells."""

HEADS_SHARE = 0.3
"""How much what lies where still counts beside words: without it the vision forgets kinds it seldom reads."""


class Heads(nn.Module):
    """What the vision's states are asked in training, thrown away afterwards.

    Args:
        width: W, numbers of a state.
    """

    weights: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = (len(KINDS) + 1, len(COLOURS) + 1, 2)
        self.cell = nn.Linear(width, sum(self.sizes))
        self.register_buffer("weights", torch.tensor([_NOTHING] + [1.0] * len(KINDS)), persistent=False)
        self.whole = nn.Linear(width, len(BACKGROUNDS) + len(LIGHTS) + len(TAGS))

    def losses(self, states_NLW: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """How wrong the states are about what lies where, and about the picture as a whole."""
        device = states_NLW.device
        kinds, colours, offsets = self.cells(states_NLW)
        true_kinds, true_colours = (
            torch.from_numpy(cells).flatten().to(device) for cells in (batch.kinds_NGG, batch.colours_NGG)
        )
        covered = true_kinds > 0
        true_offsets = torch.from_numpy(batch.offsets_NGG2).reshape(-1, 2).to(device)
        backgrounds, lights, tags = self.wholes(states_NLW)
        true_tags = torch.from_numpy(batch.tags_NT).to(device)
        return {
            "kind": cross_entropy(kinds.flatten(0, 1).float(), true_kinds, self.weights, ignore_index=-1),
            "colour": cross_entropy(colours.flatten(0, 1).float(), true_colours, ignore_index=-1),
            "offset": 2 * l1_loss(offsets.flatten(0, 1)[covered].float(), true_offsets[covered]),
            "background": 0.2 * cross_entropy(backgrounds.float(), torch.from_numpy(batch.backgrounds_N).to(device)),
            "light": 0.2 * cross_entropy(lights.float(), torch.from_numpy(batch.lights_N).to(device)),
            "tags": 3 * binary_cross_entropy_with_logits(tags.float(), true_tags),
        }

    def cells(self, states_NLW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of kinds, of colours, and offsets, each (N, G * G, ...)."""
        return self.cell(states_NLW[:, 1:]).split(self.sizes, dim=-1)  # type: ignore[no-any-return]

    def wholes(self, states_NLW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of backgrounds, of lights and of tags, each (N, ...)."""
        return self.whole(states_NLW[:, 0]).split((len(BACKGROUNDS), len(LIGHTS), len(TAGS)), dim=-1)  # type: ignore[no-any-return]

    def measures(self, states_NLW: torch.Tensor, batch: Batch) -> dict[str, float]:
        """Shares of cells with a thing whose kind, colour are right, of right backgrounds; F1 of the tags."""
        kinds, colours, _ = (answer.argmax(dim=-1).cpu().numpy() for answer in self.cells(states_NLW))
        backgrounds, _, tags = self.wholes(states_NLW)
        covered = batch.kinds_NGG.reshape(kinds.shape) > 0
        return {
            "kind_right": float((kinds == batch.kinds_NGG.reshape(kinds.shape))[covered].mean()),
            "colour_right": float((colours == batch.colours_NGG.reshape(kinds.shape))[covered].mean()),
            "background_right": float((backgrounds.argmax(dim=-1).cpu().numpy() == batch.backgrounds_N).mean()),
            "tag_f1": measured_f1(tags > 0, batch),
        }


class TowerTask:
    """BLIP's vision model learning what lies where."""

    def __init__(self) -> None:
        config = blip_config().vision_config
        self.vision = BlipVisionModel(config)
        self.heads = Heads(config.hidden_size)
        self.net = nn.ModuleList([self.vision, self.heads])

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """What lies where, and the picture as a whole."""
        return self.heads.losses(states(self.vision, batch), batch)

    def measures(self, batch: Batch) -> dict[str, float]:
        """See `Heads.measures`."""
        return self.heads.measures(states(self.vision, batch), batch)


def measured_f1(said_NT: torch.Tensor, batch: Batch, tags: Sequence[str] = tuple(TAGS)) -> float:
    """Micro-F1 of some tags where all of `world.TAGS` were said or not."""
    at = columns(tags)
    once = np.ones((1, len(said_NT)))
    return float(micro_f1(said_NT.cpu().numpy()[:, at], batch.tags_NT[:, at] > 0, once)[0])


def states(vision: BlipVisionModel, batch: Batch) -> torch.Tensor:
    """What the vision makes of a batch, (N, L, W)."""
    device = next(vision.parameters()).device
    x_NCHW = pixels(torch.from_numpy(batch.images_NSSC).to(device))
    return vision(pixel_values=x_NCHW).last_hidden_state  # type: ignore[no-any-return]
