import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from portrait.server.errors import DeadlineExceeded, Overloaded
from portrait.server.inference.batcher import Batcher

SECONDS = 1.0
"""How long the model takes for a batch."""


class Model:
    """Answers each item with its double; notes what it was given, and when."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, list[int]]] = []
        self.deadlines: list[float | None] = []
        self.running = self.most_running = 0

    async def __call__(self, items: Sequence[int], deadline: float | None) -> list[int]:
        self.batches.append((asyncio.get_running_loop().time(), list(items)))
        self.deadlines.append(deadline)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(SECONDS)
        self.running -= 1
        if any(item < 0 for item in items):
            raise ValueError("a negative item")
        return [2 * item for item in items]

    @property
    def items(self) -> list[list[int]]:
        return [items for _, items in self.batches]


def batcher_of(
    model: Model, concurrency: int = 1, limit: int = 1000, size: int = 4, shape: Callable[[int], int] = lambda _: 0
) -> Batcher[int, int]:
    return Batcher(model, shape, lambda _, waiting: min(size, waiting), concurrency, limit)


def test_an_idle_model_is_given_what_there_is_at_once() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model)
        await asyncio.gather(batcher.submit(1, None), batcher.submit(2, None))

    run(scenario())
    assert model.batches == [(0.0, [1, 2])]


def test_work_is_gathered_only_while_the_model_is_busy() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model)
        answers = [batcher.submit(0, None)]
        for item in range(1, 6):
            await asyncio.sleep(0.1)
            answers.append(batcher.submit(item, None))
        await asyncio.gather(*answers)

    run(scenario())
    assert model.batches == [(0.0, [0]), (1.0, [1, 2, 3, 4]), (2.0, [5])]


def test_the_most_urgent_go_first_and_equals_in_the_order_of_arrival() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model, size=2)
        first = batcher.submit(0, None)
        await asyncio.sleep(0.1)
        later = [batcher.submit(item, deadline) for item, deadline in ((1, None), (2, 9.0), (3, None), (4, 8.0))]
        await asyncio.gather(first, *later)

    run(scenario())
    assert model.items == [[0], [4, 2], [1, 3]]
    assert model.deadlines == [None, 9.0, None]


def test_a_batch_holds_one_shape() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model, shape=lambda item: item % 2)
        await asyncio.gather(*(batcher.submit(item, None) for item in range(6)))

    run(scenario())
    assert model.items == [[0, 2, 4], [1, 3, 5]]


def test_a_batch_that_fails_fails_only_its_members() -> None:
    model = Model()

    async def scenario() -> list[int | BaseException]:
        batcher = batcher_of(model, size=2)
        return await asyncio.gather(*(batcher.submit(item, None) for item in (1, -1, 2, 3)), return_exceptions=True)

    answers = run(scenario())
    assert [type(answer) for answer in answers] == [ValueError, ValueError, int, int]


def test_work_whose_time_is_up_is_not_run() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model)
        first = batcher.submit(0, None)
        await asyncio.sleep(0.1)
        late = batcher.submit(1, 0.5)
        await first
        with pytest.raises(DeadlineExceeded):
            await late

    run(scenario())
    assert model.items == [[0]]


def test_more_than_the_limit_is_refused_and_room_is_made_by_who_leaves() -> None:
    async def scenario() -> None:
        batcher = batcher_of(Model(), limit=3)
        answers = [batcher.submit(item, None) for item in range(3)]
        with pytest.raises(Overloaded) as refusal:
            batcher.submit(3, None)
        assert refusal.value.retry_after > 0
        answers[0].cancel()
        await asyncio.sleep(0)
        assert await batcher.submit(4, None) == 8
        assert batcher.unanswered == 0

    run(scenario())


def test_what_was_taken_back_does_not_pile_up_behind_a_stuck_model() -> None:
    async def scenario() -> None:
        batcher = batcher_of(Model(), limit=10)
        stuck = batcher.submit(0, None)
        await asyncio.sleep(0.1)
        for item in range(1000):
            batcher.submit(item, None).cancel()
            await asyncio.sleep(0)
        assert sum(map(len, batcher._waiting.values())) <= 20
        assert await stuck == 0

    run(scenario())


def test_who_waits_is_told_when_the_run_is_cancelled() -> None:
    async def cancelled(items: Sequence[int], deadline: float | None) -> list[int]:
        raise asyncio.CancelledError

    async def scenario() -> None:
        batcher: Batcher[int, int] = Batcher(cancelled, lambda _: 0, lambda _, waiting: waiting, 1, 10)
        with pytest.raises(asyncio.CancelledError):
            await batcher.submit(1, None)
        assert batcher.unanswered == 0

    run(scenario())


@dataclass(frozen=True)
class Call:
    arrives: float
    patience: float | None
    leaves_after: float | None
    fails: bool


seconds = st.floats(0.0, 5.0, allow_nan=False)
calls = st.builds(
    Call, arrives=seconds, patience=st.none() | seconds, leaves_after=st.none() | seconds, fails=st.booleans()
)


@given(st.lists(calls, max_size=40), st.integers(1, 3), st.integers(1, 5), st.integers(1, 30))
def test_every_caller_gets_exactly_its_own_answer(
    workload: list[Call], concurrency: int, size: int, limit: int
) -> None:
    """None is lost, none runs twice, none that left or was late runs, and no bound is broken."""
    model = Model()
    left: dict[int, float] = {}
    refused: set[int] = set()

    async def one(batcher: Batcher[int, int], place: int, call: Call) -> None:
        await asyncio.sleep(call.arrives)
        loop = asyncio.get_running_loop()
        # Numbers that tell the calls apart; negative ones make their batch fail.
        item = -place - 1 if call.fails else place + 1
        deadline = None if call.patience is None else loop.time() + call.patience
        assert batcher.unanswered <= limit
        try:
            async with asyncio.timeout(call.leaves_after):
                assert await batcher.submit(item, deadline) == 2 * item
        except TimeoutError:
            left[item] = loop.time()
        except Overloaded:
            refused.add(item)
        except DeadlineExceeded:
            assert deadline is not None
            assert deadline <= loop.time()
            assert all(item not in items for items in model.items)
        except ValueError:
            assert any(item in items and min(items) < 0 for items in model.items)

    async def scenario() -> None:
        batcher = Batcher(model, lambda item: item % 3, lambda _, waiting: min(size, waiting), concurrency, limit)
        async with asyncio.timeout(1000), asyncio.TaskGroup() as group:
            for place, call in enumerate(workload):
                group.create_task(one(batcher, place, call))
        await asyncio.sleep(SECONDS)  # what was left behind ends
        assert batcher.unanswered == 0
        assert (batcher.batches, batcher.items) == (len(model.batches), sum(map(len, model.items)))

    run(scenario())
    runs = Counter(item for items in model.items for item in items)
    assert max(runs.values(), default=1) == 1
    assert not refused & runs.keys()
    assert all(start <= left[item] for start, items in model.batches for item in items if item in left)
    assert all(len(items) <= size and len({item % 3 for item in items}) == 1 for items in model.items)
    assert model.most_running <= concurrency
