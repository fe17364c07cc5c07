"""What `ingest` costs: time and memory, beside the webui's way to prepare a picture, and how good what it chooses is.

The reference decodes with Pillow, shrinks the whole frame with Lanczos until the short side fits, pastes it over a
512x512 canvas at whole pixels and saves a PNG at Pillow's default level, as the webui's preprocessing did.
Ways that are compared take turns, so that a ratio holds on a busy machine too; all pictures are generated.

    python tests/bench/ingest.py [--only SECTION] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pictures import PHOTOGRAPHS, Pixels, encoded, enlarged, folder_of, huge_files, lines, page, photograph, small_files
from PIL import Image

from capprep.images import Box
from capprep.images.crop import choose
from capprep.images.decode import decode
from capprep.images.resize import Filter, crop_resize, encode_png

# what only a part needs is imported there: worker processes import this file too

SIZE = 512
JOBS = "--jobs"
"""The option for the number of processes."""

Figures = dict[str, float]

JPEG_SIZES = ((3000, 2000), (3024, 4032), (5184, 3456), (6000, 4000))
PNG_SIZES = ((1080, 1920), (2560, 1440), (3840, 2160), (5120, 2880))
SIX_TO_TWELVE = ((3000, 2000), (3600, 2400), (2848, 4288), (4000, 3000))  # megapixels


# --- both ways -----------------------------------------------------------------------------------------------------


def webui(content: bytes) -> bytes:
    """One picture as the webui's preprocessing made it, integer sizes and all."""
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGB")
    ratio = SIZE / min(picture.size)
    width, height = int(picture.width * ratio), int(picture.height * ratio)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIZE, SIZE))
    canvas.paste(small, ((SIZE - width) // 2, (SIZE - height) // 2))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def square(content: bytes, filter: Filter = "area") -> tuple[Pixels, Box]:
    """The middle square of a picture as `ingest` makes it, and where it lies on the upright picture."""
    # for Lanczos the decode is not reduced, as in the reference
    decoded = decode(content, short_side=SIZE if filter == "area" else None)
    box = choose(decoded.pixels_HWC, "center", size=(decoded.width, decoded.height)).box
    return crop_resize(decoded.pixels_HWC, decoded.inner(box), (SIZE, SIZE), filter), box


def ours(content: bytes) -> bytes:
    """Bytes in, PNG out."""
    return encode_png(square(content)[0])


def turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, the ways one after the other and each round in the other order."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            ways[name]()
            spent[name].append(time.perf_counter() - started)
    return spent


def weights(low: float, high: float, length: int, filter: Filter) -> NDArray[np.float64]:
    """The filter's matrix by its definition, (512, length), each row's sum one."""
    step = (high - low) / SIZE
    edge = low + step * np.arange(SIZE + 1)[:, None]
    pixel = np.arange(length)[None]
    if filter == "area":
        weight = np.maximum(0, np.minimum(edge[1:], pixel + 1) - np.maximum(edge[:-1], pixel))
    else:
        x = (pixel + 0.5 - (edge[1:] + edge[:-1]) / 2) / max(step, 1)
        weight = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def exact(content: bytes, box: Box, filter: Filter) -> NDArray[np.float64]:
    """The square by the filter's definition in float64, of all the pixels that Pillow decodes."""
    with Image.open(io.BytesIO(content)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    left, top, right, bottom = box
    across, down = weights(left, right, pixels.shape[1], filter), weights(top, bottom, pixels.shape[0], filter)
    return np.stack([down @ pixels[..., channel] @ across.T for channel in range(3)], axis=-1).clip(0, 255)


def psnr(picture: Pixels, reference: NDArray[np.float64]) -> float:
    """Decibels between a picture and its reference; 99 at the most."""
    error = float(np.mean((picture - reference) ** 2))
    return min(99.0, 10 * math.log10(255**2 / max(error, 1e-12)))


# --- sections ------------------------------------------------------------------------------------------------------


def speed(place: Path, quick: bool) -> Figures:
    """Bytes in to PNG out in one process, and what that costs in quality."""
    cv2.setNumThreads(1)
    jpegs = {f"jpeg_{w}x{h}": encoded(photograph(w, h, w), "JPEG", quality=92) for w, h in JPEG_SIZES}
    pngs = {f"png_{w}x{h}": encoded(photograph(w, h, w), "PNG", compress_level=4) for w, h in PNG_SIZES}
    files = dict(list(jpegs.items())[:2] + list(pngs.items())[:2]) if quick else {**jpegs, **pngs}
    result: Figures = {}
    for name, content in files.items():
        ways = {"webui": functools.partial(webui, content), "ours": functools.partial(ours, content)}
        least = {way: min(spent) for way, spent in turns(ways, 3 if quick else 7).items()}
        result[f"{name}_ms"] = 1000 * least["ours"]
        result[f"{name}_ratio"] = least["webui"] / least["ours"]
    for kind in ("jpeg", "png"):
        ratios = [value for name, value in result.items() if name.startswith(kind) and name.endswith("_ratio")]
        result[f"{kind}_ratio"] = statistics.geometric_mean(ratios)
    return result


def quality(place: Path, quick: bool) -> Figures:
    """How far squares are from the exact ones in decibels, over kinds of pictures and of reduced decodes.

    Patterns stand apart: text, stripes, and colours that JPEG stores at half the resolution and a full decode blurs.
    On them the two filters themselves are far from each other, which is given beside it.
    """
    least: Figures = {}

    def keep(name: str, value: float) -> None:
        least[name] = min(value, least.get(name, math.inf))

    for side in (2360, 6150) if quick else (1400, 2360, 3020, 4300, 6150):
        size = side * 5 // 4, side
        kinds = {f"photographs_{name}": enlarged(name, *size) for name in PHOTOGRAPHS[: 1 if quick else None]}
        kinds |= {"photographs_generated": photograph(*size, 1)}
        kinds |= {"patterns_colours": photograph(*size, 1, colour=1)}
        kinds |= {"patterns_lines": lines(*size), "patterns_page": page(*size)}
        for name, pixels in kinds.items():
            content = encoded(pixels, "JPEG", quality=92)
            picture, box = square(content)
            reference = exact(content, box, "area")
            keep(f"psnr_{name}_db", psnr(picture, reference))
            if side < 3000:  # what is done at full size depends on no other size
                picture, _ = square(content, "lanczos")
                keep("psnr_lanczos_db_min", psnr(picture, exact(content, box, "lanczos")))
                if name.startswith("patterns"):
                    keep(f"filters_apart_{name}_db", psnr(picture, reference))
    return least | {"psnr_db_min": min(value for name, value in least.items() if name.startswith("psnr_photographs"))}


def ingested(place: Path, raw: Path, workers: int) -> float:
    """Seconds that `ingest` takes for new pictures, without `dataset/`."""
    from capprep import pipeline
    from capprep.engines.local import LocalEngine
    from capprep.stages.picture import Picture
    from capprep.workspace import Workspace

    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        Workspace(Path(folder), create=True) as workspace,
    ):
        started = time.perf_counter()
        tally = pipeline.ingest(workspace, [raw], pipeline.Step(Picture(), LocalEngine(workers=workers)))
        spent = time.perf_counter() - started
    if tally.failed or not tally.computed:
        raise RuntimeError(f"{tally.failed} of {tally.computed} pictures failed")
    return spent


def workers(place: Path, quick: bool) -> Figures:
    """Two worker processes against one, over JPEG of 6 to 12 megapixels and PNG; processes are started in that time."""
    jpegs = [encoded(photograph(w, h, w), "JPEG", quality=92) for w, h in SIX_TO_TWELVE]
    pngs = [encoded(photograph(w, h, w), "PNG", compress_level=1) for w, h in PNG_SIZES[:2]]
    copies = 4 if quick else 24
    # what follows a picture's end is no part of it, and makes another file of it
    files = (
        (f"{copy:02}-{n}.{'jpg' if n < len(jpegs) else 'png'}", content + bytes((copy,)))
        for copy in range(copies)
        for n, content in enumerate(jpegs + pngs)
    )
    raw = folder_of(place / "workers", files)
    ways = {str(count): functools.partial(ingested, place, raw, count) for count in (1, 2)}
    spent = turns(ways, 2 if quick else 5)
    count = copies * (len(jpegs) + len(pngs))
    ratios = [one / two for one, two in zip(spent["1"], spent["2"], strict=True)]
    return {
        "workers2_ratio": statistics.median(ratios),
        "workers2_ratio_best": min(spent["1"]) / min(spent["2"]),
        "workers1_per_s": count / min(spent["1"]),
        "workers2_per_s": count / min(spent["2"]),
    }


PEAK = """
import multiprocessing, sys
from pathlib import Path
from capprep import pipeline
from capprep.engines.local import LocalEngine
from capprep.stages.picture import Picture
from capprep.workspace import Workspace

def watch(stage, done, total, detail=""):
    for child in multiprocessing.active_children():
        status = Path(f"/proc/{child.pid}/status").read_text()
        print(*(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), flush=True)

with Workspace(Path(sys.argv[2]), create=True) as workspace:
    step = pipeline.Step(Picture(crop="auto"), LocalEngine(workers=1))
    tally = pipeline.ingest(workspace, [Path(sys.argv[1])], step, watch)
    sys.exit(str(tally) if tally.failed or not tally.computed else 0)
"""
"""Prints the peak memory of the worker process after a picture, in kB."""


def in_process(script: str, *arguments: str) -> tuple[str, str]:
    """What a script in a fresh process wrote to standard output and to standard error."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout, done.stderr


def memory(place: Path, quick: bool) -> Figures:
    """Peak memory of a worker process with a picture of 100 megapixels, its file included."""
    result: Figures = {}
    for name, content in huge_files(quick):
        raw = folder_of(place / f"huge-{name}", iter([(name, content)]))
        workspace = place / f"workspace-{name}"
        answer, _ = in_process(PEAK, str(raw), str(workspace))
        result[f"peak_mb_100mp_{Path(name).stem}"] = max(map(int, answer.split())) / 1024
        result[f"file_mb_100mp_{Path(name).stem}"] = len(content) / 1e6
    return result | {"worker_peak_mb_100mp": max(result["peak_mb_100mp_jpeg"], result["peak_mb_100mp_png"])}


COMMAND = """
import atexit, sys
from pathlib import Path
from capprep.cli import main

def report():
    status = Path("/proc/self/status").read_text()
    print(*(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), file=sys.stderr)

atexit.register(report)
main()
"""
"""`capprep`, and at its end the peak memory of its own process in kB on standard error."""


PAIRS = """
import resource, sys
import numpy as np
from capprep.images import duplicates

duplicates.pairs(np.random.default_rng(0).integers(0, 2**64, int(sys.argv[1]), dtype=np.uint64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""All pairs of so many hashes, and then the peak memory in kB."""


def command(raw: Path, workspace: Path) -> tuple[float, float, Figures]:
    """Seconds, megabytes and the answer of `capprep ingest`, the whole command in a process of its own."""
    arguments = ["ingest", str(raw), "--size", "64", "-w", str(workspace), JOBS, str(os.cpu_count() or 1), "--json"]
    started = time.perf_counter()
    answer, peak = in_process(COMMAND, *arguments)
    spent = time.perf_counter() - started
    return spent, int(peak.split()[-1]) / 1024, json.loads(answer)


def many(place: Path, quick: bool) -> Figures:
    """The driver's memory over 1,000 and 20,000 pictures, and a second `ingest` of the 20,000, all unchanged."""
    counts = (200, 2000) if quick else (1000, 20_000)
    first = {}
    for count in counts:
        raw = folder_of(place / f"raw{count}", small_files(count))
        first[count] = command(raw, place / f"many{count}")
    few, lots = counts
    again = [command(place / f"raw{lots}", place / f"many{lots}") for _ in range(3)]
    if any(answer["computed"] or answer["known"] != lots for _, _, answer in again):
        raise RuntimeError("something was computed again")
    grown = max(first[lots][1], *(peak for _, peak, _ in again)) - first[few][1]
    return {
        "driver_growth_mb": grown,
        "driver_peak_mb": first[few][1],
        "noop_20k_s": min(spent for spent, _, _ in again),
        "first_20k_s": first[lots][0],
    }


def whole(place: Path, quick: bool) -> Figures:
    """All of `ingest` in one process, files, database and `dataset/` included, against the webui's way and again."""
    from capprep import pipeline
    from capprep.engines.local import LocalEngine
    from capprep.stages.picture import Picture
    from capprep.workspace import Workspace

    files = ((f"{n:02}.jpg", encoded(photograph(2400, 1600, n), "JPEG", quality=92)) for n in range(6 if quick else 24))
    raw = folder_of(place / "whole", files)

    def prepare(target: Path) -> None:
        target.mkdir()
        for path in sorted(raw.iterdir()):
            (target / f"{path.stem}.png").write_bytes(webui(path.read_bytes()))

    def ingest(root: Path) -> None:
        with Workspace(root, create=True) as workspace:
            pipeline.ingest(workspace, [raw], pipeline.Step(Picture(), LocalEngine()))
            pipeline.refresh(workspace)

    spent: dict[str, list[float]] = {"webui": [], "first": [], "again": []}
    for number in range(2 if quick else 5):
        target, root = place / f"webui{number}", place / f"ours{number}"
        for name, work, where in (("webui", prepare, target), ("first", ingest, root), ("again", ingest, root)):
            spent[name] += turns({name: functools.partial(work, where)}, 1)[name]
    middle = {name: statistics.median(times) for name, times in spent.items()}
    count = len(list(raw.iterdir()))
    return {
        "ingest_ratio": middle["webui"] / middle["first"],
        "again_ratio": middle["first"] / middle["again"],
        "ingest_per_s": count / middle["first"],
        "webui_per_s": count / middle["webui"],
    }


def crop(place: Path, quick: bool) -> Figures:
    """The share of a subject that the crop keeps; see `composites.py`."""
    import composites

    kept = composites.measure(composites.composites(60 if quick else 180, 0))
    return {"crop_busy_kept": kept["auto_busy_kept"], "crop_centre_kept": kept["center_busy_kept"]}


def copies(place: Path, quick: bool) -> Figures:
    """How many edited copies are found; see `duplicates.py`."""
    import duplicates

    count = 100_000 if quick else 1_000_000
    found = duplicates.figures(60 if quick else 300, count)
    names = ("dup_recall_min", "dup_recall_crop3", "dup_false_share", "pairs_1m_s")
    # of a process that did nothing else
    peak, _ = in_process(PAIRS, str(count))
    return {**{name: found[name] for name in names}, "pairs_1m_peak_mb": int(peak) / 1024}


SECTIONS: dict[str, Callable[[Path, bool], Figures]] = {
    each.__name__: each for each in (speed, quality, workers, memory, many, whole, crop, copies)
}


def main() -> None:
    """Measure, print a table for each section, and with --json a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section to measure; may be repeated")
    parser.add_argument("--quick", action="store_true", help="smaller counts, for a look at whether it runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: Figures = {}
    for name in options.only or SECTIONS:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            found = SECTIONS[name](Path(place), options.quick)
        print(f"{name}: {(SECTIONS[name].__doc__ or '').splitlines()[0]}  ({time.perf_counter() - started:.0f} s)")
        for figure, value in found.items():
            print(f"  {figure:<40} {value:12.4g}")
        figures |= found
    if options.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
