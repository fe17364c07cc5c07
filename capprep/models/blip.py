"""BLIP's captioner: pictures to sentences, the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    BlipForConditionalGeneration,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from capprep.errors import ConfigError
from capprep.facts import Sentence
from capprep.models import pretrained

# B pictures, R sequences (candidates of one picture behind each other), L tokens, V words of the vocabulary


@dataclass(frozen=True)
class Decoding:
    """How the decoder looks for words: the most likely ones, or by chance from a seed.

    Attributes:
        prompt: The words the decoder starts from; they are not part of the answer.
        num_beams: 1 for greedy search. At least as many as candidates are used; none when words are drawn.
        min_new_tokens: Least length in tokens behind the prompt.
        max_new_tokens: Greatest length in tokens behind the prompt.
        no_repeat_ngram_size: No run of that many tokens comes twice; 0 for no such rule.
        repetition_penalty: Divides the score of tokens that were used before; 1 for none (CTRL, 1909.05858).
        candidates: How many sentences for each picture; equal ones are one.
        sample: True to draw each word from the nucleus (1904.09751).
        top_p: The nucleus is the fewest words that have this probability together; 1 for all words.
        temperature: Divides the scores before the nucleus is cut.
        seed: What is drawn follows from it and the picture's pixels alone.

    Raises:
        ConfigError: The least length is over the greatest.
    """

    prompt: str = ""
    num_beams: int = 1
    min_new_tokens: int = 0
    max_new_tokens: int = 30
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    candidates: int = 1
    sample: bool = False
    top_p: float = 1.0
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"a caption of at least {self.min_new_tokens} and at most {self.max_new_tokens} tokens is not possible",
                "lower the least or raise the greatest length",
            )


class BlipCaptioner:
    """A `BlipForConditionalGeneration` with its tokenizer and pixel recipe.

    Args:
        folder: The model's files as published: `config.json`, `model.safetensors` or `pytorch_model.bin`,
            `preprocessor_config.json`, `tokenizer.json` or `vocab.txt`.
        device: "cpu" or "cuda".
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: A file cannot be read, or is of another network.
    """

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        self._blip = pretrained.load(BlipForConditionalGeneration, folder, device, dtype)
        # a configuration may carry beams and lengths of its own; what is decoded depends on the arguments alone
        self._blip.model.text_decoder.generation_config = GenerationConfig()

    def captions(self, pictures: Sequence[NDArray[np.uint8]], **decoding: Any) -> list[str]:
        """One sentence for each picture of the batch, the one that the captioner finds best.

        Args:
            pictures: (H, W, 3) uint8 each, of any size.
            decoding: The attributes of `Decoding`.

        Raises:
            ConfigError: See `candidates`.
        """
        return [said[0].text for said in self.candidates(pictures, Decoding(**decoding))]

    @torch.inference_mode()
    def candidates(self, pictures: Sequence[NDArray[np.uint8]], decoding: Decoding) -> list[tuple[Sentence, ...]]:
        """One sentence or more for each picture of the batch, no two of them equal, the most likely first.

        A picture's sentences do not depend on the others in the batch.

        Args:
            pictures: (H, W, 3) uint8 each, of any size.
            decoding: How words are looked for.

        Raises:
            ConfigError: Prompt and caption together are longer than the decoder has positions.
        """
        if not pictures:
            return []
        start_L = self._start(decoding.prompt, decoding.max_new_tokens)
        start_BL = torch.tensor([start_L] * len(pictures), device=self._blip.device)
        # the last token given is the separator, which generate() takes off again
        given = len(start_L) - 1
        sampler = (
            _Sampler(_uniform(pictures, decoding), decoding, given, self._blip.device) if decoding.sample else None
        )
        # the cache grows: of a static one this decoder makes a single store for the words and the picture, and fails
        tokens_RL = self._blip.model.generate(
            pixel_values=self._blip.pixel_batch(pictures),
            input_ids=start_BL,
            attention_mask=torch.ones_like(start_BL),
            do_sample=decoding.sample,
            # cut by the sampler
            **({"top_k": 0, "logits_processor": LogitsProcessorList([sampler])} if sampler else {}),
            num_beams=1 if sampler else max(decoding.num_beams, decoding.candidates),
            num_return_sequences=decoding.candidates,
            min_new_tokens=decoding.min_new_tokens,
            max_new_tokens=decoding.max_new_tokens,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            repetition_penalty=float(decoding.repetition_penalty),
        )
        said_R = self._sentences(tokens_RL[:, given:])
        order_R = sampler.order(tokens_RL[:, given:], self._separator) if sampler else range(len(said_R))
        each = decoding.candidates
        return [
            _distinct([said_R[row] for row in order_R if row // each == picture]) for picture in range(len(pictures))
        ]

    @property
    def _separator(self) -> int:
        return int(self._blip.model.config.text_config.sep_token_id)

    def _sentences(self, tokens_RL: torch.Tensor) -> list[Sentence]:
        texts = self._blip.words.batch_decode(tokens_RL, skip_special_tokens=True)
        ended_R = (tokens_RL == self._separator).any(dim=1).tolist()
        return [Sentence(text.strip(), ended) for text, ended in zip(texts, ended_R, strict=True)]

    def _start(self, prompt: str, max_new_tokens: int) -> list[int]:
        """[CLS] prompt [SEP], as BLIP's generate() wants it: it makes [CLS] the [DEC] that starts a caption."""
        start_L: list[int] = self._blip.words(prompt.strip())["input_ids"]
        room = self._blip.model.config.text_config.max_position_embeddings
        given = len(start_L) - 1
        if given + max_new_tokens > room:
            raise ConfigError(
                f"{given} tokens of prompt and {max_new_tokens} new ones are more than this captioner's {room}",
                "shorten the prompt or lower the maximum length of a caption",
            )
        return start_L


