"""Prompts as people keep them in files: which lines are prompts, and their words without the syntax around them."""

from __future__ import annotations

import functools
import re
import shlex
import unicodedata
from pathlib import Path

from capprep.errors import ConfigError
from capprep.filewords import words

MAX_BYTES = 2**20
MAX_PROMPTS = 5000
MAX_PROMPT = 5000
"""Characters of one prompt."""

_AND = re.compile(r"\bAND\b")
_AND_WEIGHT = re.compile(r":\s*[-+]?[\d.]+\s*$")
_COMMANDS = re.compile(r"\b(?:BREAK|ADDBASE|ADDCOMM|ADDCOL|ADDROW)\b")
_NO_WORDS = re.compile(
    r"<\w+:[^<>]*>"  # <lora:name:0.8>, <hypernet:name:1>
    r"|(?<!\w)__[\w/*.~-]+?__(?!\w)"  # __wildcard__
    r"|\bembedding:[^\s,()\[\]{}|]+"
    r"|\d+(?:-\d+)?\$\$"  # how many of {2$$a|b|c}
    r"|(?<![\w.])\d+(?:\.\d+)?::"  # the weight of a choice in {3::a|b}
)
_WEIGHT = re.compile(r":\s*[-+]?[.\d]+\s*(?=[)\]])")  # (word:1.2), and where [a:b:0.5] changes
_ANY = re.compile(r"[<(\[{_$:]|AND|BREAK|ADD")
"""What a prompt has that is more than words."""

_MARKS = re.compile(r"\\.|[()\[\]{}|:]|[^\\()\[\]{}|:]+|\\", re.DOTALL)

_OPTION = re.compile(r"(?:^|\s)--[a-z]")
_OF_THE_PICTURE = re.compile(r"(?:Negative prompt|Steps): ?")
"""How the lines begin that the webui writes below a prompt."""

_SAME = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-"})


def read(path: Path) -> tuple[str, ...]:
    """The prompts in a file, see `of_lines`.

    Raises:
        ConfigError: It cannot be read as UTF-8 text, is too large, or holds no prompt.
    """
    hint = "name a UTF-8 text file with one prompt a line"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the prompts in {str(path)!r} cannot be read", hint) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{str(path)!r} is larger than {MAX_BYTES >> 20} MB", hint)
    found = of_lines(text)
    if not found:
        raise ConfigError(f"{str(path)!r} holds no prompt", hint)
    longest = max(map(len, found))
    if len(found) > MAX_PROMPTS or longest > MAX_PROMPT:
        fault = f"{len(found):,} prompts" if len(found) > MAX_PROMPTS else f"a prompt of {longest:,} characters"
        allowed = f"give up to {MAX_PROMPTS:,} prompts of up to {MAX_PROMPT:,} characters"
        raise ConfigError(f"{str(path)!r} holds {fault}", allowed)
    return found


def of_lines(text: str) -> tuple[str, ...]:
    """The prompts of a text with one a line, in their order.

    Blank lines, lines that begin with #, and the lines of settings that the webui writes below a prompt are none.
    Options are cut off: `a cat --n blurry --w 512` (sd-scripts); of `--prompt "a cat" --steps 20` (the webui's
    script for prompts from a file) the prompt is taken. Negative prompts are left aside.
    """
    lines = (line.strip() for line in text.splitlines())
    found = (_prompt(line) for line in lines if line and line[0] != "#" and not _OF_THE_PICTURE.match(line))
    return tuple(prompt for prompt in found if prompt)


def _prompt(line: str) -> str:
    """A line without its options."""
    if not line.startswith("--"):
        option = _OPTION.search(line)
        return line[: option.start()].strip() if option else line
    try:
        arguments = shlex.split(line)
    except ValueError:  # a quote that is not closed
        arguments = line.split()
    taken, name = [], ""
    for argument in arguments:
        if argument.startswith("--"):
            name = argument
        elif name == "--prompt":
            taken.append(argument)
    return " ".join(taken).strip()


def pieces(prompt: str) -> list[str]:
    r"""The pieces of a prompt or of a training text between its commas, as words.

    Without weights (`(word:1.2)`, `[word]`, `{word}`), names of networks and embeddings (`<lora:x:1>`), wildcards
    (`__x__`) and `[name]`. BREAK and AND end a piece, and so do the choices and changes of `[a|b]`, `[a:b:0.5]` and
    `{a|b}`: each side is asked for. Brackets behind a backslash are the text's own.
    """
    if not _ANY.search(prompt):
        return words.split(prompt)
    plain = _NO_WORDS.sub(" ", prompt.replace(words.NAME, " "))
    if _AND.search(plain):
        plain = ",".join(_AND_WEIGHT.sub("", part) for part in _AND.split(plain))
    plain = _WEIGHT.sub("", _COMMANDS.sub(",", plain))
    taken, inside = [], 0
    for mark in _MARKS.findall(plain):
        if mark in "[{":
            inside += 1
        elif mark in "]}":
            inside = max(0, inside - 1)
        separates = mark in "|:" and inside > 0
        taken.append("," if separates else " " if mark in "()[]{}" else mark)
    return words.split("".join(taken))


@functools.lru_cache(maxsize=4096)
def tokens(piece: str) -> tuple[str, ...]:
    """The words of a piece as they are compared: letters and digits, with the hyphens and apostrophes inside them.

    A piece such as `>_<` or `:3` is one word; other signs are none.

    Args:
        piece: Without escapes, in any spelling.
    """
    compared = words.key(piece).translate(_SAME)
    if piece in words.KAOMOJI or _face(compared):
        return (compared,)
    spaced = "".join(sign if sign.isalnum() or sign in "'-" or _accent(sign) else " " for sign in compared)
    stripped = (word.strip("'-") for word in spaced.split())
    return tuple(word for word in stripped if word)


def _accent(sign: str) -> bool:
    """True for what Unicode writes as a sign of its own upon or behind a letter."""
    return unicodedata.category(sign)[0] == "M"


def _face(piece: str) -> bool:
    """True for signs in a row with at most one letter or digit among them."""
    return len(piece) > 1 and " " not in piece and sum(sign.isalnum() or _accent(sign) for sign in piece) <= 1


_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "wolves": "wolf", "knives": "knife", "leaves": "leaf", "elves": "elf",
    "shelves": "shelf", "scarves": "scarf", "wives": "wife", "loaves": "loaf", "thieves": "thief", "oxen": "ox",
}  # fmt: skip


def singular(word: str) -> str:
    """An English noun in the singular, by its ending; only fit to tell whether two words are forms of one."""
    word = word.removesuffix("'s").removesuffix("s'")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
