"""The next few batches' worth of work, from which each batch is composed."""

import heapq
from dataclasses import dataclass
from typing import Generic, TypeVar

from portrait.server.batching.fairness import FairQueue, QueueKey
from portrait.server.batching.jobs import Job
from portrait.server.batching.shapes import Shapes, group_lengths

T = TypeVar("T")
R = TypeVar("R")

LOOKAHEAD_BATCHES = 8
"""Batches' worth of work to compose from: more makes batches of more equal lengths; less lets urgent work in sooner."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that can run next."""

    first: QueueKey
    """Queue key of the job that the batch is made for."""
    rows: dict[int, int]
    """Number of jobs of each padded length."""

    @property
    def length(self) -> int:
        """Padded length of all rows."""
        return max(self.rows)

    @property
    def count(self) -> int:
        """Number of jobs."""
        return sum(self.rows.values())


class Stage(Generic[T, R]):
    """Jobs taken from the queue, grouped by padded length.

    The job with the smallest queue key is always in the next batch; jobs of similar lengths join it, by queue key.

    Args:
        shapes: allowed batch shapes.
        queue: where jobs come from.
    """

    def __init__(self, shapes: Shapes, queue: FairQueue[T, R]) -> None:
        self._shapes, self._queue = shapes, queue
        self._jobs: dict[int, list[tuple[QueueKey, float, int, Job[T, R]]]] = {}
        """By padded length, each a heap by queue key, deadline, arrival."""

    def __len__(self) -> int:
        return sum(map(len, self._jobs.values()))

    def fill(self, now: float) -> None:
        """Drop expired jobs and take jobs from the queue until there are enough to compose batches from."""
        padded_units = 0
        for length, jobs in list(self._jobs.items()):
            alive = [each for each in jobs if not each[3].drop_if_expired(now)]
            if not alive:
                del self._jobs[length]
            elif len(alive) < len(jobs):
                heapq.heapify(alive)
                self._jobs[length] = alive
            padded_units += length * len(alive)
        while padded_units < LOOKAHEAD_BATCHES * self._shapes.budget and (found := self._queue.pop(now)) is not None:
            queue_key, job = found
            length = self._shapes.padded_length(job.length)
            heapq.heappush(self._jobs.setdefault(length, []), (queue_key, job.deadline, job.arrival, job))
            padded_units += length

    def plan(self) -> Plan | None:
        """Plan the next batch; None without jobs."""
        if not self._jobs:
            return None
        first = min(self._jobs, key=lambda length: self._jobs[length][0])
        groups = group_lengths({length: len(jobs) for length, jobs in self._jobs.items()}, self._shapes)
        group = next(group for group in groups if first in group)
        # The nearest lengths first: what does not fit into the budget is what would have wasted most.
        rows: dict[int, int] = {}
        for length in sorted(group, key=lambda length: (abs(length - first), length)):
            room = self._shapes.max_rows(max(length, *rows, 0)) - sum(rows.values())
            if room <= 0:
                break
            rows[length] = min(room, len(self._jobs[length]))
        self._trim_rows(rows)
        return Plan(self._jobs[first][0][0], rows)

    def _trim_rows(self, rows: dict[int, int]) -> None:
        """Leave out what makes the number of rows one that is not allowed, the farthest lengths first."""
        over = sum(rows.values()) - self._shapes.rows_within(sum(rows.values()))
        for length in reversed(list(rows)):
            less = min(over, rows[length])
            rows[length] -= less
            over -= less
            if not rows[length]:
                del rows[length]

    def take(self, plan: Plan) -> list[Job[T, R]]:
        """Take the jobs of a plan that was made since the last `fill`."""
        jobs: list[Job[T, R]] = []
        for length, count in plan.rows.items():
            heap = self._jobs[length]
            jobs.extend(heapq.heappop(heap)[3] for _ in range(count))
            if not heap:
                del self._jobs[length]
        self._queue.serve(plan.first)
        return jobs

    def drop_abandoned(self) -> None:
        """Free the memory of abandoned jobs."""
        for jobs in self._jobs.values():
            jobs[:] = [each for each in jobs if not each[3].is_abandoned]
            heapq.heapify(jobs)
        self._jobs = {length: jobs for length, jobs in self._jobs.items() if jobs}
