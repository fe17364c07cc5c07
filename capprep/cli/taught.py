"""How it is said which words the texts teach, and which words of prompts they do not."""

from __future__ import annotations

from collections.abc import Iterator

from capprep.cli.answers import plural, shortened
from capprep.cli.session import printable
from capprep.coverage import Answer, Asked, Coverage
from capprep.filewords.near import SPELLING

MOST = 5
"""How many of the most taught words are named."""


def coverage_lines(coverage: Coverage) -> list[str]:
    """What the set teaches in a few lines, and of prompts what it does not."""
    taught = coverage.taught
    if not taught.shown:
        return []
    most = shortened([f"{term.text} ({term.pictures})" for term in taught.shown[:MOST]])
    lines = [
        f"the texts teach {len(taught.shown):,} words and tags, most of all: {most}",
        *map(printable, coverage.sentences),
    ]
    return lines + list(_answer_lines(coverage.answer) if coverage.answer else ())


def _answer_lines(answer: Answer) -> Iterator[str]:
    """What is wanting, a line for each list that is not empty."""
    some = f"{answer.within} ask" if answer.within > 1 else f"{answer.within or 'none'} asks"
    yield f"{plural(answer.prompts, 'prompt')}, of which {some} only for what the set teaches"
    if answer.unseen:
        yield f"  never seen: {shortened([_often(each) for each in answer.unseen])}"
    if answer.near:
        yield f"  never seen, but something near: {shortened([_near(each) for each in answer.near])}"
    if answer.apart:
        yield f"  each word seen, never side by side: {shortened([each.text for each in answer.apart])}"
    if answer.contradicted:
        yield f"  seen where the pictures contradict it: {shortened([_against(each) for each in answer.contradicted])}"
    if answer.few:
        yield f"  on few pictures: {shortened([_seen(each) for each in answer.few])}"


def _often(asked: Asked) -> str:
    return asked.text if asked.prompts == 1 else f"{asked.text} (in {asked.prompts} prompts)"


def _near(asked: Asked) -> str:
    is_ = "spelt like" if asked.near[0].how == SPELLING else "the set has"
    return f"{asked.text} ({is_} {', '.join(near.text for near in asked.near)})"


def _against(asked: Asked) -> str:
    return f"{asked.text} (on {asked.term.contradicted} of {asked.term.pictures})" if asked.term else asked.text


def _seen(asked: Asked) -> str:
    return f"{asked.text} ({asked.term.pictures})" if asked.term else asked.text
