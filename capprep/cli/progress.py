"""Progress bars on stderr, with rate and time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from capprep.run import Watch


class _Rate(ProgressColumn):
    """Items a second, or seconds an item where it is slow."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each", style="dim")


@contextmanager
def bars() -> Iterator[Watch]:
    """One bar for each stage that has something to do, kept when it is done."""
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[detail]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(stage: str, done: int, total: int, detail: str = "") -> None:
            if stage not in tasks:
                if done >= total:
                    return
                # what was known before this run counts as done and not towards the rate
                tasks[stage] = progress.add_task(stage, total=total, completed=done, detail=detail)
            progress.update(tasks[stage], completed=done, total=total, detail=detail)

        yield watch
