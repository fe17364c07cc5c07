"""Thousands of damaged files through the command: a square or a reason for each, and nothing else."""

from __future__ import annotations

import io
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from ..images.mutations import mutants, seeds, strictly
from . import corpus
from .corpus import JOBS, Done, apart, ingest, snapshot, squares, stamps

SIZE = 64
ARGUMENTS = (
    "raw",
    JOBS,
    "2",
    "--size",
    str(SIZE),
    "--max-upscale",
    "16",
    "--duplicates",
    "none",
    "--crop",
    "center",
    "--json",
)

SUFFIXES = (".jpg", ".JPEG", ".png", ".webp", ".avif", ".gif", ".bmp", ".TIF", ".tiff")
"""Given without regard to the content, which alone says what a file is."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (EXIF 2.32, tag 274)."""

REASONS = {
    "truncated", "corrupt", "empty", "not_image", "too_large", "too_small", "aspect", "unsupported_depth"
}  # fmt: skip


def written(raw: Path, count: int, seed: int) -> tuple[dict[str, bytes], set[str]]:
    """Damaged files and the whole ones they were made from: contents by name, and the names of the whole ones."""
    raw.mkdir()
    random_ = random.Random(seed)
    whole = {f"{name}{random_.choice(SUFFIXES)}": content for name, content in seeds().items()}
    damaged = {
        f"{number:05d}{random_.choice(SUFFIXES)}": mutant.content for number, mutant in enumerate(mutants(count, seed))
    }
    for name, content in (whole | damaged).items():
        (raw / name).write_bytes(content)
    return whole | damaged, set(whole)


def check_refusals(done: Done, contents: dict[str, bytes], whole: set[str]) -> set[str]:
    """Every reason is a stable code with a sentence; returns the names of the files that were refused."""
    reasons = done.reasons
    assert set(reasons.values()) <= REASONS, {name: why for name, why in reasons.items() if why not in REASONS}
    assert {"truncated", "corrupt"} <= set(reasons.values())
    for left in done.json["left_out"]:
        assert left["message"].isprintable(), left
        assert len(left["message"].split()) >= 3, left
    refused = {source.removeprefix("raw/") for source in reasons}
    assert refused <= set(contents)
    # the one plain PGM is three pixels wide
    assert [name for name in sorted(refused & whole) if not name.startswith("PGM")] == []
    return refused


def check_squares(found: dict[str, NDArray[np.uint8]], contents: dict[str, bytes], refused: set[str]) -> None:
    """The squares are those of the files not refused, one for each content, and each shows its file's picture."""
    names = defaultdict(set)
    for name, content in contents.items():
        names[content].add(name)
    accepted = {content: same for content, same in names.items() if not same & refused}
    assert all(same <= refused for same in names.values() if same & refused)
    stems = {Path(name).stem: content for content, same in accepted.items() for name in same}
    assert set(found) <= set(stems)
    # the same bytes under two names are one picture
    assert {stems[stem] for stem in found} == set(accepted)
    assert len(found) == len(accepted)
    for stem, square_HWC in found.items():
        content = stems[stem]
        assert strictly(content) is not None, f"{stem}: a square from what cannot be decoded"
        # more than elsewhere: damage can make a picture of wild colours, where the order of clipping shows
        assert apart(square_HWC, reference(content)) < 12, stem


def reference(content: bytes) -> Image.Image:
    """What Pillow alone makes of a file: deep greys by their high bytes, upright as EXIF says, over white."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        picture: Image.Image = image
        if image.mode.startswith("I"):
            picture = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
        try:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        except SyntaxError:  # broken metadata never costs the picture
            orientation = 1
        if image.format != "TIFF" and orientation in _UPRIGHT:  # a TIFF was turned when it was loaded
            picture = picture.transpose(_UPRIGHT[orientation])
        if picture.has_transparency_data:
            over = picture.convert("RGBA")
            picture = Image.new("RGBA", over.size, "white")
            picture.alpha_composite(over)
        return picture.convert("RGB")


def fuzz(folder: Path, count: int, seed: int) -> None:
    contents, whole = written(folder / "raw", count, seed)
    before = snapshot(folder / "raw")
    done = ingest(folder, *ARGUMENTS, expect=3)
    assert done.err == ""
    refused = check_refusals(done, contents, whole)
    found = squares(folder / "dataset", SIZE)
    check_squares({Path(name).stem.partition("-")[2]: square for name, square in found.items()}, contents, refused)
    assert done.json["pictures"] == len(list((folder / "dataset").iterdir()))
    assert snapshot(folder / "raw") == before
    # all of it is known now, the refusals as well
    then = stamps(folder / "dataset")
    again = ingest(folder, *ARGUMENTS, expect=3)
    assert again.json["computed"] == 0
    assert again.json["left_out"] == done.json["left_out"]
    assert again.json["pictures"] == done.json["pictures"]
    assert stamps(folder / "dataset") == then
    assert snapshot(folder / "raw") == before


@pytest.mark.filterwarnings("ignore")  # Pillow's, when it is asked alone
def test_of_damaged_files_each_gives_a_square_or_a_reason(tmp_path: Path) -> None:
    fuzz(tmp_path, 300, seed=40)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [41, 42])
def test_of_two_thousand_damaged_files_each_gives_a_square_or_a_reason(tmp_path: Path, seed: int) -> None:
    fuzz(tmp_path, 2000, seed)


def test_a_command_that_does_nothing_any_more_fails_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "STALLED", 0.2)
    with pytest.raises(AssertionError, match="no progress"):
        ingest(tmp_path, before=("sh", "-c", "sleep 60"))
