import asyncio
from collections.abc import Callable, Sequence

import pytest

from benchmarks.common.virtual_time import run
from portrait.server.batching.batcher import Batcher
from portrait.server.batching.caller_key import CallerKey, set_caller_key
from portrait.server.batching.shapes import Shapes
from portrait.server.errors import DeadlineExceeded, Overloaded

SECONDS = 1.0
"""Time that the model takes for a batch."""


class Model:
    """Answers each item with its double; notes what it was given, and when."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, list[int]]] = []
        self.deadlines: list[float | None] = []
        self.running = self.most_running = 0

    async def __call__(self, items: Sequence[int], length: int, deadline: float | None) -> list[int]:
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
    model: Model, concurrency: int = 1, limit: int = 1000, size: int = 4, length: Callable[[int], int] = lambda _: 1
) -> Batcher[int, int]:
    """Batches of up to so many items, of one length each: items of length 2 are as long as a whole batch may be."""
    shapes = Shapes((1, 2), tuple(range(1, size + 1)), budget=2 * size, overhead=0, min_fill_when_busy=0.0)
    return Batcher(model, length, shapes, concurrency, limit)


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
        batcher = batcher_of(model, length=lambda item: 1 + item % 2)
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
        assert batcher.pending == 0

    run(scenario())


def test_what_was_taken_back_does_not_pile_up_behind_a_stuck_model() -> None:
    async def scenario() -> None:
        batcher = batcher_of(Model(), limit=10)
        stuck = batcher.submit(0, None)
        await asyncio.sleep(0.1)
        for item in range(1000):
            batcher.submit(item, None).cancel()
            await asyncio.sleep(0)
        assert len(batcher._queue) + len(batcher._stage) <= 20
        assert await stuck == 0

    run(scenario())


def test_who_waits_is_told_when_the_run_is_cancelled() -> None:
    async def cancelled(items: Sequence[int], length: int, deadline: float | None) -> list[int]:
        raise asyncio.CancelledError

    async def scenario() -> None:
        batcher: Batcher[int, int] = Batcher(cancelled, lambda _: 1, Shapes((1,), (1,), 1, 0, 0.0), 1, 10)
        with pytest.raises(asyncio.CancelledError):
            await batcher.submit(1, None)
        assert batcher.pending == 0

    run(scenario())


def test_what_is_not_full_waits_behind_a_batch_that_runs_and_what_is_full_does_not() -> None:
    model = Model()

    async def scenario() -> None:
        shapes = Shapes((1,), (1, 2, 3, 4), budget=4, overhead=0, min_fill_when_busy=1.0)
        batcher: Batcher[int, int] = Batcher(model, lambda _: 1, shapes, concurrency=2, limit=100)
        answers = [batcher.submit(0, None)]
        for item in range(1, 10):
            await asyncio.sleep(0.1)
            answers.append(batcher.submit(item, None))
        await asyncio.gather(*answers)

    run(scenario())
    assert [(round(at, 1), items) for at, items in model.batches] == [
        (0.0, [0]), (0.4, [1, 2, 3, 4]), (1.0, [5, 6, 7, 8]), (2.0, [9])
    ]  # fmt: skip


def test_every_instance_is_given_what_there_is_at_once() -> None:
    model = Model()

    async def scenario() -> None:
        shapes = Shapes((1,), (1, 2, 3, 4), budget=4, overhead=0, min_fill_when_busy=1.0)
        batcher: Batcher[int, int] = Batcher(model, lambda _: 1, shapes, concurrency=3, limit=100, instances=2)
        answers = []
        for item in range(9):
            answers.append(batcher.submit(item, None))
            await asyncio.sleep(0.1)
        await asyncio.gather(*answers)

    run(scenario())
    assert [(round(at, 1), items) for at, items in model.batches] == [
        (0.0, [0]), (0.1, [1]), (0.5, [2, 3, 4, 5]), (1.1, [6, 7, 8])
    ]  # fmt: skip


def test_instances_that_are_counted_later_are_given_work_at_once() -> None:
    model = Model()

    async def scenario() -> None:
        shapes = Shapes((1,), (1,), budget=1, overhead=0, min_fill_when_busy=0.0)
        batcher: Batcher[int, int] = Batcher(model, lambda _: 1, shapes, concurrency=2, limit=100)
        answers = [batcher.submit(item, None) for item in range(7)]
        await asyncio.sleep(0.1)
        batcher.set_instances(4)
        assert batcher.instances == 4
        await asyncio.gather(*answers)

    run(scenario())
    began = [round(at, 1) for at, _ in model.batches]
    assert began[:5] == [0.0, 0.0, 0.1, 0.1, 0.1]
    assert began[5] > 0.1


def test_a_caller_with_little_goes_before_one_with_much_and_background_work_last() -> None:
    model = Model()

    async def scenario() -> None:
        batcher = batcher_of(model, size=2)
        answers = []

        def submit(caller: str, items: range, background: bool = False) -> None:
            set_caller_key(CallerKey(caller, background))
            answers.extend(batcher.submit(item, None) for item in items)

        submit("nightly", range(100, 104), background=True)
        submit("bulk", range(8))
        await asyncio.sleep(0.1)
        submit("page", range(50, 52))
        await asyncio.gather(*answers)

    run(scenario())
    assert model.items == [[0, 1], [50, 51], [2, 3], [4, 5], [6, 7], [100, 101], [102, 103]]
