import itertools
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

import capprep.toybox
from capprep.errors import ConfigError, ModelMismatch, ModelMissing
from capprep.models import pretrained
from capprep.models.blip import BlipCaptioner
from capprep.models.match import BlipMatcher
from capprep.toybox.world import draw, scene

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
CAPTION = WEIGHTS / "caption"
SHORT = {"max_new_tokens": 12, "no_repeat_ngram_size": 3, "repetition_penalty": 1.2}
WAYS = [
    {"num_beams": beams, "prompt": prompt, "min_new_tokens": least}
    for beams in (1, 3)
    for prompt in ("", "a picture of ")
    for least in (0, 5)
]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [np.asarray(draw(scene(number), (192, 192))) for number in range(6)]


@pytest.fixture(scope="module")
def captioner() -> BlipCaptioner:
    return BlipCaptioner(CAPTION)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A captioner's folder of one's own, to be spoilt."""
    return Path(shutil.copytree(CAPTION, tmp_path / "blip"))


def pixels_by_hand(pictures: list[np.ndarray], side: int) -> torch.Tensor:
    """What BLIP's authors do: squash with Pillow's bicubic filter, scale to 0..1, normalise with CLIP's numbers."""
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    small = [np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BICUBIC)) for p in pictures]
    return torch.from_numpy(((np.stack(small) / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))


def by_hand(folder: Path, pictures: list[np.ndarray], prompt: str, **settings) -> list[str]:
    """Captions from the plain transformers class, one picture at a time."""
    model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    words = BertTokenizer.from_pretrained(folder)
    captions = []
    for picture in pictures:
        x = pixels_by_hand([picture], model.config.vision_config.image_size)
        given = words(prompt, return_tensors="pt") if prompt else {}
        start = {"input_ids": given["input_ids"], "attention_mask": given["attention_mask"]} if prompt else {}
        tokens = model.generate(pixel_values=x, **start, do_sample=False, **settings)[0]
        text = words.decode(tokens, skip_special_tokens=True)
        assert text.startswith(prompt.strip())
        captions.append(text.removeprefix(prompt.strip()).strip())
    return captions


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_captions_are_those_of_the_plain_transformers_class(captioner, pictures, way) -> None:
    captions = captioner.captions(pictures, **SHORT, **way)
    assert captions == by_hand(CAPTION, pictures, **SHORT, **way)
    assert len(set(captions)) > 1


def test_greedy_captions_are_those_of_a_loop_that_keeps_no_cache(captioner, pictures) -> None:
    model = BlipForConditionalGeneration.from_pretrained(CAPTION, dtype=torch.float32).eval()
    words = BertTokenizer.from_pretrained(CAPTION)
    text = model.config.text_config
    expected = []
    for x in pixels_by_hand(pictures, model.config.vision_config.image_size):
        tokens = [text.bos_token_id]
        with torch.no_grad():
            while tokens[-1] != text.sep_token_id and len(tokens) <= 8:
                logits = model(pixel_values=x[None], input_ids=torch.tensor([tokens])).logits
                tokens.append(int(logits[0, -1].argmax()))
        expected.append(words.decode(tokens, skip_special_tokens=True))
    assert captioner.captions(pictures, max_new_tokens=8) == expected


@pytest.mark.parametrize("beams", [1, 4])
def test_a_batch_gives_the_captions_of_its_pictures_alone(captioner, pictures, beams: int) -> None:
    settings = {"num_beams": beams, "prompt": "a picture of", "min_new_tokens": 2, **SHORT}
    alone = [captioner.captions([picture], **settings)[0] for picture in pictures]
    assert captioner.captions(pictures, **settings) == alone
    assert captioner.captions(pictures[::-1], **settings) == alone[::-1]


def test_no_picture_no_caption(captioner) -> None:
    assert captioner.captions([]) == []


def test_least_and_greatest_length_are_counted_behind_the_prompt(captioner, pictures) -> None:
    for prompt in ("", "a picture of"):
        captions = captioner.captions(pictures, prompt=prompt, min_new_tokens=7, max_new_tokens=7)
        assert {len(caption.split()) for caption in captions} == {7}


def test_a_run_of_words_does_not_come_twice_where_that_is_asked(captioner, pictures) -> None:
    for caption in captioner.captions(pictures, min_new_tokens=20, max_new_tokens=20, no_repeat_ngram_size=2):
        said = caption.split()
        pairs = list(itertools.pairwise(said))
        assert len(pairs) == len(set(pairs))


def test_a_prompt_and_a_caption_longer_than_the_decoder_are_refused(captioner, pictures) -> None:
    captioner.captions(pictures[:1], max_new_tokens=63)
    with pytest.raises(ConfigError, match="1 tokens of prompt and 64 new ones are more than this captioner's 64"):
        captioner.captions(pictures, max_new_tokens=64)


def test_a_least_length_over_the_greatest_is_refused(captioner, pictures) -> None:
    with pytest.raises(ConfigError, match="at least 9 and at most 8"):
        captioner.captions(pictures, min_new_tokens=9, max_new_tokens=8)


@pytest.mark.parametrize("size", [(512, 512), (96, 96), (300, 517), (40, 33)])
def test_pixels_are_those_of_transformers_own_processor(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours = pretrained.PixelRecipe().batch([picture, picture[::-1]], "cpu", torch.float32)
    theirs = BlipImageProcessorPil()([picture, picture[::-1]], return_tensors="pt")["pixel_values"]
    assert ours.shape == (2, 3, 384, 384)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
    torch.testing.assert_close(ours[:1], pixels_by_hand([picture], 384), atol=2e-6, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_network_computes_in_the_dtype_asked_for(pictures, dtype: str) -> None:
    blip = pretrained.load(BlipForConditionalGeneration, CAPTION, "cpu", dtype)
    assert {weight.dtype for weight in blip.model.parameters()} == {getattr(torch, dtype)}
    captions = BlipCaptioner(CAPTION, dtype=dtype).captions(pictures, min_new_tokens=5, max_new_tokens=12)
    assert all(5 <= len(caption.split()) <= 12 for caption in captions)


def test_nothing_is_written_to_the_terminal(pictures, capfd: pytest.CaptureFixture[str]) -> None:
    BlipCaptioner(CAPTION).captions(pictures, prompt="a picture of", num_beams=2, max_new_tokens=8)
    assert capfd.readouterr() == ("", "")


def test_a_pickle_of_plain_tensors_gives_the_same_captions_as_safetensors(captioner, pictures, folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    # files of older transformers also hold the positions themselves
    weights["text_decoder.bert.embeddings.position_ids"] = torch.arange(128)[None]
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert BlipCaptioner(folder).captions(pictures, **SHORT) == captioner.captions(pictures, **SHORT)


class Trap:
    """A pickle that, read without restrictions, writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(folder: Path, tmp_path: Path, zipped: bool) -> None:
    sprung = tmp_path / "sprung"
    (folder / "model.safetensors").unlink()
    bad = {"weight": torch.zeros(1), "trap": Trap(sprung)}
    torch.save(bad, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelMismatch, match="nothing was run"):
        BlipCaptioner(folder)
    assert not sprung.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert sprung.exists()  # so the trap was a real one


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_bare_pickle_that_would_run_code_is_refused_and_does_not_run(
    folder: Path, tmp_path: Path, protocol: int
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol))
    with pytest.raises(ModelMismatch, match="nothing was run"):
        BlipCaptioner(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04" + bytes(60), b"\x80\x02}q\x00.", b"\x80\x02\xff", b"("]
)
def test_a_damaged_pickle_is_an_error_in_words(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelMismatch, match=r"pytorch_model\.bin cannot be used as BLIP"):
        BlipCaptioner(folder)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"weight": 3}])
def test_a_pickle_of_something_else_than_named_tensors_is_refused(folder: Path, content: object) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(ModelMismatch, match="something else than named tensors"):
        BlipCaptioner(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"])
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelMissing, match=name):
        BlipCaptioner(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"])
def test_a_file_that_is_cut_off_is_an_error_in_words(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelMismatch, match="cannot be used as BLIP"):
        BlipCaptioner(folder)


def edit(path: Path, **changes: object) -> None:
    said = json.loads(path.read_text())
    for key, value in changes.items():
        inner = said
        *way, last = key.split("__")
        for step in way:
            inner = inner[step]
        inner[last] = value
    path.write_text(json.dumps(said))


def test_a_json_file_that_is_no_object_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelMismatch, match="not a JSON object"):
        BlipCaptioner(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "clip"}, "of type 'clip', not 'blip'"),
        ({"text_config__hidden_size": "many"}, "values make no sense"),
        ({"text_config__hidden_size": 32}, "do not fit config.json"),
        ({"text_config__num_attention_heads": 0}, "do not fit config.json"),
        ({"text_config__num_hidden_layers": 4}, "weights of a BlipForConditionalGeneration are missing"),
        ({"text_config__sep_token_id": 102}, "separator token is 3, the network's is 102"),
        ({"text_config__pad_token_id": 1}, "padding token is 0, the network's is 1"),
        ({"text_config__vocab_size": 20}, "words, the network 20"),
        ({"vision_config__image_size": 64}, "its pictures are 128x128, the network's 64x64"),
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_refused(folder: Path, changes: dict[str, object], said: str) -> None:
    edit(folder / "config.json", **changes)
    with pytest.raises(ModelMismatch, match=said):
        BlipCaptioner(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"shortest_edge": 96}},
        {"size": "large"},
        {"resample": 17},
        {"rescale_factor": None},
        {"image_mean": [0.5]},
        {"image_std": [0.2, 0.0, 0.2]},
    ],
    ids=str,
)
def test_a_pixel_recipe_that_makes_no_sense_is_refused(folder: Path, changes: dict[str, object]) -> None:
    edit(folder / "preprocessor_config.json", **changes)
    with pytest.raises(ModelMismatch, match=r"preprocessor_config\.json cannot be used"):
        BlipCaptioner(folder)


def test_a_pixel_recipe_may_leave_out_what_is_blips_default(captioner, pictures, folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text('{"size": 128}')
    assert BlipCaptioner(folder).captions(pictures, **SHORT) == captioner.captions(pictures, **SHORT)


def test_the_weights_of_another_task_are_refused(folder: Path) -> None:
    shutil.copy(WEIGHTS / "match" / "model.safetensors", folder)
    with pytest.raises(ModelMismatch, match="weights of a BlipForConditionalGeneration are missing, text_decoder"):
        BlipCaptioner(folder)


def test_generation_settings_in_a_folder_do_not_change_the_captions(captioner, pictures, folder: Path) -> None:
    for setting in ({"num_beams": 5}, {"do_sample": True}, {"max_length": 3}, {"min_length": 9}, {"top_k": 2}):
        edit(folder / "config.json", **{f"text_config__{name}": value for name, value in setting.items()})
    (folder / "generation_config.json").write_text('{"num_beams": 5, "do_sample": true, "max_length": 3}')
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "elsewhere"}')
    assert BlipCaptioner(folder).captions(pictures, **SHORT) == captioner.captions(pictures, **SHORT)


def test_a_folder_with_only_the_word_list_reads_the_same(captioner, pictures, folder: Path) -> None:
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(words, key=words.get)) + "\n")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    settings = {"prompt": "a picture of", **SHORT}
    assert BlipCaptioner(folder).captions(pictures, **settings) == captioner.captions(pictures, **settings)


def write_full_size(cls, folder: Path, **numbers: int) -> Path:
    """A BLIP of the published base size with random weights, its files as published but for half precision."""
    torch.manual_seed(0)
    text = {"num_attention_heads": 12}
    model = cls(BlipConfig(text_config=text, vision_config={"initializer_range": 0.02}, **numbers)).eval()
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "cls.predictions" not in name:
            torch.nn.init.normal_(weight, std=0.05)
    folder.mkdir()
    tied = [name for name in model.state_dict() if "predictions.decoder" in name]
    save_file({n: w.half() for n, w in model.state_dict().items() if n not in tied}, folder / "model.safetensors")
    (folder / "config.json").write_text(model.config.to_json_string())
    processor = {"size": {"height": 384, "width": 384}, "resample": 3, "image_processor_type": "BlipImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    # BERT's layout: [PAD] first, [UNK] [CLS] [SEP] [MASK] at 100..103, 30522 words; [DEC] and [ENC] come behind them
    words = ["[PAD]", *(f"unused{n}" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "picture", "of"]
    words += [f"word{n}" for n in range(30522 - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


@pytest.mark.slow
def test_a_captioner_of_the_published_size_agrees_with_the_plain_class(tmp_path: Path) -> None:
    folder = write_full_size(BlipForConditionalGeneration, tmp_path / "base")
    pictures = [np.asarray(draw(scene(number))) for number in range(3)]
    settings = {"prompt": "a picture of", "num_beams": 3, "min_new_tokens": 3, "max_new_tokens": 8}
    captions = BlipCaptioner(folder).captions(pictures, **settings)
    assert captions == by_hand(folder, pictures, **settings)
    assert all(captions)


@pytest.mark.slow
def test_a_matcher_of_the_published_size_agrees_with_the_plain_class(tmp_path: Path) -> None:
    folder = write_full_size(BlipForImageTextRetrieval, tmp_path / "base")
    pictures = [np.asarray(draw(scene(number))) for number in range(3)]
    texts = ["a picture of word7", "word5", "a picture " * 30]
    matcher = BlipMatcher(folder)
    model = BlipForImageTextRetrieval.from_pretrained(folder, dtype=torch.float32).eval()
    words = BertTokenizer.from_pretrained(folder)
    tokens = words(texts, padding=True, truncation=True, max_length=35, return_tensors="pt")
    with torch.no_grad():
        expected = model(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=pixels_by_hand(pictures, 384),
            use_itm_head=False,
        ).itm_score.numpy()
    ours = matcher.image_embeddings(pictures) @ matcher.text_embeddings(texts).T
    np.testing.assert_allclose(ours, expected, atol=1e-4)
