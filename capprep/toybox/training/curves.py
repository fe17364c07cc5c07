"""The curves of the trainings, for people, and their records, for whoever wants the numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

_SHOWN = {
    "tower": ("kind_right", "colour_right", "background_right", "tag_f1"),
    "captioner": ("caption_right", "word_right", "kind_right"),
    "match": ("beats_wrong", "pair_beats_wrong", "tag_auroc"),
    "tagger": ("f1", "f1_kinds", "f1_coloured", "f1_counts"),
}
_SMOOTHED = 5  # lines of the log


def draw_curves(work: Path, folder: Path) -> list[Path]:
    """One SVG for every training there is, with its `log.csv` and `run.json` beside it.

    Args:
        work: Where the trainings were run.
        folder: Where the curves go.

    Raises:
        ImportError: The package matplotlib, a development dependency, is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, shown in _SHOWN.items():
        log = work / name / "log.csv"
        if not log.exists():
            continue
        shutil.copyfile(log, folder / f"{name}.csv")
        shutil.copyfile(work / name / "run.json", folder / f"{name}.json")
        drawn.append(_drawn(pd.read_csv(log), shown, folder / f"{name}.svg"))
    return drawn


def _drawn(log: pd.DataFrame, shown: tuple[str, ...], path: Path) -> Path:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # the same numbers give the same file
    matplotlib.rcParams["svg.hashsalt"] = path.stem
    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    for name in shown:
        axes.plot(log["samples"] / 1000, log[name].rolling(_SMOOTHED, min_periods=1).mean(), label=name)
    axes.set(xlabel="thousand pictures", ylim=(0, 1.02), title=f"{path.stem}: on pictures that are not trained on")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
