"""Words that are nearly others: another form, a kind of it, another spelling, a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from capprep.filewords.implications import implied
from capprep.filewords.prompts import singular

FORM = "form"
KIND = "kind"
SPELLING = "spelling"
PART = "part"

LONG = 5
"""Shorter words than this, one letter changed, are mostly other words: cat, hat, cap."""

MOST = 3
"""How many are named of one word."""


@dataclass(frozen=True, slots=True)
class Near:
    """A known word that is nearly one that is not.

    Attributes:
        text: The known one, as it is compared.
        how: `FORM` (hats, hat; t shirt, t-shirt), `KIND` (kitten, cat), `SPELLING` (`one_edit` behind the first letter)
            or `PART` (blue-eyed, blue).
    """

    text: str
    how: str


class Nearest:
    """Known words, ready to be asked for what is nearly one of them."""

    def __init__(self, known: Mapping[str, int]) -> None:
        """Prepare.

        Args:
            known: Words, and phrases with spaces between their words, as they are compared, to how common they are.
        """
        self._known = known
        self._forms: dict[str, list[str]] = {}
        self._kinds: dict[str, list[str]] = {}
        self._cuts: dict[str, list[str]] = {}
        for each in known:
            for form in {_closed(each), _closed(singular(each))}:
                self._forms.setdefault(form, []).append(each)
            for general in implied(each):
                self._kinds.setdefault(general, []).append(each)
            if len(each) >= LONG and " " not in each:
                for cut in _cuts(each):
                    self._cuts.setdefault(cut, []).append(each)

    def is_form(self, phrase: str) -> bool:
        """True if something known is the same but for spaces, hyphens and apostrophes, or its singular is."""
        return not self._forms.keys().isdisjoint((_closed(phrase), _closed(singular(phrase))))

    def to(self, word: str) -> tuple[Near, ...]:
        """The known words that one is nearly: forms of it, else kinds, else what is spelt like it, else its parts."""
        for how, words in self._candidates(word):
            found = sorted(set(words) - {word}, key=lambda one: (-self._known[one], one))
            if found:
                return tuple(Near(each, how) for each in found[:MOST])
        return ()

    def _candidates(self, word: str) -> Iterator[tuple[str, Iterable[str]]]:
        yield FORM, [each for form in (_closed(word), _closed(singular(word))) for each in self._forms.get(form, ())]
        one = singular(word)
        general = [each for each in implied(word) | implied(one) if each in self._known]
        yield KIND, [*general, *self._kinds.get(word, ()), *self._kinds.get(one, ())]
        if len(word) >= LONG and " " not in word:
            alike = {each for cut in _cuts(word) for each in self._cuts.get(cut, ())}
            # nobody mistypes a first letter, and night is another word than knight
            yield SPELLING, [each for each in alike if each[0] == word[0] and one_edit(word, each)]
        parts = word.split("-")
        yield PART, [each for each in parts if len(parts) > 1 and len(each) > 2 and each in self._known]


def one_edit(one: str, other: str) -> bool:
    """True if two words are within one edit: a letter put in, taken out or changed, or two neighbours exchanged."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    same = next((n for n, letter in enumerate(one) if letter != other[n]), len(one))
    rest, others = one[same:], other[same:]
    if len(one) < len(other):
        return rest == others[1:]
    return rest[1:] == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])


def _cuts(word: str) -> set[str]:
    """A word and what it is without one of its letters; words within one edit have one of these in common."""
    return {word, *(word[:n] + word[n + 1 :] for n in range(len(word)))}


def _closed(text: str) -> str:
    """Without what writers leave out or put in between the parts of a word."""
    return text.replace(" ", "").replace("-", "").replace("'", "")
