"""Parts of streams at the gate: they wait for room where calls are refused, and leave room for those who wait."""

import asyncio
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common.virtual_time import run
from portrait.server.admission.charges import Charge
from portrait.server.admission.gate import BATCH_SHARE, Gate, Priority, Ticket, Work, WorkOutcome
from portrait.server.admission.limit import INITIAL_LIMIT

STREAM = "EncodeTextStream"


def part(units: int, caller: str = "bulk") -> Work:
    return Work(STREAM, units, Priority.BATCH, caller, math.inf)


def call(caller: str = "shop") -> Work:
    return Work("Recommend", 1, Priority.INTERACTIVE, caller, math.inf)


async def hold(gate: Gate, work: Work, seconds: float, begun: list[Work]) -> None:
    async with gate.hold(work):
        begun.append(work)
        await asyncio.sleep(seconds)


def test_parts_go_on_in_their_order_up_to_the_share_of_batch_work() -> None:
    async def scenario() -> None:
        gate, begun = Gate(1_000, 0.5), list[Work]()
        parts = [part(15 + n) for n in range(6)]
        tasks = [asyncio.create_task(hold(gate, each, 1.0, begun)) for each in parts]
        await asyncio.sleep(0.5)
        assert begun == parts[:2]
        assert gate.under_way == 31
        assert gate.under_way <= BATCH_SHARE * INITIAL_LIMIT
        await asyncio.gather(*tasks)
        assert begun == parts
        assert gate.under_way == 0
        assert gate.units == {Priority.BATCH: sum(each.units for each in parts)}
        assert not gate.refused

    run(scenario())


def test_interactive_calls_that_wait_go_before_parts_that_wait() -> None:
    async def scenario() -> None:
        gate, begun = Gate(8, 1.0), list[Work]()
        tickets = [await gate.enter(call()) for _ in range(8)]
        waiting = asyncio.create_task(hold(gate, part(1), 0.0, begun))
        await asyncio.sleep(0)
        interactive = asyncio.create_task(gate.enter(call()))
        await asyncio.sleep(0)
        gate.leave(tickets.pop(), WorkOutcome.DONE)
        await asyncio.sleep(0.01)
        assert interactive.done()
        assert not begun
        for ticket in (*tickets[2:], await interactive):
            gate.leave(ticket, WorkOutcome.DONE)
        await waiting
        assert len(begun) == 1

    run(scenario())


def test_a_stream_has_its_share_while_others_call() -> None:
    async def scenario() -> None:
        gate, begun = Gate(1_000, 0.2), list[Work]()
        gate.leave(await gate.enter(call("other")), WorkOutcome.DONE)
        tasks = [asyncio.create_task(hold(gate, part(8), 0.1, begun)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert len(begun) == 1  # two would be more than a fifth of the limit
        await asyncio.gather(*tasks)
        assert gate.under_way == 0

    run(scenario())


def test_a_part_that_is_cancelled_leaves_no_trace() -> None:
    async def scenario() -> None:
        gate, begun = Gate(1_000, 1.0), list[Work]()
        tasks = [asyncio.create_task(hold(gate, part(25), 1.0, begun)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.sleep(0)
        tasks[1].cancel()  # at the moment when it is given its units
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.under_way == 0
        await asyncio.wait_for(hold(gate, part(25), 0.0, begun), 1.0)

    run(scenario())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), maximum=st.integers(1, 60), share=st.sampled_from([0.1, 0.5, 1.0]))
def test_every_part_goes_on_whatever_else_runs(seed: int, maximum: int, share: float) -> None:
    async def scenario() -> None:
        gate, begun, chance = Gate(maximum, share), list[Work](), random.Random(seed)
        tasks = []
        for _ in range(40):
            if chance.random() < 0.5:
                work = part(chance.randint(1, 65), f"bulk {chance.randrange(3)}")
                tasks.append(asyncio.create_task(hold(gate, work, chance.random(), begun)))
            else:
                tasks.append(asyncio.create_task(_call_for(gate, chance.random())))
            await asyncio.sleep(chance.choice([0.0, 0.2]))
        tasks[0].cancel()
        tasks[chance.randrange(40)].cancel()
        async with asyncio.timeout(10_000):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.under_way == 0

    run(scenario())


async def _call_for(gate: Gate, seconds: float) -> None:
    ticket = await gate.enter(call())
    try:
        await asyncio.sleep(seconds)
    finally:
        gate.leave(ticket, WorkOutcome.DONE)


def test_only_streams_have_parts() -> None:
    async def scenario() -> None:
        gate = Gate(8, 1.0)
        ticket: Ticket = await gate.enter(call())
        with pytest.raises(ValueError, match="Recommend has no parts"):
            async with Charge(gate, ticket).hold(1):
                pass

    run(scenario())
