from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

import capprep.models
from capprep.errors import ConfigError
from capprep.models.stable_diffusion import BaseModel
from capprep.train import text

COMMA = 7


def webui_chunks(tokens: list[int]) -> list[list[int]]:
    """The webui's rule in other words: cut where the text reaches 76 tokens, at a comma if one is near enough."""
    if len(tokens) <= 75:
        return [tokens]
    commas = [place for place in range(75) if tokens[place] == COMMA]
    near = commas and 75 - commas[-1] <= 20 and tokens[75] != COMMA
    cut = commas[-1] + 1 if near else 75
    return [tokens[:cut], *rest_chunks(tokens[cut:], 75 - cut)]


def rest_chunks(tokens: list[int], moved: int) -> list[list[int]]:
    """The same for what follows, in which a comma right at the start, or among what was moved, is not seen."""
    if len(tokens) <= 75:
        return [tokens]
    commas = [place for place in range(max(moved, 0 if moved else 1), 75) if tokens[place] == COMMA]
    near = commas and 75 - commas[-1] <= 20 and tokens[75] != COMMA
    cut = commas[-1] + 1 if near else 75
    return [tokens[:cut], *rest_chunks(tokens[cut:], 75 - cut)]


@given(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 1, COMMA]), max_size=400))
def test_text_is_cut_into_chunks_as_in_the_webui(tokens: list[int]) -> None:
    assert text.chunks(tokens, COMMA) == webui_chunks(tokens)


@given(st.lists(st.sampled_from([1, 2, COMMA]), max_size=400))
def test_cutting_loses_and_reorders_nothing(tokens: list[int]) -> None:
    cut = text.chunks(tokens, COMMA)
    assert [token for chunk in cut for token in chunk] == tokens
    assert all(len(chunk) <= 75 for chunk in cut)


@pytest.mark.parametrize(("place", "first"), [(54, 75), (55, 56), (74, 75)])
def test_a_comma_counts_if_it_is_at_most_twenty_tokens_back(place: int, first: int) -> None:
    tokens = [1] * 100
    tokens[place] = COMMA
    assert [len(chunk) for chunk in text.chunks(tokens, COMMA)] == [first, 100 - first]


def test_no_text_is_one_chunk() -> None:
    assert text.chunks([], COMMA) == [[]]


def clip(**given_: str) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(Path(capprep.models.__path__[0]) / "clip_tokenizer", **given_)


def test_a_row_is_start_text_end_and_end_again() -> None:
    (row,) = text.token_rows(clip(), "a photo, of 1girl")
    assert row[:7] == [49406, 320, 1125, 267, 539, 272, 1611]
    assert row[7:] == [49407] * 70


def test_stable_diffusion_2_fills_up_with_its_own_padding() -> None:
    (row,) = text.token_rows(clip(pad_token="!"), "a photo")
    assert row == [49406, 320, 1125, 49407] + [0] * 73


def test_a_long_text_is_several_rows_and_none_is_cut_off() -> None:
    rows = text.token_rows(clip(), ", ".join(["photo"] * 100))
    assert [len(row) for row in rows] == [77, 77, 77]
    assert sum(row.count(1125) for row in rows) == 100
    assert all(row[0] == 49406 and row[76] == 49407 for row in rows)


def test_escaped_brackets_are_the_brackets_themselves() -> None:
    assert text.unescape(r"saber \(fate\), a \\ b \[c\] \d") == r"saber (fate), a \ b [c] \d"
    assert text.token_rows(clip(), r"saber \(fate\)") == text.token_rows(clip(), "saber (fate)")


def test_states_are_those_of_each_chunk_one_after_the_other(base: BaseModel) -> None:
    long = ", ".join(["red star"] * 60)
    states = text.encode(base.tokenizer, base.text_encoder, long)
    rows = text.token_rows(base.tokenizer, long)
    assert states.shape == (77 * len(rows), 48)
    with torch.no_grad():
        last = base.text_encoder(torch.tensor(rows[-1:])).last_hidden_state[0]
    assert torch.allclose(states[-77:], last, atol=1e-5)


def test_shorter_texts_of_a_batch_repeat_their_last_vector() -> None:
    short, long = torch.rand(77, 4), torch.rand(154, 4)
    batch = text.stack([short, long])
    assert torch.equal(batch[0, :77], short)
    assert torch.equal(batch[0, 77:], short[-1].expand(77, 4))
    assert torch.equal(batch[1], long)


def test_filewords_are_filled_in_before_the_name() -> None:
    assert text.fill("[filewords], by [name]", "a [name] cat", "mo") == "a mo cat, by mo"


def test_a_template_keeps_blank_lines_and_loses_the_space_around_lines(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(b"\xef\xbb\xbf a [filewords] \r\n\r\nby [name]\n")
    assert text.read_template(str(file)) == ("a [filewords]", "", "by [name]")


def test_without_a_template_a_prompt_is_the_text_itself() -> None:
    assert text.read_template("") == ("[filewords]",)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_a_template_that_cannot_be_read_is_an_error_with_a_hint(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "t.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="template") as error:
        text.read_template(str(file))
    assert "[filewords]" in error.value.hint


def test_the_comma_is_the_tokenizers_own(base: BaseModel) -> None:
    tokens = [*range(60), base.tokenizer.convert_tokens_to_ids(",</w>"), *range(40)]
    fake = SimpleNamespace(bos_token_id=-1, eos_token_id=-2, pad_token_id=-2)
    fake.convert_tokens_to_ids = base.tokenizer.convert_tokens_to_ids

    class Tokenizer(SimpleNamespace):
        def __call__(self, *_: object, **__: object) -> dict[str, list[int]]:
            return {"input_ids": tokens}

    rows = text.token_rows(Tokenizer(**vars(fake)), "")
    assert [row.index(-2) for row in rows] == [62, 41]
