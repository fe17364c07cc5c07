"""How often agreement is right about texts of the drawn world with planted errors, and how long its statistics take.

A pool of pictures is drawn and read once by the tiny matcher (kept under .lab/agreement). Sets of 20, 50 and 200 of its
pictures get their true tags, of which then 10 % are exchanged between pictures and 5 % of random vocabulary is added:
half of it tags of the world where they are not true, half words that are dealt out at random. Texts of all pictures are
also exchanged as a whole. Shares are of all seeds together; where sizes differ, the worst one counts.

    python tests/bench/agreement.py [--seeds N] [--pictures N] [--noise X] [--figures DIR] [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import capprep.toybox
from capprep import agreement
from capprep.agreement import SUPPORTED, Cells, Verdict
from capprep.agreement.sets import NO_INFORMATION
from capprep.agreement.testability import VISUAL, class_of
from capprep.filewords import tag_text
from capprep.toybox.evaluation import auroc
from capprep.toybox.styles import STYLES
from capprep.toybox.world import TAGS, scene

# N pictures, M tags, R texts of reference, D numbers of a vector

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = Path(capprep.toybox.__file__).parent / "weights" / "match"
START = 1_050_000_000  # of the seeds: unseen scenes, and no other benchmark's
SIZES = (20, 50, 200)
SWAPPED, ADDED = 0.10, 0.05
NAMES = tuple(tag for tag, category in TAGS.items() if category == "general")
DECOYS = tuple("lamp wall gold brown tiny tall wave cloud moon photograph outline colorful".split())
BATCH = 50
FIGURES = 4  # seed of the set that is shown
DEALS = 5  # of the texts of one set
BIG = 10_000, 1_000


@dataclass(frozen=True)
class Pool:
    """Pictures that were read once.

    Attributes:
        images_ND: Their unit vectors.
        captions_ND: Those of their true captions.
        tags_MD: Those of the tags' words, decoys behind them.
        reference_RD: Those of the reference vocabulary that the matcher tells apart.
        truth_NM: Which tags are true; of decoys none is.
    """

    images_ND: Floats
    captions_ND: Floats
    tags_MD: Floats
    reference_RD: Floats
    truth_NM: Flags


def pool(count: int) -> Pool:
    """Draw and read the pictures, or take what was read before."""
    texts = [tag_text(tag) for tag in NAMES] + list(DECOYS)
    captions = [scene(START + n).caption for n in range(count)]
    reference = list(agreement.reference_texts())
    recipe = hashlib.sha256(repr((texts, captions, reference)).encode())
    recipe.update((WEIGHTS / "model.safetensors").read_bytes())
    path = ROOT / ".lab" / "agreement" / f"pool-{recipe.hexdigest()[:16]}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        read = _read(count, {"captions": captions, "tags": texts, "reference": reference})
        part = path.with_suffix(".part.npz")
        np.savez(part, **read)  # type: ignore[arg-type]
        part.replace(path)
    with np.load(path) as found:
        vectors = {name: found[name].astype(np.float64) for name in found.files}
    truth_NM = np.array(
        [[tag in scene(START + n).tags for tag in NAMES] + [False] * len(DECOYS) for n in range(count)], dtype=bool
    )
    reference_RD = vectors["reference"]
    reference_RD = reference_RD[agreement.distinct(reference_RD)]
    return Pool(vectors["images"], vectors["captions"], vectors["tags"], reference_RD, truth_NM)


def _read(count: int, texts: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.float32]]:
    from capprep.models.match import BlipMatcher
    from capprep.toybox.world import draw

    matcher, styles = BlipMatcher(WEIGHTS), [style for style in STYLES if style != "woodcut"]
    chosen = np.random.default_rng(START).integers(len(styles), size=count)
    images = []
    for start in range(0, count, BATCH):
        sys.stderr.write(f"\r{start} of {count} pictures")
        batch = range(start, min(start + BATCH, count))
        images.append(
            matcher.image_embeddings([np.asarray(draw(scene(START + n), style=styles[chosen[n]])) for n in batch])
        )
    sys.stderr.write("\r")
    return {"images": np.concatenate(images)} | {
        name: matcher.text_embeddings(list(each)) for name, each in texts.items()
    }


def planted(truth_NM: Flags, rng: np.random.Generator) -> Flags:
    """The true tags with errors: see the module."""
    tags_NM = truth_NM.copy()
    given = np.argwhere(truth_NM)
    rng.shuffle(given)
    left = round(SWAPPED * len(given))
    for (i, t), (j, u) in zip(given[::2], given[1::2], strict=False):
        # each of the two gets the other's tag, which must be wrong there
        if left > 0 and not (truth_NM[i, u] or truth_NM[j, t] or tags_NM[i, u] or tags_NM[j, t]):
            tags_NM[i, t] = tags_NM[j, u] = False
            tags_NM[i, u] = tags_NM[j, t] = True
            left -= 2
    for kind in (slice(0, len(NAMES)), slice(len(NAMES), None)):
        free = np.argwhere(~tags_NM[:, kind] & ~truth_NM[:, kind])
        for n, m in rng.permutation(free)[: round(ADDED / 2 * len(given))]:
            tags_NM[n, m + (kind.start or 0)] = True
    return tags_NM


def main() -> None:
    """Measure everything and print a table, or with --json one flat line behind it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="sets of each size (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=1500, metavar="N", help="of the pool (default: %(default)s)")
    parser.add_argument("--noise", type=float, default=0.0, metavar="X", help="length of noise added to the vectors")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw the figures of docs/agreement.md there")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--big", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.big:
        print(json.dumps(timed(*BIG) | {"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
        return
    drawn = pool(options.pictures)
    if options.figures:
        from agreement_figures import draw_figures

        draw_figures(judged(drawn, np.random.default_rng(FIGURES), 50), options.figures)
        return
    figures: dict[str, float] = {}
    print("| pictures | " + " | ".join(_COLUMNS.values()) + " |\n|--:" + "|--:" * len(_COLUMNS) + "|")
    for size in SIZES:
        rows = [measured(drawn, size, seed, options.noise) for seed in range(options.seeds)]
        means = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
        print(f"| {size} | " + " | ".join(f"{means[key]:.3f}" for key in _COLUMNS) + " |")
        figures |= {f"{key}_n{size}": value for key, value in means.items()}
    for key in ("false_flag_rate", "supported_fdr", "true_alarm"):
        figures[key] = max(figures[f"{key}_n{size}"] for size in SIZES)
    figures["permuted_detected"] = min(figures[f"permuted_detected_n{size}"] for size in SIZES)
    figures["stats_100_s"] = timed(100, 150)["seconds"]
    big = json.loads(subprocess.run([sys.executable, __file__, "--big"], capture_output=True, check=True).stdout)
    figures |= {"stats_10k_s": big["seconds"], "stats_10k_gb": big["gb"]}
    print(f"\n{BIG[0]} pictures, {BIG[1]} tags: {big['seconds']:.1f} s, {big['gb']:.2f} GB at most")
    print(f"100 pictures, 150 tags: {figures['stats_100_s']:.2f} s")
    if options.json:
        print(json.dumps({key: round(value, 4) for key, value in figures.items()}))


_COLUMNS = {
    "auroc": "AUROC of cells, judged tags",
    "auroc_all": "all tags",
    "false_flag_rate": "true tags flagged",
    "recall": "wrong tags flagged",
    "precision": "flags that are right",
    "supported": "tags supported",
    "supported_fdr": "of them false",
    "missing_precision": "missing ones that are right",
    "missing_recall": "found",
    "permuted_detected": "exchanged texts: no information",
    "true_alarm": "true texts: no information",
}


@dataclass(frozen=True)
class Judged:
    """One set with what was planted in it and what was found.

    Attributes:
        words: Of the tags that a picture of it has.
        classes: What each of them speaks of.
        tags_NM, truth_NM: Which tags are given, and which are true.
        similarity_NM: Of pictures and tags.
        reference_NR: Of pictures and tags, then the vocabulary of reference.
        captions_NN: Of pictures and each other's captions.
        verdicts, cells: What was found.
    """

    words: list[str]
    classes: list[str]
    tags_NM: Flags
    truth_NM: Flags
    similarity_NM: Floats
    reference_NR: Floats
    captions_NN: Floats
    verdicts: list[Verdict]
    cells: Cells

    def texts(self, order: NDArray[np.intp]) -> tuple[Floats, list[list[int]]]:
        """For `set_verdict`: each picture's caption and tags, given to the pictures in this order."""
        count = len(self.tags_NM)
        texts = [[int(n), *(count + np.flatnonzero(self.tags_NM[n]))] for n in order]
        return np.hstack([self.captions_NN, self.reference_NR]), texts


def judged(drawn: Pool, rng: np.random.Generator, size: int, noise: float = 0.0) -> Judged:
    """Draw a set from the pool, plant errors and judge it."""
    rows = rng.choice(len(drawn.images_ND), size, replace=False)
    images_ND = drawn.images_ND[rows]
    images_ND = images_ND + noise * rng.normal(size=images_ND.shape) / np.sqrt(images_ND.shape[1])
    images_ND /= np.linalg.norm(images_ND, axis=1, keepdims=True)
    tags_NM = planted(drawn.truth_NM[rows], rng)
    used_M = tags_NM.any(axis=0)
    tags_NM, truth_NM = tags_NM[:, used_M], drawn.truth_NM[rows][:, used_M]
    words = [tag_text(tag) for tag, used in zip((*NAMES, *DECOYS), used_M, strict=True) if used]
    classes = [class_of(text) for text in words]
    similarity_NM = images_ND @ drawn.tags_MD[used_M].T
    reference_NR = np.hstack([similarity_NM, images_ND @ drawn.reference_RD.T])
    verdicts = agreement.tag_verdicts(similarity_NM, tags_NM, reference_NR, classes=classes)
    cells = agreement.cell_verdicts(similarity_NM, tags_NM, verdicts, reference_NR)
    captions_NN = images_ND @ drawn.captions_ND[rows].T
    return Judged(words, classes, tags_NM, truth_NM, similarity_NM, reference_NR, captions_NN, verdicts, cells)


def measured(drawn: Pool, size: int, seed: int, noise: float) -> dict[str, float]:
    """Every figure of one set."""
    rng = np.random.default_rng((size, seed))
    found = judged(drawn, rng, size, noise)
    deals = [_uninformed(found, exchanged(size, rng)) for _ in range(DEALS)]
    return {
        **_of_cells(found.cells, found.tags_NM, found.truth_NM, found.classes),
        **_of_tags(found.verdicts, found.tags_NM, found.truth_NM),
        "permuted_detected": float(np.mean(deals)),
        "true_alarm": _uninformed(found, np.arange(size)),
    }


def _of_cells(cells: Cells, tags_NM: Flags, truth_NM: Flags, classes: Sequence[str]) -> dict[str, float]:
    doubt_NM = np.nan_to_num(cells.p_NM.astype(np.float64))  # what is not judged is not doubted
    wrong_NM, flagged_NM = tags_NM & ~truth_NM, cells.wrong_NM
    judged_NM = tags_NM & (np.array(classes) == VISUAL) & ~np.isnan(cells.p_NM)
    absent_NM = truth_NM & ~tags_NM
    return {
        "auroc": _auroc(doubt_NM[judged_NM], wrong_NM[judged_NM]),
        "auroc_all": _auroc(doubt_NM[tags_NM], wrong_NM[tags_NM]),
        "false_flag_rate": _share(flagged_NM & truth_NM, tags_NM & truth_NM),
        "recall": _share(flagged_NM & wrong_NM, wrong_NM),
        "precision": _share(flagged_NM & wrong_NM, flagged_NM),
        "missing_precision": _share(cells.missing_NM & absent_NM, cells.missing_NM),
        "missing_recall": _share(cells.missing_NM & absent_NM, absent_NM),
    }


def _of_tags(verdicts: Sequence[Verdict], tags_NM: Flags, truth_NM: Flags) -> dict[str, float]:
    """How many tags are supported, and of how many of them the pictures with it show it no more than the others."""
    supported = [m for m, verdict in enumerate(verdicts) if verdict.state == SUPPORTED]
    false = sum(truth_NM[tags_NM[:, m], m].mean() <= truth_NM[~tags_NM[:, m], m].mean() for m in supported)
    return {"supported": len(supported), "supported_fdr": float(false) / max(1, len(supported))}


def _uninformed(found: Judged, order: NDArray[np.intp]) -> float:
    """1 if the set's verdict is that its texts, captions and tags together and in that order, carry no information."""
    return float(agreement.set_verdict(*found.texts(order)).kind == NO_INFORMATION)


def exchanged(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A permutation that leaves nothing in its place."""
    while True:
        order = rng.permutation(count)
        if (order != np.arange(count)).all():
            return order


def _auroc(doubt: Floats, wrong: Flags) -> float:
    return float(auroc(doubt, wrong, np.ones((1, len(doubt))))[0])


def _share(part: Flags, whole: Flags) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def timed(count: int, tags: int) -> dict[str, float]:
    """Seconds of all statistics on random numbers: tags, cells and the set."""
    rng = np.random.default_rng(0)
    carriers_NM = rng.random((count, tags)) < rng.beta(0.5, 5, size=tags)
    similarity_NM = rng.standard_normal((count, tags), dtype=np.float32) + carriers_NM
    reference_NR = rng.standard_normal((count, 400), dtype=np.float32)
    texts = [np.flatnonzero(row).tolist() for row in carriers_NM]
    started = time.perf_counter()
    verdicts = agreement.tag_verdicts(similarity_NM, carriers_NM, reference_NR)
    agreement.cell_verdicts(similarity_NM, carriers_NM, verdicts, reference_NR)
    agreement.set_verdict(similarity_NM, texts)
    return {"seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
