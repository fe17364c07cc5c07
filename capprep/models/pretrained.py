"""A folder of BLIP as published: weights, vocabulary and pixel recipe, read with no network and no surprise."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import BertTokenizer, BlipConfig
from transformers.utils import logging as transformers_log

from capprep.errors import ModelMismatch, ModelMissing
from capprep.models.pixels import resize_squares

# B pictures, H rows, W columns, C = 3 channels red, green, blue

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""BLIP's normalisation where a folder does not say; the numbers are CLIP's."""


@dataclass(frozen=True)
class PixelRecipe:
    """How a network wants its pictures: squashed to a size, scaled, normalised.

    Attributes:
        height, width: In pixels; the aspect is not kept.
        resample: Pillow's filter, 3 for bicubic.
        scale: Factor that takes 0..255 to the range of mean and std.
        mean, std: Per channel, red first.
    """

    height: int = 384
    width: int = 384
    resample: int = Image.Resampling.BICUBIC
    scale: float = 1 / 255
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def batch(self, pictures: Sequence[NDArray[np.uint8]], device: str, dtype: torch.dtype) -> torch.Tensor:
        """Pictures of (H, W, 3) uint8 and any size as the network's input, shape (B, 3, height, width).

        Bytes travel to the device and become numbers there. On the CPU Pillow resizes them before, elsewhere squares
        are resized there, too, to the very same bytes.
        """
        x_BHWC = self._resized(pictures, device)
        mean_C, std_C = torch.tensor(self.mean, device=device), torch.tensor(self.std, device=device)
        x_BHWC = (x_BHWC.float() * self.scale - mean_C) / std_C
        return x_BHWC.permute(0, 3, 1, 2).contiguous().to(dtype)

    def _resized(self, pictures: Sequence[NDArray[np.uint8]], device: str) -> torch.Tensor:
        """Shape (B, height, width, 3), uint8."""
        shapes = {picture.shape for picture in pictures} | {(self.height, self.width, 3)}
        squares = all(height == width for height, width, _ in shapes)
        if device != "cpu" and len(shapes) <= 2 and squares and self.resample == Image.Resampling.BICUBIC:
            return resize_squares(torch.from_numpy(np.stack(pictures)).to(device), self.height)
        size = (self.width, self.height)
        resized = [np.asarray(Image.fromarray(picture).resize(size, self.resample)) for picture in pictures]
        return torch.from_numpy(np.stack(resized)).to(device)


