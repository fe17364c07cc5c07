from __future__ import annotations

from itertools import groupby

import pytest

from capprep.errors import ConfigError
from capprep.train.schedule import parse


def counted(text: str, steps: int, start: int = 0) -> list[tuple[float, int]]:
    """How many updates are made at which rate, asked one update at a time."""
    schedule = parse(text, steps, start)
    rates = [schedule.rate(step) for step in range(start, schedule.end)]
    return [(rate, len(list(same))) for rate, same in groupby(rates)]


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("1e-5", 1000, [(1e-5, 1000)]),
        (
            "5e-5:100, 5e-6:1500, 5e-7:10000, 5e-8:20000",
            20000,
            [(5e-5, 100), (5e-6, 1400), (5e-7, 8500), (5e-8, 10000)],
        ),
        ("5e-5:100, 5e-6:1500", 20000, [(5e-5, 100), (5e-6, 1400)]),
        ("5e-5:100, 5e-6", 2000, [(5e-5, 100), (5e-6, 1900)]),
        ("5e-5:100, 5e-6:-1", 2000, [(5e-5, 100), (5e-6, 1900)]),
        ("1e-4:500,1e-5:1000,1e-6:2000", 1000, [(1e-4, 500), (1e-5, 500), (1e-6, 1)]),
        ("1e-4:500,1e-5:1001,1e-6:2000", 1000, [(1e-4, 500), (1e-5, 500)]),
        ("1e-4:500,1e-5:300,1e-6:800", 800, [(1e-4, 500), (1e-5, 1), (1e-6, 299)]),
        ("1e-4:0,1e-5", 500, [(1e-5, 500)]),
        ("1e-4:100:200,1e-5", 500, [(1e-4, 500)]),
        ("1e-4:100,,1e-5", 500, [(1e-4, 100), (1e-5, 400)]),
        ("0:100,1e-5", 300, [(0.0, 100), (1e-5, 200)]),
        ("-1e-4:100", 300, [(-1e-4, 100)]),
    ],
)
def test_a_schedule_gives_the_webuis_number_of_updates_at_each_rate(
    text: str, steps: int, expected: list[tuple[float, int]]
) -> None:
    assert counted(text, steps) == expected


@pytest.mark.parametrize("text", ["", " , ", "abc", "1e-4:1e2", "1e-4:100.0", "1e-4:x", "nan", "inf:100", "1e38"])
def test_a_schedule_that_cannot_be_read_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ConfigError, match="learn_rate") as error:
        parse(text, 1000)
    assert repr(text) in error.value.message
    assert "5e-5:100" in error.value.hint


def test_a_run_begun_elsewhere_goes_on_with_the_rate_of_its_step() -> None:
    assert counted("5e-5:100,5e-6:1500,5e-7:10000", 20000, start=1500) == [(5e-7, 8500)]


def test_a_run_begun_elsewhere_with_nothing_left_is_an_error() -> None:
    with pytest.raises(ConfigError, match="after step 1500"):
        parse("5e-5:100,5e-6:1500", 10000, start=1500)


def test_there_is_no_rate_outside_the_run() -> None:
    with pytest.raises(ValueError, match="no update 10"):
        parse("1e-5", 10).rate(10)
