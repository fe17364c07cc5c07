"""How other trainers read a folder, restated from their rules: which pictures, which text of each, which prompt."""

from __future__ import annotations

import glob
import os
import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True)
class Read:
    """A picture as a trainer has it: how often it is shown in an epoch, what is left in front, the whole prompt."""

    repeats: int
    front: tuple[str, ...]
    prompt: str


# --- the webui: textual_inversion/dataset.py -------------------------------------------------------


def webui_folder(folder: Path, *, name: str = "NET", shuffle: random.Random | None = None) -> dict[str, str]:
    """Prompts by file name, before emphasis is read. Whatever opens as a picture is one, of every name."""
    prompts = {}
    for entry in os.listdir(folder):  # noqa: PTH208
        path = os.path.join(folder, entry)  # noqa: PTH118
        try:
            with Image.open(path) as image:
                image.convert("RGB")
        except Exception:
            continue
        beside = os.path.splitext(path)[0] + ".txt"  # noqa: PTH122
        if os.path.exists(beside):  # noqa: PTH110
            with open(beside, encoding="utf8") as file:  # noqa: PTH123
                words = file.read()
        else:
            words = re.sub(r"^[-\d]+\s*", "", os.path.splitext(entry)[0])  # noqa: PTH122
        pieces = words.split(",")
        if shuffle is not None:
            shuffle.shuffle(pieces)
        prompts[entry] = "[filewords]".replace("[filewords]", ",".join(pieces)).replace("[name]", name)
    return prompts


# --- kohya's scripts: library/config_util.py, train_util.py ----------------------------------------

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".PNG", ".JPG", ".JPEG", ".WEBP", ".BMP")


def kohya_folder(folder: Path, *, extension: str = ".txt", keep_tokens: int = 0) -> dict[str, Read]:
    """With --train_data_dir: folders called N_WORDS, whose words stand in where a picture has no text."""
    read = {}
    for inner in folder.iterdir():
        first, _, words = inner.name.partition("_")
        if not inner.is_dir() or not re.fullmatch(r"\s*[+-]?\d+(_\d+)*\s*", first) or int(first) < 1:
            continue
        for path in kohya_pictures(str(inner)):
            caption = kohya_caption(path, extension)
            read[os.path.basename(path)] = kohya_read(words if caption is None else caption, int(first), keep_tokens)  # noqa: PTH119
    return read


def kohya_config(path: Path) -> dict[str, Read]:
    """With --dataset_config: what the file says, `.caption` being what texts are called by default."""
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    read = {}
    for dataset in config["datasets"]:
        for subset in dataset["subsets"]:
            options = {**config.get("general", {}), **dataset, **subset}
            for picture in kohya_pictures(options["image_dir"]):
                caption = kohya_caption(picture, options.get("caption_extension", ".caption"))
                assert caption is not None, picture
                shown = options.get("num_repeats", 1)
                read[os.path.basename(picture)] = kohya_read(caption, shown, options.get("keep_tokens", 0))  # noqa: PTH119
    return read


def kohya_pictures(folder: str) -> Iterator[str]:
    for suffix in SUFFIXES:
        yield from glob.glob(os.path.join(glob.escape(folder), "*" + suffix))  # noqa: PTH118, PTH207


def kohya_caption(picture: str, extension: str) -> str | None:
    """The first line of the text; else of one whose name lacks the last four words between underscores."""
    base = os.path.splitext(picture)[0]  # noqa: PTH122
    parts = base.split("_")
    for candidate in (base, "_".join(parts[:-4]) if len(parts) >= 5 else base):
        if os.path.isfile(candidate + extension):  # noqa: PTH113
            with open(candidate + extension, encoding="utf-8") as file:  # noqa: PTH123
                lines = file.readlines()
            assert lines, "kohya's scripts stop at an empty file"
            return lines[0].strip()
    return None


def kohya_read(caption: str, repeats: int, keep_tokens: int) -> Read:
    pieces = [piece.strip() for piece in caption.strip().split(",")]
    return Read(repeats, tuple(pieces[:keep_tokens]), caption)
