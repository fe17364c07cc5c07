"""The webui's chunks of 75 tokens, with its back-off to the last comma."""

from __future__ import annotations

from collections.abc import Callable, Sequence

CHUNK = 75
"""Tokens of text in a chunk; with its start and end tokens it fills CLIP's window of 77."""

BACK_OFF = 20
"""If a chunk is full and a comma lies at most so many tokens back, what follows it moves to the next chunk."""

Encode = Callable[[str], Sequence[int]]
"""A text encoder's tokenizer: a text without escapes to its tokens, without start and end tokens."""


def chunks(tokens: Sequence[int], comma: int) -> list[list[int]]:
    """Tokens in chunks of at most 75, by the webui's rule.

    If a chunk is full and the last comma in it lies at most 20 tokens back, what follows the comma moves to
    the next chunk. No tokens make one empty chunk. (webui `comma_padding_backtrack`, default 20.)

    Args:
        tokens: Without start and end tokens.
        comma: The token of a comma that ends a word.
    """
    done: list[list[int]] = []
    chunk: list[int] = []
    last_comma = -1
    for token in tokens:
        full = len(chunk) == CHUNK
        if token == comma:
            last_comma = len(chunk)
        elif full and last_comma != -1 and len(chunk) - last_comma <= BACK_OFF:
            done.append(chunk[: last_comma + 1])
            chunk, last_comma = chunk[last_comma + 1 :], -1
        if len(chunk) == CHUNK:
            done.append(chunk)
            chunk, last_comma = [], -1
        chunk.append(token)
    return [*done, chunk]


def sizes(text: str, encode: Encode) -> list[int]:
    """How many tokens of a text each chunk holds.

    Args:
        text: Without escapes.
        encode: The tokenizer. A comma that it joins to what is before it, as CLIP's does in `),`, is none.
    """
    commas = encode(",")
    return [len(chunk) for chunk in chunks(encode(text), commas[0] if len(commas) == 1 else -1)]


def length(sizes: Sequence[int]) -> int:
    """Up to which token a text of such chunks reaches, counting the padding of all chunks but the last."""
    return CHUNK * (len(sizes) - 1) + sizes[-1]


def first_chunks(pieces: Sequence[str], sizes: Sequence[int], encode: Encode) -> list[int]:
    """In which chunk each piece of a text begins.

    Args:
        pieces: The text's pieces between its commas.
        sizes: How many tokens each of its chunks holds.
        encode: The tokenizer.
    """
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    before = [len(encode(", ".join(pieces[:n]) + ",")) if n and len(sizes) > 1 else 0 for n in range(len(pieces))]
    return [next((n for n, end in enumerate(ends) if start < end), len(ends) - 1) for start in before]
