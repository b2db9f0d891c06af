"""The engine over a real Triton; the tiny release's models are simple enough to say what must come out."""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tiny_release import ITEMS

from portrait.features.events import Event, EventType, Item
from portrait.features.text.normalisation import item_text
from portrait.server.catalogue.filters import Filter
from portrait.server.engine import Engine
from portrait.server.errors import DeadlineExceeded, NotFound, Unavailable
from portrait.server.profiles.compute import compute_profile
from portrait.server.profiles.profile import ALL_FIELDS
from portrait.server.recommendation.ranking import Ranking, RankRequest, RecommendRequest, rank, recommend
from portrait.server.triton import EmbeddedTriton

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROWS = {item.item_id: row for row, item in enumerate(ITEMS)}
CACHE_BYTES = 1 << 20
LAMPS = Filter(categories=[("Home", "Lamps")])
SEEN = "desk-lamp-red"


def bought(item_id: str, days: float = 1.0, catalogue: str = "products") -> Event:
    return Event(f"{item_id}, {days}", EventType.PURCHASE, NOW - timedelta(days=days), item_id, catalogue, price=20.0)


def names(ranking: Ranking) -> list[str]:
    return [ranked.item.item_id for ranked in ranking.items]


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    nudged = vector + 1e-3
    return nudged / np.linalg.norm(nudged)


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


async def test_item_texts_have_the_vectors_of_the_release(engine: Engine) -> None:
    vectors = await engine.texts.encode([item_text(item) for item in ITEMS], soon())
    assert np.allclose(vectors, engine.release.vectors, atol=0.02)  # bfloat16 where the CPU has it


async def test_a_profile_is_what_the_history_says(engine: Engine) -> None:
    history = [bought(SEEN), bought("wool-rug-blue")._replace(type=EventType.VIEW), bought("unheard-of")]
    profile = await compute_profile(engine, history, NOW, fields=ALL_FIELDS, deadline=soon())
    vectors = engine.release.vectors
    assert profile.embedding is not None
    assert np.allclose(profile.embedding, unit(vectors[ROWS[SEEN]] + 0.5 * vectors[ROWS["wool-rug-blue"]]), atol=1e-4)
    assert profile.interests[0].category_path == ("Home",)
    assert (profile.event_count, profile.release) == (3, 1)
    assert (
        await compute_profile(engine, history, NOW, fields=ALL_FIELDS - {"embedding"}, deadline=None)
    ).embedding is None


async def test_nobody_has_no_embedding(engine: Engine) -> None:
    profile = await compute_profile(engine, [], NOW, fields=ALL_FIELDS, deadline=soon())
    assert (profile.embedding, profile.event_count, profile.interests) == (None, 0, ())


async def test_a_history_of_many_events_is_taken(engine: Engine) -> None:
    history = [bought(ITEMS[n % len(ITEMS)].item_id, days=20 - n / 500) for n in range(10_000)]
    profile = await compute_profile(engine, history, NOW, fields=ALL_FIELDS, deadline=soon())
    assert profile.event_count == 10_000
    ranking = await recommend(engine, RecommendRequest(history, NOW, exclude_seen=True), deadline=soon())
    assert ranking.items == []
    assert ranking.event_count == 512


async def test_few_events_with_long_queries_do_not_hold_up_others(engine: Engine) -> None:
    queries = [" ".join(f"word{n}x{place}" for n in range(100)) for place in range(64)]
    history = [Event(f"{n}", EventType.SEARCH, NOW, query=query) for n, query in enumerate(queries)]
    fields = frozenset({"keywords"})  # for which no model is asked
    working = asyncio.ensure_future(compute_profile(engine, history, NOW, fields=fields, deadline=soon()))
    await asyncio.sleep(0)
    assert not working.done()
    assert (await working).event_count == 64
    brief = asyncio.ensure_future(compute_profile(engine, [bought("red-lamp")], NOW, fields=fields, deadline=soon()))
    await asyncio.sleep(0)
    assert brief.done()


