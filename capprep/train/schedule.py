"""The learning-rate schedule as a string, by the webui's rules: `5e-5:100, 5e-6:1500, 5e-7`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from capprep.errors import ConfigError

LARGEST_RATE = 1e30
"""Rates that can be divided and multiplied in float32; sense ends long before."""


@dataclass(frozen=True)
class Segment:
    """One constant rate.

    Attributes:
        rate: The learning rate.
        start, stop: Updates number `start` up to `stop` - 1 use it, counted from 0 over the whole run.
    """

    rate: float
    start: int
    stop: int


@dataclass(frozen=True)
class Schedule:
    """Constant rates one after another, without a gap."""

    segments: tuple[Segment, ...]

    @property
    def end(self) -> int:
        """How many updates the whole run makes; the string may end it before, or one after, the steps asked for."""
        return self.segments[-1].stop

    def up_to(self, steps: int) -> Schedule:
        """The same without what comes after a number of updates."""
        kept = (Segment(s.rate, s.start, min(s.stop, steps)) for s in self.segments if s.start < steps)
        return Schedule(tuple(kept))

    def rate(self, step: int) -> float:
        """The rate of update number `step`, counted from 0.

        Raises:
            ValueError: The run has no such update.
        """
        for segment in self.segments:
            if segment.start <= step < segment.stop:
                return segment.rate
        raise ValueError(f"no update {step} in a run of {self.end}")


def parse(text: str, steps: int, start: int = 0) -> Schedule:
    """A schedule from its string.

    A comma list of `rate` or `rate:until`. `until` is an absolute step; an item whose `until` was reached
    is dropped, -1 means the end, and an item without exactly one colon lasts to the end. Nothing is
    interpolated, and nothing after an item that lasts to the end is read. An item that ends before the one
    in front of it still makes one update, as in the webui (hypernetwork training, 2022-2024).

    Args:
        text: Such as "5e-5:100, 5e-6:1500, 5e-7:10000, 5e-8:20000".
        steps: The largest number of updates.
        start: The update to go on from, where a run was begun elsewhere.

    Raises:
        ConfigError: A number cannot be read, or nothing is left to do.
    """
    try:
        items = list(_items(text, steps, start))
    except ValueError as error:
        raise _wrong(text, str(error)) from error
    if not items:
        raise _wrong(text, f"nothing is left to do after step {start}" if start else "it is empty")
    segments: list[Segment] = []
    for rate, until in items:
        begin = segments[-1].stop if segments else start
        segments.append(Segment(rate, begin, max(until, begin + 1)))
    return Schedule(tuple(segments))


def _items(text: str, steps: int, start: int) -> Iterator[tuple[float, int]]:
    """The pairs (rate, until) that count, in order."""
    for item in text.split(","):
        if not item.strip():
            continue
        parts = item.split(":")
        if len(parts) != 2 or int(parts[1]) == -1:
            yield _rate(parts[0]), steps
            return
        until = int(parts[1])
        if until > start:
            yield _rate(parts[0]), min(until, steps)
            if until > steps:
                return


def _rate(text: str) -> float:
    rate = float(text)
    if not abs(rate) <= LARGEST_RATE:
        raise ValueError(f"{text.strip()} is not a rate")
    return rate


def _wrong(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"learn_rate = {text!r} is not a schedule: {why}",
        'write rates and the step each lasts to, such as "5e-5:100, 5e-6:1500, 5e-7:10000"',
    )
