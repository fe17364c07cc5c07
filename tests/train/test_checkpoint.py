from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from capprep.errors import CheckpointError
from capprep.train import checkpoint
from capprep.train.checkpoint import Description, Provenance
from capprep.train.hypernetwork import Hypernetwork, Structure, build

DESCRIBED = Description(12, "XavierNormal", "0123456789", "sd", Provenance("s", "m", "b", 9))


def network(structure: Structure | None = None) -> Hypernetwork:
    return build([12, 8], structure or Structure(), "XavierNormal", torch.Generator().manual_seed(1))


def legacy(**changes: Any) -> dict[Any, Any]:
    """A file as the webui wrote it in October 2022: widths, step and name, no more."""
    pair = network().pair(8)
    assert pair is not None
    weights = tuple(OrderedDict(module.state_dict()) for module in pair)
    return {8: weights, "step": 7, "name": "old", **changes}


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    ours = network(Structure((1, 1.5, 1), "mish", True))
    sha256 = checkpoint.write(tmp_path / "a-12.pt", ours, DESCRIBED)
    file = checkpoint.read(tmp_path / "a-12.pt")
    assert file.description == DESCRIBED
    assert file.name == "a-12"
    assert file.sha256 == sha256 == hashlib.sha256((tmp_path / "a-12.pt").read_bytes()).hexdigest()
    assert file.network.structure == ours.structure
    assert list(file.network.state_dict()) == list(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(file.network.parameters(), ours.parameters(), strict=True))


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        checkpoint.write(tmp_path / folder / "a.pt", network(), DESCRIBED)
    assert (tmp_path / "x" / "a.pt").read_bytes() == (tmp_path / "y" / "a.pt").read_bytes()


def test_weights_that_are_no_numbers_are_not_written_over_good_ones(tmp_path: Path) -> None:
    file, broken = tmp_path / "a.pt", network()
    checkpoint.write(file, broken, DESCRIBED)
    good = file.read_bytes()
    with torch.no_grad():
        next(broken.parameters())[0] = float("inf")
    with pytest.raises(CheckpointError, match="not finite"):
        checkpoint.write(file, broken, DESCRIBED)
    assert file.read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_file_that_would_not_read_back_the_same_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = checkpoint.webui_archive(legacy(name="a"))
    monkeypatch.setattr(checkpoint, "webui_archive", lambda _content: other)
    with pytest.raises(CheckpointError, match="would not read back"):
        checkpoint.write(tmp_path / "a.pt", network(), DESCRIBED)
    optimizer = torch.optim.AdamW(network().parameters())
    with pytest.raises(CheckpointError, match="would not read back"):
        checkpoint.write_optimizer(tmp_path / "a.pt", "0" * 64, optimizer, {})
    assert not list(tmp_path.iterdir())


def test_an_optimizers_state_is_taken_only_beside_its_own_file(tmp_path: Path) -> None:
    ours = network()
    optimizer = torch.optim.AdamW(ours.parameters(), lr=0.5)
    sum(weight.square().sum() for weight in ours.parameters()).backward()
    optimizer.step()
    file = tmp_path / "a.pt"
    sha256 = checkpoint.write(file, ours, DESCRIBED)
    checkpoint.write_optimizer(file, sha256, optimizer, {"smoothed_loss": 0.25})
    found = checkpoint.read_optimizer(file, sha256)
    assert found is not None
    state, extra = found
    assert extra == {"smoothed_loss": 0.25}
    assert torch.equal(state["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert checkpoint.read_optimizer(file, "f" * 64) is None
    assert checkpoint.read_optimizer(tmp_path / "b.pt", sha256) is None
    checkpoint.optimizer_path(file).write_bytes(b"no archive")
    assert checkpoint.read_optimizer(file, sha256) is None


def test_an_old_file_gets_the_webuis_defaults(tmp_path: Path) -> None:
    pair = network(Structure((1, 2, 1), "relu")).pair(8)
    assert pair is not None
    weights = {8: tuple(module.state_dict() for module in pair)}
    torch.save(legacy(activation_func="relu") | weights, tmp_path / "old.pt")
    file = checkpoint.read(tmp_path / "old.pt")
    assert file.network.structure == Structure((1, 2, 1), "relu", activate_output=True)
    assert (file.description.step, file.name, file.description.provenance) == (7, "old", None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"use_dropout": False}, ()),
        ({"use_dropout": True}, ()),
        ({"use_dropout": True, "last_layer_dropout": True}, (0.0, 0.3, 0.0)),
        ({"dropout_structure": [0, 0.1, 0]}, (0.0, 0.1, 0.0)),
        ({"dropout_structure": [0, 0, 0]}, ()),
    ],
)
def test_dropout_of_all_three_generations_is_understood(
    tmp_path: Path, said: dict[str, Any], expected: tuple[float, ...]
) -> None:
    pair = network(Structure(dropout=expected)).pair(8)
    assert pair is not None
    torch.save(legacy(**said) | {8: tuple(m.state_dict() for m in pair)}, tmp_path / "old.pt")
    assert checkpoint.read(tmp_path / "old.pt").network.structure.dropout == expected


def test_half_precision_files_are_read(tmp_path: Path) -> None:
    content = legacy()
    content[8] = tuple({key: tensor.half() for key, tensor in weights.items()} for weights in content[8])
    torch.save(content, tmp_path / "half.pt")
    assert next(checkpoint.read(tmp_path / "half.pt").network.parameters()).dtype == torch.float32


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("loaded",))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2], "no width"),
        ({"8": legacy()[8], "name": "text for a width"}, "no width"),
        (legacy(activation_func="gelu"), "'gelu' is not known"),
        (legacy(layer_structure=[1, 3, 1]), "size mismatch for linear.0.weight"),
        (legacy() | {8: legacy()[8][:1]}, "shorter"),
        (legacy(layer_structure=None), "not iterable"),
        (Evil(), "damaged or no hypernetwork"),
    ],
)
def test_a_file_that_is_no_usable_hypernetwork_is_an_error_that_says_why(
    tmp_path: Path, content: Any, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=why) as error:
        checkpoint.read(tmp_path / "x.pt")
    assert str(tmp_path / "x.pt") in error.value.message
    assert "hypernetwork file" in error.value.hint
    assert "loaded" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"])
def test_a_missing_or_damaged_file_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        checkpoint.read(tmp_path / "x.pt")
