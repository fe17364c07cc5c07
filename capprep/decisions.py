"""What people decided about single pictures, from a JSON or CSV file: in or out, which part of it, which text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capprep.candidates import BOX, KEEP, NO, TEXT, YES, Candidate
from capprep.errors import DatasetError
from capprep.manifest import check_length

SHORTEST = 8
"""Digits of a SHA-256 by which a picture may be named."""

MAX_BYTES = 64_000_000

_FARTHEST = 1e9
"""No picture has an edge beyond; NaN is not within it either."""

_EDGES = ("left", "top", "right", "bottom")
_DELIMITERS = ",;\t"
_WORDS = {"yes": YES, "true": YES, "1": YES, "no": NO, "false": NO, "0": NO}


@dataclass(frozen=True)
class Decision:
    """One thing that a person decided.

    Attributes:
        picture: Which picture, as the person named it.
        kind: Of decision: `KEEP`, `BOX` or `TEXT`.
        payload: What was decided; None takes back what was decided before.
    """

    picture: str
    kind: str
    payload: str | None


def read(path: Path) -> list[Decision]:
    """The decisions in a file.

    JSON: `{"decisions": [{"picture": "00017-cat", "keep": false, "crop": [10, 0, 522, 512], "text": "a cat"}, ...]}`;
    null takes a decision back. CSV: columns `picture`, and any of `left`, `top`, `right`, `bottom` together, `keep`
    and `text`, between commas, semicolons or tabs, as spreadsheets write them; what is empty is left as it is.
    Of two decisions of a kind on one picture the last one holds.

    Raises:
        DatasetError: The file cannot be read as that.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{path} is over {MAX_BYTES // 1_000_000} MB", "name a file of decisions")
        content = path.read_text(encoding="utf-8-sig")
        rows = _from_csv(content) if path.suffix.lower() == ".csv" else _from_json(content)
        return [decision for row in rows for decision in _decisions(row)]
    except (ValueError, csv.Error, RecursionError) as error:
        raise DatasetError(
            f"{path} holds no decisions: {error}", "see docs/files.md for what decisions.json and a CSV look like"
        ) from error


def _from_json(content: str) -> list[Mapping[str, Any]]:
    data = json.loads(content)
    rows = data.get("decisions") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('it must be {"decisions": [...]}')
    return rows


def _from_csv(content: str) -> Iterator[Mapping[str, Any]]:
    head = content.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(content), strict=True, delimiter=max(_DELIMITERS, key=head.count))
    columns = reader.fieldnames or ()
    if "picture" not in columns or set(columns) - {"picture", "keep", "text", *_EDGES}:
        raise ValueError("its columns must be picture and some of keep, text, left, top, right, bottom")
    if len(set(columns)) < len(columns):
        raise ValueError("it has a column twice")
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more values than there are columns")
        given = {name: value.strip() for name, value in row.items() if value and value.strip()}
        if not given:  # spreadsheets write such lines below a table
            continue
        edges = [given.pop(edge) for edge in _EDGES if edge in given]
        yield {**given, **({"crop": [float(edge) for edge in edges]} if edges else {})}


def _decisions(row: Mapping[str, Any]) -> Iterator[Decision]:
    named = row.get("picture")
    picture = str(named).strip() if isinstance(named, str | int) and not isinstance(named, bool) else ""
    if not picture:
        raise ValueError(f"a decision without a picture: {_shortened(row)}")
    unknown = set(row) - {"picture", "keep", "crop", "text"}
    if unknown:
        raise ValueError(f"{picture}: unknown {', '.join(sorted(map(str, unknown)))}; choose from keep, crop, text")
    if "keep" in row:
        yield Decision(picture, KEEP, None if row["keep"] is None else _word(picture, row["keep"]))
    if "crop" in row:
        yield Decision(picture, BOX, None if row["crop"] is None else json.dumps(_box(picture, row["crop"])))
    if "text" in row:
        yield Decision(picture, TEXT, None if row["text"] is None else _text(picture, row["text"]))


def _shortened(row: Mapping[str, Any]) -> str:
    return json.dumps(row)[:80]


def _word(picture: str, given: Any) -> str:
    word = _WORDS.get(str(given).strip().lower())
    if word is None:
        raise ValueError(f"{picture}: keep is {given!r}; it must be yes or no")
    return word


def _box(picture: str, given: Any) -> list[float]:
    numbers = isinstance(given, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in given)
    # a whole number in JSON may be larger than any float
    if not numbers or len(given) != len(_EDGES) or not all(abs(x) <= _FARTHEST for x in given):
        raise ValueError(f"{picture}: crop must be four numbers: left, top, right, bottom, in pixels of the picture")
    box = [float(x) for x in given]
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"{picture}: crop {given} is empty; it is left, top, right, bottom")
    return box


def _text(picture: str, given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{picture}: text must be text")
    check_length(given, Path(picture))
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{picture}: its text holds half a character, which is no text") from error
    return given.rstrip("\r\n")


def resolve(decisions: Sequence[Decision], candidates: Iterable[Candidate]) -> list[tuple[str, str, str | None]]:
    """The decisions as (picture id, kind, payload).

    A picture may be named by its name in `dataset/`, its number, the path of its source, or the first digits of its
    SHA-256, at least eight.

    Raises:
        DatasetError: There is no such picture, or several; none of the decisions is taken then.
    """
    # only what is asked for: there may be thousands of pictures
    named = {decision.picture: set[str]() for decision in decisions}
    starts = {name.lower(): set[str]() for name in named if len(name) >= SHORTEST}
    lengths = {len(start) for start in starts}
    parts = set()
    for candidate in candidates:
        number = {str(candidate.number), f"{candidate.number:05d}"} if not candidate.part else set()
        for name in {candidate.name, candidate.id, *candidate.sources, *number} & named.keys():
            named[name].add(candidate.id)
        for start in starts.keys() & {candidate.id[:length] for length in lengths}:
            starts[start].add(candidate.id)
        if candidate.part:
            parts.add(candidate.id)
    found = []
    for decision in decisions:
        ids = named[decision.picture] or starts.get(decision.picture.lower(), set())
        if len(ids) != 1:
            raise DatasetError(
                f"{'no picture is' if not ids else f'{len(ids)} pictures are'} called {decision.picture!r}",
                "name pictures as in the report: 00017-cat, 17, raw/cat.jpg, or the start of the SHA-256",
            )
        (id_,) = ids
        if decision.kind == BOX and id_ in parts:
            raise DatasetError(
                f"{decision.picture} is a part of a picture that was split", "give a crop for pictures that are whole"
            )
        found.append((id_, decision.kind, decision.payload))
    return found
