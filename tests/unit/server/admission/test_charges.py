"""Calls that turn out to be more, or less, work than they were let in as, by a clock that only the test moves."""

import asyncio
import math

import pytest

from benchmarks.common.virtual_time import run
from portrait.server.admission.charges import Charge
from portrait.server.admission.gate import MAX_LARGE_WAIT_SECONDS, MAX_UNITS, Gate, Priority, Refusal, Work, WorkOutcome
from portrait.server.admission.limit import INITIAL_LIMIT
from portrait.server.errors import FailedPrecondition, Overloaded

MAXIMUM = 1000


def test_work_is_counted_as_what_it_turns_out_to_be() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        small = await gate.enter(Work("GetProfile", 1, Priority.INTERACTIVE, "shop", math.inf))
        await gate.resize(small, 20)
        assert gate.under_way == 20
        estimated = await gate.enter(Work("BatchGetProfiles", 25, Priority.INTERACTIVE, "shop", math.inf))
        await gate.resize(estimated, 3)
        assert gate.under_way == 23
        gate.leave(small, WorkOutcome.DONE)
        gate.leave(estimated, WorkOutcome.DONE)
        assert gate.under_way == 0
        assert gate.units == {Priority.INTERACTIVE: 23}
        await gate.enter(Work("Recommend", 1, Priority.INTERACTIVE, "shop", math.inf))  # its share is free again

    run(scenario())


def test_of_large_calls_one_goes_on_at_a_time_and_the_next_does_not_wait_for_long() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        first, second, third = [
            await gate.enter(Work("GetProfile", 1, Priority.INTERACTIVE, "shop", math.inf)) for _ in range(3)
        ]
        await gate.resize(first, MAX_UNITS)
        assert gate.under_way == INITIAL_LIMIT / 2 + 2
        small = await gate.enter(Work("Recommend", 1, Priority.INTERACTIVE, "shop", math.inf))
        began = asyncio.get_running_loop().time()
        with pytest.raises(Overloaded) as refused:
            await gate.resize(second, MAX_UNITS)
        assert asyncio.get_running_loop().time() - began == pytest.approx(MAX_LARGE_WAIT_SECONDS)
        assert refused.value.retry_after > 0
        waiting = asyncio.create_task(gate.resize(third, MAX_UNITS))
        await asyncio.sleep(MAX_LARGE_WAIT_SECONDS / 2)
        gate.leave(first, WorkOutcome.DONE)
        await waiting
        for ticket in (second, third, small):
            gate.leave(ticket, WorkOutcome.DONE)
        assert gate.under_way == 0

    run(scenario())


def test_more_than_a_call_may_be_is_refused_for_good() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        ticket = await gate.enter(Work("GetProfile", 1, Priority.INTERACTIVE, "shop", math.inf))
        with pytest.raises(FailedPrecondition, match=f"{MAX_UNITS + 1} units.* {MAX_UNITS}"):
            await gate.resize(ticket, MAX_UNITS + 1)
        gate.leave(ticket, WorkOutcome.FAILED)
        assert gate.under_way == 0

    run(scenario())


def test_who_has_its_share_gets_no_more_for_a_call_that_grows() -> None:
    async def scenario() -> None:
        gate = Gate(8, 0.5)
        search, mail = (Work("Recommend", 1, Priority.INTERACTIVE, who, math.inf) for who in ("search", "mail"))
        tickets = [await gate.enter(work) for work in (*3 * [search], mail)]
        with pytest.raises(Overloaded):
            await gate.resize(tickets[0], 3)
        assert gate.refused == {(Priority.INTERACTIVE, Refusal.CALLER): 1}
        for ticket in tickets:
            gate.leave(ticket, WorkOutcome.DONE)
        assert gate.under_way == 0

    run(scenario())


def test_parts_of_one_call_that_wait_for_a_large_one_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        other, ticket = [
            await gate.enter(Work("BatchGetProfiles", 1, Priority.INTERACTIVE, "shop", math.inf)) for _ in range(2)
        ]
        await gate.resize(other, MAX_UNITS)
        charge = Charge(gate, ticket)
        parts = [asyncio.create_task(charge.add(units)) for units in (INITIAL_LIMIT, INITIAL_LIMIT, 5)]
        await asyncio.sleep(MAX_LARGE_WAIT_SECONDS / 2)
        gate.leave(other, WorkOutcome.DONE)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*parts)
        assert asyncio.get_running_loop().time() == began
        assert ticket.requested_units == 1 + INITIAL_LIMIT + INITIAL_LIMIT + 5
        gate.leave(ticket, WorkOutcome.DONE)
        assert gate.under_way == 0

    run(scenario())


def test_fractions_of_units_add_up() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        ticket = await gate.enter(Work("BatchGetProfiles", 1, Priority.INTERACTIVE, "shop", math.inf))
        charge = Charge(gate, ticket)
        for _ in range(10):
            await charge.add(0.75)
        assert ticket.requested_units == 1 + 7
        with pytest.raises(FailedPrecondition):
            await charge.add(MAX_UNITS)
        await charge.add(0.5)
        assert ticket.requested_units == 1 + 8
        gate.leave(ticket, WorkOutcome.DONE)

    run(scenario())
