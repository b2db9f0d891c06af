"""Who is served next: callers share what the models can do; each caller's own work goes by deadline.

Interactive work goes before background work. Among callers of one kind, the one that was served least goes first, by
the rows' places: *virtual token counters* (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024), which
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

Turn = tuple[bool, float]
"""Whether it is background work, and its caller's counter: the smaller, the sooner."""

_REMEMBERED = 1_000
"""Callers of whom nothing waits, and whose counters are kept."""


class _Lane(Generic[T, R]):
    """Work of one kind, by caller."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, int, Job[T, R]]]] = {}
        """Of each caller of whom something waits: a heap by deadline, then by arrival."""
        self._turns: list[tuple[float, str]] = []
        """A heap of these callers by counter."""
        self._served: dict[str, float] = {}
        """Counters of callers that are ahead of the clock; the others start at the clock."""
        self._clock = 0.0
        """The counter of whoever was served last: what is new starts here."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, job: Job[T, R]) -> None:
        caller = job.share.caller
        if caller not in self._waiting:
            self._waiting[caller] = []
            heapq.heappush(self._turns, (max(self._clock, self._served.get(caller, 0.0)), caller))
        heapq.heappush(self._waiting[caller], (job.deadline, job.arrival, job))
        self._count += 1

    def pop(self, now: float) -> tuple[float, Job[T, R]] | None:
        while self._turns:
            counter, caller = self._turns[0]
            jobs = self._waiting[caller]
            while jobs and jobs[0][2].drop_if_dead(now):
                heapq.heappop(jobs)
                self._count -= 1
            if not jobs:
                self._leave(counter, caller)
                continue
            job = heapq.heappop(jobs)[2]
            self._count -= 1
            if jobs:
                heapq.heapreplace(self._turns, (counter + job.length, caller))
            else:
                self._leave(counter + job.length, caller)
            return counter, job
        return None

    def serve(self, counter: float) -> None:
        self._clock = max(self._clock, counter)

    def _leave(self, counter: float, caller: str) -> None:
        heapq.heappop(self._turns)
        del self._waiting[caller]
        self._served[caller] = counter
        if len(self._served) > _REMEMBERED:
            self._served = {name: served for name, served in self._served.items() if served > self._clock}
            if len(self._served) > _REMEMBERED:
                self._served.clear()

    def forget_gone(self) -> None:
        for jobs in self._waiting.values():
            jobs[:] = [each for each in jobs if not each[2].is_gone]
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
        self._lanes[job.share.background].push(job)

    def pop(self, now: float) -> tuple[Turn, Job[T, R]] | None:
        """Take the next job out; None if none waits. Jobs that are not worth running are dropped on the way.

        Args:
            now: the loop's time.

        Returns:
            the job's turn and the job.
        """
        for background, lane in enumerate(self._lanes):
            if (found := lane.pop(now)) is not None:
                counter, job = found
                return (bool(background), counter), job
        return None

    def serve(self, turn: Turn) -> None:
        """Note the turn of what is run now."""
        background, counter = turn
        self._lanes[background].serve(counter)

    def forget_gone(self) -> None:
        """Free the memory of jobs that nobody waits for."""
        for lane in self._lanes:
            lane.forget_gone()
