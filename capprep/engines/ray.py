"""The engine for several machines: batches go to Ray actors.

Pictures' bytes travel with their rows. Stages that read blobs need a workspace on a file system all machines share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from capprep.engines.local import CRASHED
from capprep.errors import MissingExtra
from capprep.stage import Loads, Outcome, Reader, Row, Runtime, learn

Batch = Sequence[Row]


class _Worker:
    """Loads a stage once and then learns the facts of one batch after the other."""

    def __init__(self, stage: Loads, runtime: Runtime) -> None:
        self._read: Reader = stage.load(runtime)

    def work(self, batch: Batch) -> list[Outcome]:
        return learn(self._read, batch)


@dataclass(frozen=True)
class RayEngine:
    """Runs a stage on a Ray cluster: the one `RAY_ADDRESS` names, or one started on this machine.

    Attributes:
        runtime: What the stage's `load` is given on each worker.
        workers: How many actors.
        cpus, gpus: What each of them reserves.
    """

    runtime: Runtime = field(default_factory=Runtime)
    workers: int = 2
    cpus: float = 1.0
    gpus: float = 0.0

    def __call__(self, stage: Loads, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Sequence[Outcome]]]:
        """Yield each batch with its outcomes, in order, two batches an actor under way.

        Raises:
            MissingExtra: Ray is not installed.
        """
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("ray", "ray") from error
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        # an actor that dies is started again and its batch tried once more
        remote = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=-1, max_task_retries=1)(_Worker)
        actors = [remote.remote(stage, self.runtime) for _ in range(self.workers)]
        pending: deque[tuple[Batch, Any]] = deque()
        try:
            for number, batch in enumerate(batches):
                pending.append((batch, actors[number % len(actors)].work.remote(batch)))
                if len(pending) >= 2 * len(actors):
                    yield _done(ray, actors[0], *pending.popleft())
            while pending:
                yield _done(ray, actors[0], *pending.popleft())
        finally:
            for actor in actors:
                ray.kill(actor)


def _done(ray: Any, actor: Any, batch: Batch, result: Any) -> tuple[Batch, Sequence[Outcome]]:
    """A batch's outcomes; row by row where the batch killed its actor twice."""
    try:
        return batch, ray.get(result)
    except ray.exceptions.RayActorError:
        outcomes: list[Outcome] = []
        for row in batch:
            try:
                outcomes += ray.get(actor.work.remote([row]))
            except ray.exceptions.RayActorError:
                outcomes.append(CRASHED)
        return batch, outcomes
