"""Fair queueing: callers share what the models can do; each caller's own work goes by deadline.

Interactive work goes before background work. Among callers of one kind, the one that was served least goes first, by
the rows' units: *virtual token counters* (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024), which
is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) for work whose order within a caller is not that of
arrival. A caller that comes back starts where the others are: nobody saves up what was not asked for.

Why not the earliest deadline first for all: it would give everything to whoever asks for the shortest deadlines, and
under overload it lets one late piece of work make all others late (Buttazzo, Spuri and Sensini, "Value vs. Deadline
Scheduling in Overload Conditions", RTSS 1995). A deadline only says what of a caller's own work is urgent.
"""

import heapq
from typing import Generic, TypeVar

from portrait.server.batching.jobs import Job

T = TypeVar("T")
R = TypeVar("R")

QueueKey = tuple[bool, float]
"""Background flag and the caller's counter; the smallest key runs first."""

_MAX_IDLE_CALLERS = 1_000
"""Callers without waiting work whose counters are kept."""


class _Lane(Generic[T, R]):
    """Interactive or background work, by caller."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, int, Job[T, R]]]] = {}
        """Waiting jobs of each caller: a heap by deadline, then by arrival."""
        self._callers: list[tuple[float, str]] = []
        """Heap of the callers with waiting jobs, by counter."""
        self._served: dict[str, float] = {}
        """Counters of idle callers that are ahead of the clock; other callers start at the clock."""
        self._clock = 0.0
        """Counter of the caller served last: a new caller starts here."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, job: Job[T, R]) -> None:
        caller = job.key.caller
        if caller not in self._waiting:
            self._waiting[caller] = []
            heapq.heappush(self._callers, (max(self._clock, self._served.get(caller, 0.0)), caller))
        heapq.heappush(self._waiting[caller], (job.deadline, job.arrival, job))
        self._count += 1

    def pop(self, now: float) -> tuple[float, Job[T, R]] | None:
        while self._callers:
            counter, caller = self._callers[0]
            jobs = self._waiting[caller]
            while jobs and jobs[0][2].drop_if_expired(now):
                heapq.heappop(jobs)
                self._count -= 1
            if not jobs:
                self._leave(counter, caller)
                continue
            job = heapq.heappop(jobs)[2]
            self._count -= 1
            if jobs:
                heapq.heapreplace(self._callers, (counter + job.length, caller))
            else:
                self._leave(counter + job.length, caller)
            return counter, job
        return None

    def serve(self, counter: float) -> None:
        self._clock = max(self._clock, counter)

    def _leave(self, counter: float, caller: str) -> None:
        heapq.heappop(self._callers)
        del self._waiting[caller]
        self._served[caller] = counter
        if len(self._served) > _MAX_IDLE_CALLERS:
            self._served = {name: served for name, served in self._served.items() if served > self._clock}
            if len(self._served) > _MAX_IDLE_CALLERS:
                self._served.clear()

    def drop_abandoned(self) -> None:
        for jobs in self._waiting.values():
            jobs[:] = [each for each in jobs if not each[2].is_abandoned]
            heapq.heapify(jobs)
        self._count = sum(map(len, self._waiting.values()))


class FairQueue(Generic[T, R]):
    """Jobs in the order in which they ought to run."""

    def __init__(self) -> None:
        self._lanes: tuple[_Lane[T, R], _Lane[T, R]] = (_Lane(), _Lane())

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def push(self, job: Job[T, R]) -> None:
        """Add a job."""
        self._lanes[job.key.background].push(job)

    def pop(self, now: float) -> tuple[QueueKey, Job[T, R]] | None:
        """Take the next job out; None if none waits. Jobs that are not worth running are dropped on the way.

        Args:
            now: the loop's time.

        Returns:
            the job's queue key and the job.
        """
        for background, lane in enumerate(self._lanes):
            if (found := lane.pop(now)) is not None:
                counter, job = found
                return (bool(background), counter), job
        return None

    def serve(self, queue_key: QueueKey) -> None:
        """Record the queue key of the job that runs now."""
        background, counter = queue_key
        self._lanes[background].serve(counter)

    def drop_abandoned(self) -> None:
        """Free the memory of abandoned jobs."""
        for lane in self._lanes:
            lane.drop_abandoned()