async def test_recommendations_are_the_nearest_of_all(engine: Engine) -> None:
    ranking = await recommend(engine, RecommendRequest([bought(SEEN)], NOW, k=50), deadline=soon())
    vectors, popularity = engine.release.vectors, engine.release.popularity
    scores = vectors @ unit(vectors[ROWS[SEEN]]) + 0.1 * popularity
    scores[ROWS[SEEN]] += 0.2
    assert names(ranking) == [ITEMS[row].item_id for row in np.argsort(-scores, kind="stable")]
    assert [ranked.score for ranked in ranking.items] == pytest.approx(np.sort(scores)[::-1].tolist(), abs=1e-4)
    assert all(0.0 <= ranked.purchase_probability <= ranked.click_probability <= 1.0 for ranked in ranking.items)
    assert (ranking.release, ranking.event_count) == (1, 1)


def _draw_request(random: np.random.Generator) -> RecommendRequest:
    history = [bought(ITEMS[row].item_id, days=float(row)) for row in random.integers(len(ITEMS), size=9)]
    query = str(random.choice(["", "lamp", "red wool rugs", "台灯", "unheard of"]))
    return RecommendRequest(
        history[: int(random.integers(10))], NOW, query=query, k=int(random.choice([1, 5, 1000])),
        filter=[Filter(), LAMPS, Filter(max_price=30.0), Filter(brands=["acme"])][int(random.integers(4))],
        exclude_seen=bool(random.integers(2)), max_per_category=int(random.integers(3)),
    )  # fmt: skip


async def test_probabilities_of_any_response_sum_to_one_at_most(engine: Engine) -> None:
    random = np.random.default_rng(0)
    new = [Item(f"new-{number}", "Red lamp", category_path=("Home", "Lamps"), price=20.0) for number in range(30)]
    await engine.upsert_items("products", new, deadline=soon())
    for _ in range(60):
        request = _draw_request(random)
        drawn = [ITEMS[row] for row in random.integers(len(ITEMS), size=20)]
        own = {item.item_id: item for item in [*drawn, Item("own", "Blue rug"), Item("unknown", "")]}
        ordered = RankRequest(request.history, NOW, query=request.query, candidates=list(own.values()))
        for ranking in (
            await recommend(engine, request, deadline=soon()),
            await rank(engine, ordered, deadline=soon()),
        ):
            clicks = [ranked.click_probability for ranked in ranking.items]
            assert sum(clicks) <= 1.0 + 1e-5
            for ranked in ranking.items:
                assert 0.0 <= ranked.purchase_probability <= ranked.click_probability <= 1.0
    engine.delete_items("products", [item.item_id for item in new])


@pytest.mark.parametrize("wanted", [Filter(), Filter(categories=[("Home",)])])
@pytest.mark.parametrize("limit", [1, 2])
async def test_no_category_has_more_items_than_asked_for(engine: Engine, wanted: Filter, limit: int) -> None:
    asked = RecommendRequest([bought(SEEN)], NOW, k=50, filter=wanted)
    everything = await recommend(engine, asked, deadline=soon())
    few = await recommend(engine, replace(asked, k=5, max_per_category=limit), deadline=soon())
    taken, expected = Counter[tuple[str, ...]](), []
    for ranked in everything.items:
        taken[ranked.item.category_path] += 1
        if not ranked.item.category_path or taken[ranked.item.category_path] <= limit:
            expected.append(ranked.item.item_id)
    assert names(few) == expected[:5]
    assert names(few) != names(everything)[:5]


async def test_nobody_gets_what_is_popular(engine: Engine) -> None:
    ranking = await recommend(engine, RecommendRequest([], NOW, k=3), deadline=soon())
    assert names(ranking) == [item.item_id for item in ITEMS[:3]]
    assert ranking.event_count == 0


