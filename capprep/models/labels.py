"""The names of a tagger's outputs: read from a CSV, from a plain list, or from the graph's own metadata."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from capprep.errors import ModelMismatch, ModelMissing
from capprep.models.tagger_spec import DANBOORU

RATING = "rating:"
"""How a plain list of names, which has no categories, marks DeepDanbooru's three ratings."""

MAX_LABEL_BYTES = 16 * 2**20  # the largest published list has 0.4 MB
MAX_NAME = 500  # characters; the longest tag of danbooru has about 170


@dataclass(frozen=True)
class Label:
    """What one output of a tagger stands for.

    Attributes:
        name: The tagger's own spelling ("long_hair").
        category: "general", "character" and so on; see `tagger_spec.DANBOORU`.
    """

    name: str
    category: str


def read_labels(path: Path, categories: Mapping[str, str] = DANBOORU) -> tuple[Label, ...]:
    """The names of a tagger's outputs, in order.

    A `.csv` has the columns `name` and `category`. Others are ignored, `real_name` too: a tag keeps the name that
    the network learnt, and newer names are for aliases to give. Any other file has one name a line, `rating:` marks
    ratings and the rest is general.

    Args:
        path: The file, in UTF-8, with either line ending.
        categories: What the column `category` holds, with its meaning.

    Raises:
        ModelMissing: There is no such file.
        ModelMismatch: It is no such list.
    """
    if not path.is_file():
        raise ModelMissing(f"there is no file {path}", "check the path, or run `capprep models pull`")
    if path.stat().st_size > MAX_LABEL_BYTES:
        raise _not_labels(path, f"it is larger than {MAX_LABEL_BYTES >> 20} MB")
    try:
        labels = _from_csv(path, categories) if path.suffix.lower() == ".csv" else _from_lines(path)
    except UnicodeDecodeError as error:
        raise _not_labels(path, "it is not UTF-8 text") from error
    if not labels:
        raise _not_labels(path, "it names no tag")
    return _checked(labels, path)


def labels_inside(metadata: Mapping[str, str], model: Path) -> tuple[Label, ...]:
    """The names a graph carries in its metadata, as a Python or JSON list under "tags".

    Raises:
        ModelMismatch: There is no such list.
    """
    try:
        # never eval: the text comes with the file
        names = ast.literal_eval(metadata["tags"])
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ModelMismatch(
            f"{model} does not say what its outputs are called", "name its tag list with --booru-labels FILE"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _not_labels(model, "its metadata is no list of names")
    return _checked(tuple(_plain(name) for name in names), model)


def _from_csv(path: Path, categories: Mapping[str, str]) -> tuple[Label, ...]:
    try:
        # every cell as text: "null" and "nan" are tags
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _not_labels(path, f"it is no table ({error})") from error
    if not {"name", "category"} <= set(table.columns):
        raise _not_labels(path, "it has no columns `name` and `category`")
    unknown = sorted(set(table["category"]) - set(categories))
    if unknown:
        raise _not_labels(path, f"its category {unknown[0][:40]!r} is none of {', '.join(categories)}")
    return tuple(
        Label(name, categories[category]) for name, category in zip(table["name"], table["category"], strict=True)
    )


def _from_lines(path: Path) -> tuple[Label, ...]:
    lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")  # the reader made \r\n to \n
    return tuple(_plain(name) for name in lines if lines != [""])


def _plain(name: str) -> Label:
    return Label(name, "rating" if name.startswith(RATING) else "general")


def _checked(labels: tuple[Label, ...], path: Path) -> tuple[Label, ...]:
    """The same, once it is known that each can be a tag's name."""
    for line, label in enumerate(labels, start=1):
        if not label.name.strip():
            raise _not_labels(path, f"name {line} is empty")
        if len(label.name) > MAX_NAME:
            raise _not_labels(path, f"name {line} has {len(label.name)} characters")
        if any(unicodedata.category(character) == "Cc" for character in label.name):
            raise _not_labels(path, f"name {line} holds control characters")
    return labels


def _not_labels(path: Path, fault: str) -> ModelMismatch:
    return ModelMismatch(
        f"{path} is no list of tags: {fault}",
        "a label file is a CSV with the columns name,category or a text with one name a line",
    )
