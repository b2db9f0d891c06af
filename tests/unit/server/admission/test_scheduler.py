import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.common.virtual_time import run
from portrait.server.admission.scheduler import (
    MAX_PAUSE_RATIO,
    MAX_WORK_SECONDS,
    QUIET_ITERATIONS,
    CooperativeScheduler,
)

R = TypeVar("R")


class Loop:
    """Counts the turns of the event loop until the test ends, whose loop other tests use after it."""

    def __init__(self) -> None:
        self.turns = 0
        self._test = asyncio.current_task()
        asyncio.get_running_loop().call_soon(self._count)

    def _count(self) -> None:
        self.turns += 1
        if self._test is not None and not self._test.done():
            asyncio.get_running_loop().call_soon(self._count)


@pytest.mark.parametrize(
    ("seconds", "apart"),
    [(MAX_WORK_SECONDS, range(QUIET_ITERATIONS, 2 * QUIET_ITERATIONS)), (0.0, range(1, QUIET_ITERATIONS))],
)
async def test_steps_are_apart_and_in_order(seconds: float, apart: range) -> None:
    """Steps take some time, or none; then nothing is left to others."""
    turns, loop = CooperativeScheduler(lambda: seconds * len(steps)), Loop()
    ready = asyncio.Event()
    steps: list[tuple[int, int]] = []

    async def work(number: int) -> int:
        steps.append((loop.turns, number))
        await ready.wait()
        steps.append((loop.turns, number))
        return number

    tasks = [asyncio.create_task(_task(turns, work(number))) for number in range(5)]
    while len(steps) < 5:
        await asyncio.sleep(0)
    ready.set()  # as when a model answers a batch
    assert await asyncio.gather(*tasks) == list(range(5))
    when = [turn for turn, _ in steps]
    for together in (when[:5], when[5:]):
        assert all(later - sooner in apart for sooner, later in pairwise(together))
    assert [number for _, number in steps] == [0, 1, 2, 3, 4] * 2


async def test_calls_that_come_keep_the_room_open_for_a_while() -> None:
    """A turn of the loop takes as long as a step here, and a call comes in each."""
    loop, worked = Loop(), 0
    turns = CooperativeScheduler(lambda: MAX_WORK_SECONDS * (loop.turns + worked))
    when: list[int] = []

    async def work() -> None:
        nonlocal worked
        worked += 1
        when.append(loop.turns)

    async def call() -> None:
        while len(when) < 3:
            turns.note_arrival()
            await asyncio.sleep(0)

    await asyncio.gather(call(), *(turns.run(work()) for _ in range(3)))
    assert all(later - sooner >= MAX_PAUSE_RATIO for sooner, later in pairwise(when))
    assert when[-1] < 3 * QUIET_ITERATIONS


async def _task(turns: CooperativeScheduler, work: Awaitable[R]) -> R:
    return await turns.run(work)


async def test_who_is_alone_does_not_wait() -> None:
    turns, loop = CooperativeScheduler(), Loop()

    async def work() -> int:
        return loop.turns

    before = loop.turns
    assert await turns.run(work()) == before


async def test_errors_and_timeouts_pass() -> None:
    turns = CooperativeScheduler()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def hang() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(0)
            return "late"
        return "never"

    with pytest.raises(ValueError, match="no"):
        await turns.run(fail())
    assert await turns.run(hang()) == "late"


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 0.01), st.booleans()), min_size=1, max_size=30))
def test_work_that_is_taken_back_ends_and_stops_nobody(works: list[tuple[int, float, bool]]) -> None:
    """Each work: how many steps, seconds until it is taken back, and whether it is."""

    async def scenario() -> None:
        turns = CooperativeScheduler()
        begun = ended = 0

        async def work(steps: int) -> int:
            nonlocal begun, ended
            begun += 1
            try:
                for _ in range(steps):
                    await asyncio.sleep(0.002)
                return steps
            finally:
                ended += 1

        tasks = [asyncio.create_task(_task(turns, work(steps))) for steps, _, _ in works]
        for task, (_, seconds, leaves) in zip(tasks, works, strict=True):
            if leaves:
                asyncio.get_running_loop().call_later(seconds, task.cancel)
        for task, (steps, _, leaves) in zip(tasks, works, strict=True):
            with suppress(asyncio.CancelledError):
                assert await task == steps
            assert leaves or not task.cancelled()
        assert ended == begun
        assert await turns.run(work(1)) == 1

    run(scenario())


async def test_what_came_first_goes_first() -> None:
    steps: list[str] = []
    turns = CooperativeScheduler(lambda: 1.0 * len(steps))

    async def work(name: str, count: int) -> None:
        for _ in range(count):
            steps.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(turns.run(work(name, 3)) for name in "abc"))
    assert "".join(steps) == "aaabbbccc"
