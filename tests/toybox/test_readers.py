import hashlib
import json
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertTokenizer, BlipForConditionalGeneration, BlipForImageTextRetrieval

import capprep.toybox
from capprep.models.blip import BlipCaptioner
from capprep.models.match import BlipMatcher
from capprep.models.tagger import OnnxTagger
from capprep.toybox.__main__ import main
from capprep.toybox.readers import build_readers
from capprep.toybox.world import TAGS, WORDS, draw, scene

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
READERS = ("caption", "match", "booru")


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for reader in READERS for path in (folder / reader).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    build_readers(folder, 0)
    return folder


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [np.asarray(draw(scene(1000 + number))) for number in range(12)]


def test_a_rebuild_gives_the_same_bytes_and_another_seed_others(built: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    build_readers(tmp_path / "again", 0)
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's random numbers were used up
    assert contents(tmp_path / "again") == contents(built)
    build_readers(tmp_path / "other", 1)
    other = contents(tmp_path / "other")
    changed = {name for name, data in contents(built).items() if other[name] != data}
    assert changed == {"caption/model.safetensors", "match/model.safetensors", "booru/model.onnx"}


def test_the_package_holds_the_readers_of_seed_0(built: Path) -> None:
    shipped = contents(WEIGHTS)
    assert set(shipped) == set(contents(built))
    for reader in ("caption", "match"):
        theirs, ours = (load_file(folder / reader / "model.safetensors") for folder in (WEIGHTS, built))
        assert theirs.keys() == ours.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, atol=5e-3, rtol=5e-3)
    assert shipped["booru/labels.csv"] == contents(built)["booru/labels.csv"]


def test_every_file_is_small() -> None:
    assert max(len(data) for data in contents(WEIGHTS).values()) < 400_000


@pytest.mark.parametrize(
    ("reader", "cls"), [("caption", BlipForConditionalGeneration), ("match", BlipForImageTextRetrieval)]
)
def test_a_folder_is_what_the_real_class_itself_loads_and_lacks_nothing(reader: str, cls) -> None:
    model, info = cls.from_pretrained(WEIGHTS / reader, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.architectures == [cls.__name__]
    stored = load_file(WEIGHTS / reader / "model.safetensors").values()
    assert {tensor.dtype for tensor in stored} == {torch.float16}


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


def test_the_captioner_says_short_things_in_words_that_differ_from_picture_to_picture(pictures) -> None:
    captions = BlipCaptioner(WEIGHTS / "caption").captions(
        pictures, num_beams=3, min_new_tokens=5, max_new_tokens=30, no_repeat_ngram_size=3, repetition_penalty=1.1
    )
    assert all(5 <= len(caption.split()) <= 30 for caption in captions)
    assert {word for caption in captions for word in caption.split()} <= set(WORDS)
    assert len(set(captions)) > 8
    assert np.mean([len(caption.split()) for caption in captions]) < 12


def test_the_matchers_similarities_differ_between_pictures_and_between_texts(pictures) -> None:
    matcher = BlipMatcher(WEIGHTS / "match")
    texts = [scene(1000 + number).caption for number in range(12)]
    similarity = matcher.image_embeddings(pictures) @ matcher.text_embeddings(texts).T
    assert similarity.std(axis=0).min() > 0.02
    assert similarity.std(axis=1).min() > 0.02


def test_the_tagger_gives_every_picture_a_handful_of_tags_and_not_the_same_ones(pictures) -> None:
    tagger = OnnxTagger(WEIGHTS / "booru" / "model.onnx", WEIGHTS / "booru" / "labels.csv")
    assert {label.name: label.category for label in tagger.labels} == TAGS
    assert [label.name for label in tagger.labels if label.category == "rating"] == [
        "rating:safe",
        "rating:questionable",
        "rating:explicit",
    ]
    probabilities = tagger.probabilities(pictures)
    given = (probabilities > 0.5).sum(axis=1)
    assert given.min() >= 1
    assert given.max() <= 14
    assert 3 <= given.mean() <= 9
    general = [index for index, label in enumerate(tagger.labels) if label.category != "rating"]
    assert probabilities[:, general].std(axis=0).min() > 0.02
    single = np.concatenate([tagger.probabilities([picture]) for picture in pictures])
    np.testing.assert_allclose(probabilities, single, atol=1e-6)


def test_drawing_from_the_command_line_writes_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["draw", "--n", "2", "--seed", "5", str(tmp_path / "raw")])
    assert len(list((tmp_path / "raw").iterdir())) == 2
    assert capsys.readouterr().out == f"2 pictures in {tmp_path / 'raw'}\n"


def test_building_from_the_command_line_makes_every_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], built: Path
) -> None:
    asked = []
    base = SimpleNamespace(build_base=lambda folder, seed: asked.append((folder, seed)))
    monkeypatch.setitem(sys.modules, "capprep.toybox.diffusion", base)
    main(["build", str(tmp_path)])
    assert contents(tmp_path) == contents(built)
    assert asked == [(tmp_path / "base", 0)]
    assert str(tmp_path) in capsys.readouterr().out


def test_pins_from_the_command_line_are_the_tables_of_the_lock_file(capsys: pytest.CaptureFixture[str]) -> None:
    main(["pins", str(WEIGHTS)])
    models = tomllib.loads(capsys.readouterr().out)["models"]
    assert list(models) == ["tiny-caption", "tiny-match", "tiny-booru", "tiny-base"]
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
