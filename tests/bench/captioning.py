"""How many pictures a second the captioner and the tagger read in batches, against a plain loop of one by one.

Both sides start from the same PNG files and use the same weights; the plain side decodes with Pillow, calls
transformers' processor and `generate`, or onnxruntime, for one picture at a time. They are timed in turns.

    python tests/bench/captioning.py [--blip base|tiny] [--pictures N] [--batch N] [--tokens N] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.utils import logging as transformers_log

import capprep.toybox
from capprep.models.blip import BlipCaptioner
from capprep.models.tagger import OnnxTagger
from capprep.toybox.world import draw, scene

TINY = Path(capprep.toybox.__file__).parent / "weights" / "caption"
PROMPT = "a picture of"
TAGS = 9176  # DeepDanbooru's


def main() -> None:
    """Time both readers and print the table, or with --json one flat line behind it."""
    options = _options()
    torch.manual_seed(0)
    transformers_log.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _pictures(folder / "pictures", options.pictures)
        blip = TINY if options.blip == "tiny" else _base(folder / "blip")
        pairs = {
            "blip": (_batched_blip(blip, options), _plain_blip(blip, options)),
            "booru": (_batched_booru(folder, options), _plain_booru(folder)),
        }
        result: dict[str, float | int | str] = {
            "blip_model": options.blip,
            "pictures": options.pictures,
            "batch": options.batch,
            "threads": torch.get_num_threads(),
        }
        for reader, (ours, plain) in pairs.items():
            result |= _compare(reader, ours, plain, files, options.rounds)
    Console().print(_table(result))
    if options.json:
        Console(soft_wrap=True, highlight=False).print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blip", choices=("base", "tiny"), default="tiny", help="the published size, or the tiny one")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=12, help="length of every caption")
    parser.add_argument("--rounds", type=int, default=2, help="the median of that many is reported")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser.parse_args()


def _compare(
    reader: str,
    ours: Callable[[list[Path]], object],
    plain: Callable[[list[Path]], object],
    files: list[Path],
    rounds: int,
) -> dict[str, float]:
    """Pictures a second of both and their ratio, the median over rounds in which they take turns."""
    for run in (ours, plain):
        run(files[:1])  # what is only done once is done now
    speeds: dict[str, list[float]] = {"batched": [], "single": []}
    for _ in range(rounds):
        for name, run in (("batched", ours), ("single", plain)):
            start = time.perf_counter()
            run(files)
            speeds[name].append(len(files) / (time.perf_counter() - start))
    ratios = [batched / single for batched, single in zip(speeds["batched"], speeds["single"], strict=True)]
    return {
        f"{reader}_per_s": round(statistics.median(speeds["batched"]), 3),
        f"{reader}_single_per_s": round(statistics.median(speeds["single"]), 3),
        f"{reader}_vs_single": round(statistics.median(ratios), 3),
    }


def _table(result: dict[str, float | int | str]) -> Table:
    title = f"{result['pictures']} pictures, batch {result['batch']}, {result['threads']} threads, CPU"
    table = Table("reader", "pictures/s in batches", "pictures/s one by one", "ratio", title=title)
    for reader, name in (("blip", f"BLIP {result['blip_model']}"), ("booru", f"tagger, {TAGS} tags")):
        numbers = (result[f"{reader}_per_s"], result[f"{reader}_single_per_s"], result[f"{reader}_vs_single"])
        table.add_row(name, *(f"{number:.2f}" for number in numbers))
    return table


def _pictures(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:05}.png" for number in range(count)]
    for number, path in enumerate(files):
        draw(scene(number)).save(path)
    return files


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _base(folder: Path) -> Path:
    """A captioner of the published base size with random weights and the tiny world's tokenizer."""
    shutil.copytree(TINY, folder)
    tiny = json.loads((TINY / "config.json").read_text())["text_config"]
    tokens = {name: tiny[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id")}
    config = BlipConfig(text_config={"num_attention_heads": 12, **tokens}, vision_config={"initializer_range": 0.02})
    model = BlipForConditionalGeneration(config)
    weights = {name: value for name, value in model.state_dict().items() if "predictions.decoder" not in name}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(config.to_json_string())
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 384, "width": 384}}))
    return folder


