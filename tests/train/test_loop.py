from __future__ import annotations

import copy
import dataclasses
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from capprep.errors import CapprepError, CheckpointError, ConfigError, DatasetError
from capprep.manifest import Manifest
from capprep.models.stable_diffusion import BaseModel
from capprep.train import previews
from capprep.train import runs as run_folders
from capprep.train.batches import draw
from capprep.train.checkpoint import optimizer_path, read, read_optimizer
from capprep.train.config import TrainConfig
from capprep.train.diffusion import attached
from capprep.train.examples import prepare
from capprep.train.loop import Progress, TrainResult
from capprep.train.trainer import Trainer, denoising_loss

Train = Callable[..., TrainResult]


class Killed(Exception):
    """Ends a run without any chance to save, as a kill would."""


def at(step: int, error: BaseException) -> Callable[[Progress], None]:
    def progress(now: Progress) -> None:
        if now.step == step:
            raise error

    return progress


def outcome(result: TrainResult) -> tuple[bytes, bytes, str]:
    """Everything a run leaves that must not depend on interruptions: weights, optimizer state, rows."""
    rows = pd.read_csv(result.folder / "metrics.csv", dtype=str).drop(columns="seconds")
    return result.weights.read_bytes(), optimizer_path(result.weights).read_bytes(), rows.to_csv()


