"""What is wrong with a captioner's sentence by its words alone: loops, made-up words, a missing end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

EMPTY = "empty"
LOOP = "loop"
MADE_UP = "made_up_word"
CUT_OFF = "cut_off"

MAX_WORDS = 400
"""More words of a sentence are not looked at."""

WORD = 40
"""Characters of a word that are compared and quoted."""

LONGEST = 12
"""Words of the longest run that is looked for."""

OFTEN = 3
"""So often comes a word, or a run of `PHRASE` words, in a sentence that goes in circles."""

PHRASE = 3

_NEVER_TWICE = frozenset("a an and at by for from in into is of on or the to with".split())
"""Small words that no sentence has twice in a row; others may be: "bora bora"."""

_WORD = re.compile("[^\\W_]+(?:['\u2019][^\\W_]+)*")

_MADE_UP = re.compile(r"\baraf+(?!at\b|ats\b|ura\b)\w*", re.IGNORECASE)
"""BLIP's "arafed", "araffe", "araffy" and the like, which stand for nothing; Arafat and the Arafura are real."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One thing that is wrong with a sentence.

    Attributes:
        code: `EMPTY`, `LOOP`, `MADE_UP` or `CUT_OFF`.
        message: The same for people; the subject is the caption.
    """

    code: str
    message: str


def artefacts(sentence: str, *, ended: bool = True) -> tuple[Artefact, ...]:
    """What is wrong with a captioner's sentence, each kind once.

    Args:
        sentence: As the captioner or the text has it.
        ended: False where the greatest length was reached before its end.
    """
    words = _WORD.findall(sentence[: MAX_WORDS * WORD].casefold())[:MAX_WORDS]
    return tuple(_found(sentence, [word[:WORD] for word in words], ended))


def _found(sentence: str, words: Sequence[str], ended: bool) -> Iterator[Artefact]:
    if not words:
        yield Artefact(EMPTY, "has no words")
        return
    again = _loop(words)
    if again:
        yield Artefact(LOOP, f'says "{again}" again and again')
    made_up = _MADE_UP.search(sentence)
    if made_up:
        yield Artefact(MADE_UP, f'says "{made_up[0][:WORD]}", which is no word')
    if not ended:
        why = f'reached the greatest length before its end, so "{words[-1]}" may be the half of a word'
        yield Artefact(CUT_OFF, why)


def _loop(words: Sequence[str]) -> str:
    """The words that are said again and again, or "".

    The same run of two words or more twice in a row, one word `OFTEN` times, a small one twice, or a run of `PHRASE`
    words `OFTEN` times anywhere.
    """
    for length in range(1, LONGEST + 1):
        for place in range(len(words) - 2 * length + 1):
            run = words[place : place + length]
            if run != words[place + length : place + 2 * length]:
                continue
            if length > 1 or run[0] in _NEVER_TWICE or words[place : place + OFTEN] == [*run] * OFTEN:
                return " ".join(run)
    phrases = Counter(zip(*(words[offset:] for offset in range(PHRASE)), strict=False))
    phrase, count = max(phrases.items(), key=lambda item: item[1], default=((), 0))
    return " ".join(phrase) if count >= OFTEN else ""