@pytest.mark.parametrize("history", [[], [bought("frying-pan-blue")]])
async def test_a_query_is_answered(engine: Engine, history: list[Event]) -> None:
    request = RecommendRequest(history, NOW, query="Red desk lamp, Acme", k=5)
    assert SEEN in names(await recommend(engine, request, deadline=soon()))
    assert names(await recommend(engine, replace(request, query=" \t "), deadline=soon())) == names(
        await recommend(engine, replace(request, query=""), deadline=soon())
    )


async def test_a_filter_and_seen_items_are_kept_out(engine: Engine) -> None:
    request = RecommendRequest([bought(SEEN)], NOW, k=50, filter=LAMPS)
    assert len(names(await recommend(engine, request, deadline=soon()))) == 13
    unseen = names(await recommend(engine, replace(request, exclude_seen=True), deadline=soon()))
    assert len(unseen) == 12
    assert SEEN not in unseen
    nothing = replace(request, filter=Filter(brands=["nobody"]))
    assert names(await recommend(engine, nothing, deadline=soon())) == []


async def test_an_item_of_another_catalogue_is_another_item(engine: Engine) -> None:
    await engine.upsert_items("ads", [Item(SEEN, "Frying pan", catalogue="ads")], deadline=soon())
    request = RecommendRequest([bought(SEEN, catalogue="ads")], NOW, k=50, exclude_seen=True)
    assert SEEN in names(await recommend(engine, request, deadline=soon()))
    assert names(await recommend(engine, replace(request, catalogue="ads"), deadline=soon())) == []


async def test_a_new_item_is_recommended_at_once_and_a_removed_one_never(engine: Engine) -> None:
    new = Item("hammock", "Striped garden hammock", category_path=("Garden",), price=70.0)
    request = RecommendRequest([], NOW, query="striped garden hammock", k=5)
    await engine.upsert_items("products", [new], deadline=soon())
    assert names(await recommend(engine, request, deadline=soon()))[0] == "hammock"
    assert engine.get_item("products", "hammock") == new
    assert engine.delete_items("products", ["hammock", "unheard-of"]) == 1
    assert "hammock" not in names(await recommend(engine, request, deadline=soon()))


async def test_candidates_are_ranked_by_what_is_known_of_them(engine: Engine) -> None:
    candidates = [
        Item("unheard-of", ""),
        Item("frying-pan-blue", ""),
        Item("mine", item_text(ITEMS[ROWS[SEEN]])),
        Item("floor-lamp-red", ""),
        Item("frying-pan-green", item_text(ITEMS[ROWS[SEEN]])),
    ]
    request = RankRequest([bought(SEEN)], NOW, candidates=candidates)
    ranking = await rank(engine, request, deadline=soon())
    assert set(names(ranking)[:2]) == {"mine", "frying-pan-green"}
    assert names(ranking)[2:] == ["floor-lamp-red", "frying-pan-blue", "unheard-of"]
    known, unknown = ranking.items[2], ranking.items[-1]
    assert known.item == ITEMS[ROWS["floor-lamp-red"]]
    assert (unknown.score, unknown.click_probability, unknown.purchase_probability) == (0.0, 0.0, 0.0)


async def test_a_catalogue_whose_items_are_all_gone_ranks_none(engine: Engine) -> None:
    await engine.upsert_items("help_articles", [Item("returns", "How to return", "help_articles")], deadline=soon())
    engine.delete_items("help_articles", ["returns"])
    request = RankRequest([], NOW, "help_articles", candidates=[Item("returns", "", "help_articles")])
    assert names(await rank(engine, request, deadline=soon())) == ["returns"]
    every = RecommendRequest([], NOW, "help_articles", query="return")
    assert names(await recommend(engine, every, deadline=soon())) == []


