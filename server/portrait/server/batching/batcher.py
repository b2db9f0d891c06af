"""A dynamic batcher: it collects items only while the model is busy, and sends them as soon as the model is free.

An idle model gets the waiting items at once: no timer delays them to fill a batch. While every instance of the model
runs a batch, the batcher sends another one ahead only if it is nearly full (`Shapes.min_fill_when_busy`).

An item's way: `submit` wraps it in a `Job` and pushes it to the fair queue; `_dispatch` has the `Stage` compose a batch
of jobs of similar lengths; `_execute` runs the batch and sets the answers of its jobs.
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
from portrait.server.runtime.tracing import context_for, trace_wait

T = TypeVar("T")
R = TypeVar("R")

RETRY_SECONDS = 0.5
"""Seconds after which a refused caller should retry."""
_GROWTH_SHARE = 0.25
"""While all instances are busy, the batcher plans a batch only after this share of the minimum batch has arrived, and
not at every item."""


class Batcher(Generic[T, R]):
    """Joins single items into batches of few shapes.

    Callers share the model fairly; the items of one caller are ordered by deadline (`fairness`). The batcher drops
    items whose caller has gone or whose deadline has passed before they reach the model.

    Args:
        run: runs a batch and returns one answer per item, in order; gets the items, their padded length, and the
            latest `loop.time()` deadline among them (None if an item has none).
        length: returns the length of an item in units: tokens, events or candidates.
        shapes: the allowed batch shapes.
        concurrency: maximum batches under way, including those that wait at the model behind a running one.
        limit: maximum pending items; `submit` refuses more.
        instances: batches that the model runs in parallel.
        name: the model's, in traces.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T], int, float | None], Awaitable[Sequence[R]]],
        length: Callable[[T], int],
        shapes: Shapes,
        concurrency: int,
        limit: int,
        instances: int = 1,
        name: str = "model",
    ) -> None:
        self._name, self._run, self._length, self._shapes = name, run, length, shapes
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
        """Items that wait or run; those that were answered or cancelled do not count."""
        self.batches = 0
        """Batches sent to the model so far."""
        self.items = 0
        """Items (rows) in these batches."""
        self.padded_units = 0
        """Units in these batches, padding included: rows times padded length."""
        self.units = 0
        """Units in these batches without padding: tokens, events or candidates."""

    @property
    def instances(self) -> int:
        """Number of batches that the model runs in parallel."""
        return self._instances

    def set_instances(self, instances: int) -> None:
        """Set how many batches the model runs in parallel; the number that may wait behind them stays the same."""
        self._concurrency += instances - self._instances
        self._instances = instances
        self._schedule_dispatch()

    def submit(self, item: T, deadline: float | None) -> "asyncio.Future[R]":
        """Queue one item on behalf of the current caller. Cancelling the returned future withdraws the item.

        Args:
            item: the input of the model.
            deadline: `loop.time()` after which nobody needs the answer; None if never.

        Returns:
            a future of the answer. It fails with the error of `run`, or with DeadlineExceeded if the deadline passes
            while the item waits.

        Raises:
            Overloaded: too many items are pending.
        """
        if self.pending >= self._limit:
            raise Overloaded("too much work is waiting for the models", RETRY_SECONDS, ErrorReason.MODELS_BUSY)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._on_answered)
        length = self._length(item)
        latest = math.inf if deadline is None else deadline
        span = trace_wait(f"wait for {self._name}", answer, {"portrait.units": length})
        self._queue.push(Job(item, length, latest, next(self._arrivals), current_caller_key(), answer, span))
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
        """Free the memory of withdrawn items, which would pile up behind a model that is stuck."""
        self._queue.drop_abandoned()
        self._stage.drop_abandoned()
        self._queued = len(self._queue) + len(self._stage)

    def _schedule_dispatch(self) -> None:
        """Schedule a dispatch after this iteration of the loop, so that items that arrive together share a batch."""
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
            context = context_for(job.span for job in jobs)
            task = asyncio.create_task(self._execute(jobs, length), context=context)
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _take_batch(self) -> tuple[list[Job[T, R]], int] | None:
        """Take the next batch; None if nothing waits, or if all instances are busy and the batch is not full.

        Returns:
            the jobs, and the length that they are padded to.
        """
        if not self._queued:
            return None
        self._stage.fill(asyncio.get_running_loop().time())
        plan = self._stage.plan()
        self._queued = len(self._queue) + len(self._stage)
        if plan is None or (self._is_busy and not self._is_full(plan)):
            return None
        self._queued -= plan.count
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
        except Exception as error:  # an error of the batch is the error of each of its items
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(error)
        finally:
            for job in jobs:
                job.answer.cancel()  # has an effect only if the batch itself was cancelled
