"""Candidate generation: the items of a catalogue that are worth ranking for a shopper."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.item_statistics import ITEM_STATISTICS, RECENT_POPULARITY
from portrait.features.candidates.relations import RELATIONS, Relations
from portrait.features.candidates.sources import (
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    POPULAR_CANDIDATES,
    RELATED_CANDIDATES,
    RELATED_CANDIDATES_OF_SEARCH,
    WORD_CANDIDATES,
)
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.histories.history_arrays import build_event_columns
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.items.prices import PriceScale
from portrait.features.release.manifest import Manifest
from portrait.features.search.word_index import WordIndex
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.server.catalogue.candidate_set import CandidateSet, candidates_from_text
from portrait.server.catalogue.catalogue import Catalogue
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.inference.encoders import RANKINGS
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.candidates import compute_features, generate_candidates, summarise_shopper
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
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def lead(row: int, *targets: int) -> Associations:
    """Lead one item to some others, the first of them the most."""
    starts = np.zeros(COUNT + 1, dtype=np.int64)
    starts[row + 1 :] = len(targets)
    weights = np.linspace(0.5, 0.4, len(targets), dtype=np.float32)
    return Associations(starts, np.array(targets, dtype=np.int32), weights, 0.7)


@pytest.fixture
def release() -> Release:
    """Items on a quarter of a circle: the first is what the shopper likes, the last is far from it."""
    items = [Item(str(row), f"Item {row}", brand="Acme" if row == FAR else None) for row in range(COUNT)]
    angles = np.linspace(0.0, np.pi / 2, COUNT)
    scale = PriceScale({})
    held = {
        "items": ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale),
        "words": WordIndex.from_items(items),
        "index": None,
        "sentence_vectors": np.zeros((0, 2), dtype=np.float32),
        "vectors": np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32),
        "statistics": np.zeros((COUNT, len(ITEM_STATISTICS)), dtype=np.float32),
        "neighbours": ColdStartNeighbours.of_known_items(np.arange(COUNT)),
        "price_scale": scale,
        "relations": Relations({name: lead(0, FAR) for name in RELATIONS}),
    }
    rest = {"number": 1, "tokenizer": None, "rarity": InverseDocumentFrequency.from_counts(0, {})}
    return Release(
        manifest=cast(Manifest, SimpleNamespace(dimension=2, subspaces=1, sentence_dimension=2)), **held, **rest
    )


def shopper(release: Release, items: Sequence[str] = ("0",)) -> Shopper:
    """A shopper who likes the first item, and looked at some, a day apart and the last of them now."""
    likes, nothing = np.array([1.0, 0.0], dtype=np.float32), np.zeros(2, dtype=np.float32)
    ago = range(len(items) - 1, -1, -1)
    events = [
        Event(str(days), EventType.VIEW, NOW - timedelta(days=days), each)
        for days, each in zip(ago, items, strict=True)
    ]
    return Shopper(likes, nothing, events, build_event_columns(events, lambda _: math.nan), release)


def generate(
    catalogue: Snapshot,
    one: Shopper,
    wanted: Filter = Filter(),  # noqa: B008 - it never changes
    left_out: Sequence[Event] = (),
) -> CandidateSet:
    return generate_candidates(catalogue, one, summarise_shopper(one, catalogue, NOW), 10, wanted, left_out)


def features(catalogue: Snapshot, one: Shopper, found: CandidateSet) -> dict[str, dict[str, float]]:
    """Features of candidates by name, then by item."""
    told = compute_features(found, one, summarise_shopper(one, catalogue, NOW))
    return {
        name: dict(zip(found.item_ids, column.tolist(), strict=True))
        for name, column in zip(CANDIDATE_FEATURES, told.T, strict=True)
    }


def ask(one: Shopper, query: str) -> Shopper:
    """The shopper asks for something, by words that no vector is near to."""
    return replace(one, query_words=one.release.words.read_query(query))


def test_items_that_hold_the_words_of_a_query_are_candidates_and_change_like_any_item(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    someone = ask(shopper(replace(release, relations=Relations(dict.fromkeys(RELATIONS, lead(0))))), "blue lamps")
    assert not {*generate(catalogue.now, someone).item_ids} & {"new", str(FAR)}
    far = np.array([[0.0, 1.0]], dtype=np.float32)
    for item in (Item("new", "Lamp", brand="Norden"), Item(str(FAR), "Lamp, blue", brand="Acme")):
        catalogue.upsert(candidates_from_text(release, DEFAULT_CATALOGUE, [item], far))
    found = generate(catalogue.now, someone)
    assert {"new", str(FAR)} <= {*found.item_ids}
    told = features(catalogue.now, someone, found)
    assert [item_id for item_id, held in told["query_all_words"].items() if held] == [str(FAR)]
    assert 0.0 < told["query_words"]["new"] < told["query_words"][str(FAR)] == 1.0
    assert str(FAR) not in generate(catalogue.now, someone, Filter(brands=["norden"])).item_ids
    assert "new" not in generate(catalogue.now, someone, Filter(exclude_item_ids=["new"])).item_ids
    catalogue.delete(["new"])
    assert "new" not in generate(catalogue.now, someone).item_ids


def test_of_the_items_that_hold_a_word_the_best_ones_are_candidates(release: Release) -> None:
    # Every title is "Item" and a number.
    someone = ask(shopper(replace(release, relations=Relations(dict.fromkeys(RELATIONS, lead(0))))), f"item {FAR - 7}")
    found = {*generate(Catalogue(DEFAULT_CATALOGUE, release).now, someone).item_ids}
    assert str(FAR - 7) in found
    assert len(found) <= NEAREST_CANDIDATES + WORD_CANDIDATES + POPULAR_CANDIDATES


def test_what_the_history_leads_to_is_a_candidate_however_far_it_is(release: Release) -> None:
    now = Catalogue(DEFAULT_CATALOGUE, release).now
    found = generate(now, shopper(release))
    assert set(found.item_ids) == {*map(str, range(NEAREST_CANDIDATES)), str(FAR)}
    told = features(now, shopper(release), found)
    for name in RELATIONS:
        assert [item_id for item_id, value in told[name].items() if value] == [str(FAR)], name


@pytest.mark.parametrize("name", RELATIONS)
def test_each_relation_gives_its_best(release: Release, name: str) -> None:
    nothing = lead(0)
    far = range(FAR, FAR - RELATED_CANDIDATES[name] - 5, -1)
    one = replace(release, relations=Relations(dict.fromkeys(RELATIONS, nothing) | {name: lead(0, *far)}))
    found = generate(Catalogue(DEFAULT_CATALOGUE, one).now, shopper(one))
    related = {each for each in found.item_ids if int(each) >= NEAREST_CANDIDATES}
    assert related == {str(row) for row in list(far)[: RELATED_CANDIDATES[name]]}


def test_what_the_history_leads_to_passes_filters_and_changes_like_any_item(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)

    def found(wanted: Filter) -> set[str]:
        return set(generate(catalogue.now, shopper(release), wanted).item_ids)

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
    found = generate(catalogue.now, shopper(release))
    assert "new" in {item.item_id for item in found.items}
    told = features(catalogue.now, shopper(release), found)
    assert [item_id for item_id, is_cold in told["cold_item"].items() if is_cold] == ["new"]
    # What leads to its neighbour leads to it.
    assert told["association"]["new"] > 0.0


def test_the_most_usual_of_the_familiar_items_are_candidates_before_the_latest(release: Release) -> None:
    oldest, rare, *others = (str(NEAREST_CANDIDATES + 10 + place) for place in range(FAMILIAR_CANDIDATES + 1))
    one = replace(release, relations=Relations(dict.fromkeys(RELATIONS, lead(0))))
    now = Catalogue(DEFAULT_CATALOGUE, one).now
    someone = shopper(one, [oldest, oldest, rare, *others])
    found = {each for each in generate(now, someone).item_ids if int(each) >= NEAREST_CANDIDATES}
    assert found == {oldest, *others}
    # Where the items of the history are excluded, none of them is a candidate.
    assert not set(generate(now, someone, left_out=someone.events).item_ids) & {oldest, rare, *others}


def test_items_that_are_popular_of_late_are_candidates_unless_they_are_cold(release: Release) -> None:
    statistics = release.statistics.copy()
    statistics[-POPULAR_CANDIDATES - 3 :, RECENT_POPULARITY] = np.linspace(1.0, 2.0, POPULAR_CANDIDATES + 3)
    neighbours = ColdStartNeighbours.of_known_items(np.arange(COUNT))
    neighbours.rows[FAR, 0] = 0  # it is a cold item, that the first stands in for
    one = replace(
        release, statistics=statistics, neighbours=neighbours, relations=Relations(dict.fromkeys(RELATIONS, lead(0)))
    )
    found = generate(Catalogue(DEFAULT_CATALOGUE, one).now, shopper(one))
    popular = {int(each) for each in found.item_ids} - set(range(NEAREST_CANDIDATES)) - {FAR}
    assert popular == set(range(FAR - POPULAR_CANDIDATES, FAR))


def test_habits_by_category_and_brand_are_those_of_the_catalogue_as_it_is_now(release: Release) -> None:
    catalogue = Catalogue(DEFAULT_CATALOGUE, release)
    lamps = [
        Item(each, "Lamp", category_path=("Home", "Lamps"), brand=brand) for each, brand in (("1", "ACME"), ("2", ""))
    ]
    catalogue.upsert(candidates_from_text(release, DEFAULT_CATALOGUE, lamps, release.vectors[[1, 2]]))
    someone = shopper(release, ["1", "gone", "0"])
    told = features(catalogue.now, someone, generate(catalogue.now, someone))
    shares = {each for each, share in told["category_share"].items() if share}
    assert shares == {"1", "2"}
    assert {each for each, share in told["brand_share"].items() if share} == {"1", str(FAR)}
    assert told["brand_share"][str(FAR)] == pytest.approx(1.0)
    assert {each for each, seen in told["seen"].items() if seen} == {"0", "1"}


def test_another_catalogue_is_not_led_to(release: Release) -> None:
    ads = Catalogue("ads", release)
    items = [Item(item.item_id, item.title, catalogue="ads") for item in release.items]
    ads.upsert(candidates_from_text(release, "ads", items, release.vectors, release.vectors))
    found = generate(ads.now, shopper(release))
    assert str(FAR) not in found.item_ids
    told = features(ads.now, shopper(release), found)
    for name in (*RELATIONS, "seen", "category_share", "events"):
        assert not any(told[name].values()), name


def test_the_candidates_of_all_sources_fill_most_of_the_batch_that_they_are_padded_to() -> None:
    near = NEAREST_CANDIDATES + COLD_CANDIDATES
    others = FAMILIAR_CANDIDATES + POPULAR_CANDIDATES
    without_query = near + sum(RELATED_CANDIDATES.values()) + others
    with_query = 2 * near + WORD_CANDIDATES + sum(RELATED_CANDIDATES_OF_SEARCH.values()) + others
    for count in (without_query, with_query):
        assert count <= 512
        assert min(length for length in RANKINGS.lengths if length >= count) < 1.25 * count
