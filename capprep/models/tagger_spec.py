"""What a tagger takes and answers: its pixels' layout, its outputs' meaning, its thresholds; built in, or from TOML."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capprep.config import Config, option
from capprep.errors import ConfigError
from capprep.thresholds import Thresholds

DANBOORU: Mapping[str, str] = {
    "0": "general",
    "1": "artist",
    "3": "copyright",
    "4": "character",
    "5": "meta",
    "9": "rating",
}
"""Danbooru's numbers of tag categories; 9 is what taggers give to ratings, which are no tags there."""

MAX_SPEC_BYTES = 64 * 1024
MAX_SIDE = 4096
MAX_NUMBER = 1e6  # of scale, mean and std

Three = tuple[float, float, float]


@dataclass(frozen=True)
class TaggerSpec(Config):
    """How an ONNX tagger is to be fed and understood.

    A byte b of a colour becomes (b * scale / 255 - mean) / std.

    Attributes:
        layout: The order of the input's dimensions: N pictures, H rows, W columns, C colours.
        size: Side in pixels; None for the graph's own, or 512 where it leaves that open.
        channels: The order of the colours.
        scale: What white is before mean and std: 1 or 255.
        mean, std: Of red, green and blue, in this order whatever `channels` says.
        padding: What makes a picture square that is not: white or the repeated edge around its middle, or nothing, and
            it is refused.
        interpolation: How it gets its size. "area" is the exact mean where it shrinks and a cubic where it grows; the
            others are Pillow's, which widen with the scale when shrinking.
        output: What the graph answers with: probabilities, or logits, to which a sigmoid is applied.
        labels: Name of the label file beside the graph, or "".
        categories: What the label file's column `category` holds, with its meaning.
        thresholds: From which probability on a tag counts, unless a person says otherwise.
    """

    layout: str = option("NHWC", "", choices=("NHWC", "NCHW"))
    size: int | None = option(None, "", minimum=1, maximum=MAX_SIDE)
    channels: str = option("RGB", "", choices=("RGB", "BGR"))
    scale: float = option(1.0, "", minimum=0.001, maximum=65535.0)
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    padding: str = option("none", "", choices=("white", "edge", "none"))
    interpolation: str = option("area", "", choices=("area", "bilinear", "bicubic", "lanczos"))
    output: str = option("probabilities", "", choices=("probabilities", "logits"))
    labels: str = ""
    categories: Mapping[str, str] = field(default_factory=lambda: dict(DANBOORU))
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        super().__post_init__()
        strange = sorted(set(self.thresholds.categories) - set(self.categories.values()))
        if strange:
            known = ", ".join(sorted(set(self.categories.values())))
            raise ConfigError(f"thresholds.{strange[0]} is of no category of this tagger", f"choose from: {known}")

    def to_text(self) -> str:
        """All that changes an answer, as canonical JSON: what the key of a tag fact holds.

        The label file's name is not in it; its content counts with the weights.
        """
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "labels"}
        return json.dumps({**values, "thresholds": self.thresholds.to_json()}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> TaggerSpec:
        """Back from `to_text`."""
        return _spec(json.loads(text))


DEEPDANBOORU = TaggerSpec()
"""KichangKim's DeepDanbooru as ONNX: the stored pixels as they are; 0.5 is its own program's threshold."""

WD_V3 = TaggerSpec(
    size=448,
    channels="BGR",
    scale=255.0,
    padding="white",
    interpolation="bicubic",
    labels="selected_tags.csv",
    thresholds=Thresholds(0.35, {"character": 0.85}),
)
"""SmilingWolf's WD taggers, v3 and those before, as ONNX; each has a threshold of its own in `models.lock`."""

BUILT_IN: Mapping[str, TaggerSpec] = {"deepdanbooru": DEEPDANBOORU, "wd-v3": WD_V3}
"""The descriptions that ship with the program, by name."""


def find_spec(name: str) -> TaggerSpec:
    """A description by its name in `BUILT_IN`, or else from the TOML file of that path; see `read_spec`."""
    return BUILT_IN[name] if name in BUILT_IN else read_spec(Path(name))


def read_spec(path: Path) -> TaggerSpec:
    """A tagger's description from a TOML file; what it does not name is as DeepDanbooru has it.

    Its keys are the attributes of `TaggerSpec`; `categories` and `thresholds` are tables.

    Raises:
        ConfigError: There is no such file, it is not TOML, or a key or a value in it is not possible.
    """
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise ConfigError(f"{path} is no description of a tagger", f"such a file is below {MAX_SPEC_BYTES} bytes")
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        names = ", ".join(BUILT_IN)
        raise ConfigError(f"there is no file {path}", f"name a TOML file, or one of: {names}") from error
    # a hostile file may also be nested too deeply for the parser
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} cannot be read: {_shown(str(error))}", "see docs/models.md for an example"
        ) from error
    try:
        return _spec(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error


def _spec(data: Mapping[str, Any]) -> TaggerSpec:
    """A description from its keys and values.

    Raises:
        ConfigError: One of them is not possible; it is named.
    """
    unknown = [name for name in data if name not in _READERS]
    if unknown:
        raise ConfigError(f"there is no {_shown(unknown[0])}", f"choose from: {', '.join(_READERS)}")
    return TaggerSpec(**{name: _READERS[name](name, value) for name, value in data.items()})


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _refused(name, value, "it must be a text in quotes")
    return value[:80]


def _whole(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise _refused(name, value, "it must be a whole number")
    return value


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= MAX_NUMBER:
        raise _refused(name, value, "it must be a number, and no huge one")
    return float(value) + 0.0  # -0.0 becomes 0.0, which is equal and must have the same text


def _three(name: str, value: Any) -> Three:
    if not isinstance(value, list) or len(value) != 3:
        raise _refused(name, value, "it must be three numbers, for red, green and blue")
    red, green, blue = (_number(name, each) for each in value)
    return red, green, blue


def _divisors(name: str, value: Any) -> Three:
    three = _three(name, value)
    if min(three) <= 0:
        raise _refused(name, value, "it must be three numbers over 0")
    return three


def _file_name(name: str, value: Any) -> str:
    text = _text(name, value)
    # such a file may come from anywhere: it can name what lies beside it and nothing else
    if text != value or text in (".", "..") or not all(c.isprintable() and c not in '/\\:*?"<>|' for c in text):
        raise _refused(name, value, "it must be the name of a file that lies beside the graph")
    return text


def _categories(name: str, value: Any) -> dict[str, str]:
    table = _table(name, value)
    for number, meaning in table.items():
        if not isinstance(meaning, str) or not re.fullmatch(r"[a-z]{1,20}", meaning) or len(number) > 20:
            raise _refused(f"{name}.{number}", meaning, 'it must be a word of small letters, such as "general"')
    return {str(number): str(meaning) for number, meaning in table.items()}


def _thresholds(name: str, value: Any) -> Thresholds:
    return Thresholds.from_json(_table(name, value))


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise _refused(name, value, f"it must be a table: [{name}]")
    return value


def _refused(name: str, value: Any, hint: str) -> ConfigError:
    return ConfigError(f"{_shown(name)} = {_shown(value)} is not possible", hint)


def _shown(value: Any) -> str:
    """Text of a stranger's file as it may stand in a message."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:80])


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "layout": _text,
    "size": _whole,
    "channels": _text,
    "scale": _number,
    "mean": _three,
    "std": _divisors,
    "padding": _text,
    "interpolation": _text,
    "output": _text,
    "labels": _file_name,
    "categories": _categories,
    "thresholds": _thresholds,
}
"""How the value of each key is read and checked; choices and ranges are checked by `Config`."""
