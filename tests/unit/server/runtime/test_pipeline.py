"""Work on streams of items: order, bound, errors and cancellation, by a clock that only the test moves."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common.virtual_time import run
from portrait.server.runtime.pipeline import run_in_order


class Pipeline:
    """Doubles numbers, each after a time of its own, and counts what is under way."""

    def __init__(self, chance: random.Random, fails_at: int = -1, reading_fails_at: int = -1) -> None:
        self._chance, self._fails_at, self._reading_fails_at = chance, fails_at, reading_fails_at
        self.delivered: list[int] = []
        self.under_way = self.most = self.working = self.read = 0

    async def items(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(self._chance.choice([0.0, 0.1]))
            if number == self._reading_fails_at:
                raise OSError("unreadable")
            self.read += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            yield number

    async def work(self, number: int) -> int:
        self.working += 1
        try:
            await asyncio.sleep(self._chance.random())
            if number == self._fails_at:
                raise ValueError(f"{number} fails")
        finally:
            self.working -= 1
        return 2 * number

    async def deliver(self, result: int) -> None:
        await asyncio.sleep(self._chance.choice([0.0, 0.5]))
        self.delivered.append(result)
        self.under_way -= 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), limit=st.integers(1, 8))
def test_results_come_in_the_order_of_the_items_and_no_more_is_under_way_than_may_be(
    seed: int, count: int, limit: int
) -> None:
    pipeline = Pipeline(random.Random(seed))
    run(run_in_order(pipeline.items(count), pipeline.work, pipeline.deliver, limit))
    assert pipeline.delivered == [2 * number for number in range(count)]
    assert pipeline.most <= limit


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(0, 20), reads=st.booleans(), limit=st.integers(1, 8))
def test_an_error_comes_behind_the_results_before_and_ends_all_work(
    seed: int, at: int, reads: bool, limit: int
) -> None:
    async def scenario() -> Pipeline:
        pipeline = Pipeline(random.Random(seed), *((-1, at) if reads else (at, -1)))
        with pytest.raises(OSError if reads else ValueError):
            await run_in_order(pipeline.items(21), pipeline.work, pipeline.deliver, limit)
        assert pipeline.working == 0
        assert len(asyncio.all_tasks()) == 1
        return pipeline

    assert run(scenario()).delivered == [2 * number for number in range(at)]


def test_nothing_is_read_while_nobody_takes_results() -> None:
    async def scenario() -> None:
        pipeline, taken = Pipeline(random.Random(1)), asyncio.Event()

        async def deliver(result: int) -> None:
            await taken.wait()
            await pipeline.deliver(result)

        running = asyncio.create_task(run_in_order(pipeline.items(100), pipeline.work, deliver, 5))
        await asyncio.sleep(100.0)
        assert pipeline.read == 5
        taken.set()
        await running
        assert pipeline.read == 100

    run(scenario())


def test_work_has_ended_when_a_pipeline_that_is_cancelled_returns() -> None:
    async def scenario() -> None:
        pipeline = Pipeline(random.Random(1))
        running = asyncio.create_task(run_in_order(pipeline.items(100), pipeline.work, pipeline.deliver, 8))
        await asyncio.sleep(2.0)
        assert pipeline.working
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert pipeline.working == 0
        assert len(asyncio.all_tasks()) == 1

    run(scenario())