class _Sampler(LogitsProcessor):  # type: ignore[misc]  # transformers carries no types
    """Draws the next token of every sequence and leaves generate() no other.

    generate() itself draws for all sequences from one stream of numbers, so that what a picture gets would depend on
    its neighbours.

    Args:
        uniform_RL: For each sequence and step a number of (0, 1].
        decoding: How words are looked for.
        given: How many tokens a sequence starts with.
        device: "cpu" or "cuda".
    """

    def __init__(self, uniform_RL: NDArray[np.float64], decoding: Decoding, given: int, device: str) -> None:
        self._uniform_RL = torch.from_numpy(uniform_RL).to(device)
        self._given = given
        self._cut = LogitsProcessorList(
            [TemperatureLogitsWarper(float(decoding.temperature)), TopPLogitsWarper(float(decoding.top_p))]
        )
        self._log_p_RL = torch.zeros_like(self._uniform_RL)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of shape (R, V) that allow the token drawn and nothing else."""
        step = input_ids.shape[1] - self._given
        # in the order of the vocabulary and not of the scores, where rounding might exchange two that are alike
        cumulative_RV = self._cut(input_ids, scores).double().softmax(dim=-1).cumsum(dim=-1)
        reached_R1 = self._uniform_RL[:, step : step + 1] * cumulative_RV[:, -1:]
        drawn_R1 = torch.searchsorted(cumulative_RV, reached_R1)
        self._log_p_RL[:, step] = scores.double().log_softmax(dim=-1).gather(1, drawn_R1)[:, 0]
        return torch.full_like(scores, -torch.inf).scatter(1, drawn_R1, 0.0)

    def order(self, drawn_RL: torch.Tensor, separator: int) -> list[int]:
        """The sequences by their tokens' mean log-probability before temperature and nucleus, the most likely first.

        Args:
            drawn_RL: The tokens behind those given.
            separator: The token that ends a sentence.
        """
        ends_RL = (drawn_RL == separator).int()
        inside_RL = ends_RL.cumsum(dim=1) - ends_RL == 0
        log_p_RL = self._log_p_RL[:, : drawn_RL.shape[1]]
        mean_R = (log_p_RL * inside_RL).sum(dim=1) / inside_RL.sum(dim=1)
        order: list[int] = mean_R.argsort(descending=True, stable=True).tolist()
        return order


def _uniform(pictures: Sequence[NDArray[np.uint8]], decoding: Decoding) -> NDArray[np.float64]:
    """Numbers of (0, 1] for each sequence and step, which depend on the seed and the sequence's own picture alone."""
    each = []
    for picture in pictures:
        digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
        generator = np.random.Generator(np.random.PCG64([decoding.seed, *digest]))
        each.append(1 - generator.random((decoding.candidates, decoding.max_new_tokens)))
    return np.concatenate(each)


def _distinct(said: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The sentences without those that say the same as one before."""
    first: dict[str, Sentence] = {}
    for sentence in said:
        first.setdefault(sentence.text, sentence)
    return tuple(first.values())
