from __future__ import annotations

from pathlib import Path

import pytest

from capprep.train.metrics import Row, append, open_after, smoothed


def row(step: int) -> Row:
    return Row(step, step // 3, 1 / (step + 2), 0.1 + 0.2, 5e-06, step * 0.5)


def written(path: Path, steps: range) -> str:
    rows, _ = open_after(path, 0)
    with rows:
        for step in steps:
            append(rows, row(step))
    return path.read_text(encoding="utf-8")


def test_a_row_keeps_every_digit(tmp_path: Path) -> None:
    text = written(tmp_path / "m.csv", range(1, 2))
    assert text == (
        "step,epoch,loss,smoothed_loss,learn_rate,seconds\n1,0,0.3333333333333333,0.30000000000000004,5e-06,0.500\n"
    )


def test_rows_past_the_checkpoint_are_cut_and_the_rest_stays_to_the_letter(tmp_path: Path) -> None:
    whole = written(tmp_path / "m.csv", range(1, 8))
    rows, seconds = open_after(tmp_path / "m.csv", 5)
    assert seconds == 2.5
    with rows:
        for step in range(6, 8):
            append(rows, row(step))
    assert (tmp_path / "m.csv").read_text(encoding="utf-8") == whole


@pytest.mark.parametrize("torn", ["8", "8,2,0.1", "8,2,0.1,0.1,5e-06,4.000,junk\n9,"])
def test_a_row_torn_by_a_kill_is_cut(tmp_path: Path, torn: str) -> None:
    whole = written(tmp_path / "m.csv", range(1, 8))
    (tmp_path / "m.csv").write_text(whole + torn, encoding="utf-8")
    open_after(tmp_path / "m.csv", 8)[0].close()
    assert (tmp_path / "m.csv").read_text(encoding="utf-8") == whole


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    rows, _ = open_after(tmp_path / "m.csv", 0)
    with rows:
        append(rows, row(1))
        assert len((tmp_path / "m.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_the_smoothed_loss_is_first_a_mean_and_then_forgets() -> None:
    value = 0.0
    for step, loss in enumerate([1.0, 2.0, 6.0], start=1):
        value = smoothed(value, loss, step)
    assert value == pytest.approx(3.0)
    assert smoothed(1.0, 2.0, 5000) == pytest.approx(1.01)
