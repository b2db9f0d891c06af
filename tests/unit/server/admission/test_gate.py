"""The gate before a service that is simulated: capacity, latency and deadlines by a clock that only the test moves."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.common.virtual_time import run
from portrait.server.admission.gate import Gate, Priority, Refusal, Ticket, Work, WorkOutcome
from portrait.server.admission.limit import INITIAL_LIMIT, MIN_LIMIT
from portrait.server.errors import Overloaded

MAXIMUM = 1000


class Workers:
    """Serves calls one by one on some workers, first come, first served; a call takes about `seconds`."""

    def __init__(self, workers: int, seconds: float, chance: random.Random) -> None:
        self.seconds, self._chance = seconds, chance
        self._free = asyncio.Semaphore(workers)
        self.capacity = workers / seconds

    async def serve(self) -> None:
        async with self._free:
            await asyncio.sleep(self.seconds * self._chance.uniform(0.5, 1.5))


class Batches:
    """Serves calls in batches, as models do: 32 take eight times as long as one, thus four times as many are done."""

    SIZE = 32

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._queue: list[asyncio.Future[None]] = []
        self._busy = False
        self.capacity = self.SIZE / self._of(self.SIZE)

    def _of(self, count: int) -> float:
        return self._seconds * (1 + 7 * (count - 1) / (self.SIZE - 1))

    async def serve(self) -> None:
        done = asyncio.get_running_loop().create_future()
        self._queue.append(done)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._next)
        await done

    def _next(self) -> None:
        batch, self._queue = self._queue[: self.SIZE], self._queue[self.SIZE :]
        self._busy = bool(batch)
        if batch:
            asyncio.get_running_loop().call_later(self._of(len(batch)), self._finish, batch)

    def _finish(self, batch: list[asyncio.Future[None]]) -> None:
        for done in batch:
            if not done.done():
                done.set_result(None)
        self._next()


@dataclass
class Outcome:
    """The ends of calls, each by when it was made and how long it took."""

    good: list[tuple[float, float]] = field(default_factory=list)
    late: list[tuple[float, float]] = field(default_factory=list)
    refused: list[tuple[float, float]] = field(default_factory=list)

    def during(self, begin: float, end: float) -> "Outcome":
        """The calls that ended within a time."""
        parts = (self.good, self.late, self.refused)
        return Outcome(*([each for each in part if begin <= sum(each) < end] for part in parts))

    @property
    def kept(self) -> float:
        """Share of the admitted calls that kept their deadline."""
        return len(self.good) / max(1, len(self.good) + len(self.late))

    @property
    def mean(self) -> float:
        return sum(took for _, took in self.good) / len(self.good)


async def arrive(
    gate: Gate,
    serve: Callable[[], Awaitable[None]],
    rate: float,
    seconds: float,
    deadline: float,
    chance: random.Random,
    outcome: Outcome,
    priority: Priority = Priority.INTERACTIVE,
    caller: str = "shop",
    method: str = "Recommend",
) -> None:
    """Calls that come at random, whatever becomes of those before (open loop)."""
    loop = asyncio.get_running_loop()

    async def call() -> None:
        began = loop.time()
        try:
            ticket = await gate.enter(Work(method, 1, priority, caller, began + deadline))
        except Overloaded:
            outcome.refused.append((began, loop.time() - began))
            return
        try:
            async with asyncio.timeout_at(began + deadline):
                await serve()
            outcome.good.append((began, loop.time() - began))
            gate.leave(ticket, WorkOutcome.DONE)
        except TimeoutError:
            outcome.late.append((began, deadline))
            gate.leave(ticket, WorkOutcome.LATE)

    end = loop.time() + seconds
    calls = []
    while loop.time() < end:
        calls.append(asyncio.create_task(call()))
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*calls)


# From 60 calls a second on: of a slower service, what is let in before anything is known takes a second to serve. A
# test takes as long as there are calls: the fastest workers are an example that is given.
SERVICES = st.one_of(
    st.builds(lambda workers, rate: ("workers", workers, workers / rate), st.integers(1, 16), st.floats(60.0, 600.0)),
    st.builds(lambda seconds: ("batches", 1, seconds), st.floats(0.002, 0.01)),
)
Service = tuple[str, int, float]
FASTEST: Service = ("workers", 16, 16 / 2_000.0)


def service_of(kind: Service, chance: random.Random) -> Workers | Batches:
    name, workers, seconds = kind
    return Workers(workers, seconds, chance) if name == "workers" else Batches(seconds)


@pytest.mark.slow
@settings(max_examples=25, derandomize=True)  # of chance there is enough in the loads
@given(SERVICES, st.floats(2.0, 4.0), st.floats(1.0, 5.0), st.integers(0, 1000))
@example(FASTEST, 4.0, 5.0, 0)
def test_overload_costs_little_of_the_capacity_and_admitted_calls_keep_their_deadline(
    kind: Service, overload: float, deadline: float, seed: int
) -> None:
    async def scenario() -> tuple[Outcome, float]:
        chance, outcome = random.Random(seed), Outcome()
        service, gate = service_of(kind, chance), Gate(MAXIMUM, 1.0)
        rate = service.capacity
        await arrive(gate, service.serve, 0.5 * rate, 2.0, deadline, chance, outcome)
        await arrive(gate, service.serve, overload * rate, 5.0, deadline, chance, outcome)
        await arrive(gate, service.serve, 0.5 * rate, 4.0, deadline, chance, outcome)
        assert gate.under_way == 0
        return outcome, rate

    outcome, rate = run(scenario())
    steady = outcome.during(4.0, 7.0)
    assert len(steady.good) / 3.0 >= 0.85 * rate
    assert outcome.kept >= 0.97  # of few calls, one is much
    before, after = outcome.during(0.0, 2.0), outcome.during(9.0, 11.0)
    assert not before.refused
    assert not after.refused
    assert after.mean <= 2.0 * before.mean + 0.01


@pytest.mark.slow
@settings(max_examples=25, derandomize=True)  # of chance there is enough in the loads
@given(SERVICES, st.floats(0.1, 0.8), st.integers(0, 1000))
@example(FASTEST, 0.8, 0)
def test_next_to_nothing_of_a_normal_load_is_refused(kind: Service, load: float, seed: int) -> None:
    async def scenario() -> Outcome:
        chance, outcome = random.Random(seed), Outcome()
        service, gate = service_of(kind, chance), Gate(MAXIMUM, 0.5)
        callers = [
            arrive(gate, service.serve, load * service.capacity / 2, 5.0, 5.0, chance, outcome, caller=name)
            for name in ("search", "mail")
        ]
        await asyncio.gather(*callers)
        return outcome

    outcome = run(scenario())
    assert len(outcome.refused) <= 0.01 * len(outcome.good)
    assert not outcome.late


def test_calls_that_are_slow_by_nature_are_not_taken_for_overload() -> None:
    async def scenario() -> tuple[Outcome, float]:
        chance, outcome = random.Random(1), Outcome()
        service, gate = Workers(8, 0.4, chance), Gate(MAXIMUM, 1.0)
        await arrive(gate, service.serve, 0.7 * service.capacity, 60.0, 5.0, chance, outcome)
        return outcome, gate.limit

    outcome, _ = run(scenario())
    assert not outcome.refused


@pytest.mark.slow
def test_a_service_that_becomes_slower_under_way_is_followed_and_so_is_its_recovery() -> None:
    async def scenario() -> list[float]:
        chance, outcome = random.Random(1), Outcome()
        service, gate = Workers(4, 0.01, chance), Gate(MAXIMUM, 1.0)
        rate, limits = service.capacity, []
        for seconds in (0.01, 0.1, 0.01):
            service.seconds = seconds
            await arrive(gate, service.serve, 3 * rate, 5.0, 1.0, chance, outcome)
            limits.append(gate.limit)
        return limits

    fast, slow, again = run(scenario())
    assert slow < 0.5 * fast
    assert again == pytest.approx(fast, rel=0.3)


@pytest.mark.slow
def test_batch_work_gets_what_is_left() -> None:
    async def scenario() -> tuple[Outcome, Outcome, float]:
        chance, interactive, batch = random.Random(1), Outcome(), Outcome()
        service, gate = Workers(4, 0.01, chance), Gate(MAXIMUM, 1.0)
        rate = service.capacity
        await asyncio.gather(
            arrive(gate, service.serve, 0.6 * rate, 10.0, 1.0, chance, interactive),
            arrive(gate, service.serve, 3.0 * rate, 10.0, 1.0, chance, batch, Priority.BATCH),
        )
        return interactive, batch, rate

    interactive, batch, rate = run(scenario())
    assert not interactive.refused
    assert interactive.kept == 1.0
    assert len(batch.good) >= 0.85 * 0.4 * 10 * rate
    assert len(batch.refused) > len(batch.good)


@pytest.mark.slow
def test_interactive_overload_leaves_nothing_for_batch_work() -> None:
    async def scenario() -> tuple[Outcome, Outcome]:
        chance, interactive, batch = random.Random(1), Outcome(), Outcome()
        service, gate = Workers(4, 0.01, chance), Gate(MAXIMUM, 1.0)
        rate = service.capacity
        await asyncio.gather(
            arrive(gate, service.serve, 3.0 * rate, 10.0, 1.0, chance, interactive),
            arrive(gate, service.serve, 3.0 * rate, 10.0, 1.0, chance, batch, Priority.BATCH),
        )
        return interactive, batch

    interactive, batch = run(scenario())
    assert len(batch.during(2.0, 10.0).good) <= 0.02 * len(interactive.during(2.0, 10.0).good)


@pytest.mark.slow
def test_a_greedy_caller_leaves_the_others_their_share() -> None:
    async def scenario() -> tuple[Outcome, Outcome, Outcome]:
        chance, greedy, modest, alone = random.Random(1), Outcome(), Outcome(), Outcome()
        service, gate = Workers(4, 0.01, chance), Gate(MAXIMUM, 0.5)
        rate = service.capacity
        await arrive(gate, service.serve, 4.0 * rate, 5.0, 1.0, chance, alone, caller="greedy")
        await asyncio.gather(
            arrive(gate, service.serve, 4.0 * rate, 10.0, 1.0, chance, greedy, caller="greedy"),
            arrive(gate, service.serve, 0.3 * rate, 10.0, 1.0, chance, modest, caller="modest"),
        )
        return alone, greedy, modest

    alone, greedy, modest = run(scenario())
    assert len(alone.during(1.0, 5.0).good) >= 0.85 * 400 * 4  # all of it while nobody else wants any
    assert len(modest.refused) <= 0.01 * len(modest.good)
    assert len(greedy.good) >= 0.85 * 0.7 * 400 * 10


def test_what_can_not_make_its_deadline_is_refused_early() -> None:
    async def scenario() -> tuple[Outcome, Outcome]:
        chance, usual, hurried = random.Random(1), Outcome(), Outcome()
        service, gate = Workers(4, 0.05, chance), Gate(MAXIMUM, 1.0)
        await asyncio.gather(
            arrive(gate, service.serve, 40.0, 10.0, 1.0, chance, usual),
            arrive(gate, service.serve, 20.0, 10.0, 0.01, chance, hurried),
        )
        return usual, hurried

    usual, hurried = run(scenario())
    assert not usual.refused
    assert len(hurried.late) < 0.05 * len(hurried.refused)
    assert max(took for _, took in hurried.refused) == 0.0


def test_callers_who_are_in_a_great_hurry_do_not_close_the_gate_for_others() -> None:
    async def scenario() -> Outcome:
        chance, usual, hurried = random.Random(1), Outcome(), Outcome()
        service, gate = Workers(4, 0.01, chance), Gate(MAXIMUM, 1.0)
        await asyncio.gather(
            arrive(gate, service.serve, 100.0, 10.0, 1.0, chance, usual),
            arrive(gate, service.serve, 200.0, 10.0, 0.001, chance, hurried, method="Rank"),
        )
        return usual

    assert not run(scenario()).refused


def test_a_large_call_is_let_in_when_there_is_room_and_counts_as_what_it_is() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        large = Work("BatchGetProfiles", 10_000, Priority.INTERACTIVE, "shop", 10.0)
        first, second = await gate.enter(large), await gate.enter(large)
        assert gate.under_way == INITIAL_LIMIT
        with pytest.raises(Overloaded) as refused:
            await gate.enter(large)
        assert refused.value.retry_after > 0
        gate.leave(first, WorkOutcome.DONE)
        gate.leave(second, WorkOutcome.FAILED)
        assert gate.under_way == 0

    run(scenario())


def test_who_has_its_share_does_not_wait_for_more() -> None:
    async def scenario() -> None:
        gate = Gate(8, 0.5)
        search, mail, ads = (Work("Recommend", 1, Priority.INTERACTIVE, who, 10.0) for who in ("search", "mail", "ads"))
        tickets = [await gate.enter(work) for work in (*3 * [search], *4 * [mail], ads)]
        waiting = [asyncio.create_task(gate.enter(search)) for _ in range(3)]  # one of them may
        await asyncio.sleep(0)
        assert gate.refused == {(Priority.INTERACTIVE, Refusal.CALLER): 2}
        gate.leave(tickets.pop(), WorkOutcome.DONE)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        for ticket in (*tickets, *(each for each in outcomes if isinstance(each, Ticket))):
            gate.leave(ticket, WorkOutcome.DONE)
        assert gate.under_way == 0
        await gate.enter(search)  # nothing is counted twice: its share is free again

    run(scenario())


def test_who_waited_in_vain_has_its_share_again() -> None:
    async def scenario() -> None:
        gate = Gate(8, 0.5)
        search, mail, ads = (Work("Recommend", 1, Priority.INTERACTIVE, who, 10.0) for who in ("search", "mail", "ads"))
        tickets = [await gate.enter(work) for work in (*3 * [search], *4 * [mail], ads)]
        with pytest.raises(Overloaded):
            await gate.enter(search)
        gate.leave(tickets.pop(), WorkOutcome.DONE)
        await gate.enter(search)

    run(scenario())


def test_calls_that_are_slow_while_few_are_under_way_do_not_lower_the_limit() -> None:
    """The cause is not the load: a machine that stalls for a second must not lead to refusals."""

    async def scenario() -> tuple[float, float]:
        gate = Gate(MAXIMUM, 1.0)
        before = gate.limit
        for seconds in (*20 * [0.01], *20 * [1.0]):
            tickets = [await gate.enter(Work("Recommend", 1, Priority.INTERACTIVE, "shop", math.inf)) for _ in range(5)]
            await asyncio.sleep(seconds)
            for ticket in tickets:
                gate.leave(ticket, WorkOutcome.DONE)
        return before, gate.limit

    before, after = run(scenario())
    assert after == before


def test_work_that_is_taken_back_while_it_waits_leaves_no_trace() -> None:
    async def scenario() -> None:
        gate = Gate(MAXIMUM, 1.0)
        work = Work("Recommend", 1, Priority.INTERACTIVE, "shop", 10.0)
        tickets = [await gate.enter(work) for _ in range(int(INITIAL_LIMIT))]
        waiting = [asyncio.create_task(gate.enter(work)) for _ in range(5)]
        await asyncio.sleep(0.01)
        for task in waiting[:4]:
            task.cancel()
        await asyncio.sleep(0)
        gate.leave(tickets.pop(), WorkOutcome.DONE)
        waiting[4].cancel()  # at the very moment that it gets its place
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if not isinstance(result, BaseException):
                tickets.append(result)
        for ticket in tickets:
            gate.leave(ticket, WorkOutcome.DONE)
        assert gate.under_way == 0

    run(scenario())


@given(st.lists(st.tuples(st.floats(0.0001, 10.0), st.sampled_from(WorkOutcome)), max_size=300))
def test_the_limit_stays_within_its_bounds(calls: list[tuple[float, WorkOutcome]]) -> None:
    async def scenario() -> None:
        gate = Gate(200, 1.0)
        for seconds, end in calls:
            ticket = await gate.enter(Work("Recommend", 1, Priority.INTERACTIVE, "shop", math.inf))
            await asyncio.sleep(seconds)
            gate.leave(ticket, end)
            assert MIN_LIMIT <= gate.limit <= 200

    run(scenario())
