"""Where every picture came from and what became of it, as rows of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from capprep import gather, pipeline
from capprep.candidates import Candidate, LeftOut
from capprep.facts import PICTURE
from capprep.select import Example
from capprep.workspace import Workspace

Row = dict[str, Any]


def rows(workspace: Workspace) -> Iterator[Row]:
    """A row for each picture, in the set or not, in order of number, and then for each file that could not be read.

    The columns are the same in every row; what is not known is None. Boxes are in pixels of the upright picture.
    """
    selection = pipeline.selected(workspace)
    examples = {example.id: example for example in selection.examples}
    left = {item.name: item for item in selection.left_out if item.name}
    keeper = {
        member.id: group.keeper for group in selection.groups for member in group.members if member.id != group.keeper
    }
    candidates = gather.Candidates(workspace)
    names = {candidate.id: candidate.name for candidate in candidates}
    recipe = workspace.current(PICTURE)
    for candidate in candidates:
        example = examples.get(candidate.id)
        yield {
            **_standing(candidate, example, left.get(candidate.name)),
            "duplicate_of": names.get(keeper.get(candidate.id, "")),
            **_picture(candidate, example),
            **_words(candidate, example),
            "recipe": recipe,
        }
    for item in selection.left_out:
        if not item.name:
            empty = dict.fromkeys(COLUMNS)
            yield {
                **empty,
                "source": item.sources[0],
                "sources": list(item.sources),
                "status": "unreadable",
                "reason": item.reason,
                "message": item.message,
            }


def _standing(candidate: Candidate, example: Example | None, left: LeftOut | None) -> Row:
    source = candidate.sources[0] if candidate.sources else None
    return {
        "name": candidate.name,
        "number": candidate.number,
        "part": candidate.part,
        "source": source,
        "sources": list(candidate.sources),
        "sha256": candidate.id,
        "status": "kept" if example else "left out",
        "reason": left.reason if left else None,
        "message": left.message if left else None,
        "flaws": list(example.flaws) if example else [],
        "chosen": example.chosen if example else None,
    }


def _picture(candidate: Candidate, example: Example | None) -> Row:
    picture = candidate.picture
    if picture is None:
        return dict.fromkeys(_PICTURE)
    values = dataclasses.asdict(picture)
    measures = values.pop("measures") or {}
    left, top, right, bottom = values.pop("box")
    return {
        **dict.fromkeys(_PICTURE),
        **{name: values[name] for name in _PICTURE if name in values},
        **measures,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        # a person may have painted over what was cut
        "square_sha256": example.crop if example else candidate.crop,
        "square_by_hand": example.pixels_edited if example else None,
    }


def _words(candidate: Candidate, example: Example | None) -> Row:
    return {
        "file": example.name + example.suffix if example else None,
        "text": example.text if example else None,
        "text_by_hand": example.edited if example else None,
        "text_beside": candidate.beside.file if candidate.beside else None,
        "caption": candidate.caption,
        "tags": {tag.name: round(tag.probability, 4) for tag in candidate.tags} if candidate.tags else {},
    }


_PICTURE = (
    *("width", "height", "format", "mode", "orientation", "frames", "frame", "icc", "alpha", "notes"),
    *("crop", "why", "left", "top", "right", "bottom", "trimmed", "scale", "size", "format_out"),
    *("square_sha256", "square_by_hand"),
    *("sharpness", "brightness", "shadows", "highlights", "contrast", "information", "colourfulness"),
    *("dark_border", "light_border", "blockiness", "tools"),
)
COLUMNS = (
    *("name", "number", "part", "source", "sources", "sha256", "status", "reason", "message", "flaws", "chosen"),
    "duplicate_of",
    *_PICTURE,
    *("file", "text", "text_by_hand", "text_beside", "caption", "tags", "recipe"),
)
"""Every column, in order."""
