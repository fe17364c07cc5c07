"""The tokens of texts: those of Stable Diffusion's own tokenizer, without its library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capprep.errors import ModelMissing
from capprep.models import clip_tokens
from tests.filewords.strategies import clip

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.text(" abAB'stre0,.()[]_\\\n\té", max_size=60)


@settings(deadline=None)  # reading the tokenizers takes part of the first
@given(TEXTS)
@example("a cat's 42 hats, (o_o), slime (substance), \N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}")
@example("<|startoftext|> <|endoftext|>i'LL don't \N{HEAVY BLACK HEART}\N{IDEOGRAPHIC SPACE}e")
def test_tokens_are_those_that_transformers_gives(text: str) -> None:
    assert clip_tokens.encoder()(text) == list(clip()(text))


def test_text_with_half_a_surrogate_pair_is_counted_too() -> None:
    encode = clip_tokens.encoder()
    assert encode("a \ud800 b") == encode("a ? b")


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_folder_without_it_is_named_with_what_to_do(tmp_path: Path, missing: str) -> None:
    for name in {"vocab.json", "merges.txt"} - {missing}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelMissing, match=missing) as error:
        clip_tokens.encoder(tmp_path)
    assert "--budget" in error.value.hint


def test_counting_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from capprep.models import clip_tokens; clip_tokens.encoder()('a cat');"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
