"""How well the tiny readers read pictures of the drawn world that they were never shown.

Pictures of 512x512 pixels go through the real classes in batches, captions with what `capprep caption` searches with:
mixed styles, combinations of kind and colour kept from training, every style and every damage. Styles are compared on
the same scenes, and so are damages. Intervals hold 95 % of the bootstrap's resamples.

    python tests/bench/toybox.py [--weights DIR] [--pictures N] [--each N] [--markdown FILE] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import capprep.toybox
from capprep.errors import CapprepError, ConfigError
from capprep.filewords import tag_text
from capprep.stages.blip import Blip
from capprep.toybox import evaluation as ev
from capprep.toybox.damage import DAMAGES, damaged
from capprep.toybox.negatives import POINTS
from capprep.toybox.styles import STYLES
from capprep.toybox.training.pool import FIRST_SEED, KNOWN_STYLES, UNSEEN_STYLE
from capprep.toybox.world import TAGS, Scene, draw, scene

# N pictures, T tags, D numbers of an embedding, L patches, W numbers of a patch, B rows of weights

WEIGHTS = Path(capprep.toybox.__file__).parent / "weights"
READERS = ("caption", "match", "booru")
START = 10**9  # of the seeds; nothing else is drawn from there
COMBINATIONS_START = START + 10**8
WORKERS, BATCH, PAIRS = 2, 32, 256
THRESHOLD = 0.5  # a tag's probability
MAIN, COMBINATIONS = "unseen scenes", "unseen combinations"

# torch and what needs it is imported by the process that reads, not by those that draw


@dataclass(frozen=True)
class Wanted:
    """A picture to be drawn."""

    seed: int
    style: str
    damage: tuple[str, ...] = ()

    @property
    def scene(self) -> Scene:
        return scene(self.seed)

    @property
    def tags(self) -> tuple[str, ...]:
        return self.scene.tags_drawn(self.style, self.damage)


@dataclass
class Read:
    """What the readers answered to a set of pictures, in its order."""

    captions: list[str] = dataclasses.field(default_factory=list)
    greedy: list[str] = dataclasses.field(default_factory=list)
    tags: list[NDArray[np.float32]] = dataclasses.field(default_factory=list)
    vectors: list[NDArray[np.float32]] = dataclasses.field(default_factory=list)
    pairs: list[NDArray[np.float32]] = dataclasses.field(default_factory=list)


Values = dict[str, ev.Floats]
"""Each figure for the pictures themselves and their resamples."""


def main() -> None:
    """Read all sets and print the tables, or with --json one flat line behind them."""
    options = _options()
    try:
        readers = Readers(options.weights)
    except CapprepError as error:
        sys.exit(f"{error.message}\n  {error.hint}")
    figures: dict[str, Values] = {}
    judged_tags: dict[str, str] = {}
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        for name, pictures in _sets(options.pictures, options.each).items():
            sys.stderr.write(f"{name}: {len(pictures)} pictures\n")
            figures[name], judged_tags[name] = _judged(pictures, readers, pool, greedily=name == MAIN)
    text = _report(figures, judged_tags, options)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(_flat(figures, options)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="DIR", help="with caption/, match/ and booru/")
    parser.add_argument("--pictures", type=int, default=600, metavar="N", help="of the main set (default: %(default)s)")
    parser.add_argument("--each", type=int, default=200, metavar="N", help="of the others; 0 leaves them out")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.pictures < 10 or 0 < options.each < 10:
        parser.error("fewer than 10 pictures say nothing")
    return options


def _sets(pictures: int, each: int) -> dict[str, list[Wanted]]:
    """Every set by name; styles and damages show the main set's first scenes."""
    assert START + pictures < COMBINATIONS_START < FIRST_SEED
    styles = itertools.cycle(KNOWN_STYLES)  # chance from a scene's seed would go with what is to be seen
    mixed = [Wanted(START + number, next(styles)) for number in range(max(pictures, each))]
    sets = {MAIN: mixed[:pictures]}
    if not each:
        return sets
    combined = (seed for seed in itertools.count(COMBINATIONS_START) if scene(seed).held_out)
    sets[COMBINATIONS] = [Wanted(seed, next(styles)) for seed in itertools.islice(combined, each)]
    for style in STYLES:
        sets[_style(style)] = [dataclasses.replace(wanted, style=style) for wanted in mixed[:each]]
    for damage in DAMAGES:
        sets[_damage(damage)] = [dataclasses.replace(wanted, damage=(damage,)) for wanted in mixed[:each]]
    return sets


def _style(name: str) -> str:
    return f"style {name}" + (" (never shown)" if name == UNSEEN_STYLE else "")


def _damage(name: str) -> str:
    return f"damage {name}"


