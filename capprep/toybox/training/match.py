"""The matcher: both heads of `BlipForImageTextRetrieval`, contrast of vectors and a yes or no for a pair."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize
from transformers import BlipForImageTextRetrieval

from capprep.filewords import tag_text
from capprep.toybox.evaluation import columns, mean_auroc
from capprep.toybox.negatives import POINTS, altered
from capprep.toybox.readers import PAD, begun, blip_config, tokenizer
from capprep.toybox.training.pool import Batch
from capprep.toybox.training.tower import HEADS_SHARE, Heads, TowerTask, states
from capprep.toybox.world import TAGS, Scene

# N pictures, T tags, L tokens, D numbers of an embedding, C captions

_WORDINGS = ("{}", "{}", "a {}", "a picture of {}", "a picture of a {}")
_WEIGHTS = {"contrast": 1.0, "tags": 4.0, "pairs": 0.5}
JUDGED = tuple(tag for tag, category in TAGS.items() if category == "general")
"""The tags whose text the matcher learns to tell; styles, damage and ratings are no business of a caption."""


class MatchTask:
    """The matcher learning from captions, from captions wrong in one point, and from single tags.

    Args:
        tower: The trained vision and its heads; both learn on.
    """

    def __init__(self, tower: TowerTask) -> None:
        self.model = BlipForImageTextRetrieval(blip_config())
        self.model.vision_model.load_state_dict(tower.vision.state_dict())
        self.heads: Heads = tower.heads
        # a cosine is turned into a logit by a scale and, for tags, an offset (as in SigLIP); both are thrown away
        self.scale = nn.Parameter(torch.tensor([math.log(10.0), math.log(10.0)]))
        self.offset = nn.Parameter(torch.tensor(-3.0))
        self.net = nn.ModuleList([self.model, self.heads])
        self.net.register_parameter("scale", self.scale)
        self.net.register_parameter("offset", self.offset)
        self._words = tokenizer()
        self._judged = columns(JUDGED)

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """Contrast of captions, single tags, pairs, and what lies where."""
        chance = random.Random(int(rng.randint(2**31)))
        seen = states(self.model.vision_model, batch)
        wrong = [_wrong(shown, chance) for shown in batch.scenes]
        parts = {
            "contrast": self._contrast(seen, batch, wrong),
            "tags": self._tags(seen, batch, chance),
            "pairs": self._pairs(seen, batch, wrong, chance),
        }
        kept = {name: HEADS_SHARE * loss for name, loss in self.heads.losses(seen, batch).items() if name != "tags"}
        return {name: _WEIGHTS[name] * loss for name, loss in parts.items()} | {f"cell_{n}": v for n, v in kept.items()}

    def measures(self, batch: Batch) -> dict[str, float]:
        """How often the true caption beats one wrong in one point, and the AUROC of single tags."""
        seen = states(self.model.vision_model, batch)
        chance = random.Random(1)
        wrong = [_wrong(shown, chance) for shown in batch.scenes]
        true = [shown.caption for shown in batch.scenes]
        pictures_ND = self._picture_vectors(seen)
        cosines = (pictures_ND @ self._text_vectors(true).T).float()
        against = (pictures_ND * self._text_vectors(wrong)).sum(dim=-1).float()
        own = cosines.diagonal()
        pairs = self._fits(seen, true) - self._fits(seen, wrong)
        tag_cosines = (pictures_ND @ self._text_vectors(_texts(None)).T).double().cpu().numpy()
        of_tags, _ = mean_auroc(tag_cosines, batch.tags_NT[:, self._judged] > 0, np.ones((1, len(true))), least=1)
        return {
            "own_first": float((own[:, None] >= cosines).float().mean()),
            "beats_wrong": float((own > against).float().mean()),
            "pair_beats_wrong": float((pairs > 0).float().mean()),
            "tag_auroc": float(of_tags[0]),
        } | {name: value for name, value in self.heads.measures(seen, batch).items() if name == "kind_right"}

    def _contrast(self, seen: torch.Tensor, batch: Batch, wrong: Sequence[str]) -> torch.Tensor:
        """Each picture its own caption among all of the batch and one wrong in one point, and the other way round."""
        texts = [shown.caption for shown in batch.scenes] + list(wrong)
        pictures_ND, texts_CD = self._picture_vectors(seen), self._text_vectors(texts)
        logits_NC = (self.scale[0].exp() * (pictures_ND @ texts_CD.T)).float()
        # the same sentence twice in a batch is right both times: it is no competitor of itself
        same = torch.tensor([[a == b for b in texts] for a in texts[: len(logits_NC)]], device=logits_NC.device)
        same.fill_diagonal_(False)
        logits_NC = logits_NC.masked_fill(same, -1e4)
        own = torch.arange(len(logits_NC), device=logits_NC.device)
        return (cross_entropy(logits_NC, own) + cross_entropy(logits_NC[:, : len(own)].T, own)) / 2

    def _tags(self, seen: torch.Tensor, batch: Batch, chance: random.Random) -> torch.Tensor:
        """Every tag's text against every picture, each a yes or no."""
        cosines_NT = self._picture_vectors(seen) @ self._text_vectors(_texts(chance)).T
        true_NT = torch.from_numpy(batch.tags_NT[:, self._judged]).to(cosines_NT.device)
        return binary_cross_entropy_with_logits((self.scale[1].exp() * cosines_NT + self.offset).float(), true_NT)

    def _pairs(self, seen: torch.Tensor, batch: Batch, wrong: Sequence[str], chance: random.Random) -> torch.Tensor:
        """The pair's head: true and wrong captions, and for half of the pictures a true and a false tag."""
        true = [shown.caption for shown in batch.scenes]
        half = len(true) // 2
        yes, no = zip(*(_two_tags(shown.tags, chance) for shown in batch.scenes[:half]), strict=True)
        texts = [*true, *wrong, *yes, *no]
        answers = torch.tensor([1] * len(true) + [0] * len(wrong) + [1] * half + [0] * half, device=seen.device)
        states_NLW = torch.cat([seen, seen, seen[:half], seen[:half]])
        # transformers' own class leaves the [CLS] that the tokenizer put there: the head must answer that too
        first = "[CLS]" if chance.random() < 0.25 else "[ENC]"
        return cross_entropy(self._pair_logits(states_NLW, texts, first), answers)

    def _picture_vectors(self, seen: torch.Tensor) -> torch.Tensor:
        return normalize(self.model.vision_proj(seen[:, 0]), dim=-1)

    def _text_vectors(self, texts: Sequence[str]) -> torch.Tensor:
        tokens = begun(self._words, texts, "[CLS]").to(self.offset.device)
        read = self.model.text_encoder(input_ids=tokens, attention_mask=(tokens != PAD).long(), return_dict=True)
        return normalize(self.model.text_proj(read.last_hidden_state[:, 0]), dim=-1)

    def _pair_logits(self, seen: torch.Tensor, texts: Sequence[str], first: str = "[ENC]") -> torch.Tensor:
        """(N, 2): does not fit, fits; the text begins with [ENC] as BLIP's own code has it."""
        tokens = begun(self._words, texts, first).to(seen.device)
        read = self.model.text_encoder(
            input_ids=tokens, attention_mask=(tokens != PAD).long(), encoder_hidden_states=seen, return_dict=True
        )
        return self.model.itm_head(read.last_hidden_state[:, 0]).float()  # type: ignore[no-any-return]

    def _fits(self, seen: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        logits = self._pair_logits(seen, texts)
        return logits[:, 1] - logits[:, 0]


def _wrong(shown: Scene, chance: random.Random) -> str:
    """The caption, wrong in one point of those the scene has."""
    points = list(POINTS)
    chance.shuffle(points)
    return next(text for point in points if (text := altered(shown, point, chance)) is not None)


def _texts(chance: random.Random | None) -> list[str]:
    """The judged tags as plain words, in some wording where a chance is given."""
    plain = [tag_text(tag) for tag in JUDGED]
    return plain if chance is None else [chance.choice(_WORDINGS).format(text) for text in plain]


def _two_tags(true: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """One judged tag that is true and one that is not, in some wording."""
    known = set(true)
    yes = chance.choice([tag for tag in true if tag in JUDGED])
    no = chance.choice([tag for tag in JUDGED if tag not in known])
    wording = chance.choice(_WORDINGS)
    return wording.format(tag_text(yes)), wording.format(tag_text(no))
