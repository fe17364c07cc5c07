"""How texts are written, as options, and the rules that people give as words or files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from capprep.config import Config, option
from capprep.errors import ConfigError
from capprep.filewords import words
from capprep.filewords.implications import implied

FORMS = {"caption,tags": "{caption}, {tags}", "tags": "{tags}", "caption": "{caption}"}
"""Forms by name; any other is a template."""

PLACES = ("{caption}", "{tags}", "{trigger}", "{name}")
"""What a template is filled with."""

MAX_BYTES = 2**20  # the largest lists that people share have some ten kilobytes
MAX_RULES = 20_000
MAX_RULE = 500  # characters; the longest tag of danbooru has about 170
MIN_BUDGET = 8


@dataclass(frozen=True)
class TextRules(Config):
    """How the text of a picture is made from its caption and tags.

    A FILE is one that ends in .txt, with one rule a line; see `inlined`.
    """

    trigger: str = option("", "What begins every text; [name] stands for the net's name.", metavar="WORD")
    preset: str = option(
        "none",
        "For what net the texts are: character leaves out hair, face and body, which the net is to learn without words;"
        " style leaves out what tells of medium and quality; concept leaves out the words of --concept.",
        choices=("none", "style", "character", "concept"),
    )
    concept: str = option("", "With --preset concept: the tags the net is to learn.", metavar="FILE|WORDS")
    alias: str = option("", "Write a tag as another: old = new, in any spelling.", metavar="FILE|RULES")
    blacklist: str = option("", "Never write these tags, in any spelling.", metavar="FILE|WORDS")
    whitelist: str = option("", "Write only these tags, in any spelling.", metavar="FILE|WORDS")
    keep_tags: str = option(
        "", "Tags that neither --preset, --drop-implied nor --drop-conflicts leaves out.", metavar="FILE|WORDS"
    )
    drop_implied: bool = option(True, "Leave out what another tag says too: shirt beside white shirt.")
    drop_conflicts: bool = option(
        True, "Of tags that cannot both be true, such as day and night, leave out the clearly less probable."
    )
    order: str = option(
        "score",
        "The order of the tags: most probable first; people and names before the rest; or by letters.",
        choices=("score", "people", "alphabetical"),
    )
    merge: str = option(
        "caption, tags",
        "What is written: `caption, tags`, `tags`, `caption`, or a template with {caption}, {tags}, {trigger}, {name}.",
        metavar="FORM",
    )
    existing: str = option(
        "ignore",
        "A text that lies beside the source picture: ignore it, keep it instead of the models' words, or put it before"
        " (prepend) or after (append) them.",
        choices=("ignore", "keep", "prepend", "append"),
    )
    budget: int = option(
        0,
        "Leave out the least probable tags until the text has no more tokens than this, as the webui counts; 75 is one"
        " chunk, 0 no limit.",
        minimum=0,
        maximum=7500,
        metavar="N",
    )
    escape: str = option(
        "webui",
        "For which trainer brackets are written: webui with backslashes, kohya as they are.",
        choices=("webui", "kohya"),
    )
    caption_commas: bool = option(
        False, "Leave commas in captions; trainers that shuffle at commas take such a sentence apart."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.budget < MIN_BUDGET:
            raise ConfigError(f"budget = {self.budget} leaves no room for words", f"give 0 or at least {MIN_BUDGET}")
        self.template()

    def template(self) -> str:
        """The form as a template, with {trigger} in it.

        Raises:
            ConfigError: It is none.
        """
        template = FORMS.get(re.sub(r"\s", "", self.merge).lower(), self.merge)
        found = re.findall(r"\{[^{}]*\}", template)
        unknown = [place for place in found if place not in PLACES]
        if not found or unknown or len(set(found)) < len(found):
            fault = f"has {unknown[0][:40]}, which stands for nothing" if unknown else "has a place twice"
            raise ConfigError(
                f"merge = {self.merge[:100]!r} {fault if found else 'is no form'}",
                f"give caption, tags or both, or a text with {', '.join(PLACES)}, each once",
            )
        return template if "{trigger}" in template else "{trigger}, " + template


RULE_FIELDS = ("concept", "alias", "blacklist", "whitelist", "keep_tags")
"""Fields of `TextRules` that hold rules or name a file of them."""

TEXT_FIELDS = tuple(each.name for each in fields(TextRules))
"""All fields, for whoever offers them."""


def inlined(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the rules of every file in place of its name, so that they can be remembered and need no file.

    Args:
        values: Some fields of `TextRules` and of others.

    Raises:
        ConfigError: A file cannot be read as UTF-8 text, or is too large.
    """
    return {name: _read(name, value) if name in RULE_FIELDS else value for name, value in values.items()}