def _drawn(wanted: Wanted) -> NDArray[np.uint8]:
    shown = wanted.scene
    image, boxes = draw(shown, style=wanted.style), shown.boxes()
    for damage in wanted.damage:
        image, boxes = damaged(image, damage, wanted.seed, boxes)
    return np.asarray(image)


def _batches(wanted: Sequence[Wanted], pool: Pool) -> Iterator[list[NDArray[np.uint8]]]:
    """Pictures batch by batch; while one is read the next is drawn, and no more."""
    batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    ahead = pool.map_async(_drawn, batches[0], chunksize=4)
    for following in [*batches[1:], []]:
        pictures = ahead.get()
        ahead = pool.map_async(_drawn, following, chunksize=4)
        yield pictures


class Readers:
    """The three readers of a folder, and the pair's head of the matcher."""

    def __init__(self, folder: Path) -> None:
        from transformers import BlipForImageTextRetrieval

        from capprep.models import pretrained
        from capprep.models.blip import BlipCaptioner
        from capprep.models.match import BlipMatcher
        from capprep.models.tagger import OnnxTagger

        self._captioner = BlipCaptioner(folder / "caption")
        self.matcher = BlipMatcher(folder / "match")
        self._blip = pretrained.load(BlipForImageTextRetrieval, folder / "match", "cpu", "float32")
        self._tagger = OnnxTagger(folder / "booru" / "model.onnx", folder / "booru" / "labels.csv")
        labels = [label.name for label in self._tagger.labels]
        if sorted(labels) != sorted(TAGS):
            raise ConfigError(f"the tagger in {folder} has other tags than the drawn world", "train it again")
        self._columns = [labels.index(tag) for tag in TAGS]
        usual = {field.name: field.default for field in dataclasses.fields(Blip)}
        names = ("num_beams", "min_new_tokens", "max_new_tokens", "no_repeat_ngram_size", "repetition_penalty")
        self._search: dict[str, Any] = {name: usual[name] for name in names}

    def read(
        self, into: Read, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[list[str]], greedily: bool
    ) -> None:
        """Append every reader's answers.

        Args:
            into: What is appended to.
            pictures: Of 512x512 pixels.
            texts: For each picture those that the pair's head is asked about.
            greedily: Whether captions are made by greedy search as well.
        """
        into.captions += self._captioner.captions(pictures, **self._search)
        into.greedy += self._captioner.captions(pictures) if greedily else []
        into.tags += list(self._tagger.probabilities(pictures)[:, self._columns])
        into.vectors += list(self.matcher.image_embeddings(pictures))
        into.pairs += self._pairs(pictures, texts)

    def _pairs(self, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[list[str]]) -> list[NDArray[np.float32]]:
        """How much rather each text fits its picture than not, by the cross-attending head.

        What `BlipForImageTextRetrieval` does with `use_itm_head=True`, the vision once for each picture; the text
        begins with [ENC] as in BLIP's own code.
        """
        import torch

        owners = [row for row, own in enumerate(texts) for _ in own]
        flat = [text for own in texts for text in own]
        model, words = self._blip.model, self._blip.words
        scores = []
        with torch.inference_mode():
            seen_NLW = model.vision_model(pixel_values=self._blip.pixel_batch(pictures)).last_hidden_state
            for start in range(0, len(flat), PAIRS):
                part = slice(start, start + PAIRS)
                tokens = words(flat[part], padding=True, return_tensors="pt")
                tokens["input_ids"][:, 0] = words.convert_tokens_to_ids("[ENC]")
                states = model.text_encoder(
                    input_ids=tokens["input_ids"],
                    attention_mask=tokens["attention_mask"],
                    encoder_hidden_states=seen_NLW[owners[part]],
                ).last_hidden_state
                logits = model.itm_head(states[:, 0])
                scores.append((logits[:, 1] - logits[:, 0]).numpy())
        return _by_owner(np.concatenate(scores), texts)


def _by_owner(scores_M: NDArray[Any], texts: Sequence[list[str]]) -> list[NDArray[Any]]:
    """Scores of all texts, one after the other, as those of each picture."""
    return np.split(scores_M, np.cumsum([len(own) for own in texts])[:-1])


