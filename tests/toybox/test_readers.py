"""The readers in the package: the real classes' files, right about the drawn world, and the same everywhere.

`python tests/toybox/test_readers.py` writes the golden file anew, after the readers were trained anew.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertTokenizer, BlipForConditionalGeneration, BlipForImageTextRetrieval

import capprep.toybox
from capprep.models.blip import BlipCaptioner
from capprep.models.match import BlipMatcher
from capprep.models.tagger import OnnxTagger
from capprep.stages.blip import Blip
from capprep.toybox.__main__ import main
from capprep.toybox.damage import damaged
from capprep.toybox.training.pool import KNOWN_STYLES
from capprep.toybox.world import DAMAGE_TAGS, TAGS, WORDS, draw, scene

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
READERS = ("caption", "match", "booru")
GOLDEN = Path(__file__).parent / "golden.json"
FIRST = 7_000
COUNT = 42
SEARCH: dict[str, Any] = {
    name: getattr(Blip(), name)
    for name in ("num_beams", "min_new_tokens", "max_new_tokens", "no_repeat_ngram_size", "repetition_penalty")
}
"""How `capprep caption` searches when nothing else is said."""


def golden_pictures() -> list[np.ndarray]:
    """Scenes in all the styles the readers know, every third damaged."""
    pictures = []
    for number in range(COUNT):
        image = draw(scene(FIRST + number), style=KNOWN_STYLES[number % len(KNOWN_STYLES)])
        if number % 3 == 2:
            image, _ = damaged(image, list(DAMAGE_TAGS)[number // 3 % len(DAMAGE_TAGS)], number)
        pictures.append(np.asarray(image))
    return pictures


def read(pictures: list[np.ndarray]) -> list[dict[str, Any]]:
    """What captioner and tagger say: the caption, and the tags with their probabilities over 0.05."""
    captions = captioner().captions(pictures, **SEARCH)
    tagger = OnnxTagger(WEIGHTS / "booru" / "model.onnx", WEIGHTS / "booru" / "labels.csv")
    probabilities = tagger.probabilities(pictures)
    return [
        {
            "caption": caption,
            "tags": {label.name: round(float(p), 3) for label, p in zip(tagger.labels, p_T, strict=True) if p >= 0.05},
        }
        for caption, p_T in zip(captions, probabilities, strict=True)
    ]


def captioner() -> BlipCaptioner:
    return BlipCaptioner(WEIGHTS / "caption")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return golden_pictures()


@pytest.fixture(scope="module")
def said(pictures: list[np.ndarray]) -> list[dict[str, Any]]:
    return read(pictures)


def test_captions_are_those_of_every_other_machine(said: list[dict[str, Any]]) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert [each["caption"] for each in said] == [each["caption"] for each in golden]


def test_tags_are_those_of_every_other_machine(said: list[dict[str, Any]]) -> None:
    for here, there in zip(said, json.loads(GOLDEN.read_text()), strict=True):
        for tag in here["tags"].keys() | there["tags"].keys():
            assert here["tags"].get(tag, 0.04) == pytest.approx(there["tags"].get(tag, 0.04), abs=0.015), tag


def test_a_batch_says_what_each_picture_alone_says(pictures: list[np.ndarray], said: list[dict[str, Any]]) -> None:
    assert [read([picture])[0]["caption"] for picture in pictures[:8]] == [each["caption"] for each in said[:8]]
    tagger = OnnxTagger(WEIGHTS / "booru" / "model.onnx", WEIGHTS / "booru" / "labels.csv")
    single = np.concatenate([tagger.probabilities([picture]) for picture in pictures[:8]])
    np.testing.assert_allclose(tagger.probabilities(pictures[:8]), single, atol=1e-5)
    matcher = BlipMatcher(WEIGHTS / "match")
    single = np.concatenate([matcher.image_embeddings([picture]) for picture in pictures[:8]])
    np.testing.assert_allclose(matcher.image_embeddings(pictures[:8]), single, atol=1e-5)


def test_captions_name_what_is_there(said: list[dict[str, Any]]) -> None:
    named, groups = 0, 0
    for number, each in enumerate(said):
        for group in scene(FIRST + number).groups:
            groups += 1
            named += f"{group.colour} {group.kind}" in each["caption"]
    assert named / groups > 0.8


def test_tags_are_true(said: list[dict[str, Any]]) -> None:
    hits, given, true = 0, 0, 0
    for number, each in enumerate(said):
        tags = {tag for tag, p in each["tags"].items() if p >= 0.5 and TAGS[tag] == "general"}
        real = {tag for tag in scene(FIRST + number).tags if TAGS[tag] == "general"}
        hits, given, true = hits + len(tags & real), given + len(tags), true + len(real)
        assert "rating:safe" in each["tags"]
    assert 2 * hits / (given + true) > 0.9


def test_a_picture_fits_its_own_caption_better_than_the_others(pictures: list[np.ndarray]) -> None:
    matcher = BlipMatcher(WEIGHTS / "match")
    captions = [scene(FIRST + number).caption for number in range(COUNT)]
    similarity = matcher.image_embeddings(pictures) @ matcher.text_embeddings(captions).T
    better = similarity.diagonal()[:, None] > similarity
    assert better.sum() / (COUNT * (COUNT - 1)) > 0.95


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for reader in READERS for path in (folder / reader).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_all_readers_together_are_small() -> None:
    files = contents(WEIGHTS)
    blip = {"model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(files) == {
        *(f"{reader}/{name}" for reader in ("caption", "match") for name in blip),
        *("booru/model.onnx", "booru/labels.csv"),
    }
    assert sum(map(len, files.values())) < 20e6


@pytest.mark.parametrize(
    ("reader", "cls"), [("caption", BlipForConditionalGeneration), ("match", BlipForImageTextRetrieval)]
)
def test_a_folder_is_what_the_real_class_itself_loads_and_lacks_nothing(reader: str, cls: Any) -> None:
    model, info = cls.from_pretrained(WEIGHTS / reader, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.architectures == [cls.__name__]
    stored = load_file(WEIGHTS / reader / "model.safetensors").values()
    assert {tensor.dtype for tensor in stored if tensor.is_floating_point()} == {torch.float16}


def test_the_vocabulary_has_one_token_for_every_word_of_the_world() -> None:
    words = BertTokenizer.from_pretrained(WEIGHTS / "caption")
    config = json.loads((WEIGHTS / "caption" / "config.json").read_text())["text_config"]
    named = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
    assert words.convert_tokens_to_ids(named) == list(range(7))
    assert (config["pad_token_id"], config["sep_token_id"], config["bos_token_id"]) == (0, 3, 5)
    ids = [words(word, add_special_tokens=False)["input_ids"] for word in WORDS]
    assert all(len(each) == 1 for each in ids)
    assert len({each[0] for each in ids}) == len(WORDS) == len(words) - 7
    for seed in range(100):
        assert words.unk_token_id not in words(scene(seed).caption)["input_ids"]


def test_building_from_the_command_line_makes_the_base_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    base = SimpleNamespace(build_base=lambda folder, seed: asked.append((folder, seed)))
    monkeypatch.setitem(sys.modules, "capprep.toybox.diffusion", base)
    main(["build", str(tmp_path)])
    assert asked == [(tmp_path / "base", 0)]
    assert str(tmp_path) in capsys.readouterr().out


def test_pins_from_the_command_line_are_the_tables_of_the_lock_file(capsys: pytest.CaptureFixture[str]) -> None:
    main(["pins", str(WEIGHTS)])
    models = tomllib.loads(capsys.readouterr().out)["models"]
    assert list(models) == ["tiny-caption", "tiny-match", "tiny-booru", "tiny-base"]
    locked = tomllib.loads((Path(__file__).parents[2] / "models.lock").read_text())["models"]
    assert {name: locked[name] for name in models} == models
    for reader in READERS:
        named = {
            f"{reader}/{file['name']}": (file["bytes"], file["sha256"]) for file in models[f"tiny-{reader}"]["files"]
        }
        shipped = {name: data for name, data in contents(WEIGHTS).items() if name.startswith(f"{reader}/")}
        assert named == {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in shipped.items()}


def test_a_command_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["paint"])
    assert caught.value.code == 2
    assert "paint" in capsys.readouterr().err


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(read(golden_pictures()), indent=1) + "\n")
