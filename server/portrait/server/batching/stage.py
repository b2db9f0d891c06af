"""The next few batches' worth of work, from which each batch is composed."""

import heapq
from dataclasses import dataclass
from typing import Generic, TypeVar

from portrait.server.batching.fairness import FairQueue, Turn
from portrait.server.batching.jobs import Job
from portrait.server.batching.shapes import Shapes, cut

T = TypeVar("T")
R = TypeVar("R")

BATCHES = 8
"""Batches' worth of work to compose from: more makes batches of more equal lengths; less lets urgent work in sooner."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that could be run."""

    first: Turn
    """The turn that it is made for."""
    rows: dict[int, int]
    """How many jobs of each padded length."""

    @property
    def length(self) -> int:
        """What all of them are padded to."""
        return max(self.rows)

    @property
    def count(self) -> int:
        """How many jobs."""
        return sum(self.rows.values())


class Stage(Generic[T, R]):
    """Jobs that were let in by their turn, sorted by length.

    The job whose turn comes first is in the next batch; jobs of like lengths go with it, again by turn.

    Args:
        shapes: what batches may look like.
        queue: where jobs come from.
    """

    def __init__(self, shapes: Shapes, queue: FairQueue[T, R]) -> None:
        self._shapes, self._queue = shapes, queue
        self._jobs: dict[int, list[tuple[Turn, float, int, Job[T, R]]]] = {}
        """By padded length, each a heap by turn, deadline, arrival."""

    def __len__(self) -> int:
        return sum(map(len, self._jobs.values()))

    def fill(self, now: float) -> None:
        """Drop what is not worth running, and let jobs in until there is enough to choose from."""
        places = 0
        for length, jobs in list(self._jobs.items()):
            alive = [each for each in jobs if not each[3].drop_if_dead(now)]
            if not alive:
                del self._jobs[length]
            elif len(alive) < len(jobs):
                heapq.heapify(alive)
                self._jobs[length] = alive
            places += length * len(alive)
        while places < BATCHES * self._shapes.budget and (found := self._queue.pop(now)) is not None:
            turn, job = found
            length = self._shapes.padded(job.length)
            heapq.heappush(self._jobs.setdefault(length, []), (turn, job.deadline, job.arrival, job))
            places += length

    def plan(self) -> Plan | None:
        """The next batch; None if nothing is here."""
        if not self._jobs:
            return None
        first = min(self._jobs, key=lambda length: self._jobs[length][0])
        groups = cut({length: len(jobs) for length, jobs in self._jobs.items()}, self._shapes)
        group = next(group for group in groups if first in group)
        # The nearest lengths first: what does not fit into the budget is what would have wasted most.
        rows: dict[int, int] = {}
        for length in sorted(group, key=lambda length: (abs(length - first), length)):
            room = self._shapes.most_rows(max(length, *rows, 0)) - sum(rows.values())
            if room <= 0:
                break
            rows[length] = min(room, len(self._jobs[length]))
        self._leave_over(rows)
        return Plan(self._jobs[first][0][0], rows)

    def _leave_over(self, rows: dict[int, int]) -> None:
        """Leave out what makes the number of rows one that is not allowed, the farthest lengths first."""
        over = sum(rows.values()) - self._shapes.rows_within(sum(rows.values()))
        for length in reversed(list(rows)):
            less = min(over, rows[length])
            rows[length] -= less
            over -= less
            if not rows[length]:
                del rows[length]

    def take(self, plan: Plan) -> list[Job[T, R]]:
        """The jobs of a plan that was made since the stage was filled."""
        jobs: list[Job[T, R]] = []
        for length, count in plan.rows.items():
            heap = self._jobs[length]
            jobs.extend(heapq.heappop(heap)[3] for _ in range(count))
            if not heap:
                del self._jobs[length]
        self._queue.serve(plan.first)
        return jobs

    def forget_gone(self) -> None:
        """Free the memory of jobs that nobody waits for."""
        for jobs in self._jobs.values():
            jobs[:] = [each for each in jobs if not each[3].is_gone]
            heapq.heapify(jobs)
        self._jobs = {length: jobs for length, jobs in self._jobs.items() if jobs}
