"""From a picture's words to what the UNet reads: templates, 75-token chunks as in the webui, text states.

Emphasis such as `(word:1.2)` and `[word]` is not read yet: brackets stand for themselves, with or without
a backslash in front.

Shapes: T text states, 77 for each chunk, D their width, B pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from capprep.errors import ConfigError
from capprep.filewords.chunks import CHUNK, chunks
from capprep.filewords.words import unescape

DEFAULT_TEMPLATE = ("[filewords]",)


def read_template(path: str) -> tuple[str, ...]:
    """The lines of a template file, each stripped, blank ones kept; one line `[filewords]` if `path` is "".

    Raises:
        ConfigError: The file cannot be read as UTF-8 text, or is empty.
    """
    if not path:
        return DEFAULT_TEMPLATE
    hint = "name a text file with one prompt a line, such as [filewords]"
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            lines = tuple(line.strip() for line in file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"template = {path!r} cannot be read", hint) from error
    if not lines:
        raise ConfigError(f"template = {path!r} is empty", hint)
    return lines


def fill(template: str, filewords: str, name: str) -> str:
    """A template's line for one picture: `[filewords]` is replaced first, then `[name]`, in the picture's words too."""
    return template.replace("[filewords]", filewords).replace("[name]", name)


def token_rows(tokenizer: Any, text: str) -> list[list[int]]:
    """A text as rows of 77 token numbers: start, up to 75 of text, end, filled up.

    Filled up with the end token, which is also the padding token of Stable Diffusion 1.x; the 2.x
    tokenizers pad with another one after the first end token.
    """
    tokens = tokenizer(unescape(text), add_special_tokens=False, verbose=False)["input_ids"]
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    padding = tokenizer.pad_token_id
    rows = []
    for chunk in chunks(tokens, comma):
        rest = CHUNK - len(chunk)
        rows.append([tokenizer.bos_token_id, *chunk, tokenizer.eos_token_id, *[padding] * rest])
    return rows


def encode(tokenizer: Any, text_encoder: Any, text: str) -> Tensor:
    """The states of a text, shape (77 x chunks, D), float32: the last layer's (clip skip 1), chunk after chunk."""
    rows = torch.tensor(token_rows(tokenizer, text), device=text_encoder.device)
    with torch.no_grad():
        states: Tensor = text_encoder(rows).last_hidden_state
    return states.reshape(-1, states.shape[-1])


def stack(states: Sequence[Tensor]) -> Tensor:
    """The states of several texts as one batch (B, T, D); a shorter one is filled up by repeating its last vector."""
    longest = max(len(states_TD) for states_TD in states)
    filled = [
        states_TD
        if len(states_TD) == longest
        else torch.cat([states_TD, states_TD[-1:].expand(longest - len(states_TD), -1)])
        for states_TD in states
    ]
    return torch.stack(filled)
