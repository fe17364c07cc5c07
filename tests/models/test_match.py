from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertTokenizer, BlipForImageTextRetrieval
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

import capprep.toybox
from capprep.errors import ModelMismatch
from capprep.models.match import BlipMatcher
from capprep.toybox.world import draw, scene

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
MATCH = WEIGHTS / "match"
TEXTS = ["a red house on a green field", "star", "no humans", "two blue stars and a white boat under a night sky", ""]


@pytest.fixture(scope="module")
def matcher() -> BlipMatcher:
    return BlipMatcher(MATCH)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [np.asarray(draw(scene(number), (150 + 10 * number, 150))) for number in range(5)]


def similarity_by_hand(pictures: list[np.ndarray], texts: list[str], max_length: int = 35) -> np.ndarray:
    """The class's own answer with `use_itm_head=False`, from pixels and tokens made here."""
    model = BlipForImageTextRetrieval.from_pretrained(MATCH, dtype=torch.float32).eval()
    side = model.config.vision_config.image_size
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    small = [np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BICUBIC)) for p in pictures]
    x = torch.from_numpy(((np.stack(small) / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    words = BertTokenizer.from_pretrained(MATCH)
    tokens = words(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask, pixel_values=x, use_itm_head=False).itm_score.numpy()


def test_the_product_of_the_embeddings_is_the_classs_own_similarity(matcher, pictures) -> None:
    ours = matcher.image_embeddings(pictures) @ matcher.text_embeddings(TEXTS).T
    expected = similarity_by_hand(pictures, TEXTS)
    assert ours.shape == expected.shape == (5, 5)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert np.ptp(expected) > 0.2


@pytest.mark.parametrize("size", [(512, 512), (300, 517)])
def test_from_transformers_own_processor_to_the_score_everything_agrees(matcher, size: tuple[int, int]) -> None:
    pictures = [np.asarray(draw(scene(number), size)) for number in range(3)]
    model = BlipForImageTextRetrieval.from_pretrained(MATCH, dtype=torch.float32).eval()
    x = BlipImageProcessorPil.from_pretrained(MATCH)(pictures, return_tensors="pt")["pixel_values"]
    for text in TEXTS:
        tokens = BertTokenizer.from_pretrained(MATCH)([text] * 3, return_tensors="pt")
        given = {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}
        with torch.no_grad():
            expected = model(**given, pixel_values=x, use_itm_head=False).itm_score[:, 0].numpy()
        ours = matcher.image_embeddings(pictures) @ matcher.text_embeddings([text])[0]
        np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_embeddings_are_unit_vectors_in_float32(matcher, pictures) -> None:
    for embeddings in (matcher.image_embeddings(pictures), matcher.text_embeddings(TEXTS)):
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_a_batch_gives_the_embeddings_of_its_members_alone(matcher, pictures) -> None:
    alone = np.concatenate([matcher.image_embeddings([picture]) for picture in pictures])
    np.testing.assert_allclose(matcher.image_embeddings(pictures), alone, atol=2e-6)
    alone = np.concatenate([matcher.text_embeddings([text]) for text in TEXTS])
    np.testing.assert_allclose(matcher.text_embeddings(TEXTS), alone, atol=2e-6)


def test_a_text_is_seen_up_to_35_tokens(matcher) -> None:
    words = 33 * ["red"]  # and [CLS] and [SEP]
    cut, longer = matcher.text_embeddings([" ".join(words), " ".join([*words, "house", "star"])])
    np.testing.assert_array_equal(cut, longer)
    shorter = matcher.text_embeddings([" ".join(words[1:])])[0]
    assert not np.allclose(cut, shorter, atol=1e-4)


def test_texts_are_read_without_regard_to_case(matcher) -> None:
    upper, lower = matcher.text_embeddings(["A RED House", "a red house"])
    np.testing.assert_allclose(upper, lower, atol=1e-6)  # a row's last bit may depend on its place in the batch


def test_nothing_gives_an_empty_matrix_of_the_right_width(matcher) -> None:
    assert matcher.image_embeddings([]).shape == matcher.text_embeddings([]).shape == (0, 96)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 0.02), ("bfloat16", 0.15)])
def test_half_precision_gives_unit_vectors_that_say_nearly_the_same(
    matcher, pictures, dtype: str, tolerance: float
) -> None:
    half = BlipMatcher(MATCH, dtype=dtype)
    vectors = half.image_embeddings(pictures)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    exact = matcher.image_embeddings(pictures) @ matcher.text_embeddings(TEXTS).T
    np.testing.assert_allclose(vectors @ half.text_embeddings(TEXTS).T, exact, atol=tolerance)


def test_nothing_is_written_to_the_terminal(pictures, capfd: pytest.CaptureFixture[str]) -> None:
    matcher = BlipMatcher(MATCH)
    matcher.image_embeddings(pictures)
    matcher.text_embeddings(["word " * 100])
    assert capfd.readouterr() == ("", "")


def test_a_captioners_weights_are_refused() -> None:
    with pytest.raises(ModelMismatch, match="weights of a BlipForImageTextRetrieval are missing"):
        BlipMatcher(WEIGHTS / "caption")
