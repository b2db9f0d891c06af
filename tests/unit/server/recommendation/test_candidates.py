"""Candidate generation: the items of a catalogue that are worth ranking for a shopper."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES, NEAREST_CANDIDATES
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.items.prices import PriceScale
from portrait.features.release.manifest import Manifest
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.server.catalogue.candidate_set import candidates_from_text
from portrait.server.catalogue.catalogue import Catalogue
from portrait.server.catalogue.filters import Filter
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.candidates import compute_features, generate_candidates
from portrait.server.release.release import Release
from portrait.server.search.exact import top_k

# Few different scores, so that ties are common.
rows = st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=60)


@given(rows, st.integers(1, 80))
def test_it_finds_what_looking_at_every_row_finds(rows: list[tuple[float, bool]], k: int) -> None:
    scores = np.array([score for score, _ in rows], dtype=np.float32)
    allowed = np.array([allow for _, allow in rows], dtype=bool)
    expected = sorted((row for row in range(len(rows)) if allowed[row]), key=lambda row: (-scores[row], row))[:k]
    assert top_k(scores, k, allowed).tolist() == expected


def test_scores_that_differ_by_little_are_told_apart() -> None:
    scores = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    found = top_k(scores, 100, np.ones(10_000, dtype=bool))
    assert found.tolist() == np.argsort(-scores, kind="stable")[:100].tolist()


COUNT = 3 * NEAREST_CANDIDATES
FAR = COUNT - 1
"""The item that is farthest from the shopper, and that the history leads to."""


@pytest.fixture
def release() -> Release:
    """Items on a quarter of a circle: the first is what the shopper likes, the last is far from it."""
    items = [Item(str(row), f"Item {row}", brand="Acme" if row == FAR else None) for row in range(COUNT)]
    angles = np.linspace(0.0, np.pi / 2, COUNT)
    scale = PriceScale({})
    held = {
        "items": ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale),
        "index": None,
        "vectors": np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32),
        "popularity": np.zeros(COUNT, dtype=np.float32),
        "neighbours": ColdStartNeighbours.of_known_items(np.arange(COUNT)),
        "price_scale": scale,
        "associations": Associations(
            np.minimum(np.arange(COUNT + 1), 1), np.array([FAR], dtype=np.int32), np.array([0.5], np.float32), 0.7
        ),
    }
    rest = {"number": 1, "tokenizer": None, "rarity": InverseDocumentFrequency.from_counts(0, {})}
    return Release(manifest=cast(Manifest, SimpleNamespace(dimension=2, subspaces=1)), **held, **rest)


def shopper(release: Release) -> Shopper:
    likes, nothing = np.array([1.0, 0.0], dtype=np.float32), np.zeros(2, dtype=np.float32)
    event = Event("1", EventType.VIEW, item_id="0")
    return Shopper(likes, nothing, [event], np.array([np.nan]), np.array([np.nan]), release)


def test_what_the_history_leads_to_is_a_candidate_however_far_it_is(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    found = generate_candidates(catalogue.now, shopper(release), 10, Filter(), ())
    assert {item.item_id for item in found.items} == {*map(str, range(NEAREST_CANDIDATES)), str(FAR)}
    told = compute_features(found, shopper(release), DEFAULT_CATALOGUE, datetime.now(UTC))
    column = told[:, CANDIDATE_FEATURES.index("association")]
    assert [item.item_id for item, value in zip(found.items, column, strict=True) if value] == [str(FAR)]


def test_what_the_history_leads_to_passes_filters_and_changes_like_any_item(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)

    def found(wanted: Filter) -> set[str]:
        return {item.item_id for item in generate_candidates(catalogue.now, shopper(release), 10, wanted, ()).items}

    assert found(Filter(brands=["acme"])) == {str(FAR)}
    assert str(FAR) not in found(Filter(exclude_item_ids=[str(FAR)]))
    anew = [Item(str(FAR), "Item, made anew")]
    catalogue.upsert(candidates_from_text(release, DEFAULT_CATALOGUE, anew, np.array([[0.0, 1.0]], dtype=np.float32)))
    assert str(FAR) in found(Filter())
    catalogue.delete([str(FAR)])
    assert str(FAR) not in found(Filter())


def test_a_cold_item_is_a_candidate_however_many_known_items_are_nearer(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    words = release.vectors[[FAR - 1]]
    catalogue.upsert(candidates_from_text(release, DEFAULT_CATALOGUE, [Item("new", "New")], words))
    found = generate_candidates(catalogue.now, shopper(release), 10, Filter(), ())
    assert "new" in {item.item_id for item in found.items}
    told = compute_features(found, shopper(release), DEFAULT_CATALOGUE, datetime.now(UTC))
    cold_items = told[:, CANDIDATE_FEATURES.index("cold_item")]
    assert [item.item_id for item, new in zip(found.items, cold_items, strict=True) if new] == ["new"]
    # What leads to its neighbour leads to it.
    association = told[[item.item_id for item in found.items].index("new"), CANDIDATE_FEATURES.index("association")]
    assert association > 0.0


def test_another_catalogue_is_not_led_to(release: Release) -> None:
    ads = Catalogue("ads", release)
    items = [Item(item.item_id, item.title, catalogue="ads") for item in release.items]
    ads.upsert(candidates_from_text(release, "ads", items, release.vectors))
    found = generate_candidates(ads.now, shopper(release), 10, Filter(), ())
    assert str(FAR) not in {item.item_id for item in found.items}
    assert not compute_features(found, shopper(release), "ads", datetime.now(UTC))[
        :, CANDIDATE_FEATURES.index("association")
    ].any()
