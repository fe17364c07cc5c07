"""How captions are looked for: cached steps, candidates, sampling; every batch gives what its pictures give alone."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import BertTokenizer, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from capprep.errors import ConfigError
from capprep.facts import Sentence, sentences_from_json, sentences_to_json
from capprep.models import pretrained
from capprep.models.blip import BlipCaptioner, Decoding
from capprep.stages.blip import Blip
from capprep.toybox.world import draw, scene

from .test_blip import CAPTION, write_full_size

PICTURES = [np.asarray(draw(scene(number), (150 + 10 * number, 192))) for number in range(6)]
DRAWN = Decoding(sample=True, top_p=0.98, temperature=4.0, max_new_tokens=10, candidates=3)
BEAMS = Decoding(num_beams=4, max_new_tokens=10, candidates=4, prompt="a picture of", no_repeat_ngram_size=3)


@pytest.fixture(scope="module")
def captioner() -> BlipCaptioner:
    return BlipCaptioner(CAPTION)


@pytest.fixture(scope="module")
def plain() -> BlipForConditionalGeneration:
    """transformers' own class, used as its documentation does."""
    return BlipForConditionalGeneration.from_pretrained(CAPTION, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def words() -> BertTokenizer:
    return BertTokenizer.from_pretrained(CAPTION)


def processed(folder: Path, pictures: list[np.ndarray]) -> torch.Tensor:
    """What transformers' own processor makes of pictures."""
    return BlipImageProcessorPil.from_pretrained(folder)(pictures, return_tensors="pt")["pixel_values"]


def texts(said: list[tuple[Sentence, ...]]) -> list[list[str]]:
    return [[sentence.text for sentence in each] for each in said]


def logits_agree(folder: Path, pictures: list[np.ndarray], tokens_BL: torch.Tensor) -> None:
    """Our loading and pixels, and transformers' own, give the same scores for the same tokens."""
    with torch.no_grad():
        theirs = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        expected = theirs(pixel_values=processed(folder, pictures), input_ids=tokens_BL).logits
        del theirs  # at full size two of them take too much memory
        ours = pretrained.load(BlipForConditionalGeneration, folder, "cpu", "float32")
        logits = ours.model(pixel_values=ours.pixel_batch(pictures), input_ids=tokens_BL).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)


