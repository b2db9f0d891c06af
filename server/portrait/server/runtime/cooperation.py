"""Long CPU work, in short steps in one thread, so that the event loop still accepts calls and answers health checks.

Work is a generator that yields wherever it may pause. All long work shares one thread: with several threads, each in
turn would take the interpreter's lock from the event loop, which would wait for all of them. Several pieces of work
take turns. Cancelled work ends with its current step. Work that waits for another process has threads of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

STEP_SECONDS = 0.005
"""Seconds that one piece of work runs before another gets its turn."""
GROUP_SIZE = 8
"""Parts of one call that run concurrently: enough to fill a batch of a model, and few enough to let other calls in."""

_MAX_WAITING = 16
"""Pieces of work that wait for another process at a time; further ones queue up."""

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long-work")
_waiting = ThreadPoolExecutor(max_workers=_MAX_WAITING, thread_name_prefix="waiting-work")


async def run_in_steps(work: Generator[None, None, R]) -> R:
    """Run work step by step in the shared thread; returns its result."""
    loop = asyncio.get_running_loop()
    while not (results := await loop.run_in_executor(_thread, _advance, work)):
        pass
    return results[0]


async def run_in_thread(work: Callable[[], R]) -> R:
    """Run work that has no steps in the shared thread; returns its result."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


async def run_waiting(work: Callable[[], R]) -> R:
    """Run work that mostly waits for another process, beside other such work; returns its result."""
    return await asyncio.get_running_loop().run_in_executor(_waiting, work)


def _advance(work: Generator[None, None, R]) -> list[R]:
    """Run steps for `STEP_SECONDS`; returns a list with the result if the work has ended, else an empty list."""
    until = time.perf_counter() + STEP_SECONDS
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return [ended.value]
        if time.perf_counter() >= until:
            return []


async def run_in_groups(work: Callable[[T], Awaitable[R]], items: Sequence[T], together: int = GROUP_SIZE) -> list[R]:
    """Run work for each item, with `together` items at a time; returns the results in the order of the items."""
    results: list[R] = []
    for begin in range(0, len(items), together):
        results += await asyncio.gather(*map(work, items[begin : begin + together]))
    return results
