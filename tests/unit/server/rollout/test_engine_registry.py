"""Routes and what they lead to, with engines that only count."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from portrait.features.events import Item
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound, Overloaded
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.traffic import Traffic


class Counting:
    """Stands for an engine."""

    def __init__(self, number: int, failure: Exception | None = None) -> None:
        self.release = SimpleNamespace(number=number, nearest=SimpleNamespace(failures=number))
        self.batchers = {
            "ranker": SimpleNamespace(batches=number, items=10 * number, padded_units=16 * number, units=10 * number)
        }
        self.fallback = SimpleNamespace(answers=Counter({"late": 1}))
        self.texts = SimpleNamespace(cache=SimpleNamespace(hits=2, misses=3))
        self.triton = SimpleNamespace(failovers=1, hedges=0)
        self.failure = failure
        self.upserted: list[Item] = []
        self.encoded = 0

    async def encode_items(self, catalogue: str, items: Sequence[Item], deadline: float | None) -> Sequence[Item]:
        await asyncio.sleep(0)
        self.encoded += 1
        if self.failure:
            raise self.failure
        return items

    def put_items(self, catalogue: str, items: Sequence[Item]) -> None:
        self.upserted.extend(items)

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        if self.failure:
            raise self.failure
        return len(item_ids)


def loaded(*engines: Any) -> EngineRegistry:
    held = EngineRegistry(engines[0], Traffic(engines[0].release.number))
    for engine in engines[1:]:
        held.add(engine)
    return held


def test_a_request_ends_on_the_release_it_began_with() -> None:
    one, two = Counting(1), Counting(2)
    held = loaded(one, two)
    with held.routes as before:
        held.switch(Traffic(2, 1))
        assert before.engine_for("ann") is before.serving is one
        with held.routes as after:
            assert after.engine_for("ann") is two
        assert held.in_use == {1, 2}
    assert held.in_use == {2}


def test_a_release_is_in_use_until_the_last_request_of_several_switches_has_ended() -> None:
    held = loaded(Counting(1), Counting(2), Counting(3))
    first = held.routes
    with first:
        with first:
            held.switch(Traffic(2, 1))
            held.switch(Traffic(3, 2))
            assert held.in_use == {1, 3}
        assert held.in_use == {1, 3}
    assert held.in_use == {3}


def test_a_request_that_fails_has_ended_too() -> None:
    held = loaded(Counting(1), Counting(2))

    def fail() -> None:
        with held.routes:
            held.switch(Traffic(2, 1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert held.in_use == {2}


def test_shoppers_of_a_canary_have_its_engine() -> None:
    one, two = Counting(1), Counting(2)
    held = loaded(one, two)
    held.switch(Traffic(1, canary=2, percent=30))
    shoppers = [f"shopper-{number}" for number in range(100)]
    for shopper in shoppers:
        assert held.routes.engine_for(shopper) is (one if held.routes.traffic.release_of(shopper) == 1 else two)
    assert {held.routes.engine_for(shopper) for shopper in shoppers} == {one, two}
    assert held.routes.engine_for("") is held.routes.serving is one
    assert held.in_use == {1, 2}


def test_no_two_states_are_equal_even_if_routes_are() -> None:
    held, traffic = loaded(Counting(1), Counting(2)), Traffic(1, 2)
    held.switch(traffic)
    states = [held.state]
    for next_one in (traffic.rolled_back(), traffic):
        held.switch(next_one)
        states.append(held.state)
    assert len(set(states)) == 3


async def test_items_change_in_every_release_or_in_none() -> None:
    one, two = Counting(1), Counting(2)
    held = loaded(one, two)
    await held.upsert_items("products", [Item("a", "A")], deadline=None)
    assert one.upserted == two.upserted == [Item("a", "A")]
    two.failure = Overloaded("no room", 1.0, ErrorReason.MODELS_BUSY)
    with pytest.raises(Overloaded):
        await held.upsert_items("products", [Item("b", "B")], deadline=None)
    assert held.routes.serving is one
    assert (one.encoded, two.encoded) == (2, 2)  # both were waited for
    assert one.upserted == two.upserted == [Item("a", "A")]


def test_a_catalogue_that_only_one_release_brings_can_be_cleared() -> None:
    one, two = Counting(1), Counting(2, NotFound("catalogue", "none", ErrorReason.CATALOGUE_UNKNOWN))
    assert loaded(one, two).delete_items("ads", ["a", "b"]) == 2
    with pytest.raises(NotFound):
        loaded(two, one).delete_items("ads", ["a", "b"])


def test_what_a_release_counted_outlives_it() -> None:
    held = loaded(Counting(1), Counting(2))
    counts = held.counts()
    assert (counts["batches", "ranker"], counts["rows", "ranker"], counts["degraded", "late"]) == (3, 30, 2)
    assert (counts["texts", "known"], counts["texts", "encoded"], counts["index", "failures"]) == (4, 6, 3)
    held.remove(2)
    assert held.counts() == counts
    assert list(held.engines) == [1]
