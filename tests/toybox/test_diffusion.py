from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.models import BPE

from capprep.models.stable_diffusion import BaseModel, load_base, quiet
from capprep.toybox.diffusion import BASE, SPELT, build_base, merges_of
from capprep.train.diffusion import widths_of


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base(BASE, "cpu", torch.float32)


def files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_base_model_that_ships_has_the_real_interface_at_a_tiny_size(base: BaseModel) -> None:
    assert (base.resolution, base.latent_scale, base.prediction_type) == (64, 8, "epsilon")
    assert widths_of(base.unet) == (48, 16, 32)
    assert sum(path.stat().st_size for path in files(BASE).values()) < 1_000_000


def test_the_same_seed_builds_what_ships(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    build_base(tmp_path, 0)
    assert torch.equal(torch.get_rng_state(), before)
    ours, shipped = files(tmp_path), files(BASE)
    assert list(ours) == list(shipped)
    weights = [name for name in ours if name.endswith(".safetensors")]
    assert len(weights) == 3
    for name in weights:
        assert hashlib.sha256(ours[name].read_bytes()).digest() == hashlib.sha256(shipped[name].read_bytes()).digest()
    build_base(tmp_path, 1)
    assert all(ours[name].read_bytes() != shipped[name].read_bytes() for name in weights)


def test_weights_are_stored_in_half_precision_and_loaded_in_the_dtype_asked_for(base: BaseModel) -> None:
    assert next(base.unet.parameters()).dtype == torch.float32
    half = load_base(BASE, "cpu", torch.bfloat16)
    assert next(half.unet.parameters()).dtype == torch.bfloat16
    assert next(half.vae.parameters()).dtype == next(half.text_encoder.parameters()).dtype == torch.float32


def test_every_word_of_the_drawn_world_is_one_token(base: BaseModel) -> None:
    for word in SPELT:
        assert len(base.tokenizer(word, add_special_tokens=False)["input_ids"]) == 1, word


def test_any_other_text_is_spelt(base: BaseModel) -> None:
    tokens = base.tokenizer.tokenize("Zebra, ä 7")
    assert "".join(tokens).replace("</w>", " ").startswith("zebra , ")
    assert base.tokenizer.unk_token not in tokens
    assert ",</w>" in tokens


def test_latents_have_about_unit_variance(base: BaseModel) -> None:
    noise = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert 0.5 < base.encode(noise).std().item() < 2


def test_the_stable_diffusion_pipeline_loads_and_draws_with_it() -> None:
    with quiet():
        pipeline = StableDiffusionPipeline.from_pretrained(BASE, low_cpu_mem_usage=False).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red star", num_inference_steps=1, generator=torch.Generator().manual_seed(0)).images[0]
    assert picture.size == (64, 64)


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=12, unique=True))
def test_merges_make_every_word_one_token(words: list[str]) -> None:

    merges = merges_of(words)
    letters = [letter + end for letter in "abc" for end in ("", "</w>")]
    tokens = dict.fromkeys([*letters, *("".join(pair) for pair in merges)])
    model = BPE({token: i for i, token in enumerate(tokens)}, merges, end_of_word_suffix="</w>")
    for word in words:
        assert [token.value for token in model.tokenize(word)] == [word + "</w>"]