def _judged(wanted: Sequence[Wanted], readers: Readers, pool: Pool, greedily: bool) -> tuple[Values, str]:
    """Every figure of a set, and how many tags the matcher's are of."""
    scenes = [each.scene for each in wanted]
    swapped, wrong = ev.swapped(scenes), ev.wrong_captions(scenes)
    texts = [[shown.caption, other, *own.values()] for shown, other, own in zip(scenes, swapped, wrong, strict=True)]
    read, at = Read(), 0
    for pictures in _batches(wanted, pool):
        readers.read(read, pictures, texts[at : at + len(pictures)], greedily)
        at += len(pictures)
    weights_BN = ev.resamples(len(wanted))
    points = [["", "swapped", *own] for own in wrong]  # what each text is
    vectors_ND = np.array(read.vectors)
    contrast = _by_owner(_cosines(readers, vectors_ND, texts), texts)
    values = _caption_figures(read.captions, scenes, weights_BN, "caption")
    values |= _caption_figures(read.greedy, scenes, weights_BN, "greedy") if greedily else {}
    values |= _tag_figures(np.array(read.tags), wanted, weights_BN)
    values |= _wrong_figures(contrast, points, weights_BN, "match")
    values |= _wrong_figures(read.pairs, points, weights_BN, "match_pair")
    single, counts = _single_tag_figures(readers, vectors_ND, wanted, weights_BN)
    return values | single, counts


def _cosines(readers: Readers, vectors_ND: NDArray[np.float32], texts: Sequence[list[str]]) -> ev.Floats:
    """The contrast of each text with its picture, one after the other."""
    flat = [text for own in texts for text in own]
    different = list(dict.fromkeys(flat))
    known = {text: row for row, text in enumerate(different)}
    parts = [different[start : start + PAIRS] for start in range(0, len(different), PAIRS)]
    texts_MD = np.concatenate([readers.matcher.text_embeddings(part) for part in parts])
    owners = np.repeat(np.arange(len(texts)), [len(own) for own in texts])
    cosines_M: ev.Floats = (vectors_ND[owners] * texts_MD[[known[text] for text in flat]]).sum(axis=1, dtype=np.float64)
    return cosines_M


def _caption_figures(captions: list[str], scenes: list[Scene], weights_BN: ev.Floats, prefix: str) -> Values:
    hits = ev.caption_hits(captions, scenes)
    return {f"{prefix}_{_CAPTION_KEYS[name]}": ev.share(*parts, weights_BN) for name, parts in hits.items()}


def _tag_figures(p_NT: NDArray[np.float32], wanted: Sequence[Wanted], weights_BN: ev.Floats) -> Values:
    said_NT, true_NT = p_NT >= THRESHOLD, ev.truth([each.tags for each in wanted])
    values = {}
    for name, tags in ev.TAG_GROUPS.items():
        columns = ev.columns(tags)
        values[_TAG_KEYS[name]] = ev.micro_f1(said_NT[:, columns], true_NT[:, columns], weights_BN)
    return values


def _wrong_figures(
    scores: Sequence[NDArray[Any]], points: Sequence[list[str]], weights_BN: ev.Floats, prefix: str
) -> Values:
    """AUROC of the true captions against others' and against those wrong in a point, of the scenes that have it."""
    groups: dict[str, set[str]] = {"": {"swapped"}, "_wrong": set(POINTS)}
    groups |= {f"_wrong_{point}": {point} for point in POINTS}
    values = {}
    for key, asked in groups.items():
        rows, flags, found = [], [], []
        for row, (own, named) in enumerate(zip(scores, points, strict=True)):
            false = [score for score, point in zip(own, named, strict=True) if point in asked]
            if false:
                found += [own[0], *false]
                flags += [True] + [False] * len(false)
                rows += [row] * (1 + len(false))
        values[f"{prefix}_auroc{key}"] = ev.auroc(
            np.array(found, np.float64), np.array(flags, np.bool_), weights_BN[:, rows]
        )
    return values


def _single_tag_figures(
    readers: Readers, vectors_ND: NDArray[np.float32], wanted: Sequence[Wanted], weights_BN: ev.Floats
) -> tuple[Values, str]:
    """AUROC of pictures with a tag against those without it, by the contrast with the tag's words."""
    true_NT = ev.truth([each.tags for each in wanted])
    values, counts = {}, []
    for name, key in _SINGLE.items():
        tags = ev.TAG_GROUPS[name]
        texts_TD = readers.matcher.text_embeddings([tag_text(tag) for tag in tags])
        scores_NT = (vectors_ND @ texts_TD.T).astype(np.float64)
        values[f"match_auroc_{key}"], count = ev.mean_auroc(scores_NT, true_NT[:, ev.columns(tags)], weights_BN)
        counts.append(str(count))
    lowest = [values[f"match_auroc_{key}"] for key in ("kind", "coloured_kind", "background")]
    return values | {"match_auroc_tags": np.min(lowest, axis=0)}, " + ".join(counts)


