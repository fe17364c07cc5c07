"""The Ray engine agrees with the local one."""

from __future__ import annotations

import pytest

from capprep.engines.local import LocalEngine
from capprep.engines.ray import RayEngine
from capprep.errors import MissingExtra
from capprep.stage import Row
from capprep.stages.picture import Picture


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra) as caught:
        list(RayEngine()(Picture(), []))
    assert 'pip install "capprep[ray]"' in caught.value.hint


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_engines_agree(pictures: list[bytes]) -> None:
    ray = pytest.importorskip("ray")
    rows = [Row(str(n), content) for n, content in enumerate([*pictures, b"not a picture"] * 2)]
    batches = [rows[start : start + 3] for start in range(0, len(rows), 3)]
    try:
        assert list(RayEngine()(Picture(size=64), batches)) == list(LocalEngine()(Picture(size=64), batches))
    finally:
        ray.shutdown()
