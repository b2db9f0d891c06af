"""A micro-batcher: work that arrives while a model is busy goes out together as soon as the model is free.

An idle model gets the waiting items at once; nothing is delayed to wait for more. While every instance runs a batch,
another one is queued behind them only if it is nearly full (`Shapes.min_fill_when_busy`); until then items gather.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from portrait.server.batching.caller_key import current_caller_key
from portrait.server.batching.fairness import FairQueue
from portrait.server.batching.jobs import Job
from portrait.server.batching.shapes import Shapes
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
        limit: items that may be pending at one time; more are refused.
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
        self._is_scheduled = False
        """True if a dispatch is scheduled for this iteration of the loop."""
        self._arrived = 0
        """Units that arrived since the last dispatch."""
        self._queued = 0
        """Items in the queue, abandoned ones included."""
        self.pending = 0
        """Items that wait or run."""
        self.batches = 0
        """Batches run so far."""
        self.items = 0
        """Items in them."""
        self.padded_units = 0
        """Units in them (rows times padded length), padding included."""
        self.units = 0
        """Units in them without padding: tokens, events or candidates."""

    @property
    def instances(self) -> int:
        """Batches that the model runs at one time."""
        return self._instances

    def set_instances(self, instances: int) -> None:
        """Say how many batches the model runs at one time; as many as before may wait behind them."""
        self._concurrency += instances - self._instances
        self._instances = instances
        self._schedule_dispatch()

    def submit(self, item: T, deadline: float | None) -> "asyncio.Future[R]":
        """Have one item answered, as work of the current call. Who cancels the answer takes the item back.

        Args:
            item: what to run.
            deadline: `loop.time()` after which the answer is worth nothing; None if never.

        Returns:
            The answer. It fails as `run` fails, and with DeadlineExceeded if its time passes while it waits.

        Raises:
            Overloaded: too many items are pending.
        """
        if self.pending >= self._limit:
            raise Overloaded("too much work is waiting for the models", RETRY_SECONDS, ErrorReason.MODELS_BUSY)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._on_answered)
        length = self._length(item)
        latest = math.inf if deadline is None else deadline
        self._queue.push(Job(item, length, latest, next(self._arrivals), current_caller_key(), answer))
        self.pending += 1
        self._queued += 1
        self._arrived += length
        if self._queued > 2 * self._limit:
            self._drop_abandoned()
        self._schedule_dispatch()
        return answer

    def _on_answered(self, _: "asyncio.Future[R]") -> None:
        self.pending -= 1

    def _drop_abandoned(self) -> None:
        """Bound the memory of items that were taken back while the model is stuck."""
        self._queue.drop_abandoned()
        self._stage.drop_abandoned()
        self._queued = len(self._queue) + len(self._stage)

    def _schedule_dispatch(self) -> None:
        """Schedule a dispatch after this iteration of the loop: what arrives together goes out together."""
        if self._is_scheduled or len(self._running) >= self._concurrency:
            return
        shapes = self._shapes
        if self._is_busy and self._arrived < _GROWTH_SHARE * shapes.min_fill_when_busy * shapes.budget:
            return
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_scheduled = False
        self._arrived = 0
        while len(self._running) < self._concurrency and (batch := self._take_batch()) is not None:
            jobs, length = batch
            task = asyncio.create_task(self._execute(jobs, length))
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _take_batch(self) -> tuple[list[Job[T, R]], int] | None:
        """Jobs and their padded length; None if nothing waits, or all instances run and the next is not full."""
        self._stage.fill(asyncio.get_running_loop().time())
        plan = self._stage.plan()
        self._queued = len(self._queue) + len(self._stage)
        if plan is None or (self._is_busy and not self._is_full(plan)):
            return None
        return self._stage.take(plan), plan.length

    @property
    def _is_busy(self) -> bool:
        """True if every instance runs a batch."""
        return len(self._running) >= self._instances

    def _is_full(self, plan: Plan) -> bool:
        return plan.count >= self._shapes.min_fill_when_busy * self._shapes.max_rows(plan.length)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._dispatch()

    async def _execute(self, jobs: list[Job[T, R]], length: int) -> None:
        latest = max(job.deadline for job in jobs)
        self.batches += 1
        self.items += len(jobs)
        self.padded_units += len(jobs) * length
        self.units += sum(job.length for job in jobs)
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
