"""A micro-batcher: work that arrives while a model is busy goes out together as soon as the model is free.

It waits for nothing else: an idle model is given what there is at once. Work whose caller has gone, or whose
deadline has passed, is dropped before it costs anything.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from portrait.server.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")
R = TypeVar("R")

RETRY_SECONDS = 0.5


@dataclass(slots=True, order=True)
class _Job(Generic[T, R]):
    deadline: float
    arrival: int
    item: T = field(compare=False)
    answer: "asyncio.Future[R]" = field(compare=False)


class Batcher(Generic[T, R]):
    """Gathers single items into batches.

    Args:
        run: answers a batch, in its order; gets the batch and its latest deadline (None if some item has none).
        cut: how many of the given items, most urgent first, make the next batch; at least 1.
        concurrency: batches under way at one time.
        limit: items that may wait; more are refused.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T], float | None], Awaitable[Sequence[R]]],
        cut: Callable[[Sequence[T]], int],
        concurrency: int,
        limit: int,
    ) -> None:
        self._run, self._cut = run, cut
        self._free, self._limit = concurrency, limit
        self._waiting: list[_Job[T, R]] = []
        self._arrivals = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self.batches = 0
        """Batches run so far."""
        self.items = 0
        """Items in them."""

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._waiting)

    async def submit(self, item: T, deadline: float | None) -> R:
        """Have one item answered.

        Args:
            item: what to run.
            deadline: `loop.time()` after which the answer is worth nothing; None if never.

        Raises:
            Overloaded: too many items wait.
            DeadlineExceeded: its time passed while it waited.
        """
        if len(self._waiting) >= self._limit:
            raise Overloaded("too much work is waiting for the models", RETRY_SECONDS)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        job = _Job(math.inf if deadline is None else deadline, next(self._arrivals), item, answer)
        heapq.heappush(self._waiting, job)
        # After this turn of the loop: what arrives together goes out together.
        asyncio.get_running_loop().call_soon(self._dispatch)
        return await answer

    def _dispatch(self) -> None:
        while self._free and (jobs := self._next_batch()):
            self._free -= 1
            task = asyncio.create_task(self._execute(jobs))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[_Job[T, R]]:
        """The most urgent jobs that still matter, as many as `cut` says."""
        now = asyncio.get_running_loop().time()
        live = []
        for job in sorted(self._waiting):
            if job.answer.done():
                continue
            if job.deadline <= now:
                job.answer.set_exception(DeadlineExceeded("the deadline passed while the work waited"))
            else:
                live.append(job)
        size = self._cut([job.item for job in live]) if live else 0
        self._waiting = live[size:]  # sorted, hence a heap
        return live[:size]

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
            self._free += 1
            self._dispatch()
