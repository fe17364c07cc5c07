"""Pictures a second of `ingest`, beside the webui's way to prepare a picture and beside a second run.

The reference decodes with Pillow, shrinks the whole frame with Lanczos until the short side fits, pastes it over a
512x512 canvas at whole pixels and saves a PNG at Pillow's default level, as the webui's preprocessing did.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from capprep import pipeline
from capprep.engines.local import LocalEngine
from capprep.stages.picture import Picture
from capprep.workspace import Workspace

SIZE = 512


def draw(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """JPEG files with the spectrum of photographs: noise whose power falls with frequency."""
    folder.mkdir()
    paths = []
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    falloff = 1 / np.maximum(np.hypot(fy, fx), 1 / max(width, height))
    for number in range(count):
        rng = np.random.default_rng(number)
        channels = [
            np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * falloff, (height, width)) for _ in "RGB"
        ]
        x = np.stack(channels, axis=-1)
        pixels = np.clip((x - x.mean()) / x.std() * 50 + 128, 0, 255).astype(np.uint8)
        path = folder / f"{number:03}.jpg"
        Image.fromarray(pixels).save(path, quality=92)
        paths.append(path)
    return paths


def webui(path: Path, destination: Path) -> None:
    """One picture as the webui's preprocessing made it, integer sizes and all."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    ratio = SIZE / min(picture.size)
    width, height = int(picture.width * ratio), int(picture.height * ratio)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIZE, SIZE))
    canvas.paste(small, ((SIZE - width) // 2, (SIZE - height) // 2))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    destination.write_bytes(buffer.getvalue())


def seconds(work: Callable[[], object]) -> float:
    """How long something took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rounds(folder: Path, paths: list[Path], repeats: int) -> dict[str, float]:
    """Median seconds of each way over some rounds, the ways taken in turn."""
    times: dict[str, list[float]] = {"webui": [], "first": [], "again": []}
    for number in range(repeats):
        target = folder / f"webui{number}"
        target.mkdir()
        times["webui"].append(seconds(partial(all_by_webui, paths, target)))
        with Workspace(folder / f"ours{number}", create=True) as workspace:
            ours = partial(ingest, workspace, paths[0].parent)
            times["first"].append(seconds(ours))
            times["again"].append(seconds(ours))
    return {way: statistics.median(values) for way, values in times.items()}


def all_by_webui(paths: list[Path], target: Path) -> None:
    """Every picture the webui's way."""
    for path in paths:
        webui(path, target / f"{path.stem}.png")


def ingest(workspace: Workspace, raw: Path) -> None:
    """What `capprep ingest raw` does, in one process."""
    pipeline.ingest(workspace, [raw], pipeline.Step(Picture(), LocalEngine()))
    pipeline.refresh(workspace)


def main() -> None:
    """Measure, print a table, and with --json a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=24, help="pictures (default: %(default)s)")
    parser.add_argument("--width", type=int, default=2400)
    parser.add_argument("--height", type=int, default=1600)
    parser.add_argument("--repeats", type=int, default=3, help="rounds, taken in turn (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        paths = draw(Path(name) / "raw", options.count, options.width, options.height)
        median = rounds(Path(name), paths, options.repeats)
    print(
        f"{options.count} JPEG pictures of {options.width}x{options.height}, one process, median of {options.repeats}"
    )
    for label, way in (("webui's way", "webui"), ("capprep ingest", "first"), ("capprep ingest again", "again")):
        print(f"  {label:<22} {options.count / median[way]:9.1f} pictures/s")
    ratio, again = median["webui"] / median["first"], median["first"] / median["again"]
    print(f"  ingest / webui {ratio:.2f}x, again / first {again:.0f}x")
    if options.json:
        speeds = {f"{way}_per_s": options.count / value for way, value in median.items()}
        print(json.dumps({**speeds, "ratio": ratio, "again_ratio": again}))


if __name__ == "__main__":
    main()