_CAPTION_KEYS = {
    "objects": "object_recall",
    "numbers": "number_recall",
    "exact": "exact",
    "background": "background",
    "light": "light",
}
_TAG_KEYS = {
    "all": "tag_f1",
    "kinds": "tag_f1_kinds",
    "colours": "tag_f1_colours_alone",
    "coloured kinds": "tag_f1_colour",
    "counts": "tag_f1_counts",
    "backgrounds": "tag_f1_backgrounds",
    "light": "tag_f1_light",
    "the rest": "tag_f1_rest",
    "style": "tag_f1_style",
    "damage": "tag_f1_damage",
    "rating": "tag_f1_rating",
}
_SINGLE = {
    "kinds": "kind",
    "coloured kinds": "coloured_kind",
    "counts": "count",
    "backgrounds": "background",
    "light": "light",
}
"""Groups of tags whose words the matcher is asked about."""

_POINT_COLUMNS = {"any point": "_wrong", **{point: f"_wrong_{point}" for point in POINTS}}
_TABLES: dict[str, dict[str, str]] = {
    "Captioner: share of things named with colour and kind, of those with their number as well, of captions exactly "
    "right, of right backgrounds and lights": {
        "objects": "caption_object_recall",
        "and number": "caption_number_recall",
        "exact": "caption_exact",
        "background": "caption_background",
        "light": "caption_light",
    },
    f"Tagger: micro-F1 at probability {THRESHOLD}": {
        "all": "tag_f1",
        **{name: _TAG_KEYS[name] for name in ("kinds", "colours", "coloured kinds", "counts")},
    },
    "Tagger: micro-F1 of the rest": {
        name: _TAG_KEYS[name] for name in ("backgrounds", "light", "the rest", "style", "damage", "rating")
    },
    "Matcher, contrast: AUROC of true captions against other scenes', and of single tags' words, mean of the tags": {
        "captions": "match_auroc",
        **{name: f"match_auroc_{key}" for name, key in _SINGLE.items()},
    },
    "Matcher, contrast: AUROC of true captions against captions wrong in one point": {
        name: f"match_auroc{key}" for name, key in _POINT_COLUMNS.items()
    },
    "Matcher, pair's head: AUROC of true captions against other scenes' and against captions wrong in one point": {
        "captions": "match_pair_auroc",
        **{name: f"match_pair_auroc{key}" for name, key in _POINT_COLUMNS.items()},
    },
}


def _report(figures: dict[str, Values], judged_tags: dict[str, str], options: argparse.Namespace) -> str:
    """All tables in Markdown."""
    about = (
        f"{options.pictures} unseen scenes in {len(KNOWN_STYLES)} styles, {options.each} pictures of every other set; "
        f"95 % intervals from {ev.RESAMPLES} resamples; {_megabytes(options.weights):.2f} MB of weights."
    )
    parts = [about]
    for title, keys in _TABLES.items():
        rows = [[name, *(_cell(values[key]) for key in keys.values())] for name, values in figures.items()]
        header = ["pictures", *keys]
        if "caption_exact" in keys.values():
            greedy = [_cell(figures[MAIN][key.replace("caption_", "greedy_")]) for key in keys.values()]
            rows.insert(1, [f"{MAIN}, greedy search", *greedy])
        if "match_auroc_kind" in keys.values():
            header.append("tags judged")
            rows = [[*row, judged_tags[row[0]]] for row in rows]
        parts.append(f"{title}:\n\n{_table([header, *rows])}")
    return "\n\n".join(parts)


def _cell(values_B: ev.Floats) -> str:
    found = ev.estimate(values_B)
    return "-" if math.isnan(found.value) else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows)


def _flat(figures: dict[str, Values], options: argparse.Namespace) -> dict[str, float | int | None]:
    """The main set's figures, and the headline ones of the other sets, each with its interval."""
    values = dict(figures[MAIN])
    if options.each:
        groups = {
            "unseen_combinations": [COMBINATIONS],
            "unseen_style": [_style(UNSEEN_STYLE)],
            "known_styles": [_style(name) for name in KNOWN_STYLES],
            "damaged": [_damage(name) for name in DAMAGES],
        }
        headline = ("caption_object_recall", "caption_exact", "tag_f1", "tag_f1_kinds", "tag_f1_colour")
        for group, names in groups.items():
            for key in (*headline, "match_auroc", "match_auroc_tags"):
                # the sets of a group show the same scenes: one resample is the same scenes in all of them
                values[f"{key}_{group}"] = np.mean([figures[name][key] for name in names], axis=0)
    result: dict[str, float | int | None] = {"pictures": options.pictures, "each": options.each}
    for key, values_B in values.items():
        for suffix, number in zip(("", "_low", "_high"), dataclasses.astuple(ev.estimate(values_B)), strict=True):
            result[key + suffix] = None if math.isnan(number) else round(number, 4)
    result["bundle_mb"] = round(_megabytes(options.weights), 3)
    return result


def _megabytes(folder: Path) -> float:
    """Of the three readers' files together."""
    files = [path for reader in READERS for path in (folder / reader).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    main()
