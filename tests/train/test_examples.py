from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image

from capprep.errors import DatasetError
from capprep.manifest import Entry, Manifest
from capprep.models.stable_diffusion import BaseModel
from capprep.train import text
from capprep.train.examples import parked, pixels, prepare


def entry(path: Path, size: tuple[int, int], text_: str = "a cat") -> Entry:
    values = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return Entry(path, hashlib.sha256(path.read_bytes()).hexdigest(), text_)


def test_pixels_run_from_minus_one_to_one(tmp_path: Path) -> None:
    given = entry(tmp_path / "a.png", (64, 64))
    values = pixels(given, 64)
    assert values.shape == (3, 64, 64)
    expected = np.asarray(Image.open(given.image), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    assert np.allclose(values.numpy(), expected, atol=1e-6)


def test_a_larger_picture_is_reduced(tmp_path: Path) -> None:
    given = entry(tmp_path / "a.png", (100, 100))
    assert pixels(given, 64).shape == (3, 64, 64)
    assert pixels(given, 64).mean().item() == pytest.approx(pixels(given, 100).mean().item(), abs=0.02)


@pytest.mark.parametrize(
    ("size", "why"), [((60, 60), "60 pixels wide; this base model needs 64"), ((80, 64), "not square")]
)
def test_a_picture_of_the_wrong_size_is_an_error_that_says_how_to_make_it_right(
    tmp_path: Path, size: tuple[int, int], why: str
) -> None:
    with pytest.raises(DatasetError, match=why) as error:
        pixels(entry(tmp_path / "a.png", size), 64)
    assert "--size 64" in error.value.hint


def test_a_picture_that_is_gone_damaged_or_changed_is_an_error(tmp_path: Path) -> None:
    given = entry(tmp_path / "a.png", (64, 64))
    with pytest.raises(DatasetError, match="changed"):
        pixels(dataclasses.replace(given, sha256="0" * 64), 64)
    given.image.write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.png cannot be used"):
        pixels(given, 64)
    given.image.unlink()
    with pytest.raises(DatasetError, match=r"a\.png cannot be used"):
        pixels(given, 64)


def test_latents_are_the_scaled_posterior_mean_and_states_the_filled_template(base: BaseModel, tmp_path: Path) -> None:
    given = entry(tmp_path / "a.png", (64, 64), "red star")
    examples = prepare(Manifest((given,)), base, ("[filewords], by [name]",), "mo", 0)
    with torch.no_grad():
        mean = base.vae.encode(pixels(given, 64)[None]).latent_dist.mean * base.vae.config.scaling_factor
    assert torch.allclose(examples.latents_NCHW, mean, atol=1e-5)
    assert torch.equal(examples.states[0], text.encode(base.tokenizer, base.text_encoder, "red star, by mo"))


def test_an_autoencoder_without_a_posterior_works_too(base: BaseModel, tmp_path: Path) -> None:
    blocks = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    layers = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    tiny = AutoencoderTiny(**blocks, **layers, latent_channels=4).eval()
    other = dataclasses.replace(base, vae=tiny)
    examples = prepare(Manifest((entry(tmp_path / "a.png", (64, 64)),)), other, ("[filewords]",), "x", 0)
    assert other.latent_scale == 8
    assert examples.latents_NCHW.shape == (1, 4, 8, 8)
    assert other.decode(examples.latents_NCHW).shape == (1, 3, 64, 64)


def test_the_order_of_the_manifest_does_not_matter(base: BaseModel, manifest: Manifest) -> None:
    ways = (manifest, Manifest(manifest.entries[::-1]))
    first, second = (prepare(way, base, ("[filewords]",), "x", 0) for way in ways)
    assert torch.equal(first.latents_NCHW, second.latents_NCHW)
    assert all(torch.equal(a, b) for a, b in zip(first.states, second.states, strict=True))
    assert len(first) == 5


def test_each_picture_keeps_the_line_of_the_template_that_the_seed_gave_it(base: BaseModel, manifest: Manifest) -> None:
    lines = ("[filewords]", "a drawing of [filewords]", "")
    first, again, other = (prepare(manifest, base, lines, "x", seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.states, again.states, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.states, other.states, strict=True))


def test_on_the_cpu_nothing_is_moved_away(base: BaseModel) -> None:
    with parked(base):
        assert next(base.vae.parameters()).device.type == "cpu"


def test_with_a_gpu_vae_and_text_encoder_wait_off_it_and_come_back(base: BaseModel) -> None:
    elsewhere = dataclasses.replace(base, device=torch.device("cuda"), vae=Far(), text_encoder=Far())
    with parked(elsewhere):
        assert [network.place for network in (elsewhere.vae, elsewhere.text_encoder)] == ["cpu", "cpu"]
    assert [network.place for network in (elsewhere.vae, elsewhere.text_encoder)] == ["cuda", "cuda"]


class Far:
    """A network that only says where it is."""

    place = "cuda"

    def parameters(self) -> Iterator[SimpleNamespace]:
        return iter([SimpleNamespace(device=self.place)])

    def to(self, device: torch.device | str) -> None:
        self.place = str(device)
