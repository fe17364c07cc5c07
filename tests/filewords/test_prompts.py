"""Prompts of files: which lines are prompts, what of them is words, and which words are nearly others."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capprep.errors import ConfigError
from capprep.filewords import escape
from capprep.filewords.near import FORM, KIND, PART, SPELLING, Nearest, one_edit
from capprep.filewords.prompts import MAX_PROMPT, MAX_PROMPTS, of_lines, pieces, read, tokens
from capprep.filewords.subjects import STOP_WORDS, kinds_in, runs

from .strategies import hostile


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a (red:1.3) hat, ((old)), [new], {big} man", ["a red hat", "old", "new", "big man"]),
        ("(a cat, a (dog:1.1):0.8)", ["a cat", "a dog"]),
        ("[day:night:0.5], [cat|dog] house, [:late: 12 ]", ["day", "night", "cat", "dog house", "late"]),
        ("{2$$red|blue} sky, {3::wet|dry}", ["red", "blue sky", "wet", "dry"]),
        ("<lora:film:0.8>girl<hypernet:mine:1>, <o>_<o>", ["girl", "<o>_<o>"]),
        ("embedding:bad.pt, (embedding:x:1.2) tree", ["tree"]),
        ("__hair_color__ hair, >__<", ["hair", ">__<"]),
        ("a cat :1.2 AND a dog AND a SAND:2.2 BREAK sea", ["a cat", "a dog", "a SAND:2.2", "sea"]),
        (r"slime \(substance\), \[x\], (o)_(o), \(o\)_\(o\)", ["slime (substance)", "[x]", "o _ o", "(o)_(o)"]),
        ("zwx [name], :3, time: noon", ["zwx", ":3", "time: noon"]),
        ("((((", []),
        ("a:b], [cat|dog]", ["a:b", "cat", "dog"]),
    ],
)
def test_the_syntax_of_prompts_is_taken_away_and_the_words_stay(prompt: str, said: list[str]) -> None:
    assert pieces(prompt) == said


@given(hostile)
def test_a_tag_with_its_brackets_escaped_has_the_words_that_it_has_as_it_is(tag: str) -> None:
    plain = "".join(letter for letter in tag if letter not in "<>{}|:_,\\$" and letter.isprintable()).lower()
    assert [word for piece in pieces(escape(plain)) for word in tokens(piece)] == list(tokens(plain))


@given(hostile)
def test_any_prompt_has_words_without_spaces_that_have_themselves_as_their_only_word(prompt: str) -> None:
    for word in (word for piece in pieces(prompt) for word in tokens(piece)):
        assert word.split() == [word]
        assert tokens(word) == (word,)


@given(hostile)
def test_runs_are_the_words_without_the_small_ones(text: str) -> None:
    found = tokens(f"the {text} of a {text}")
    assert [word for run in runs(found) for word in run] == [word for word in found if word not in STOP_WORDS]


@pytest.mark.parametrize(
    ("piece", "found"),
    [
        ("Long_Hair", ("long", "hair")),
        ("a T-shirt, half\u2010open", ("a", "t-shirt", "half-open")),
        ("cat\u2019s eyes - 'wow'", ("cat's", "eyes", "wow")),
        ("o_o", ("o_o",)),
        (":3", (":3",)),
        (">_<", (">_<",)),
        ("6+girls", ("6", "girls")),
        ("cafe\u0301", ("caf\xe9",)),
        ("\u0e17\u0e35\u0e48 \u0e41\u0e21\u0e27", ("\u0e17\u0e35\u0e48", "\u0e41\u0e21\u0e27")),
        (" - ", ()),
    ],
)
def test_words_are_compared_in_one_spelling(piece: str, found: tuple[str, ...]) -> None:
    assert tokens(piece) == found


def test_a_file_has_a_prompt_a_line_without_comments_options_and_what_the_webui_writes_below() -> None:
    text = (
        "# mine\n\n  a cat  \r\na dog --n blurry, cat --w 512 --d 1\n"
        '--prompt "a (red) fish, pond" --negative_prompt "ugly" --steps 20\n'
        "--prompt a frog --seed 4\n--steps 20\n"
        'a girl\nNegative prompt: bad hands\nSteps: 20, Sampler: Euler a\n--prompt "open\nlong--term, #1 -- yes'
    )
    found = ("a cat", "a dog", "a (red) fish, pond", "a frog", "a girl", '"open', "long--term, #1 -- yes")
    assert of_lines(text) == found


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"caf\xe9", "cannot be read"),
        (b"# nothing\n\n", "holds no prompt"),
        (b"a\n" * (MAX_PROMPTS + 1), f"{MAX_PROMPTS + 1:,} prompts"),
        (b"a" * (MAX_PROMPT + 1), f"a prompt of {MAX_PROMPT + 1:,} characters"),
        (b"a\n" * 2**20, "is larger than 1 MB"),
    ],
)
def test_a_file_that_cannot_be_prompts_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=fault):
        read(file)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeff# c\na cat".encode())
    assert read(file) == ("a cat",)


def distance(one: str, other: str) -> int:
    """Optimal string alignment by the textbook's table."""
    rows = [[max(i, j) if not min(i, j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            same = one[i - 1] == other[j - 1]
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (not same))
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@pytest.mark.parametrize(("letters", "longest"), [("ab", 5), ("abc", 3)])
def test_one_edit_is_an_alignment_of_cost_one_at_most(letters: str, longest: int) -> None:
    words = ["".join(word) for size in range(longest + 1) for word in itertools.product(letters, repeat=size)]
    for one, other in itertools.product(words, repeat=2):
        assert one_edit(one, other) is (distance(one, other) <= 1)


long_words = st.text("ab", min_size=5, max_size=7)


@given(st.dictionaries(long_words, st.integers(1, 9), max_size=8), long_words)
def test_of_the_words_within_one_edit_behind_the_first_letter_the_three_most_common_are_found(
    known: dict[str, int], word: str
) -> None:
    alike = [each for each in known if each[0] == word[0] and distance(each, word) == 1]
    found = [near.text for near in Nearest(known).to(word)]
    assert found == sorted(alike, key=lambda each: (-known[each], each))[:3]


@pytest.mark.parametrize(
    ("known", "word", "near", "how"),
    [
        ("hat", "hats", "hat", FORM),
        ("women", "woman", "women", FORM),
        ("t-shirt", "t shirt", "t-shirt", FORM),
        ("red hat", "red hats", "red hat", FORM),
        ("cat", "kitten", "cat", KIND),
        ("cat", "animals", "cat", KIND),
        ("house", "huose", "house", SPELLING),
        ("shirt", "night-shirt", "shirt", PART),
    ],
)
def test_a_word_that_is_nearly_a_known_one_is_found_and_how_is_said(known: str, word: str, near: str, how: str) -> None:
    assert [(each.text, each.how) for each in Nearest({known: 1, "zebra": 9}).to(word)] == [(near, how)]


def test_short_words_with_another_letter_and_those_with_another_first_one_are_other_words() -> None:
    assert Nearest({"cat": 1, "night": 1}).to("hat") == ()
    assert Nearest({"night": 1}).to("knight") == ()


@pytest.mark.parametrize(
    ("piece", "kinds"),
    [
        ("a woman riding horses", {"people", "animals"}),
        ("1girl", {"people"}),
        ("cat ears", {"people"}),
        ("no humans", set()),
        ("a hot dog", set()),
        ("old red brick houses", {"buildings and streets"}),
        ("katana", {"weapons"}),
        ("red", set()),
    ],
)
def test_the_kinds_of_things_that_words_speak_of_are_told(piece: str, kinds: set[str]) -> None:
    assert kinds_in(tokens(piece)) == kinds