async def test_another_catalogue_answers_a_query_by_its_words_alone(engine: Engine) -> None:
    articles = [Item(each, title, "help_articles") for each, title in (("a", "blue rug"), ("b", "red desk lamp"))]
    await engine.upsert_items("help_articles", articles, deadline=soon())
    query = await engine.texts.encode(["red lamp"], soon(), "sentence_embedding")
    nearness = await engine.texts.encode([item.title for item in articles], soon(), "sentence_embedding") @ query[0]
    for shopper in ([], [bought(SEEN)]):
        request = RecommendRequest(shopper, NOW, "help_articles", query="red lamp")
        ranking = await recommend(engine, request, deadline=soon())
        assert names(ranking) == ["b", "a"]
        assert [ranked.score for ranked in ranking.items] == pytest.approx([nearness[1], nearness[0]], abs=0.02)
    engine.delete_items("help_articles", ["a", "b"])


async def test_what_is_not_there_is_named(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await recommend(engine, RecommendRequest([], NOW, "unheard-of"), deadline=soon())
    with pytest.raises(NotFound):
        engine.get_item("products", "unheard-of")


async def test_requests_of_all_kinds_at_one_time_get_their_own_answers(engine: Engine) -> None:
    async def own(item: Item) -> bool:
        history = [bought(item.item_id, days=n) for n in range(1, 1 + ROWS[item.item_id] % 40)] or [
            bought(item.item_id)
        ]
        ranking = await recommend(engine, RecommendRequest(history[::-1], NOW, query=item.title, k=1), deadline=soon())
        return names(ranking) == [item.item_id]

    assert all(await asyncio.gather(*(own(item) for item in ITEMS for _ in range(4))))


async def test_a_deadline_that_has_passed_ends_the_work(engine: Engine) -> None:
    with pytest.raises(DeadlineExceeded):
        await recommend(
            engine, RecommendRequest([], NOW, query="never asked before"), deadline=asyncio.get_running_loop().time()
        )


async def test_two_releases_never_mix(engine: Engine, two_releases: Path, embedded_triton: EmbeddedTriton) -> None:
    other = await Engine.open(two_releases, 2, [embedded_triton.url], CACHE_BYTES)
    try:
        one, two = [await each.texts.encode(["red lamp"], soon()) for each in (engine, other)]
        assert not np.allclose(one, two, atol=0.1)
        assert (await recommend(other, RecommendRequest([], NOW), deadline=soon())).release == 2
    finally:
        await other.close()


async def test_batches_are_as_many_at_one_time_as_triton_counts_instances(
    two_releases: Path, embedded_triton: EmbeddedTriton
) -> None:
    engine = await Engine.open(two_releases, 2, [embedded_triton.url], CACHE_BYTES)
    for batcher in engine.batchers.values():
        batcher.set_instances(9)
    await engine.count_instances()
    counted = {model: batcher.instances for model, batcher in engine.batchers.items()}
    assert counted == {"text_encoder": 2, "profile_encoder": 1, "ranker": 1, "trait_heads": 1}
    await engine.close()


async def test_a_dead_triton_is_unavailable_until_it_is_back(two_releases: Path, tmp_path: Path) -> None:
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        await triton.load(1)
        engine = await Engine.open(two_releases, 1, [triton.url], CACHE_BYTES)
        anything = RecommendRequest([], NOW)
        assert len((await recommend(engine, anything, deadline=soon())).items) == 10
        assert triton.pid is not None
        os.kill(triton.pid, signal.SIGKILL)
        failures = await asyncio.gather(
            *(recommend(engine, anything, deadline=soon()) for _ in range(10)), return_exceptions=True
        )
        assert {type(failure) for failure in failures} == {Unavailable}
        assert not await engine.is_ready()
        async with asyncio.timeout(60):
            while not await engine.is_ready():
                await asyncio.sleep(0.05)
        assert len((await recommend(engine, anything, deadline=soon())).items) == 10
        await engine.close()
