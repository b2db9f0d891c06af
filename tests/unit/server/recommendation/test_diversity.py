"""No category has more items than are asked for, and others fill the answer."""

import math
from collections import Counter
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import summarise_history
from portrait.features.candidates.item_statistics import ITEM_STATISTICS, POPULARITY
from portrait.features.candidates.relations import RELATIONS, Relations
from portrait.features.candidates.sources import NEAREST_CANDIDATES
from portrait.features.events import DEFAULT_CATALOGUE, Item
from portrait.features.histories.history_arrays import build_event_columns
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.items.prices import PriceScale
from portrait.features.release.manifest import Manifest
from portrait.features.search.word_index import WordIndex
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.server.catalogue.candidate_set import candidates_from_text
from portrait.server.catalogue.catalogue import Catalogue
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.candidates import generate_candidates
from portrait.server.recommendation.diversity import (
    MAX_SPREAD_ITEMS,
    limit_categories,
    order_by_marginal_relevance,
)
from portrait.server.recommendation.fallback_ranking import generate_fallback_candidates
from portrait.server.release.release import Release

PATHS = ((), ("Dairy",), ("Dairy", "Milk"), ("Dairy", "Cheese"), ("Bread",))
SIDE = NEAREST_CANDIDATES + 50
"""So many milks are nearer than anything else: retrieval finds nothing else by itself."""
NONE = np.empty(0, dtype=np.int64)
NO_HISTORY = summarise_history(NONE, NONE, NONE, NONE, np.empty(0), np.empty(0), math.nan)


def released(paths: list[tuple[str, ...]]) -> Release:
    """Items on a quarter of a circle, the first the nearest to the shopper and the most popular."""
    count, scale = len(paths), PriceScale({})
    items = [Item(f"{row:04}", f"Item {row}", category_path=path) for row, path in enumerate(paths)]
    angles = np.linspace(0.0, np.pi / 2, count)
    statistics = np.zeros((count, len(ITEM_STATISTICS)), dtype=np.float32)
    statistics[:, POPULARITY] = np.linspace(1.0, 0.5, count)
    nothing = Associations(np.zeros(count + 1, dtype=np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 0.7)
    held = {
        "items": ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale),
        "words": WordIndex.from_items(items),
        "index": None,
        "sentence_vectors": np.zeros((0, 2), dtype=np.float32),
        "vectors": np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32),
        "statistics": statistics,
        "neighbours": ColdStartNeighbours.of_known_items(np.arange(count)),
        "price_scale": scale,
        "relations": Relations(dict.fromkeys(RELATIONS, nothing)),
    }
    rest = {"number": 1, "tokenizer": None, "rarity": InverseDocumentFrequency.from_counts(0, {})}
    return Release(
        manifest=cast(Manifest, SimpleNamespace(dimension=2, subspaces=1, sentence_dimension=2)), **held, **rest
    )


def shopper(release: Release, known: bool) -> Shopper:
    nothing = np.zeros(2, dtype=np.float32)
    likes = np.array([1.0, 0.0], dtype=np.float32) if known else nothing
    return Shopper(likes, nothing, [], build_event_columns([], lambda _: math.nan), release)


def chosen(catalogue: Snapshot, ids: list[str], limit: int, k: int) -> list[str]:
    rows = np.array([catalogue.row(each) for each in ids], dtype=np.int64)
    return [ids[place] for place in limit_categories(catalogue.categories(rows), limit)[:k]]


@given(
    st.lists(st.sampled_from(PATHS), max_size=40),
    st.lists(st.sampled_from(PATHS), max_size=9),
    st.integers(1, 4),
    st.integers(1, 30),
)
def test_a_limit_takes_items_out_and_changes_nothing_else(
    paths: list[tuple[str, ...]], new: list[tuple[str, ...]], limit: int, k: int
) -> None:
    release = released([*paths, ("Bread",)])
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    added = [Item(f"new {n}", "New", category_path=path) for n, path in enumerate(new)]
    catalogue.upsert(candidates_from_text(release, DEFAULT_CATALOGUE, added, np.ones((len(new), 2), np.float32)))
    order = [f"{row:04}" for row in range(len(paths) + 1)] + [item.item_id for item in added]
    path_of = {each: cast(Item, catalogue.now.item(each)).category_path for each in order}
    found = chosen(catalogue.now, order, limit, k)
    expected, taken = [], Counter[tuple[str, ...]]()
    for each in order:
        taken[path_of[each]] += 1
        if not path_of[each] or taken[path_of[each]] <= limit:
            expected.append(each)
    assert found == expected[:k]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("search", [generate_candidates, generate_fallback_candidates])
@pytest.mark.parametrize("limit", [1, 3])
def test_other_categories_fill_the_answer_however_far_they_are(search, known: bool, limit: int) -> None:  # type: ignore[no-untyped-def]
    release = released([("Dairy", "Milk")] * SIDE + [("Aisle", str(n % 10)) for n in range(30)])
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    bread = Item("new bread", "Bread", category_path=("Bread",))
    catalogue.upsert(
        candidates_from_text(release, DEFAULT_CATALOGUE, [bread], np.array([[0.0, 1.0]], dtype=np.float32))
    )
    found = search(catalogue.now, shopper(release, known), NO_HISTORY, 12, Filter(), (), limit)
    taken = Counter(cast(Item, catalogue.now.item(each)).category_path for each in found.item_ids)
    assert sum(min(count, limit) for count in taken.values()) >= 12
    assert len(set(found.item_ids)) == len(found.item_ids)
    wanted = Filter(categories=[("Aisle",)])
    found = search(catalogue.now, shopper(release, known), NO_HISTORY, 12, wanted, (), limit)
    assert {cast(Item, catalogue.now.item(each)).category_path[0] for each in found.item_ids} == {"Aisle"}


def test_without_a_limit_nothing_changes() -> None:
    release = released([("Dairy", "Milk")] * SIDE + [("Bread",)])
    now = Catalogue(DEFAULT_CATALOGUE, release).now
    plain, none = (
        generate_candidates(now, shopper(release, True), NO_HISTORY, 12, Filter(), (), *limit) for limit in ((), (0,))
    )
    assert plain.item_ids == none.item_ids
    assert len(plain.item_ids) == NEAREST_CANDIDATES


@given(
    st.integers(0, 2**32),
    st.integers(0, MAX_SPREAD_ITEMS + 20),
    st.floats(0.0, 10.0),
    st.integers(1, MAX_SPREAD_ITEMS + 20),
    st.integers(0, 3),
)
def test_each_place_takes_the_item_of_the_highest_marginal_relevance(
    seed: int, count: int, amount: float, k: int, others: int
) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count + others, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items, shown = vectors[:count], vectors[count:]
    scores = np.sort(random.normal(size=count).astype(np.float32))[::-1]
    order = order_by_marginal_relevance(scores, items, amount, k, shown)
    assert sorted(order) == list(range(count))
    pool = min(count, MAX_SPREAD_ITEMS)
    for nth, place in enumerate(order[: min(k, pool)]):
        above = np.concatenate([shown, items[order[:nth]]])
        worth = [
            scores[each] - amount * max([0.0, *(above @ items[each]).tolist()])
            for each in sorted(set(range(pool)) - {*order[:nth]})
        ]
        assert scores[place] - amount * max([0.0, *(above @ items[place]).tolist()]) == pytest.approx(
            max(worth), abs=1e-4
        )
    assert order[k:] == sorted(order[k:])  # those that are not shown keep their order
    assert amount > 0.0 or order == list(range(count))
