"""Memory of a command does not grow with the number of pictures, but for what is compared all with all."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np

from capprep import pipeline
from capprep.facts import Appearance, PictureFact
from capprep.images.duplicates import Fingerprint
from capprep.images.screening import Measures
from capprep.sources import Source
from capprep.stage import Row, Value
from capprep.stages.picture import Picture
from capprep.workspace import Workspace

FINE = Measures(0.6, 0.5, 0.1, 0.9, 0.2, 7.0, 40.0, 0.0, 0.0, 0.0)
FACT = PictureFact(90, 90, "PNG", "RGB", 1, 1, (0.0, 0.0, 90.0, 90.0), 1.4, 64, measures=FINE)


def filled(root: Path, count: int) -> Workspace:
    """A workspace that knows so many pictures."""
    workspace = Workspace(root, create=True)
    rng = np.random.default_rng(0)
    key = workspace.begin(Picture(size=64))
    for start in range(0, count, 100):
        ids = [hashlib.sha256(bytes([n % 251, n // 251])).hexdigest() for n in range(start, start + 100)]
        workspace.sources.add(
            Source(bytes(root) + f"/raw/{n}.png".encode(), id_, 1, 1) for n, id_ in enumerate(ids, start)
        )
        rows, values = [Row(id_) for id_ in ids], []
        for id_ in ids:
            first, second, third, fourth = rng.integers(0, 2**63, 4).tolist()
            looks = Appearance.of(id_, Fingerprint((first, second, third, fourth), (0,) * 32), np.zeros(64, np.float32))
            values.append(Value({**FACT.to_json(), **looks.to_json()}, {"crop": id_.encode()}))
        workspace.record(key, rows, values)
    return workspace


def peak(root: Path, count: int) -> float:
    """The most memory that choosing, comparing with dataset/ and summing up takes, in bytes."""
    with filled(root, count) as workspace:
        pipeline.foresee(workspace)  # what is loaded once counts for nobody
        tracemalloc.start()
        foreseen = pipeline.foresee(workspace)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert foreseen.summary.pictures == foreseen.rendered.written == count
    return most


def test_a_picture_more_takes_a_few_hundred_bytes(tmp_path: Path) -> None:
    few, many = (peak(tmp_path / str(count), count) for count in (1100, 3300))
    # fingerprints, measures and ids in arrays, some of them twice at once; as objects they took over 3,000
    assert (many - few) / 2200 < 700
