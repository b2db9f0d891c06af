"""Triton answers, is silent, is gone: what callers notice of it, and when."""

import asyncio

import pytest

from benchmarks.common.virtual_time import run
from portrait.server.errors import Unavailable
from portrait.server.inference.liveness import MAX_SILENT_SECONDS, SILENT_SECONDS, Liveness, ModelStatus

SOON = SILENT_SECONDS + 0.2


class Triton:
    """Takes `seconds` for an answer; looks take no time."""

    def __init__(self) -> None:
        self.alive = self.ready = self.running = True
        self.late = False
        self.seconds = 0.01
        self.asked = 0
        self.liveness = Liveness(self._look, self._is_ready, lambda: self.running)

    async def _look(self) -> ModelStatus:
        if self.late:
            return ModelStatus.SILENT
        return ModelStatus.READY if self.alive else ModelStatus.DEAD

    async def _is_ready(self) -> bool:
        return self.ready and not self.late

    async def _answer(self) -> int:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return 1

    async def ask(self) -> int:
        return await self.liveness.run(self._answer())


def test_a_triton_that_stands_still_is_noticed_and_then_costs_nobody_any_time() -> None:
    async def scenario() -> None:
        triton, loop = Triton(), asyncio.get_running_loop()
        assert await triton.ask() == 1
        triton.alive = triton.ready = False
        triton.seconds = 1000.0
        began = loop.time()
        hung = [asyncio.create_task(triton.ask()) for _ in range(3)]
        outcomes = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert loop.time() - began <= SOON
        with pytest.raises(Unavailable):
            await triton.ask()
        assert (triton.asked, loop.time() - began <= SOON) == (4, True)
        triton.alive = triton.ready = True
        triton.seconds = 0.01
        await asyncio.sleep(0.2)
        assert await triton.ask() == 1
        await triton.liveness.close()

    run(scenario())


def test_a_model_that_is_slow_is_not_taken_for_a_triton_that_is_down() -> None:
    async def scenario() -> None:
        triton = Triton()
        triton.seconds = 10 * SILENT_SECONDS
        assert await triton.ask() == 1
        await triton.liveness.close()

    run(scenario())


def test_a_call_that_waits_for_a_slow_triton_is_never_cancelled() -> None:
    async def scenario() -> None:
        triton = Triton()
        triton.late, triton.seconds = True, 30.0
        assert await triton.ask() == 1
        await triton.liveness.close()

    run(scenario())


def test_new_calls_are_refused_only_after_a_long_silence_and_an_answer_ends_that() -> None:
    async def scenario() -> None:
        triton = Triton()
        triton.late, triton.seconds = True, 3.0
        waiting = [asyncio.create_task(triton.ask())]
        for _ in range(2):
            await asyncio.sleep(2.9)
            assert not triton.liveness.is_down
            waiting.append(asyncio.create_task(triton.ask()))
        await asyncio.sleep(0.01)
        triton.seconds = 1000.0
        waiting.append(asyncio.create_task(triton.ask()))
        await asyncio.sleep(3.0 + MAX_SILENT_SECONDS + 0.2)
        with pytest.raises(Unavailable):
            await triton.ask()
        assert [each.done() for each in waiting] == [True, True, True, False]
        triton.late, triton.seconds = False, 0.01
        await asyncio.sleep(0.2)
        assert await triton.ask() == 1
        assert not waiting[-1].done()
        waiting[-1].cancel()
        await triton.liveness.close()

    run(scenario())


def test_the_end_of_the_process_is_death_whatever_its_port_says() -> None:
    async def scenario() -> None:
        triton, loop = Triton(), asyncio.get_running_loop()
        triton.late, triton.seconds = True, 1000.0
        hung = asyncio.create_task(triton.ask())
        await asyncio.sleep(0.01)
        triton.running = False
        began = loop.time()
        with pytest.raises(Unavailable):
            await hung
        with pytest.raises(Unavailable):
            await triton.ask()
        assert loop.time() - began <= SILENT_SECONDS
        triton.running, triton.late, triton.seconds = True, False, 0.01
        await asyncio.sleep(0.2)
        assert await triton.ask() == 1
        await triton.liveness.close()

    run(scenario())


def test_callers_in_a_great_hurry_do_not_make_it_look_down() -> None:
    async def scenario() -> None:
        triton = Triton()
        for _ in range(200):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await triton.ask()
            await asyncio.sleep(0.01)
        assert not triton.liveness.is_down
        await triton.liveness.close()

    run(scenario())


def test_one_that_was_lost_is_asked_again_when_it_has_its_models() -> None:
    async def scenario() -> None:
        triton = Triton()
        await triton.ask()
        triton.ready = False
        triton.liveness.mark_dead()
        await asyncio.sleep(1.0)
        assert triton.liveness.is_down
        triton.ready = True
        await asyncio.sleep(0.2)
        assert await triton.ask() == 1
        await triton.liveness.close()

    run(scenario())


def test_a_caller_who_leaves_is_no_failure_and_takes_its_call_along() -> None:
    async def scenario() -> None:
        triton = Triton()
        triton.seconds = 1000.0
        left = asyncio.create_task(triton.ask())
        await asyncio.sleep(0.01)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert not triton.liveness.is_down
        await triton.liveness.close()
        assert len(asyncio.all_tasks()) == 1

    run(scenario())
