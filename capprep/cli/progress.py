"""Progress bars on stderr, with rate and time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
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
def bars(*, of_bytes: bool = False) -> Iterator[Watch]:
    """One bar for each stage that has something to do, kept when it is done.

    Args:
        of_bytes: What is counted are bytes, shown with their units.
    """
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(bar_width=20 if of_bytes else 40),
        DownloadColumn() if of_bytes else MofNCompleteColumn(),
        TransferSpeedColumn() if of_bytes else _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}
        totals: dict[str, int] = {}

        def watch(stage: str, done: int, total: int, detail: str = "") -> None:
            if stage not in tasks:
                # a transfer may have to be waited for before anybody knows how much it is
                if done >= total and not (of_bytes and detail):
                    return
                # what was known before this run counts as done and not towards the rate
                tasks[stage] = progress.add_task(stage, total=total or None, completed=done, detail=detail)
                totals[stage] = total
            # another total makes the rate be measured anew, which a small file after a large one is not worth
            if not of_bytes or abs(total - totals[stage]) > totals[stage] / 100:
                totals[stage] = total
            shown = totals[stage]
            completed = min(done, shown) if done < total else shown
            progress.update(tasks[stage], completed=completed, total=shown or None, detail=detail)

        yield watch
