"""A cooperative scheduler of admitted work: the event loop accepts and refuses calls while the work goes on.

grpc.aio accepts calls one after the other, each in four or five iterations of the event loop. Models answer in batches:
if all calls of a batch went on in one iteration, it would last for tens of milliseconds, and new calls would be neither
served nor refused before their deadlines.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any, TypeVar, cast

R = TypeVar("R")

MAX_WORK_SECONDS = 0.002
"""After this much work, the scheduler pauses, so that calls are accepted."""
QUIET_ITERATIONS = 12
"""A pause lasts until no call has arrived for this many iterations: an arrival shows after four or five."""
MAX_PAUSE_RATIO = 3.0
"""But no longer than this many times the work before it: callers who retry at once after a refusal must not stop the
work of the gateway."""


class CooperativeScheduler:
    """Runs one step of admitted work in each iteration of the event loop, and pauses for new calls.

    Work that arrived first goes first, so that new work does not delay work that is almost done.

    Args:
        clock: returns the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._work_seconds = 0.0
        """Time of work since the last pause."""
        self._pause_end = 0.0
        """The latest time at which the current pause ends."""
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap, ordered by the number of the work, and then by a number of the entry, as futures have no order."""
        self._quiet_iterations = 0
        """Iterations of the event loop since the last arrival of a call."""
        self._busy = False
        """True while a step runs in this iteration, or the scheduler pauses."""

    @coroutine
    def run(self, work: Awaitable[R]) -> Generator[Any, Any, R]:
        """Run work to its end; each step, from one await to the next, waits for its turn. Returns the result."""
        steps: Any = work.__await__()
        number = next(self._numbers)
        step = steps.send
        sent: Any = None
        while True:
            try:
                yield from self._wait_for_turn(number).__await__()
            except BaseException as error:  # cancelled: the end of the work is cheap, and needs no turn
                step, sent = steps.throw, error
            started = self._clock()
            try:
                waits_for = step(sent)
            except StopIteration as ended:
                return cast("R", ended.value)
            finally:
                self._work_seconds += self._clock() - started
            try:
                sent = yield waits_for
                step = steps.send
            except BaseException as error:
                step, sent = steps.throw, error

    async def _wait_for_turn(self, number: int) -> None:
        if self._busy:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (number, next(self._numbers), turn))
            await turn
        else:
            self._start_step()

    def _start_step(self) -> None:
        """Let no other step run in this iteration."""
        self._busy = True
        asyncio.get_running_loop().call_soon(self._end_iteration)

    def note_arrival(self) -> None:
        """Record the arrival of a call: others may have arrived with it, which are accepted or refused first."""
        self._quiet_iterations = 0

    def _end_iteration(self) -> None:
        """Start the next step, or pause. There is no pause while no work waits."""
        now = self._clock()
        self._quiet_iterations += 1
        if self._work_seconds >= MAX_WORK_SECONDS:
            self._pause_end, self._quiet_iterations = now + MAX_PAUSE_RATIO * self._work_seconds, 0
            self._work_seconds = 0.0
        if self._waiting and now < self._pause_end and self._quiet_iterations < QUIET_ITERATIONS:
            asyncio.get_running_loop().call_soon(self._end_iteration)
            return
        self._busy = False
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():  # otherwise its work was cancelled
                turn.set_result(None)
                self._start_step()
                return
