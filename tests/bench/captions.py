"""How fast captions and tags come to be, beside the bare networks and beside loops of one picture at a time.

Each stage runs through the engine and the loop into a workspace, from squares that `ingest` stored, its model loaded
before. "bare" is the network alone, in batches of the same size, on numbers that lie in memory already. "single" is
how scripts do it, one by one: the picture itself, a photograph of 12 megapixels, opened with Pillow, transformers'
processor and `generate`, or NumPy and onnxruntime; "square" is the same loop over squares that somebody made before.
All use the same weights (random, at the real sizes), the same number of tokens, float32 and the same
threads. They take turns on the same pictures, so that a ratio holds on a busy machine too; each ratio is the median
over the rounds.

    python tests/bench/captions.py [--only blip|booru|memory] [--pictures N] [--batch N] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from pictures import photograph
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from taggers import SIDE, TAGS, deep, small
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.utils import logging as transformers_log

import capprep.toybox
from capprep.engines.local import LocalEngine
from capprep.facts import CROP, PICTURE
from capprep.images.files import scan
from capprep.models.device import cores
from capprep.run import run, run_sources
from capprep.stage import Fact, Outcome, Reader, Row, Runtime, Stage
from capprep.stages.blip import Blip
from capprep.stages.booru import Booru
from capprep.stages.match import MatchImage
from capprep.stages.picture import Picture
from capprep.workspace import Workspace

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
FEW, MANY, SMALL_SIDE = 500, 5000, 64
PHOTOGRAPH = 4000, 3000
Figures = dict[str, float]
Ways = Mapping[str, Callable[[], object]]


def main() -> None:
    """Run the parts that are asked for and print the table, or with --json one flat line behind it."""
    options = _options()
    if options.peak:
        print(_peak(Path(options.peak)))
        return
    torch.manual_seed(0)
    transformers_log.disable_progress_bar()
    transformers_log.set_verbosity_error()
    parts = {"blip": _blip, "booru": _booru, "memory": _memory}
    result: dict[str, float | int] = {"threads": torch.get_num_threads(), "tokens": options.tokens}
    with tempfile.TemporaryDirectory() as name:
        for part in [options.only] if options.only else parts:
            place = Path(name, part)
            place.mkdir()
            figures = {key: round(value, 3) for key, value in parts[part](place, options).items()}
            result |= figures
            shutil.rmtree(place)
    table = Table("what", "result")
    for key, value in result.items():
        table.add_row(key, f"{value:g}")
    Console().print(table)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("blip", "booru", "memory"))
    parser.add_argument("--pictures", type=int, default=8, help="a round")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=20, help="length of every caption")
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- stages, as they are run ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """A stage whose model is loaded: loading takes as long for one picture as for a thousand."""

    reader: Reader

    def load(self, runtime: Runtime) -> Reader:
        """The reader."""
        return self.reader


class Staged:
    """A stage with the real engine and loop, each time under another key, so that every fact is missing."""

    def __init__(self, workspace: Workspace, stage: Stage, runtime: Runtime, batch: int) -> None:
        self.workspace, self.stage, self.batch = workspace, stage, batch
        self.ready, self.times = Ready(stage.load(runtime)), 0

    def engine(self, _: object, batches: Iterator[Sequence[Row]]) -> Iterator[tuple[Sequence[Row], Sequence[Outcome]]]:
        """The local engine with the model that is loaded."""
        return LocalEngine()(self.ready, batches)

    def __call__(self) -> None:
        """One run over all pictures."""
        self.times += 1
        tally = run(self.workspace, replace(self.stage, weights=str(self.times)), self.engine, batch=self.batch)  # type: ignore[call-arg]
        assert tally.computed, "nothing was missing"
        assert not tally.failed, tally.failed


def _photographs(place: Path, pictures: int) -> Workspace:
    """A workspace with the squares of that many photographs."""
    raw = place / "raw"
    raw.mkdir(parents=True)
    for number in range(pictures):
        Image.fromarray(photograph(*PHOTOGRAPH, number)).save(raw / f"{number:05}.jpg", quality=92)
    return _ingested(place, 512)


def _ingested(place: Path, size: int) -> Workspace:
    """A workspace with the squares of the pictures in raw/."""
    workspace = Workspace(place, create=True)
    workspace.sources.begin_search()
    workspace.sources.find(scan([place / "raw"]))
    run_sources(workspace, Picture(size=size), LocalEngine())
    return workspace


def _small_ones(place: Path, pictures: int) -> None:
    """A workspace with that many small squares."""
    (place / "raw").mkdir(parents=True)
    for number in range(pictures):
        Image.fromarray(_noise(number)).save(place / "raw" / f"{number:05}.png", compress_level=1)
    _ingested(place, SMALL_SIDE).close()


def _noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SMALL_SIDE, SMALL_SIDE, 3), dtype=np.uint8)


def _sources(workspace: Workspace) -> list[Path]:
    """The files of the pictures."""
    return [Path(os.fsdecode(source.key)) for source in workspace.sources]


def _squares(workspace: Workspace) -> list[Path]:
    """The files of the squares."""
    return [fact.blobs[CROP] for fact in workspace.facts(PICTURE).values() if isinstance(fact, Fact)]


def _compare(name: str, pictures: int, ways: Ways, rounds: int) -> Figures:
    """Pictures a second of each way, and how often the first is as fast as the others, by the clock and by CPU time.

    Where others use the machine the second is the steadier one; what is done meanwhile counts there as work too.
    """
    for way in ways.values():
        way()  # what is only done once is done now
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in list(ways)[:: 1 if number % 2 else -1]:
            started = time.perf_counter(), time.process_time()
            ways[way]()
            spent[way].append((time.perf_counter() - started[0], time.process_time() - started[1]))
            seconds, cpu = spent[way][-1]
            print(
                f"{name}, round {number + 1}, {way}: {seconds:.2f} s, {cpu:.2f} s of CPU", file=sys.stderr, flush=True
            )
    ours = spent["ours"]
    figures = {f"{name}_per_s": statistics.median(pictures / seconds for seconds, _ in ours)}
    for way, theirs in spent.items():
        if way != "ours":
            for at, kind in enumerate(("", "_cpu")):
                ratios = [b[at] / a[at] for a, b in zip(ours, theirs, strict=True)]
                figures[f"{name}_vs_{way}{kind}"] = statistics.median(ratios)
            figures[f"{name}_{way}_per_s"] = statistics.median(pictures / seconds for seconds, _ in theirs)
    return figures


# --- BLIP ----------------------------------------------------------------------------------------------------------


def _blip(place: Path, options: argparse.Namespace) -> Figures:
    folder = _base(place / "blip")
    settings = {"num_beams": options.beams, "min_new_tokens": options.tokens, "max_new_tokens": options.tokens}
    # the guards against repetition cost little, but a script has none by default
    stage = Blip(no_repeat_ngram_size=0, repetition_penalty=1.0, **settings)
    with _photographs(place / "work", options.pictures) as workspace:
        model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        words, processor = BertTokenizer.from_pretrained(folder), BlipImageProcessorPil.from_pretrained(folder)
        files = _squares(workspace)
        x_NCHW = torch.cat([processor(Image.open(path), return_tensors="pt")["pixel_values"] for path in files])

        def bare() -> None:
            with torch.inference_mode():
                for start in range(0, len(files), options.batch):
                    x_BCHW = x_NCHW[start : start + options.batch]
                    assert _length(model.generate(pixel_values=x_BCHW, do_sample=False, **settings)) == options.tokens

        def one_by_one(pictures: Sequence[Path]) -> None:
            for path in pictures:
                with Image.open(path) as image:
                    x_1CHW = processor(image.convert("RGB"), return_tensors="pt")["pixel_values"]
                tokens = model.generate(pixel_values=x_1CHW, do_sample=False, **settings)
                assert _length(tokens) == options.tokens
                words.decode(tokens[0], skip_special_tokens=True)

        ways = {
            "ours": Staged(workspace, stage, Runtime("cpu", folder), options.batch),
            "bare": bare,
            "single": partial(one_by_one, _sources(workspace)),
            "square": partial(one_by_one, files),
        }
        return _compare("blip", len(files), ways, options.rounds)


def _length(tokens_BL: torch.Tensor) -> int:
    """New tokens of an answer that begins with the one token it starts from."""
    return int(tokens_BL.shape[1]) - 1


def _base(folder: Path) -> Path:
    """A captioner of the published base size with random weights and the tiny world's tokenizer."""
    shutil.copytree(WEIGHTS / "caption", folder)
    tiny = json.loads((folder / "config.json").read_text())["text_config"]
    tokens = {name: tiny[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id")}
    config = BlipConfig(text_config={"num_attention_heads": 12, **tokens}, vision_config={"initializer_range": 0.02})
    model = BlipForConditionalGeneration(config)
    weights = {name: value for name, value in model.state_dict().items() if "predictions.decoder" not in name}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(config.to_json_string())
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 384, "width": 384}}))
    return folder


