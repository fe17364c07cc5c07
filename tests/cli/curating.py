"""What a person does to curate a set, and what is seen of it: for the tests of several commands."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .conftest import Done, Person

Pixels = NDArray[np.uint8]


def scene(seed: int, width: int = 120, height: int = 100) -> Pixels:
    """A picture unlike those of other seeds: coarse patches of colour with fine grain."""
    rng = np.random.default_rng(seed)
    coarse_HWC = cv2.resize(rng.integers(20, 235, (5, 5, 3)).astype(np.float32), (width, height))
    grain_HWC = rng.normal(0, 18, (height, width, 3))
    return np.asarray(np.clip(coarse_HWC + grain_HWC, 0, 255), np.uint8)


def content(pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, kind, **options)
    return buffer.getvalue()


def put(person: Person, name: str, pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> None:
    path = person.file("raw") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(pixels_HWC, kind, **options))


def scenes(person: Person, count: int) -> None:
    for n in range(count):
        put(person, f"s{n}.png", scene(n, 100 + 7 * n))


def ingest(person: Person, *arguments: str, expect: int | None = 0) -> dict[str, Any]:
    return person.types("ingest", "raw", "--size", "64", "-j", "0", "--json", *arguments, expect=expect).json


def select(person: Person, *arguments: str, expect: int | None = 0) -> dict[str, Any]:
    return person.types("select", "--json", *arguments, expect=expect).json


def there(person: Person) -> dict[str, bytes]:
    """What is in `dataset/`."""
    return {path.name: path.read_bytes() for path in sorted(person.file("dataset").iterdir())}


def stems(person: Person) -> list[str]:
    """The sources' stems of the pictures in `dataset/`, in order of number."""
    return [name[6:].rpartition(".")[0] for name in there(person) if not name.endswith(".txt")]


def square(person: Person, name: str) -> Pixels:
    with Image.open(person.file("dataset") / name) as picture:
        assert picture.size == (64, 64)
        return np.asarray(picture.convert("RGB"))


def write(person: Person, name: str, text: str) -> None:
    """What an editor does: the file is another one afterwards, at another time."""
    path = person.file("dataset") / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(0, 1_000_000_000))


def paint(person: Person, name: str, pixels_HWC: Pixels, kind: str = "PNG", **options: Any) -> None:
    path = person.file("dataset") / name
    path.write_bytes(content(pixels_HWC, kind, **options))
    os.utime(path, ns=(0, 1_000_000_000))


def tree(person: Person) -> dict[str, tuple[int, int, int]]:
    """Everything on disk: size, time of the last change of content, and of anything."""
    found = {}
    for path in sorted(person.folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return found


def reasons(answer: Mapping[str, Any]) -> dict[str, str]:
    """Why each picture was left out, by its source's name."""
    return {Path(left["sources"][0]).stem: left["reason"] for left in answer["left_out"]}


def apply(person: Person, decisions: object, name: str = "decisions.json") -> Done:
    text = decisions if isinstance(decisions, str) else json.dumps({"decisions": decisions})
    person.file(name).write_text(text, encoding="utf-8")
    return person.types("review", "page.html", "--json", "--apply", name)
