"""Long work of the processor: step by step in one thread, so that calls are accepted and health is answered meanwhile.

Work is a generator that yields wherever it may pause. All long work shares one thread: several threads would take the
interpreter's lock from the event loop in turn, and health would wait for each of them. Works take turns with each
other, and one that is cancelled ends with the step it is at.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

STEP_SECONDS = 0.005
"""Seconds of steps before other work gets its turn."""
GROUP_SIZE = 8
"""Parts of one call that run together: enough for a batch of a model, few enough for other calls beside it."""

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long-work")


async def run_in_steps(work: Generator[None, None, R]) -> R:
    """Run work in the thread; returns its result."""
    loop = asyncio.get_running_loop()
    while not (results := await loop.run_in_executor(_thread, _advance, work)):
        pass
    return results[0]


def _advance(work: Generator[None, None, R]) -> list[R]:
    """Run some steps; returns the result if the work has ended with them, else an empty list."""
    until = time.perf_counter() + STEP_SECONDS
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return [ended.value]
        if time.perf_counter() >= until:
            return []


async def run_in_groups(work: Callable[[T], Awaitable[R]], items: Sequence[T], together: int = GROUP_SIZE) -> list[R]:
    """Run the same work for each item, in groups of `together` items; returns the results in order."""
    results: list[R] = []
    for begin in range(0, len(items), together):
        results += await asyncio.gather(*map(work, items[begin : begin + together]))
    return results
