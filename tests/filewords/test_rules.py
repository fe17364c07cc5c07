"""What people give as rules: words and files, their faults, and what matched nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from capprep.config import options
from capprep.errors import ConfigError
from capprep.filewords import TextRules, Vocabulary, Words, compose, inlined
from tests.filewords.strategies import scores


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_file_has_a_rule_a_line_and_comments(tmp_path: Path, start: bytes, end: bytes) -> None:
    file = tmp_path / "Black.TXT"
    file.write_bytes(start + b"# mine\r\nlong_hair  # too often" + end + b"\n\nred hat, \\#compass" + end)
    values = inlined({"blacklist": str(file), "booru_threshold": 0.5})
    assert values == {"blacklist": r"long_hair, red hat, \#compass", "booru_threshold": 0.5}
    rules = Vocabulary.of(TextRules(blacklist=values["blacklist"])).rules
    assert [rule.text for rule in rules] == ["long_hair", "red hat", "#compass"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"a" * 2**20 + b"b", b"x" * 501])
def test_a_file_that_is_no_list_of_rules_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "list.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="alias") as error:
        inlined({"alias": str(file)})
    assert error.value.hint


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"blacklist": "list.txt"}, "still names a file"),
        ({"alias": "a b"}, "no rule"),
        ({"alias": "a = "}, "no rule"),
        ({"alias": "a = b, a = c"}, "contradicts"),
        ({"alias": "a = b, b = c, c = a"}, "back to itself"),
        ({"alias": "a_b = a b"}, "back to itself"),
        ({"preset": "concept"}, "does not say"),
        ({"concept": "hat"}, "preset is not"),
        ({"escape": "kohya", "trigger": "[name]"}, "webui only"),
        ({"blacklist": ",".join(map(str, range(20_001)))}, "more than 20,000 rules"),
    ],
)
def test_rules_that_cannot_be_right_are_errors(values: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as error:
        Vocabulary.of(TextRules(**values))  # type: ignore[arg-type]
    assert error.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {"merge": "everything"},
        {"merge": ""},
        {"merge": "{tags.__class__}"},
        {"merge": "{tags}, {tags}"},
        {"budget": 3},
        {"budget": -1},
        {"order": "random"},
    ],
)
def test_an_option_that_cannot_be_right_is_an_error(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TextRules(**values)  # type: ignore[arg-type]


def test_every_option_has_a_sentence_of_help() -> None:
    assert all(described.help.endswith(".") for _, described in options(TextRules))


def test_rules_that_matched_no_tag_of_any_picture_are_told() -> None:
    vocabulary = Vocabulary.of(
        TextRules(blacklist=r"slime_\(substance\), hta", alias="cat = feline, dgo = dog", keep_tags="x")
    )
    texts = [compose(Words(tags=scores(name)), vocabulary) for name in ("slime_(substance)", "cat")]
    assert [
        (rule.option, rule.text) for rule in vocabulary.unmatched(set().union(*(text.matched for text in texts)))
    ] == [
        ("alias", "dgo = dog"),
        ("blacklist", "hta"),
        ("keep_tags", "x"),
    ]


def test_an_alias_is_written_in_place_of_the_tag_and_equal_ones_once() -> None:
    vocabulary = Vocabulary.of(TextRules(alias=r"cat_\(animal\) = feline, feline = big_cat", blacklist="cat (animal)"))
    text = compose(Words(tags=scores("cat_(animal)", ("big cat", 0.6), "hat")), vocabulary)
    assert text.text == "big cat, hat"
    assert [(piece.kept, piece.step) for piece in text.tags] == [(True, "alias"), (False, "normalise"), (True, "")]
    assert [rule.text for rule in vocabulary.unmatched(text.matched)] == ["feline = big_cat", "cat (animal)"]


def test_a_whitelist_writes_only_its_tags_and_none_of_them_is_thought_superfluous() -> None:
    rules = TextRules(whitelist="shirt, white_shirt, blue hair", preset="character")
    said = Words(tags=scores("white_shirt", ("shirt", 0.8), ("blue_hair", 0.7), "hat"))
    assert compose(said, Vocabulary.of(rules)).text == "white shirt, shirt, blue hair"


def test_a_tag_to_keep_is_kept_by_every_step_but_the_blacklist() -> None:
    said = Words(tags=scores("1girl", "day", ("night", 0.5), ("sky", 0.4), "night_sky", "blue_hair"))
    rules = {"preset": "character", "keep_tags": "night, sky, blue hair"}
    text = compose(said, Vocabulary.of(TextRules(**rules)))  # type: ignore[arg-type]
    assert text.text == "1girl, blue hair, day, night sky, night, sky"
    without = compose(said, Vocabulary.of(TextRules(**rules, blacklist="sky")))  # type: ignore[arg-type]
    assert without.text == "1girl, blue hair, day, night sky, night"
