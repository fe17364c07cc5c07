"""Texts to the tokens that Stable Diffusion's text encoder reads, without loading transformers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from capprep.errors import ModelMissing
from capprep.filewords.chunks import Encode

_FILES = ("vocab.json", "merges.txt")
_FOLDER = Path(__file__).parent / "clip_tokenizer"

_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
"""What CLIP's tokenizer takes for a word (openai/CLIP, simple_tokenizer.py)."""


def encoder(folder: Path = _FOLDER) -> Encode:
    """CLIP's tokenizer: lower case, byte pairs with marked ends of words. Start and end tokens are not added.

    It is read when it is first needed, which takes up to half a second.

    Args:
        folder: Where `vocab.json` and `merges.txt` are; those that ship with the program unless named.

    Raises:
        ModelMissing: They are not there.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise ModelMissing(
                f"there is no {name} in {folder}, by which the tokens of texts are counted",
                "install capprep again; without --budget it is not needed",
            )

    def encode(text: str) -> Sequence[int]:
        # what is no text, half of a pair of surrogates, can stand in words typed on a command line
        valid = text.encode(errors="replace").decode()
        ids: list[int] = _tokenizer(folder).encode(valid, add_special_tokens=False).ids
        return ids

    return encode


@functools.lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Tokenizer:
    vocabulary, merges = (str(folder / name) for name in _FILES)
    tokenizer = Tokenizer(BPE.from_file(vocabulary, merges, unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer
