"""The engine while no Triton answers: what is still said, and how it is marked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.tiny_release import ITEMS

from portrait.features.events import Event, EventType, Item
from portrait.server.catalogue.filters import Filter
from portrait.server.engine import Engine
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound, Unavailable
from portrait.server.profiles.compute import compute_profile
from portrait.server.profiles.profile import ALL_FIELDS
from portrait.server.recommendation.ranking import RankRequest, RecommendRequest, rank, recommend
from portrait.server.triton import EmbeddedTriton

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = [item.item_id for item in ITEMS]
SEEN = NAMES[20]


def bought(item_id: str, days: float = 1.0) -> Event:
    return Event(f"{item_id}, {days}", EventType.PURCHASE, NOW - timedelta(days=days), item_id, price=20.0)


HISTORY = [bought(SEEN)]
ASKED = RecommendRequest(HISTORY, NOW, allow_degraded=True)


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


@pytest.fixture
async def alone(two_releases: Path) -> AsyncIterator[Engine]:
    """An engine whose Triton is not there."""
    engine = await Engine.open(two_releases, 1, ["127.0.0.1:1"], 1 << 20)
    yield engine
    await engine.close()


async def test_who_does_not_allow_it_gets_an_error(alone: Engine) -> None:
    with pytest.raises(Unavailable):
        await recommend(alone, replace(ASKED, allow_degraded=False), deadline=soon())


async def test_what_follows_comes_first_and_then_what_is_popular_in_the_category(alone: Engine) -> None:
    ranking = await recommend(alone, replace(ASKED, exclude_seen=True), deadline=soon())
    found = [ranked.item.item_id for ranked in ranking.items]
    assert (ranking.degraded, ranking.release, ranking.event_count) == (True, 1, 1)
    assert found[0] == NAMES[21]  # the associations of the tiny release lead to the next of the list
    assert SEEN not in found
    liked = {ranked.item.category_path for ranked in ranking.items[1:9]}
    assert liked == {ITEMS[20].category_path}
    assert all(ranked.click_probability == ranked.purchase_probability == 0.0 for ranked in ranking.items)
    assert alone.fallback.answers.total() == 1


@pytest.mark.parametrize("history", [HISTORY, []])
async def test_no_category_has_more_items_than_asked_for(alone: Engine, history: list[Event]) -> None:
    everything = await recommend(alone, replace(ASKED, history=history, k=50), deadline=soon())
    few = await recommend(alone, replace(ASKED, history=history, k=4, max_per_category=1), deadline=soon())
    first: dict[tuple[str, ...], str] = {}
    for ranked in everything.items:
        first.setdefault(ranked.item.category_path, ranked.item.item_id)
    assert few.degraded
    assert [ranked.item.item_id for ranked in few.items] == list(first.values())[:4]


async def test_an_unknown_shopper_gets_what_is_popular_within_the_filter(alone: Engine) -> None:
    ranking = await recommend(alone, replace(ASKED, history=[]), deadline=soon())
    assert [ranked.item.item_id for ranked in ranking.items] == NAMES[:10]
    rugs = Filter(categories=[("Home", "Rugs")])
    ranking = await recommend(alone, replace(ASKED, filter=rugs, k=50), deadline=soon())
    assert {ranked.item.category_path for ranked in ranking.items} == {("Home", "Rugs")}
    with pytest.raises(NotFound):
        await recommend(alone, replace(ASKED, catalogue="none"), deadline=soon())


async def test_a_query_that_nobody_asked_has_no_such_answer(alone: Engine) -> None:
    with pytest.raises(Unavailable):
        await recommend(alone, replace(ASKED, query="a lamp"), deadline=soon())


async def test_candidates_keep_the_callers_order_where_nothing_is_known(alone: Engine) -> None:
    candidates = [Item(name, "") for name in (NAMES[40], "unheard-of", NAMES[21], NAMES[1])]
    request = RankRequest(HISTORY, NOW, allow_degraded=True, candidates=candidates)
    ranking = await rank(alone, request, deadline=soon())
    assert ranking.degraded
    assert [ranked.item.item_id for ranked in ranking.items] == [NAMES[21], NAMES[1], NAMES[40], "unheard-of"]
    assert ranking.items[0].item.title == ITEMS[21].title
    ranking = await rank(alone, replace(request, query="never asked"), deadline=soon())
    assert [ranked.item.item_id for ranked in ranking.items] == [each.item_id for each in candidates]


async def test_what_was_encoded_before_is_remembered(
    two_releases: Path, embedded_triton: EmbeddedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await Engine.open(two_releases, 1, [embedded_triton.url], 1 << 20)
    full = await compute_profile(engine, HISTORY, NOW, fields=ALL_FIELDS, deadline=soon(), allow_degraded=True)
    asked = replace(ASKED, query="jute rug")
    assert not (await recommend(engine, asked, deadline=soon())).degraded
    assert not full.degraded

    async def down(*_: object) -> None:
        raise Unavailable("down", 1.0, ErrorReason.MODELS_UNAVAILABLE)

    monkeypatch.setattr(engine._models, "run", down)
    later = [*HISTORY, bought(NAMES[3], 0.5)]
    profile = await compute_profile(engine, later, NOW, fields=ALL_FIELDS, deadline=soon(), allow_degraded=True)
    assert profile.degraded
    assert profile.embedding is not None
    assert full.embedding is not None
    assert np.array_equal(profile.embedding, full.embedding)
    unknown = await compute_profile(
        engine, [bought(NAMES[7])], NOW, fields=ALL_FIELDS, deadline=soon(), allow_degraded=True
    )
    assert (unknown.degraded, unknown.embedding) == (True, None)
    assert not (
        await compute_profile(
            engine, later, NOW, fields=ALL_FIELDS - {"embedding"}, deadline=soon(), allow_degraded=True
        )
    ).degraded
    ranking = await recommend(engine, asked, deadline=soon())
    assert ranking.degraded
    assert ranking.items[0].item.category_path == ("Home", "Rugs")
    await engine.close()