def test_a_run_leaves_weights_checkpoints_rows_record_and_preview(train_toy: Train) -> None:
    seen: list[Progress] = []
    result = train_toy(steps=10, learn_rate="1e-3:4, 1e-4", save_every=4, progress=seen.append)
    assert result.folder.name == "toy-2024-05-06"
    names = sorted(str(path.relative_to(result.folder)) for path in result.folder.rglob("*") if path.is_file())
    assert names == [
        "checkpoints/toy-4.pt",
        "checkpoints/toy-4.pt.optim",
        "checkpoints/toy-8.pt",
        "checkpoints/toy-8.pt.optim",
        "metrics.csv",
        "previews/toy-10.png",
        "run.json",
        "toy.pt",
        "toy.pt.optim",
    ]
    file = read(result.weights)
    assert (file.name, file.description.step, file.description.base_hash) == ("toy", 10, "5a5a5a5a5a")
    assert file.description.base_name == "base"
    assert read(result.folder / "checkpoints" / "toy-8.pt").name == "toy-8"
    rows = pd.read_csv(result.folder / "metrics.csv")
    assert rows["step"].tolist() == list(range(1, 11))
    assert rows["learn_rate"].tolist() == [1e-3] * 4 + [1e-4] * 6
    assert rows["epoch"].tolist() == [(2 * step) // 5 for step in range(10)]
    assert [now.step for now in seen] == list(range(1, 11))
    assert seen[-1].steps == 10
    assert seen[-1].smoothed_loss == pytest.approx(rows["loss"].mean())
    assert seen[-1].steps_per_second > 0
    assert result == TrainResult(
        folder=result.folder,
        weights=result.folder / "toy.pt",
        steps=10,
        resumed_from=None,
        already_done=False,
        smoothed_loss=seen[-1].smoothed_loss,
        preview=result.folder / "previews" / "toy-10.png",
        parameters=sum(weight.numel() for weight in file.network.parameters()),
        note="",
    )


def test_the_record_says_what_the_run_was_made_from(train_toy: Train, manifest: Manifest) -> None:
    record = json.loads((train_toy(seed=3).folder / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "finished"
    assert record["manifest"] == manifest.digest
    assert record["settings"]["seed"] == 3
    assert record["template"] == ["[filewords]"]
    assert record["base"]["sha256"] == "5a" * 32
    assert record["base"]["vae"] == "the folder's own (AutoencoderKL)"
    assert record["versions"]["torch"] == torch.__version__


def test_two_runs_with_the_same_seed_give_the_same_bytes_and_another_seed_others(
    train_toy: Train, tmp_path: Path
) -> None:
    first, second, other = (
        outcome(train_toy(runs=tmp_path / place, seed=seed)) for place, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == second
    assert first[0] != other[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Killed()])
def test_thirty_steps_are_fifteen_a_stop_and_fifteen_more_bit_for_bit(
    train_toy: Train, tmp_path: Path, error: BaseException
) -> None:
    settings = {"steps": 30, "save_every": 6, "learn_rate": "2e-3:14, 1e-3", "weight_init": "Normal"}
    whole = train_toy(runs=tmp_path / "whole", **settings)
    with pytest.raises(type(error)):
        train_toy(runs=tmp_path / "cut", progress=at(15, error), **settings)
    rest = train_toy(runs=tmp_path / "cut", **settings)
    # an interruption saves where it is; after a kill the last checkpoint is all there is
    assert rest.resumed_from == (15 if isinstance(error, KeyboardInterrupt) else 12)
    assert outcome(rest) == outcome(whole)
    assert rest.smoothed_loss == whole.smoothed_loss
    assert len(list((tmp_path / "cut").glob("*/run.json"))) == 1


def test_a_run_killed_before_its_first_checkpoint_begins_again_in_its_folder(train_toy: Train, tmp_path: Path) -> None:
    whole = train_toy(runs=tmp_path / "whole")
    with pytest.raises(Killed):
        train_toy(progress=at(2, Killed()))
    again = train_toy()
    assert again.resumed_from is None
    assert again.folder.name == "toy-2024-05-06"
    assert outcome(again) == outcome(whole)


def test_ctrl_c_in_the_middle_of_an_update_waits_for_its_end(train_toy: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    step = torch.optim.AdamW.step

    def interrupted(self: torch.optim.AdamW, *given: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_toy()
    monkeypatch.undo()
    result = train_toy()
    assert result.resumed_from == 1
    assert read(result.folder / "checkpoints" / "toy-1.pt").description.step == 1


def test_a_finished_run_is_not_done_again_unless_asked_for(train_toy: Train) -> None:
    first = train_toy()
    before = outcome(first)
    again = train_toy(save_every=1, preview_prompt="another")
    assert again == dataclasses.replace(first, already_done=True)
    assert outcome(again) == before
    anew = train_toy(restart=True)
    assert (anew.already_done, anew.folder.name) == (False, "toy-2024-05-06-2")


def test_a_run_on_other_pictures_is_never_continued(train_toy: Train, manifest: Manifest) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_toy(progress=at(3, KeyboardInterrupt()))
    other = train_toy(manifest=Manifest(manifest.entries[1:]))
    assert (other.resumed_from, other.folder.name) == (None, "toy-2024-05-06-2")
    assert "toy-2024-05-06 was not continued, because the pictures or their texts changed" in other.note
    with_settings = train_toy(seed=8)
    assert "the settings or the base model changed" in with_settings.note
    assert train_toy().resumed_from == 3


def test_an_edited_template_is_another_run(train_toy: Train, tmp_path: Path) -> None:
    template = tmp_path / "t.txt"
    template.write_text("[filewords]", encoding="utf-8")
    first = train_toy(template=str(template))
    template.write_text("a drawing of [filewords]", encoding="utf-8")
    assert train_toy(template=str(template)).folder != first.folder


def test_a_run_that_breaks_stops_and_leaves_its_last_good_checkpoint(train_toy: Train, tmp_path: Path) -> None:
    settings = {"steps": 60, "save_every": 3, "learn_rate": "1e-3:4, 1e30"}
    with pytest.raises(CapprepError, match="learning rate is too high") as error:
        train_toy(**settings)
    folder = tmp_path / "runs" / "toy-2024-05-06"
    good = folder / "checkpoints" / "toy-3.pt"
    assert str(good) in error.value.message
    assert "lower --learn-rate" in error.value.hint
    file = read(good)
    assert all(bool(weight.isfinite().all()) for weight in file.network.parameters())
    assert read_optimizer(good, file.sha256) is not None
    assert not (folder / "toy.pt").exists()
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["state"] == "running"


def test_a_run_that_breaks_before_its_first_checkpoint_says_so(train_toy: Train) -> None:
    with pytest.raises(CapprepError, match="no checkpoint had been saved"):
        train_toy(learn_rate="1e30", steps=20, save_every=20)


def test_weights_that_broke_are_not_saved_by_an_interruption(train_toy: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "finite", lambda _self: False)
    with pytest.raises(KeyboardInterrupt):
        train_toy(progress=at(2, KeyboardInterrupt()), save_every=5)
    with pytest.raises(CapprepError, match="weights are not finite"):
        train_toy(save_every=2)


def test_the_base_model_is_the_same_to_the_bit_after_a_run(train_toy: Train, base: BaseModel) -> None:
    networks = (base.unet, base.vae, base.text_encoder)
    before = [{key: tensor.clone() for key, tensor in network.state_dict().items()} for network in networks]
    train_toy()
    for network, tensors in zip(networks, before, strict=True):
        assert all(torch.equal(tensor, tensors[key]) for key, tensor in network.state_dict().items())
        assert not network.training


def test_a_few_steps_at_a_brisk_rate_lower_the_loss_on_fixed_noise(
    train_toy: Train, base: BaseModel, manifest: Manifest
) -> None:
    examples = prepare(manifest, base, ("[filewords]",), "toy", 0)
    seen = draw(99, 0, count=5, batch_size=40, latent_shape=(4, 8, 8))
    latents = torch.stack([examples.latents_NCHW[i] for i in seen.pictures])
    states = torch.stack([examples.states[i] for i in seen.pictures])
    result = train_toy(steps=20, learn_rate="1e-2", batch_size=4)
    with torch.no_grad():
        before = denoising_loss(base, latents, states, seen.timesteps_B, seen.noise_BCHW)
        with attached(base.unet, read(result.weights).network):
            after = denoising_loss(base, latents, states, seen.timesteps_B, seen.noise_BCHW)
    assert after < 0.97 * before


def test_previews_on_the_way_change_nothing_and_show_base_and_hypernetwork(train_toy: Train, tmp_path: Path) -> None:
    plain = train_toy(runs=tmp_path / "plain")
    shown = train_toy(runs=tmp_path / "shown", preview_every=2, learn_rate="1e-3")
    assert outcome(shown) == outcome(plain)
    pictures = sorted((shown.folder / "previews").iterdir())
    assert [path.name for path in pictures] == ["toy-2.png", "toy-4.png", "toy-6.png"]
    assert shown.preview == pictures[-1]
    with Image.open(pictures[0]) as first, Image.open(pictures[-1]) as last:
        assert first.size == (129, 64)
        left, right = (0, 0, 64, 64), (65, 0, 129, 64)
        assert first.crop(left).tobytes() == last.crop(left).tobytes()
        assert last.crop(left).tobytes() != last.crop(right).tobytes()


def test_a_failing_preview_is_noted_and_stops_nothing(train_toy: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(previews, "sample", fail)
    result = train_toy(preview_every=4)
    assert result.preview is None
    assert result.steps == 6
    assert result.note == "The preview at step 4 failed: no memory left. The preview at step 6 failed: no memory left."


def test_half_precision_base_models_train_float32_weights(train_toy: Train, base: BaseModel) -> None:
    half = dataclasses.replace(base, unet=copy.deepcopy(base.unet).to(torch.bfloat16), dtype=torch.bfloat16)
    result = train_toy(base=half, steps=3)
    weights = [weight for pair in read(result.weights).network.pairs.values() for weight in pair.parameters()]
    assert all(weight.dtype == torch.float32 for weight in weights)
    assert result.preview is not None
    assert json.loads((result.folder / "run.json").read_text(encoding="utf-8"))["base"]["dtype"] == "bfloat16"


def test_what_cannot_be_trained_on_leaves_no_folder(train_toy: Train, manifest: Manifest, tmp_path: Path) -> None:
    gone = dataclasses.replace(manifest.entries[0], image=tmp_path / "gone.png")
    with pytest.raises(DatasetError):
        train_toy(manifest=Manifest((gone,)))
    with pytest.raises(ConfigError):
        train_toy(name="a/b")
    assert not list((tmp_path / "runs").glob("*/"))


def test_a_schedule_that_ends_early_ends_the_run(train_toy: Train) -> None:
    assert train_toy(steps=100, learn_rate="1e-3:3").steps == 3


def test_more_pictures_in_a_batch_than_there_are_is_no_error(train_toy: Train) -> None:
    assert train_toy(batch_size=7, steps=2).steps == 2


def test_a_checkpoint_that_cannot_be_written_is_an_error(train_toy: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capprep.train.checkpoint._same", lambda *_: False)
    with pytest.raises(CheckpointError, match="would not read back"):
        train_toy()


def test_a_full_disk_is_an_error_that_says_what_to_do_and_the_run_goes_on_later(
    train_toy: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("capprep.train.checkpoint.write_atomically", full)
    with pytest.raises(CapprepError, match=r"toy-4\.pt cannot be written: No space left") as error:
        train_toy()
    assert "run the same command again" in error.value.hint
    monkeypatch.undo()
    assert train_toy().steps == 6


def test_a_gpu_that_is_too_small_is_an_error_that_says_what_to_do(
    train_toy: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Trainer) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "update", full)
    with pytest.raises(CapprepError, match="enough memory") as error:
        train_toy()
    assert "--batch-size" in error.value.hint


def test_two_trainings_of_one_name_do_not_share_a_folder(train_toy: Train, tmp_path: Path) -> None:
    with run_folders.alone(tmp_path / "runs", "toy"), pytest.raises(CapprepError, match="by another process") as caught:
        train_toy(steps=2)
    assert "--name" in caught.value.hint
    assert train_toy(steps=2).steps == 2


def test_a_damaged_result_of_a_finished_run_is_an_error_with_a_way_out(train_toy: Train) -> None:
    done = train_toy(steps=2)
    record = json.loads((done.folder / "run.json").read_text())
    record["result"]["steps"] = "x"
    (done.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        train_toy(steps=2)
    assert "--restart" in caught.value.hint


@pytest.mark.parametrize("steps", [100, 101, 1500])
def test_the_steps_asked_for_are_the_steps_made(steps: int) -> None:
    assert TrainConfig(steps=steps).schedule().end == steps
