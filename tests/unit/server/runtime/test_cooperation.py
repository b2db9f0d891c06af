"""Long work in steps: results, errors and cancelling, without a clock."""

import asyncio
import threading
from collections.abc import Generator

import pytest

from portrait.features.generators import run_to_completion
from portrait.server.runtime.cooperation import run_in_groups, run_in_steps


def counting(count: int) -> Generator[None, None, int]:
    for _ in range(count):
        yield
    return count


async def test_work_ends_with_its_result_wherever_it_runs() -> None:
    assert run_to_completion(counting(3)) == 3
    assert await run_in_steps(counting(3)) == 3
    assert await asyncio.gather(run_in_steps(counting(2)), run_in_steps(counting(0))) == [2, 0]


async def test_work_that_fails_tells_its_error() -> None:
    def failing() -> Generator[None, None, int]:
        yield
        raise KeyError("reason")

    with pytest.raises(KeyError, match="reason"):
        await run_in_steps(failing())


async def test_cancelled_work_ends_with_the_step_it_is_at() -> None:
    began, go, steps = threading.Event(), threading.Event(), 0

    def endless() -> Generator[None, None, None]:
        nonlocal steps
        while True:
            steps += 1
            began.set()
            go.wait(10.0)
            yield

    task = asyncio.create_task(run_in_steps(endless()))
    await asyncio.to_thread(began.wait, 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await run_in_steps(counting(1))  # stands behind it in the thread, and gets its turn
    at_end = steps
    await run_in_steps(counting(1))
    assert steps == at_end


async def test_groups_keep_the_order_and_their_size() -> None:
    under_way, highest = 0, 0

    async def double(value: int) -> int:
        nonlocal under_way, highest
        under_way += 1
        highest = max(highest, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return 2 * value

    assert await run_in_groups(double, range(10), 4) == [2 * value for value in range(10)]
    assert highest == 4
