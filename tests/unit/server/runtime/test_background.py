"""Background tasks outlive their errors, and tell of those that don't pass."""

import asyncio

import pytest

from benchmarks.common.virtual_time import run
from portrait.server.runtime.background import MAX_FAILURES, Background


class Step:
    """A step that fails as often as it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.errors: list[BaseException] = []

    async def __call__(self) -> None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)


def test_a_step_is_repeated_whatever_it_fails_with() -> None:
    async def scenario() -> None:
        background, step = Background(), Step()
        step.errors = [OSError(), asyncio.CancelledError(), KeyError()]
        background.repeat("task", step, 0.1)
        await asyncio.sleep(30.0)
        assert step.runs > 200
        assert background.failure() is None
        await background.stop()
        assert len(asyncio.all_tasks()) == 1

    run(scenario())


def test_a_step_that_keeps_failing_is_told_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        background, good, bad = Background(), Step(), Step()
        bad.errors = [ValueError("what a shopper typed")] * (MAX_FAILURES + 2)
        background.repeat("good", good, 0.1)
        background.repeat("bad", bad, 0.1)
        while bad.runs < MAX_FAILURES:
            assert background.failure() is None
            await asyncio.sleep(0.05)
        assert background.failure() == "background task fails: bad"
        await asyncio.sleep(60.0)
        assert background.failure() is None
        await background.stop()

    run(scenario())
    failures = [record for record in caplog.records if record.message == "background_task_failed"]
    assert len(failures) == MAX_FAILURES + 2
    assert {(vars(each)["task"], vars(each)["exception"]) for each in failures} == {("bad", "ValueError")}
    assert "shopper" not in caplog.text


def test_failures_come_at_a_slower_pace() -> None:
    async def scenario() -> None:
        background, step = Background(), Step()
        step.errors = [OSError()] * 1000
        background.repeat("task", step, 0.0)
        await asyncio.sleep(100.0)
        assert step.runs < 40
        await background.stop()

    run(scenario())