def _batched_blip(folder: Path, options: argparse.Namespace) -> Callable[[list[Path]], object]:
    captioner = BlipCaptioner(folder)

    def run(files: list[Path]) -> list[str]:
        captions = []
        for start in range(0, len(files), options.batch):
            pictures = [_pixels(path) for path in files[start : start + options.batch]]
            captions += captioner.captions(
                pictures, prompt=PROMPT, min_new_tokens=options.tokens, max_new_tokens=options.tokens
            )
        return captions

    return run


def _plain_blip(folder: Path, options: argparse.Namespace) -> Callable[[list[Path]], object]:
    model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    words, processor = BertTokenizer.from_pretrained(folder), BlipImageProcessorPil.from_pretrained(folder)

    def run(files: list[Path]) -> list[str]:
        captions = []
        for path in files:
            given = words(PROMPT, return_tensors="pt")
            with Image.open(path) as image:
                x = processor(image.convert("RGB"), return_tensors="pt")["pixel_values"]
            length = {"min_new_tokens": options.tokens, "max_new_tokens": options.tokens}
            ids, mask = given["input_ids"], given["attention_mask"]
            answer = model.generate(pixel_values=x, input_ids=ids, attention_mask=mask, do_sample=False, **length)
            captions.append(words.decode(answer[0], skip_special_tokens=True))
        return captions

    return run


def _batched_booru(folder: Path, options: argparse.Namespace) -> Callable[[list[Path]], object]:
    _write_tagger(folder / "model.onnx")
    (folder / "tags.txt").write_text("".join(f"tag_{number}\n" for number in range(TAGS)))
    tagger = OnnxTagger(folder / "model.onnx", folder / "tags.txt")

    def run(files: list[Path]) -> list[NDArray[np.float32]]:
        starts = range(0, len(files), options.batch)
        return [tagger.probabilities([_pixels(path) for path in files[at : at + options.batch]]) for at in starts]

    return run


def _plain_booru(folder: Path) -> Callable[[list[Path]], object]:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])

    def run(files: list[Path]) -> list[NDArray[np.float32]]:
        return [session.run(None, {"input": _pixels(path)[None].astype(np.float32) / 255})[0] for path in files]

    return run


def _write_tagger(path: Path) -> None:
    """Six strided convolutions and a layer to DeepDanbooru's number of tags, random, about 3 GFLOP a picture.

    The bias lets few tags through: a tagger that says half of them is refused as broken.
    """
    rng = np.random.default_rng(0)
    widths = (3, 32, 64, 128, 256, 512, 512)
    nodes = [helper.make_node("Transpose", ["input"], ["x0"], perm=[0, 3, 1, 2])]
    weights = []
    for step, (narrow, wide) in enumerate(itertools.pairwise(widths)):
        kernel = (rng.normal(size=(wide, narrow, 3, 3)) * np.sqrt(2 / (9 * narrow))).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{step}"))
        nodes.append(
            helper.make_node("Conv", [f"x{step}", f"w{step}"], [f"c{step}"], strides=[2, 2], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{step}"], [f"x{step + 1}"]))
    head = (rng.normal(size=(widths[-1], TAGS)) / np.sqrt(widths[-1])).astype(np.float32)
    weights.append(numpy_helper.from_array(head, "head"))
    weights.append(numpy_helper.from_array(np.array(-4, np.float32), "bias"))
    last = f"x{len(widths) - 1}"
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["raw"]),
        helper.make_node("Add", ["raw", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["out"]),
    ]
    takes = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 512, 512, 3])
    gives = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", TAGS])
    graph = helper.make_graph(nodes, "bench", [takes], [gives], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
