"""Traits over a real Triton: the graph that only some releases have."""

import asyncio
import math
from datetime import UTC, datetime, timedelta

import pytest
from support.tiny_release import TRAITS

from portrait.features.events import Event, EventType
from portrait.server.engine import Engine
from portrait.server.profiles.compute import compute_profile

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def bought(days: float) -> Event:
    return Event(str(days), EventType.PURCHASE, NOW - timedelta(days=days), "desk-lamp-red", price=20.0)


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


async def test_traits_come_with_their_probability_or_reason(engine_with_traits: Engine) -> None:
    assert await engine_with_traits.is_ready()
    profile = await compute_profile(
        engine_with_traits, [bought(20.0), bought(7.0)], NOW, fields=frozenset({"traits"}), deadline=soon()
    )
    lapses, rare, buys = profile.traits
    assert [value.trait.name for value in profile.traits] == [entry["name"] for entry in TRAITS]
    # The tiny graph reads log(1 + 7 days) with a slope of ½, and of -½.
    assert lapses.probability == pytest.approx(1 / (1 + 8**-0.5), abs=1e-3)
    assert buys.probability == pytest.approx(1 / (1 + math.sqrt(8)), abs=1e-3)
    assert (rare.probability, rare.absent) == (None, "too few")
    assert lapses.trait.horizon == timedelta(days=30)


async def test_at_one_time_each_gets_its_own(engine_with_traits: Engine) -> None:
    days = [float(day) for day in range(1, 80)]
    asked = [
        compute_profile(engine_with_traits, [bought(day)], NOW, fields=frozenset({"traits"}), deadline=soon())
        for day in days
    ]
    for day, profile in zip(days, await asyncio.gather(*asked), strict=True):
        assert profile.traits[0].probability == pytest.approx(1 / (1 + (1 + day) ** -0.5), abs=1e-3)
    assert engine_with_traits.batchers["trait_heads"].batches < len(days)


async def test_who_was_long_away_has_none(engine_with_traits: Engine) -> None:
    profile = await compute_profile(
        engine_with_traits, [bought(90.0)], NOW, fields=frozenset({"traits"}), deadline=soon()
    )
    assert [value.absent for value in profile.traits] == [
        "no event in the 90 days before", "too few", "no event in the 90 days before"
    ]  # fmt: skip


async def test_a_history_without_times_has_none(engine_with_traits: Engine) -> None:
    history = [bought(1.0)._replace(time=None)]
    profile = await compute_profile(engine_with_traits, history, NOW, fields=frozenset({"traits"}), deadline=soon())
    assert profile.traits[0].absent == "the history has events without a time"


async def test_releases_without_traits_serve_as_before(engine: Engine) -> None:
    assert await engine.is_ready()
    assert "trait_heads" not in engine.batchers
    profile = await compute_profile(
        engine, [bought(1.0)], NOW, fields=frozenset({"embedding", "traits"}), deadline=soon()
    )
    assert profile.embedding is not None
    assert profile.traits == []
