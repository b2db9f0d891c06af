"""Work on a stream of items: several at a time, results in the order of the items, and a bound on what is under way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def run_in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], deliver: Callable[[R], Awaitable[None]], limit: int
) -> None:
    """Run work for each item as it arrives, and deliver the results in the order of the items.

    An item is under way until its result is delivered: while nobody takes results, no more items are read. An error of
    reading, or of an item, is raised behind the results of all items before. Then, or if this is cancelled, all work
    under way is cancelled, and has ended when this returns.

    Args:
        items: the items; each is read when there is a place for it.
        work: makes the result of an item.
        deliver: takes a result; may block.
        limit: maximum number of items under way.
    """
    places = asyncio.Semaphore(limit)
    begun: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    running: set[asyncio.Task[Any]] = set()

    async def make_result(item: T) -> R:
        return await work(item)

    async def begin_all() -> None:
        try:
            while True:
                await places.acquire()
                item = await anext(items)
                task = asyncio.create_task(make_result(item))
                running.add(task)
                begun.put_nowait(task)
        except StopAsyncIteration:
            pass
        finally:
            begun.put_nowait(None)

    reading = asyncio.create_task(begin_all())
    try:
        while (task := await begun.get()) is not None:
            await deliver(await task)
            running.discard(task)
            places.release()
        await reading
    finally:
        running.add(reading)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
