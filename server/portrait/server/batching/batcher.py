"""A micro-batcher: work that arrives while a model is busy goes out together as soon as the model is free.

An idle model is given what there is at once; there is no delay to wait for more. While every instance of it runs a
batch, the next one goes out behind them only if it is as good as full (`Shapes.behind`): what is not gathers.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from portrait.server.batching.fairness import FairQueue
from portrait.server.batching.jobs import Job
from portrait.server.batching.shapes import Shapes
from portrait.server.batching.share import current_share
from portrait.server.batching.stage import Plan, Stage
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")

RETRY_SECONDS = 0.5
_GROWTH_SHARE = 0.25
"""While all instances run, another batch is looked for whenever this share of what it must have has come."""


class Batcher(Generic[T, R]):
    """Gathers single items into batches of few shapes.

    Callers share the model fairly; each caller's own items go by deadline (`fairness`). Items whose caller has gone, or
    whose deadline has passed, are dropped before they cost anything.

    Args:
        run: answers a batch, in its order; gets the batch, the length that its items are padded to, and its latest
            deadline (None if some item has none).
        length: an item's length.
        shapes: what batches may look like.
        concurrency: batches under way at one time, those that wait behind a running one included.
        limit: items that may be unanswered at one time; more are refused.
        instances: batches that the model runs at one time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T], int, float | None], Awaitable[Sequence[R]]],
        length: Callable[[T], int],
        shapes: Shapes,
        concurrency: int,
        limit: int,
        instances: int = 1,
    ) -> None:
        self._run, self._length, self._shapes = run, length, shapes
        self._concurrency, self._limit, self._instances = concurrency, limit, instances
        self._queue: FairQueue[T, R] = FairQueue()
        self._stage: Stage[T, R] = Stage(shapes, self._queue)
        self._arrivals = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self._looks = False
        """Whether it will be looked for a batch in this turn of the loop."""
        self._come = 0
        """Places that have come since it was looked for a batch."""
        self._kept = 0
        """Items that wait, those among them that nobody waits for included."""
        self.unanswered = 0
        """Items that wait or run."""
        self.batches = 0
        """Batches run so far."""
        self.items = 0
        """Items in them."""
        self.places = 0
        """Rows times length of them, padding included."""
        self.filled = 0
        """Places in them that are no padding."""

    @property
    def instances(self) -> int:
        """Batches that the model runs at one time."""
        return self._instances

    def set_instances(self, instances: int) -> None:
        """Say how many batches the model runs at one time; as many as before may wait behind them."""
        self._concurrency += instances - self._instances
        self._instances = instances
        self._look()

    def submit(self, item: T, deadline: float | None) -> "asyncio.Future[R]":
        """Have one item answered, as work of the current call. Who cancels the answer takes the item back.

        Args:
            item: what to run.
            deadline: `loop.time()` after which the answer is worth nothing; None if never.

        Returns:
            The answer. It fails as `run` fails, and with DeadlineExceeded if its time passes while it waits.

        Raises:
            Overloaded: too many items are unanswered.
        """
        if self.unanswered >= self._limit:
            raise Overloaded("too much work is waiting for the models", RETRY_SECONDS, ErrorReason.MODELS_BUSY)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._count_answered)
        length = self._length(item)
        latest = math.inf if deadline is None else deadline
        self._queue.push(Job(item, length, latest, next(self._arrivals), current_share(), answer))
        self.unanswered += 1
        self._kept += 1
        self._come += length
        if self._kept > 2 * self._limit:
            self._forget_gone()
        self._look()
        return answer

    def _count_answered(self, _: "asyncio.Future[R]") -> None:
        self.unanswered -= 1

    def _forget_gone(self) -> None:
        """Bound the memory of items that were taken back while the model is stuck."""
        self._queue.forget_gone()
        self._stage.forget_gone()
        self._kept = len(self._queue) + len(self._stage)

    def _look(self) -> None:
        """Look for a batch after this turn of the loop: what arrives together goes out together."""
        if self._looks or len(self._running) >= self._concurrency:
            return
        shapes = self._shapes
        if self._is_busy and self._come < _GROWTH_SHARE * shapes.behind * shapes.budget:
            return
        self._looks = True
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._looks = False
        self._come = 0
        while len(self._running) < self._concurrency and (batch := self._next_batch()) is not None:
            jobs, length = batch
            task = asyncio.create_task(self._execute(jobs, length))
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _next_batch(self) -> tuple[list[Job[T, R]], int] | None:
        """Jobs and their padded length; None if nothing waits, or all instances run and the next is not full."""
        self._stage.fill(asyncio.get_running_loop().time())
        plan = self._stage.plan()
        self._kept = len(self._queue) + len(self._stage)
        if plan is None or (self._is_busy and not self._is_full(plan)):
            return None
        return self._stage.take(plan), plan.length

    @property
    def _is_busy(self) -> bool:
        """Whether every instance has a batch."""
        return len(self._running) >= self._instances

    def _is_full(self, plan: Plan) -> bool:
        return plan.count >= self._shapes.behind * self._shapes.most_rows(plan.length)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._dispatch()

    async def _execute(self, jobs: list[Job[T, R]], length: int) -> None:
        latest = max(job.deadline for job in jobs)
        self.batches += 1
        self.items += len(jobs)
        self.places += len(jobs) * length
        self.filled += sum(job.length for job in jobs)
        try:
            answers = await self._run([job.item for job in jobs], length, None if math.isinf(latest) else latest)
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
