"""The report: one HTML file with every picture, its words, their verdicts and reasons, and what was left out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from capprep.coverage import Coverage, coverage_data
from capprep.errors import CapprepError
from capprep.files import write_atomically
from capprep.review.page import page_data, shown_squares
from capprep.review.thumbnails import thumbnails
from capprep.select import Selection

STYLES = ("base.css", "page.css", "cards.css", "source.css", "tables.css", "choice.css", "words.css")
SCRIPTS = (
    "elements.js",
    "filter.js",
    "source.js",
    "card.js",
    "list.js",
    "tables.js",
    "choice.js",
    "words.js",
    "overview.js",
    "report.js",
)
"""The page's own scripts in the order in which they need each other; they share one scope."""

MOST_WORDS = 2000
"""How many of the most taught words are in the page."""


@dataclass(frozen=True)
class Report:
    """What a report is made of.

    Attributes:
        selection: The training set and everything left out of it.
        crops: The file of each square, by its digest: of the set, of its mirrored copies, of what was left out.
        title: What stands on top.
        facts: How it was made, as (name, value): models with hashes, device, thresholds, versions.
        notices: Warnings to show before anything else.
        made: When.
        coverage: Which words it teaches, and which of prompts it does not; None to leave that out.
    """

    selection: Selection
    crops: Mapping[str, Path]
    title: str
    facts: Sequence[tuple[str, str]]
    notices: Sequence[str]
    made: datetime
    coverage: Coverage | None = None


def render(report: Report) -> str:
    """The report as HTML, complete in itself: no request leaves the page.

    Names, captions and tags are data that others wrote. They are in the page only as JSON that no HTML
    parser can take for markup, its script shows them only as text, and the page's policy lets no other
    script run. The result can always be written as UTF-8.
    """
    large, small = shown_squares(report.selection)
    used = {digest: path for digest, path in report.crops.items() if digest in large or digest in small}
    data = {
        "title": report.title,
        "made": report.made.isoformat(timespec="seconds"),
        "when": f"{report.made.day} {report.made:%B %Y, %H:%M} {report.made:%Z}".strip(),
        "notices": list(report.notices),
        "facts": [[name, value] for name, value in report.facts],
        **page_data(report.selection, thumbnails(used, small - large)),
        "coverage": report.coverage and coverage_data(report.coverage, most=MOST_WORDS),
    }
    styles, scripts = [_asset(name) for name in STYLES], [_asset(name) for name in SCRIPTS]
    shell = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_asset("report.html.j2"))
    return shell.render(
        title=_printable(report.title),
        styles=styles,
        style_sources=" ".join(map(_source, styles)),
        scripts=scripts,
        script_sources=" ".join(map(_source, scripts)),
        island=_island(data),
    )


def write(report: Report, destination: Path) -> None:
    """Write the report whole or not at all.

    Raises:
        CapprepError: The file cannot be written.
    """
    page = render(report).encode()
    try:
        write_atomically(destination, page)
    except OSError as error:
        raise CapprepError(
            f"cannot write the report to {destination}: {error.strerror or error}",
            "give the name of a file in a folder that you may write to",
        ) from error


def _asset(name: str) -> str:
    return (resources.files("capprep.review") / "web" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """How a content security policy names one inline text: a hash-source of CSP level 3."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _island(data: Mapping[str, Any]) -> str:
    """JSON in ASCII without any character that HTML gives a meaning.

    ASCII, because names may hold halves of surrogate pairs (bytes of a file name that is no UTF-8), which
    JSON can escape and UTF-8 cannot hold.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _printable(text: str) -> str:
    """A text for the tab's title, where nothing but text can stand."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
