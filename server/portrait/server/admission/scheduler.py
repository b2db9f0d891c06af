"""Admitted work takes turns, so that calls are accepted, and refused, while it is done.

grpc.aio accepts calls one after the other, each in four or five turns of the event loop. Models answer in batches: if
all the calls of a batch went on in one turn, it would last for tens of milliseconds, and those who call meanwhile would
be neither served nor refused before their time is up.
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
"""After so much work there is room for calls."""
QUIET_ITERATIONS = 12
"""The room lasts until no call has come for so many turns of the loop: one that came takes four or five to be seen."""
MAX_PAUSE_RATIO = 3.0
"""But no longer than so many times the work before it: callers who come back at once when they are refused shall not
keep the gateway from its work."""


class CooperativeScheduler:
    """Lets one step of work go at a time, with turns of the loop between them.

    Work that came first goes first: what is nearly done is not held up by what has just begun.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._worked = 0.0
        """Seconds of work since there was room."""
        self._until = 0.0
        """When the next step may go in any case."""
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap by the number of the work, and by one that no two entries share."""
        self._quiet = 0
        """Turns of the loop since the last call came."""
        self._busy = False
        """Whether a step goes in this turn of the loop, or there is room for calls."""

    @coroutine
    def run(self, awaited: Awaitable[R]) -> Generator[Any, Any, R]:
        """The work's result; each of its steps, from one thing that it waits for to the next, waits for its turn."""
        work: Any = awaited.__await__()
        number = next(self._numbers)
        step = work.send
        sent: Any = None
        while True:
            try:
                yield from self._turn(number).__await__()
            except BaseException as error:  # taken back: ending costs little, and needs no turn
                step, sent = work.throw, error
            began = self._clock()
            try:
                waits_for = step(sent)
            except StopIteration as ended:
                return cast("R", ended.value)
            finally:
                self._worked += self._clock() - began
            try:
                sent = yield waits_for
                step = work.send
            except BaseException as error:
                step, sent = work.throw, error

    async def _turn(self, number: int) -> None:
        if self._busy:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (number, next(self._numbers), turn))
            await turn
        else:
            self._begin()

    def _begin(self) -> None:
        """Note that a step goes now."""
        self._busy = True
        asyncio.get_running_loop().call_soon(self._count)

    def note_arrival(self) -> None:
        """A call has come: others may have come with it, which are let in or refused first."""
        self._quiet = 0

    def _count(self) -> None:
        """Note that a turn of the loop has passed; the others are not waited for where no work waits for them."""
        now = self._clock()
        self._quiet += 1
        if self._worked >= MAX_WORK_SECONDS:
            self._until, self._quiet = now + MAX_PAUSE_RATIO * self._worked, 0
            self._worked = 0.0
        if self._waiting and now < self._until and self._quiet < QUIET_ITERATIONS:
            asyncio.get_running_loop().call_soon(self._count)
            return
        self._busy = False
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():  # else it was taken back
                turn.set_result(None)
                self._begin()
                return