@dataclass(frozen=True)
class Pretrained:
    """What a folder holds, ready to be used together.

    Attributes:
        model: The transformers network, in evaluation mode.
        words: Its tokenizer.
        pixels: How it wants its pictures.
        device: "cpu" or "cuda", where the network lies.
    """

    model: Any
    words: Any
    pixels: PixelRecipe
    device: str

    def pixel_batch(self, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Pictures as the network's input, shape (B, 3, height, width); see `PixelRecipe.batch`."""
        return self.pixels.batch(pictures, self.device, self.model.dtype)


def load(cls: Any, folder: Path, device: str, dtype: str) -> Pretrained:
    """A transformers BLIP class with what a folder holds.

    Configuration, weights, words and recipe are read here and handed over, so that nothing else a folder
    may hold (adapters, code, generation defaults) has a say.

    Args:
        cls: `BlipForConditionalGeneration` or `BlipForImageTextRetrieval`.
        folder: `config.json`, `model.safetensors` or `pytorch_model.bin`, `preprocessor_config.json`,
            `tokenizer.json` or `vocab.txt`.
        device: "cpu" or "cuda".
        dtype: A key of `DTYPES`, whatever the file holds.

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: A file cannot be read, or is of another network.
    """
    config = _config(folder)
    pixels = _pixel_recipe(folder, config)
    words = _tokenizer(folder, config)
    return Pretrained(_network(cls, config, folder, dtype).to(device).eval(), words, pixels, device)


def _pixel_recipe(folder: Path, config: Any) -> PixelRecipe:
    """The recipe in a folder's `preprocessor_config.json`."""
    path = folder / "preprocessor_config.json"
    said = _json(path)
    default = PixelRecipe()
    try:
        size = said.get("size", default.height)
        height, width = (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
        recipe = PixelRecipe(
            int(height),
            int(width),
            Image.Resampling(said.get("resample", default.resample)),
            float(said.get("rescale_factor", default.scale)),
            _three(said.get("image_mean", CLIP_MEAN)),
            _three(said.get("image_std", CLIP_STD)),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _not_blip(path, f"its size, filter or normalisation makes no sense ({error!r})") from error
    if min(recipe.std) <= 0:
        raise _not_blip(path, "its standard deviations must be positive")
    side = config.vision_config.image_size
    if (recipe.height, recipe.width) != (side, side):
        raise _not_blip(path, f"its pictures are {recipe.width}x{recipe.height}, the network's {side}x{side}")
    return recipe


def _tokenizer(folder: Path, config: Any) -> Any:
    """The folder's BERT vocabulary as a tokenizer that agrees with the network's configuration."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise _missing(folder / "tokenizer.json")
    try:
        with quiet():
            words = BertTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception for a malformed file
        raise _not_blip(folder, f"its tokenizer cannot be read ({_first_line(error)})") from error
    text = config.text_config
    named = {"padding": (words.pad_token_id, text.pad_token_id), "separator": (words.sep_token_id, text.sep_token_id)}
    for token, (here, there) in named.items():
        if here != there:
            raise _not_blip(folder, f"the tokenizer's {token} token is {here}, the network's is {there}")
    if len(words) > text.vocab_size:
        raise _not_blip(folder, f"the tokenizer has {len(words)} words, the network {text.vocab_size}")
    return words


def _network(cls: Any, config: Any, folder: Path, dtype: str) -> Any:
    weights = _weights(folder)
    try:
        with quiet():
            model, info = cls.from_pretrained(
                None, config=config, state_dict=weights, dtype=DTYPES[dtype], output_loading_info=True
            )
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise _not_blip(folder, f"the weights do not fit config.json ({_first_line(error)})") from error
    missing = sorted(info["missing_keys"])
    if missing:  # transformers fills these with random numbers and goes on
        raise _not_blip(folder, f"{len(missing)} weights of a {cls.__name__} are missing, {missing[0]} among them")
    return model


def _config(folder: Path) -> Any:
    path = folder / "config.json"
    said = _json(path)
    if said.get("model_type") != "blip":
        raise _not_blip(path, f"it describes a model of type {said.get('model_type')!r}, not 'blip'")
    try:
        with quiet():
            return BlipConfig.from_dict(said)
    except Exception as error:  # huggingface_hub's validation errors share no narrower base with the rest
        raise _not_blip(path, f"its values make no sense ({_first_line(error)})") from error


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    """The folder's tensors by name, from safetensors or from a pickle that may hold nothing but tensors."""
    if (folder / SAFETENSORS).is_file():
        try:
            tensors: dict[str, torch.Tensor] = load_file(folder / SAFETENSORS)
        except SafetensorError as error:
            raise _not_blip(folder / SAFETENSORS, f"it cannot be read ({_first_line(error)})") from error
        return tensors
    path = folder / PICKLE
    if not path.is_file():
        raise _missing(folder / SAFETENSORS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on unusual pickles before it refuses them
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise _not_blip(path, "it holds something else than plain tensors, or is damaged; nothing was run") from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise _not_blip(path, "it holds something else than named tensors")
    return weights


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _missing(path)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _not_blip(path, "it is not JSON") from error
    if not isinstance(said, dict):
        raise _not_blip(path, "it is not a JSON object")
    return said


def _three(values: Any) -> tuple[float, ...]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _missing(path: Path) -> ModelMissing:
    return ModelMissing(f"there is no file {path}", "check the folder, or run `capprep models pull`")


def _not_blip(path: Path, fault: str) -> ModelMismatch:
    return ModelMismatch(
        f"{path} cannot be used as BLIP: {fault}",
        "name a folder with the files of a BLIP model as published on the hub",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


@contextlib.contextmanager
def quiet(*others: Any) -> Iterator[None]:
    """Keep transformers' progress bar and load report off a person's terminal; what matters is checked here.

    Args:
        others: The `logging` modules of libraries to be quiet too.
    """
    libraries = (transformers_log, *others)
    levels, bar = [library.get_verbosity() for library in libraries], transformers_log.is_progress_bar_enabled()
    for library in libraries:
        library.set_verbosity_error()
    transformers_log.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
        if bar:
            transformers_log.enable_progress_bar()
