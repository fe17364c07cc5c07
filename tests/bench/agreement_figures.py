"""The figures of docs/agreement.md: tags of one set with planted errors, and own texts against other pictures'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from agreement import Judged, exchanged

from capprep.agreement import SUPPORTED, WEAK, centred, set_verdict
from capprep.agreement.sets import own_shares

OTHER, OWN, WRONG = "#9aa4b2", "#1f6f8b", "#c8442f"


def draw_figures(found: Judged, folder: Path) -> None:
    """Two SVG files, the same for the same set.

    Args:
        found: The set that is shown.
        folder: Where they go.
    """
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "agreement"
    folder.mkdir(parents=True, exist_ok=True)
    _tags(found, folder / "tags.svg")
    _set(found, folder / "set.svg")


def _shown(found: Judged) -> list[int]:
    """A few tags: supported with wrong pictures, supported without, and not supported though tested."""
    flagged = found.cells.wrong_NM.sum(axis=0)
    tested = [m for m, verdict in enumerate(found.verdicts) if verdict.q is not None and verdict.carriers > 3]
    supported = [m for m in tested if found.verdicts[m].state == SUPPORTED]
    doubtful = sorted((m for m in supported if flagged[m]), key=lambda m: -flagged[m])
    clean = sorted((m for m in supported if not flagged[m]), key=lambda m: -found.verdicts[m].carriers)
    weak = [m for m, verdict in enumerate(found.verdicts) if verdict.kind == WEAK]
    weak.sort(key=lambda m: -found.verdicts[m].carriers)
    return [*clean[:2], *doubtful[:2], *weak[:2]]


def _tags(found: Judged, path: Path) -> None:
    from matplotlib import pyplot

    residual_NM = centred(found.similarity_NM, found.reference_NR)
    shown = _shown(found)
    figure, axes = pyplot.subplots(figsize=(7.6, 0.62 * len(shown) + 1.0), layout="constrained")
    rng = np.random.default_rng(0)
    for row, m in enumerate(reversed(shown)):
        fit_N, carried_N, wrong_N = residual_NM[:, m], found.tags_NM[:, m], found.cells.wrong_NM[:, m]
        height_N = row + rng.uniform(-0.16, 0.16, len(fit_N))
        for flags_N, colour, size in ((~carried_N, OTHER, 9), (carried_N, OWN, 20)):
            axes.scatter(fit_N[flags_N], height_N[flags_N], s=size, color=colour, linewidths=0, alpha=0.8)
        axes.scatter(fit_N[wrong_N], height_N[wrong_N], s=70, facecolors="none", edgecolors=WRONG)
        verdict = found.verdicts[m]
        said = f"{verdict.state if verdict.state == SUPPORTED else verdict.kind}, AUC {verdict.auc:.2f}"
        axes.text(1.01, row, said, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set(yticks=range(len(shown)), yticklabels=[found.words[m] for m in reversed(shown)])
    axes.set(xlabel="how well the tag fits the picture, after centring", ylim=(-0.5, len(shown) - 0.5))
    marks: list[Any] = [
        axes.scatter([], [], s=20, color=OWN, label="has the tag"),
        axes.scatter([], [], s=9, color=OTHER, label="has it not"),
        axes.scatter([], [], s=70, facecolors="none", edgecolors=WRONG, label="said to be wrong here"),
    ]
    figure.legend(handles=marks, loc="outside upper left", ncols=3, fontsize=8, frameon=False)
    _save(figure, path)


def _set(found: Judged, path: Path) -> None:
    from matplotlib import pyplot

    count = len(found.tags_NM)
    orders = {"their own texts": np.arange(count), "other pictures' texts": exchanged(count, np.random.default_rng(0))}
    figure, rows = pyplot.subplots(1, 2, figsize=(7.6, 2.6), sharey=True, layout="constrained")
    for axes, (title, order), colour in zip(rows, orders.items(), (OWN, WRONG), strict=True):
        similarity_NR, texts = found.texts(order)
        verdict = set_verdict(similarity_NR, texts)
        assert verdict.effect is not None
        axes.hist(own_shares(similarity_NR, texts), bins=np.linspace(0, 1, 21), color=colour, alpha=0.85)
        effect = verdict.effect
        axes.axvspan(effect.low, effect.high, color="black", alpha=0.15, linewidth=0)
        axes.axvline(effect.value, color="black", linewidth=1)
        mean = f"mean {effect.value:.2f} ({effect.low:.2f} to {effect.high:.2f}): {verdict.kind}"
        axes.set_title(f"Pictures with {title}\n{mean}", fontsize=9)
        axes.set_xlabel("share of other texts that fit less well", fontsize=8)
    rows[0].set_ylabel("pictures", fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
