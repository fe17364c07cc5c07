"""Mistakes in the texts of drawn pictures, as a hurried person makes them: two exchanged, one word wrong."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from capprep.toybox.shapes import KINDS
from capprep.toybox.world import plural


@dataclass(frozen=True)
class Mistakes:
    """Texts made wrong.

    Attributes:
        texts: The wrong text of each picture that gets one, by the picture's name.
        said: What was done, in words.
    """

    texts: dict[str, str]
    said: str


def mistakes(captions: Mapping[str, str], texts: Mapping[str, str]) -> Mistakes:
    """Exchange the texts of two pictures and write one wrong word into a third's, as far as there are such.

    Args:
        captions: The sentence in each picture's text, by the picture's name.
        texts: The whole text of the same pictures, sentence and tags.
    """
    wrong: dict[str, str] = {}
    said = []
    pair = _strangers(texts)
    if pair:
        one, other = pair
        wrong |= {one: texts[other], other: texts[one]}
        said.append(f"exchanged {one}.txt and {other}.txt")
    found = _wrong_word({name: caption for name, caption in captions.items() if name not in wrong}, captions)
    if found:
        name, right, written = found
        wrong[name] = _replaced(texts[name], right, written)
        said.append(f'wrote "{written}" for "{right}" in {name}.txt')
    return Mistakes(wrong, ", ".join(said))


def _strangers(texts: Mapping[str, str]) -> tuple[str, str] | None:
    """The two pictures whose texts have the least share of their words in common, None where all texts are equal."""
    words = {name: _words(text) for name, text in texts.items()}
    pairs = [pair for pair in itertools.combinations(texts, 2) if words[pair[0]] != words[pair[1]]]
    return min(pairs, key=lambda p: len(words[p[0]] & words[p[1]]) / len(words[p[0]] | words[p[1]]), default=None)


def _wrong_word(open_to_it: Mapping[str, str], captions: Mapping[str, str]) -> tuple[str, str, str] | None:
    """A picture, a kind in its caption, and a wrong one; None where no caption names a kind.

    Of all that are possible it is the one after which another picture's caption has most of the wrong caption's
    words, since a set can speak against a text only by pictures that fit it better.
    """
    shown = {name: _words(caption) for name, caption in captions.items()}
    best, most = None, -max(map(len, captions.values()), default=0)
    for name, caption in open_to_it.items():
        named = shown[name] & KINDS.keys()
        for right, written in itertools.product(sorted(filter(_inflected, named)), sorted(KINDS.keys() - named)):
            wrong = _replaced(caption, right, written)
            words = _words(wrong)
            others = max((len(words & shown[other]) for other in captions if other != name), default=0)
            if others - len(words & shown[name]) > most and wrong not in captions.values():
                best, most = (name, right, written), others - len(words & shown[name])
    return best


def _inflected(kind: str) -> bool:
    """False for a kind whose number cannot be seen from its own word."""
    return plural(kind) != kind


def _words(text: str) -> frozenset[str]:
    """The words of a text, kinds in the singular."""
    singular = {plural(kind): kind for kind in KINDS}
    return frozenset(singular.get(word, word) for word in re.findall(r"\w+", text))


def _replaced(text: str, right: str, written: str) -> str:
    """A text with one kind in another's place, in the same number."""
    forms = {right: written, plural(right): plural(written)}
    return re.sub(r"\w+", lambda word: forms.get(word[0], word[0]), text)
