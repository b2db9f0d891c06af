"""A micro-batcher: work that arrives while a model is busy goes out together as soon as the model is free.

It waits for nothing else: an idle model is given what there is at once. Work whose caller has gone, or whose
deadline has passed, is dropped before it costs anything.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from portrait.server.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")
R = TypeVar("R")

RETRY_SECONDS = 0.5


class _Job(NamedTuple, Generic[T, R]):
    """Ordered by deadline, then by arrival, which no two jobs share."""

    deadline: float
    arrival: int
    item: T
    answer: "asyncio.Future[R]"


class Batcher(Generic[T, R]):
    """Gathers single items into batches of one shape, the most urgent shape first.

    Args:
        run: answers a batch, in its order; gets the batch and its latest deadline (None if some item has none).
        shape: what an item must share with the others of its batch: the length it is padded to.
        size: how many items make the next batch, of so many that wait in a shape; at least 1. Called with shape
            and number.
        concurrency: batches under way at one time.
        limit: items that may be unanswered at one time; more are refused.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T], float | None], Awaitable[Sequence[R]]],
        shape: Callable[[T], int],
        size: Callable[[int, int], int],
        concurrency: int,
        limit: int,
    ) -> None:
        self._run, self._shape, self._size = run, shape, size
        self._free, self._limit = concurrency, limit
        self._waiting: dict[int, list[_Job[T, R]]] = {}
        """By shape, each a heap."""
        self._arrivals = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self.unanswered = 0
        """Items that wait or run."""
        self.batches = 0
        """Batches run so far."""
        self.items = 0
        """Items in them."""

    def submit(self, item: T, deadline: float | None) -> "asyncio.Future[R]":
        """Have one item answered. Who cancels the answer takes the item back, unless it runs already.

        Args:
            item: what to run.
            deadline: `loop.time()` after which the answer is worth nothing; None if never.

        Returns:
            The answer. It fails as `run` fails, and with DeadlineExceeded if its time passes while it waits.

        Raises:
            Overloaded: too many items are unanswered.
        """
        if self.unanswered >= self._limit:
            raise Overloaded("too much work is waiting for the models", RETRY_SECONDS)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        answer.add_done_callback(self._count_answered)
        self.unanswered += 1
        job = _Job(math.inf if deadline is None else deadline, next(self._arrivals), item, answer)
        heapq.heappush(self._waiting.setdefault(self._shape(item), []), job)
        if sum(map(len, self._waiting.values())) > 2 * self._limit:
            self._forget_cancelled()
        # After this turn of the loop: what arrives together goes out together.
        loop.call_soon(self._dispatch)
        return answer

    def _count_answered(self, _: "asyncio.Future[R]") -> None:
        self.unanswered -= 1

    def _forget_cancelled(self) -> None:
        """Bound the memory of items that were taken back while the model is stuck."""
        for shape, jobs in self._waiting.items():
            # Sorted, hence a heap.
            self._waiting[shape] = sorted(job for job in jobs if not job.answer.done())

    def _dispatch(self) -> None:
        while self._free and (jobs := self._next_batch()):
            self._free -= 1
            task = asyncio.create_task(self._execute(jobs))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[_Job[T, R]]:
        """The most urgent jobs of the shape that holds the most urgent of all; empty if nothing waits."""
        now = asyncio.get_running_loop().time()
        for jobs in self._waiting.values():
            _drop_dead(jobs, now)
        self._waiting = {shape: jobs for shape, jobs in self._waiting.items() if jobs}
        if not self._waiting:
            return []
        shape = min(self._waiting, key=lambda each: self._waiting[each][0])
        jobs = self._waiting[shape]
        batch: list[_Job[T, R]] = []
        size = self._size(shape, len(jobs))
        while jobs and len(batch) < size:
            batch.append(heapq.heappop(jobs))
            _drop_dead(jobs, now)
        return batch

    async def _execute(self, jobs: list[_Job[T, R]]) -> None:
        latest = max(job.deadline for job in jobs)
        self.batches += 1
        self.items += len(jobs)
        try:
            answers = await self._run([job.item for job in jobs], None if math.isinf(latest) else latest)
            for job, answer in zip(jobs, answers, strict=True):
                if not job.answer.done():
                    job.answer.set_result(answer)
        except Exception as error:  # every caller of the batch is told
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(error)
        finally:
            for job in jobs:
                job.answer.cancel()  # of a run that was cancelled; the others are done
            self._free += 1
            self._dispatch()


def _drop_dead(jobs: list[_Job[T, R]], now: float) -> None:
    """Take jobs off the top of a heap that nobody waits for, and those whose time is up."""
    while jobs and (jobs[0].answer.done() or jobs[0].deadline <= now):
        answer = heapq.heappop(jobs).answer
        if not answer.done():
            answer.set_exception(DeadlineExceeded("the deadline passed while the work waited"))