def test_the_decoders_scores_are_those_of_transformers_own_processor_and_class() -> None:
    logits_agree(CAPTION, PICTURES, torch.randint(6, 180, (6, 9), generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("decoding", [Decoding(prompt="a picture of"), BEAMS, DRAWN], ids=["greedy", "beams", "drawn"])
def test_each_step_reads_one_new_token_for_the_others_are_in_the_cache(
    captioner: BlipCaptioner, words: BertTokenizer, decoding: Decoding
) -> None:
    lengths = []
    embeddings = captioner._blip.model.text_decoder.bert.embeddings
    hook = embeddings.register_forward_pre_hook(
        lambda _, __, given: lengths.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    try:
        captioner.candidates(PICTURES, decoding)
    finally:
        hook.remove()
    assert lengths[0] == len(words(decoding.prompt)["input_ids"]) - 1
    assert len(lengths) > 5
    assert set(lengths[1:]) == {1}


def test_candidates_are_the_plain_classs_best_beams_in_its_order(
    captioner: BlipCaptioner, plain: BlipForConditionalGeneration, words: BertTokenizer
) -> None:
    given = words([BEAMS.prompt] * len(PICTURES), return_tensors="pt")
    tokens = plain.generate(
        pixel_values=processed(CAPTION, PICTURES),
        input_ids=given["input_ids"],
        attention_mask=given["attention_mask"],
        do_sample=False,
        num_beams=4,
        num_return_sequences=4,
        max_new_tokens=10,
        no_repeat_ngram_size=3,
    )
    said = [text.removeprefix(BEAMS.prompt).strip() for text in words.batch_decode(tokens, skip_special_tokens=True)]
    expected = [list(dict.fromkeys(said[4 * n : 4 * n + 4])) for n in range(len(PICTURES))]
    assert texts(captioner.candidates(PICTURES, BEAMS)) == expected
    assert max(map(len, expected)) == 4


def test_one_beam_is_enough_for_one_candidate_and_more_candidates_take_more_beams(captioner: BlipCaptioner) -> None:
    one, beams = Decoding(max_new_tokens=8), Decoding(max_new_tokens=8, candidates=3)
    assert texts(captioner.candidates(PICTURES, one)) == [
        [text] for text in captioner.captions(PICTURES, max_new_tokens=8)
    ]
    assert captioner.candidates(PICTURES, beams) == captioner.candidates(
        PICTURES, Decoding(max_new_tokens=8, candidates=3, num_beams=3)
    )


@pytest.mark.parametrize("decoding", [BEAMS, DRAWN], ids=["beams", "drawn"])
def test_candidates_depend_on_the_picture_alone_whatever_the_batch_and_its_order(
    captioner: BlipCaptioner, decoding: Decoding
) -> None:
    alone = [captioner.candidates([picture], decoding)[0] for picture in PICTURES]
    assert captioner.candidates(PICTURES, decoding) == alone
    assert captioner.candidates(PICTURES[::-1], decoding) == alone[::-1]
    assert captioner.candidates([*PICTURES[2:4], PICTURES[2]], decoding) == [*alone[2:4], alone[2]]
    assert all(len(said) == len({sentence.text for sentence in said}) > 0 for said in alone)
    assert len(set(alone)) == len(alone)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 6), st.integers(0, 2**63 - 1))
def test_what_is_drawn_follows_from_picture_and_seed_for_every_order_and_batch_size(
    order: list[int], size: int, seed: int
) -> None:
    captioner, decoding = _captioner(), Decoding(sample=True, temperature=4.0, max_new_tokens=6, seed=seed)
    expected = captioner.candidates(PICTURES, decoding)
    for first in range(0, 6, size):
        batch = order[first : first + size]
        assert captioner.candidates([PICTURES[n] for n in batch], decoding) == [expected[n] for n in batch]


_kept: list[BlipCaptioner] = []


def _captioner() -> BlipCaptioner:
    """One captioner for all examples of a property."""
    if not _kept:
        _kept.append(BlipCaptioner(CAPTION))
    return _kept[0]


def test_another_seed_draws_other_captions_and_torchs_own_randomness_has_no_say(captioner: BlipCaptioner) -> None:
    def drawn(seed: int, chance: int) -> list[tuple[Sentence, ...]]:
        torch.manual_seed(chance)
        return captioner.candidates(PICTURES, Decoding(sample=True, temperature=4.0, max_new_tokens=8, seed=seed))

    assert drawn(1, 5) == drawn(1, 6)
    assert all(one != other for one, other in zip(drawn(1, 5), drawn(2, 5), strict=True))


def test_more_candidates_are_drawn_besides_those_that_are_drawn_anyway(captioner: BlipCaptioner) -> None:
    few, more = (
        captioner.candidates(PICTURES, Decoding(sample=True, temperature=4.0, max_new_tokens=8, candidates=n))
        for n in (2, 5)
    )
    assert all(set(some) <= set(others) for some, others in zip(few, more, strict=True))


def test_a_nucleus_of_one_word_is_greedy_search(captioner: BlipCaptioner) -> None:
    settings = {"prompt": "a picture of", "max_new_tokens": 10, "repetition_penalty": 1.3, "min_new_tokens": 4}
    drawn = captioner.captions(PICTURES, sample=True, top_p=0.0001, **settings)
    assert drawn == captioner.captions(PICTURES, **settings)


@pytest.mark.parametrize(("top_p", "temperature"), [(1.0, 1.0), (0.8, 1.0), (0.9, 2.5), (1.0, 4.0)])
def test_words_are_drawn_as_often_as_their_probability_in_the_nucleus_says(
    captioner: BlipCaptioner,
    plain: BlipForConditionalGeneration,
    words: BertTokenizer,
    top_p: float,
    temperature: float,
) -> None:
    picture, count = PICTURES[0], 600
    start = torch.tensor([[plain.config.text_config.bos_token_id, *words("a", add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        logits = plain(pixel_values=processed(CAPTION, [picture]), input_ids=start).logits[0, -1].double().numpy()
    p = np.exp(logits / temperature - np.max(logits / temperature))
    p /= p.sum()
    # the fewest words, most probable first, that reach the share
    nucleus = np.argsort(-p)[: int(np.searchsorted(np.cumsum(np.sort(p)[::-1]), top_p - 1e-9)) + 1]
    wanted = {int(token): p[token] / p[nucleus].sum() for token in nucleus}
    drawn: Counter[str] = Counter()
    for seed in range(6):
        decoding = Decoding(
            "a", sample=True, top_p=top_p, temperature=temperature, max_new_tokens=1, seed=seed, candidates=count // 6
        )
        drawn.update(int(row[2]) for row in _tokens(captioner, picture, decoding))
    assert sum(drawn.values()) == count
    assert set(drawn) <= set(wanted)
    for token, probability in wanted.items():
        spread = math.sqrt(count * probability * (1 - probability))
        assert abs(drawn[token] - count * probability) <= 4 * spread + 1


def test_each_word_is_drawn_independently_of_how_the_one_before_it_was(
    captioner: BlipCaptioner, plain: BlipForConditionalGeneration, words: BertTokenizer
) -> None:
    decoding = Decoding("a", sample=True, temperature=5.0, max_new_tokens=2, candidates=600)
    pairs = [(int(row[2]), int(row[3])) for row in _tokens(captioner, PICTURES[0], decoding)]
    first, count = Counter(one for one, _ in pairs).most_common(1)[0]
    start = [plain.config.text_config.bos_token_id, *words("a", add_special_tokens=False)["input_ids"], first]
    with torch.no_grad():
        out = plain(pixel_values=processed(CAPTION, PICTURES[:1]), input_ids=torch.tensor([start]))
    probabilities = (out.logits[0, -1] / 5.0).softmax(-1).tolist()
    drawn = Counter(other for one, other in pairs if one == first)
    likely = [token for token, probability in enumerate(probabilities) if probability > 0.02]
    assert count >= 30
    assert len(likely) >= 3
    for token in likely:
        expected = count * probabilities[token]
        assert abs(drawn[token] - expected) <= 4 * math.sqrt(expected) + 1


def _tokens(captioner: BlipCaptioner, picture: np.ndarray, decoding: Decoding) -> torch.Tensor:
    """All tokens of each sentence drawn, of equal ones too."""
    made = []
    model = captioner._blip.model
    own = model.text_decoder.generate

    def generate(**given: object) -> torch.Tensor:
        made.append(own(**given))
        return made[0]

    model.text_decoder.generate = generate
    try:
        captioner.candidates([picture], decoding)
    finally:
        del model.text_decoder.generate
    return made[0]


def test_drawn_candidates_stand_in_the_order_of_the_plain_classs_probability(
    captioner: BlipCaptioner, plain: BlipForConditionalGeneration, words: BertTokenizer
) -> None:
    text = plain.config.text_config
    lengths = set()
    decoding = Decoding(sample=True, temperature=2.5, max_new_tokens=20, candidates=8)
    for picture, said in zip(PICTURES, captioner.candidates(PICTURES, decoding), strict=True):
        scores = []
        lengths.update(len(sentence.text.split()) for sentence in said if sentence.ended)
        for sentence in said:
            end = [text.sep_token_id] if sentence.ended else []
            tokens = [text.bos_token_id, *words(sentence.text, add_special_tokens=False)["input_ids"], *end]
            with torch.no_grad():
                out = plain(pixel_values=processed(CAPTION, [picture]), input_ids=torch.tensor([tokens])).logits[0]
            log_p = out.log_softmax(-1)[range(len(tokens) - 1), tokens[1:]]
            scores.append(float(log_p.mean()))
        assert scores == sorted(scores, reverse=True)
        assert len(scores) > 1
    assert len(lengths) > 3


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(num_beams=3), Decoding(sample=True)], ids=str)
def test_a_sentence_says_whether_it_came_to_its_end(captioner: BlipCaptioner, decoding: Decoding) -> None:
    def said(least: int, greatest: int) -> list[Sentence]:
        changed = Decoding(
            num_beams=decoding.num_beams, sample=decoding.sample, min_new_tokens=least, max_new_tokens=greatest
        )
        return [each[0] for each in captioner.candidates(PICTURES, changed)]

    assert all(sentence.ended for sentence in said(0, 60))
    assert not any(sentence.ended for sentence in said(4, 4))
    assert {sentence.ended for sentence in said(0, 11)} == {True, False}
    for whole, cut in zip(said(0, 60), said(0, 11), strict=True):
        assert cut.ended == (cut.text == whole.text) or decoding.num_beams > 1


def test_a_decoding_that_is_not_possible_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 9 and at most 8"):
        Decoding(min_new_tokens=9, max_new_tokens=8)


@given(st.lists(st.builds(Sentence, st.text(), st.booleans()), min_size=1, max_size=5).map(tuple))
def test_sentences_come_back_from_their_fact_as_they_were(said: tuple[Sentence, ...]) -> None:
    assert sentences_from_json(sentences_to_json(said)) == said
    assert sentences_from_json({"caption": said[0].text}) == (Sentence(said[0].text),)


def test_options_without_a_say_do_not_put_captions_out_of_date() -> None:
    assert Blip(seed=7, top_p=0.5, temperature=2.0) == Blip()
    assert Blip(sample=True, num_beams=5) == Blip(sample=True)
    assert len({Blip(), Blip(sample=True), Blip(sample=True, seed=7), Blip(sample=True, top_p=0.5)}) == 4
    assert Blip(candidates=5).num_beams == 5


def full_size(folder: Path) -> Path:
    """A captioner of the published base size with random weights, whose words depend on those before them.

    As they are drawn, the picture alone decides, and all orders of some words are equally likely to the last digit.
    """
    path = write_full_size(BlipForConditionalGeneration, folder) / "model.safetensors"
    weights = load_file(path)
    for name in weights:
        if name.startswith("text_decoder") and name.endswith("output.dense.weight"):
            weights[name] *= 0.25
    save_file(weights, path)
    return folder


@pytest.mark.slow
def test_at_the_published_size_scores_and_captions_are_the_plain_classs_and_a_batch_gives_what_its_pictures_do(
    tmp_path: Path,
) -> None:
    folder = full_size(tmp_path / "base")
    pictures = [np.asarray(draw(scene(number), (512, 512))) for number in range(3)]
    logits_agree(folder, pictures, torch.randint(200, 30000, (3, 8), generator=torch.Generator().manual_seed(0)))
    plain = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    words = BertTokenizer.from_pretrained(folder)
    expected = [
        words.batch_decode(
            plain.generate(
                pixel_values=processed(folder, pictures), num_beams=beams, do_sample=False, max_new_tokens=6
            ),
            skip_special_tokens=True,
        )
        for beams in (1, 3)
    ]
    del plain
    captioner = BlipCaptioner(folder)
    assert [captioner.captions(pictures, num_beams=beams, max_new_tokens=6) for beams in (1, 3)] == expected
    assert all(any(len(set(text.split())) > 1 for text in said) for said in expected)
    for decoding in (
        Decoding("a picture of", num_beams=3, max_new_tokens=6, candidates=2, repetition_penalty=1.1),
        Decoding(sample=True, max_new_tokens=6, candidates=2, top_p=0.9),
    ):
        alone = [captioner.candidates([picture], decoding)[0] for picture in pictures]
        assert captioner.candidates(pictures, decoding) == alone