# --- taggers -------------------------------------------------------------------------------------------------------


def _booru(place: Path, options: argparse.Namespace) -> Figures:
    """The tagger of DeepDanbooru's depth, and the one of a small body with more pictures, being faster."""
    labels = place / "tags.txt"
    labels.write_text("".join(f"tag_{number}\n" for number in range(TAGS)))
    with _photographs(place / "work", options.pictures) as workspace:
        figures = _tagger("booru", workspace, deep(place / "deep.onnx"), labels, options)
    pictures = 4 * options.pictures
    options = argparse.Namespace(batch=2 * options.batch, rounds=options.rounds)
    with _photographs(place / "more", pictures) as workspace:
        return figures | _tagger("booru_small", workspace, small(place / "small.onnx"), labels, options)


def _tagger(name: str, workspace: Workspace, graph: Path, labels: Path, options: argparse.Namespace) -> Figures:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = cores()  # as the stage does, also where this process may not use all there are
    session = onnxruntime.InferenceSession(str(graph), settings, providers=["CPUExecutionProvider"])
    files = _squares(workspace)
    x_NHWC = np.stack([np.asarray(Image.open(path), dtype=np.float32) / 255 for path in files])

    def bare() -> None:
        for start in range(0, len(files), options.batch):
            session.run(None, {"input_1": x_NHWC[start : start + options.batch]})

    def one_by_one(pictures: Sequence[Path]) -> None:
        for path in pictures:
            with Image.open(path) as image:
                square = image.convert("RGB")
            if square.size != (SIDE, SIDE):
                square = ImageOps.fit(square, (SIDE, SIDE), Image.Resampling.LANCZOS)
            x_1HWC = np.asarray(square)[None].astype(np.float32) / 255
            answer_T = session.run(None, {"input_1": x_1HWC})[0][0]
            [(tag, float(answer_T[tag])) for tag in np.flatnonzero(answer_T >= 0.05)]

    ways = {
        "ours": Staged(workspace, Booru(), Runtime("cpu", graph, labels), options.batch),
        "bare": bare,
        "single": partial(one_by_one, _sources(workspace)),
        "square": partial(one_by_one, files),
    }
    return _compare(name, len(files), ways, options.rounds)


# --- memory --------------------------------------------------------------------------------------------------------


def _memory(place: Path, options: argparse.Namespace) -> Figures:
    """The peak of a process that captions, tags and embeds few pictures, and many, with the tiny models."""
    peaks = []
    for count in (FEW, MANY):
        _small_ones(place / str(count), count)
        command = [sys.executable, __file__, "--peak", str(place / str(count))]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {"peak_500_mb": peaks[0], "peak_5000_mb": peaks[1], "growth_mb": peaks[1] - peaks[0]}


def _peak(place: Path) -> float:
    """Run all stages that read squares, and the most memory this process ever had, in MB."""
    torch.set_num_threads(1)
    with Workspace(place) as workspace:
        for stage, runtime in (
            (Blip(num_beams=1, max_new_tokens=8), Runtime("cpu", WEIGHTS / "caption")),
            (Booru(), Runtime("cpu", WEIGHTS / "booru" / "model.onnx", WEIGHTS / "booru" / "labels.csv")),
            (MatchImage(), Runtime("cpu", WEIGHTS / "match")),
        ):
            assert run(workspace, stage, LocalEngine(runtime)).computed
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