def _read(name: str, value: str) -> str:
    if not value.lower().endswith(".txt"):
        return value
    hint = "name a UTF-8 text file with one rule a line, or give the words themselves"
    try:
        with Path(value).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} = {value!r} cannot be read", hint) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name} = {value!r} is larger than {MAX_BYTES >> 20} MB", hint)
    return ", ".join(line.replace("#", r"\#") for line in _rules(name, text))


def _rules(name: str, text: str) -> Iterator[str]:
    r"""The rules of a text: between commas and line ends, without comments; `\#` is a # that begins none."""
    count = 0
    for line in text.splitlines():
        for rule in re.sub(r"(^|\s)#.*", "", line).replace(r"\#", "#").split(","):
            if not rule.strip():
                continue
            count += 1
            if len(rule) > MAX_RULE or count > MAX_RULES:
                fault = f"more than {MAX_RULES:,} rules" if count > MAX_RULES else f"a rule of {len(rule):,} characters"
                raise ConfigError(f"{name} has {fault}", "give tags, one a line")
            yield rule.strip()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that a person gave.

    Attributes:
        option: The field of `TextRules` it came with.
        text: As they wrote it.
    """

    option: str
    text: str

    @property
    def keys(self) -> tuple[str, ...]:
        r"""What tags it is about: `a_b`, `a b`, `a_\(b\)` are all spellings, and any backslash may be the tag's own."""
        plain = self.text.partition(" = ")[0] if self.option == "alias" else self.text
        return tuple(dict.fromkeys((words.key(plain), words.key(words.unescape(plain)))))


@dataclass(frozen=True)
class Vocabulary:
    """The options with their rules, ready to be looked up by `words.key`.

    Attributes:
        options: What they were made from.
        aliases: What a tag is written as.
        listed: The rules of each other field about a tag.
        absorbed: What the concept's words say besides, by the word.
        rules: All of them, in their order.
    """

    options: TextRules = TextRules()
    aliases: Mapping[str, str] = field(default_factory=dict)
    listed: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)
    absorbed: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, rules: TextRules) -> Vocabulary:
        """From options whose files were read, see `inlined`.

        Raises:
            ConfigError: A rule is none, contradicts another, or the options do not go together.
        """
        _check(rules)
        given = {name: [Rule(name, text) for text in _rules(name, getattr(rules, name))] for name in RULE_FIELDS}
        listed = {name: {key: rule for rule in given[name] for key in rule.keys} for name in RULE_FIELDS}
        for name in RULE_FIELDS:
            listed[name].pop("", None)
        aliases = _aliases(given["alias"])
        absorbed = {more: rule.text for key, rule in listed["concept"].items() for more in sorted(implied(key))}
        return cls(
            rules, aliases, listed, absorbed, tuple(dict.fromkeys(rule for each in given.values() for rule in each))
        )

    def about(self, name: str, key: str) -> Rule | None:
        """The rule of a field about a tag."""
        return self.listed.get(name, {}).get(key)

    def unmatched(self, matched: Set[Rule]) -> tuple[Rule, ...]:
        """The rules that were about no tag of any picture: mistyped, or not needed.

        Args:
            matched: `Text.matched` of all pictures together.
        """
        return tuple(rule for rule in self.rules if rule not in matched)


def _check(rules: TextRules) -> None:
    """Raise where options do not go together."""
    for name in RULE_FIELDS:
        if getattr(rules, name).lower().endswith(".txt"):
            raise ConfigError(f"{name} still names a file", "its rules have to be read first")
    if rules.preset == "concept" and not rules.concept.strip():
        raise ConfigError("preset = 'concept' does not say what the concept is", "name its tags with --concept")
    if rules.preset != "concept" and rules.concept.strip():
        raise ConfigError("concept names tags and preset is not 'concept'", "add --preset concept")
    if rules.escape == "kohya" and words.NAME in rules.trigger + rules.merge:
        raise ConfigError("[name] is filled in by the webui only", "give the word itself, or take --escape webui")


def _aliases(rules: Iterable[Rule]) -> dict[str, str]:
    """What each tag is written as at last, through chains of rules."""
    targets: dict[str, str] = {}
    for rule in rules:
        old, mark, new = (part.strip() for part in rule.text.partition(" = "))
        target = words.tag_text(words.unescape(new))
        if not mark or not words.key(old) or not target:
            raise ConfigError(f"alias {rule.text!r} is no rule", "write: old = new; to drop a tag, take --blacklist")
        for key in rule.keys:
            if words.key(targets.setdefault(key, target)) != words.key(target):
                raise ConfigError(f"alias {rule.text!r} contradicts another rule", "take one of them away")
    for start, first in targets.items():
        seen, target = {start}, first
        while (key := words.key(target)) in targets:
            if key in seen:
                raise ConfigError(f"the aliases of {start!r} lead back to itself", "take one of them away")
            seen.add(key)
            target = targets[key]
        targets[start] = target
    return targets
