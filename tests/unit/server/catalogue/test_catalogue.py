from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import NO_GROUP
from portrait.features.candidates.item_statistics import ITEM_STATISTICS, POPULARITY, RECENT_POPULARITY
from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.items.item_table import ItemTable, fold_brand, format_item_line
from portrait.features.items.prices import PriceScale
from portrait.features.search.codes import make_codes, make_listed_codes
from portrait.features.search.flat import FlatIndex
from portrait.features.search.item_words import ItemWords
from portrait.features.search.scan import ScanIndex
from portrait.features.search.word_index import WordIndex
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.catalogue import Catalogue, Catalogues
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.numbers import number_value
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.errors import NotFound
from portrait.server.release.release import Release

ITEMS = [
    Item("desk", "Desk lamp", category_path=("Home", "Lamps"), brand="Acme", price=20.0),
    Item("floor", "Floor lamp", category_path=("Home", "Lamps"), brand="NORDEN", price=80.0),
    Item("rug", "Wool rug", category_path=("Home", "Rugs"), brand="Norden", price=50.0),
    Item("home", "Homely thing", category_path=("Homely",), price=5.0),
    Item("card", "Gift card"),
    Item("desk", "An advertisement", catalogue="ads", category_path=("Home",)),
]


def release_of(items: Sequence[Item]) -> Release:
    prices = np.array([np.nan if item.price is None else item.price for item in items])
    scale = PriceScale.fit([item.category_path for item in items], prices)
    statistics = np.zeros((len(items), len(ITEM_STATISTICS)), dtype=np.float32)
    statistics[:, POPULARITY] = np.linspace(1.0, 0.0, len(items))
    others = np.flatnonzero([item.catalogue != DEFAULT_CATALOGUE for item in items])
    sentences = directions(*range(len(others)))
    return cast(
        Release,
        SimpleNamespace(
            items=ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale),
            nearest=None,
            manifest=SimpleNamespace(sentence_dimension=2),
            sentence_vectors=sentences,
            rows_with_sentences=others,
            find_sentence_vectors=lambda rows: sentences[np.searchsorted(others, rows)],
            words=WordIndex.from_items(items),
            vectors=vectors(*range(len(items))),
            statistics=statistics,
            by_popularity=np.arange(len(items)),
            popularity=statistics[:, POPULARITY],
            is_cold=np.zeros(len(items), dtype=bool),
            neighbours=ColdStartNeighbours.of_known_items(np.arange(len(items))),
            price_scale=scale,
            dimension=2,
        ),
    )


def _read_path(item: Item) -> tuple[str, ...]:
    return item.category_path


def _read_brand(item: Item) -> str:
    return fold_brand(item.brand)


def vectors(*values: float) -> NDArray[np.float32]:
    """One vector a value, which is its first number."""
    return np.array([(value, 1.0) for value in values], dtype=np.float32).reshape(-1, 2)


def directions(*angles: float) -> NDArray[np.float32]:
    """One vector of unit length an angle."""
    return np.array([(np.cos(angle), np.sin(angle)) for angle in angles], dtype=np.float32).reshape(-1, 2)


def cold_items(items: Sequence[Item], *values: float) -> CandidateSet:
    """Items that nobody lends to, with a vector for each value, and a sentence vector in its direction."""
    count = len(items)
    paths, brands = (sorted({read(item) for item in ITEMS}) for read in (_read_path, _read_brand))
    return CandidateSet(
        list(items),
        np.full(count, NO_GROUP),
        vectors(*values),
        np.array([number_value(paths, _read_path(item)) for item in items]),
        np.array([number_value(brands, _read_brand(item)) for item in items]),
        np.zeros((count, len(ITEM_STATISTICS)), dtype=np.float32),
        np.ones(count, dtype=bool),
        ColdStartNeighbours.empty(count),
        np.full(count, np.nan),
        partial(ItemWords.from_items, items),
        directions(*values) if items and items[0].catalogue != DEFAULT_CATALOGUE else None,
    )


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue("products", release_of(ITEMS))


def passing(snapshot: Snapshot, wanted: Filter) -> list[str]:
    return snapshot.take(living(snapshot, wanted)).item_ids


def living(snapshot: Snapshot, wanted: Filter = Filter()) -> NDArray[np.int64]:  # noqa: B008 - it never changes
    rows = np.arange(len(snapshot))
    return rows[snapshot.holds(snapshot.select(wanted, rows[:0]), rows)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), ["desk", "floor", "rug", "home", "card"]),
        (Filter(categories=[("Home",)]), ["desk", "floor", "rug"]),
        (Filter(categories=[("Home", "Rugs"), ("Homely",)]), ["rug", "home"]),
        (Filter(categories=[("Home", "Lamps", "Desk")]), []),
        (Filter(categories=[("Lamps",)]), []),
        (Filter(brands=["norden"]), ["floor", "rug"]),
        (Filter(brands=["ACME", "nobody"]), ["desk"]),
        (Filter(brands=["nobody"]), []),
        (Filter(min_price=50.0), ["floor", "rug"]),
        (Filter(max_price=20.0), ["desk", "home"]),
        (Filter(min_price=20.0, max_price=50.0), ["desk", "rug"]),
        (Filter(min_price=0.0), ["desk", "floor", "rug", "home"]),
        (Filter(exclude_item_ids=["desk", "unheard-of", "card"]), ["floor", "rug", "home"]),
        (Filter(categories=[("Home",)], brands=["Norden"], max_price=60.0), ["rug"]),
    ],
)
def test_a_filter_lets_through_what_it_says(catalogue: Catalogue, wanted: Filter, expected: list[str]) -> None:
    assert passing(catalogue.now, wanted) == expected


def test_a_new_item_is_there_at_once(catalogue: Catalogue) -> None:
    catalogue.upsert(cold_items([Item("pan", "Pan", category_path=("Kitchen",), brand="Acme", price=30.0)], 7))
    now = catalogue.now
    row = now.row("pan")
    assert row is not None
    assert passing(now, Filter(categories=[("Kitchen",)], brands=["acme"])) == ["pan"]
    assert (now.items, now.added) == (6, 1)
    everything = now.select(Filter(), np.empty(0, dtype=np.int64))
    nearest = now.nearest(np.array([1.0, 0.0], dtype=np.float32), [(9, everything), (2, everything)])
    assert [rows.tolist() for rows in nearest] == [[row, 4, 3, 2, 1, 0], [row, 4]]
    assert now.popular(2, everything).tolist() == [0, 1]
    chosen = now.take(np.array([row, 0]))
    assert [item.item_id for item in chosen.items] == ["pan", "desk"]
    assert chosen.vectors.tolist() == vectors(7, 0).tolist()
    assert chosen.statistics[:, POPULARITY].tolist() == [0.0, 1.0]
    # The kitchen is no category of the release, and desk and floor lamps are of one.
    assert now.categories(np.array([1, 4])).tolist() == [chosen.categories[1], NO_GROUP]
    assert chosen.categories[0] < NO_GROUP < chosen.categories[1]
    assert NO_GROUP < chosen.brands[0] == chosen.brands[1]
    assert chosen.numbers.tolist() == now.number_items(["pan", "desk"]).tolist() == [row, 0]
    assert now.number_items(["nobody"])[0] == now.number_items(["nobody"])[0] < NO_GROUP
    assert chosen.is_cold.tolist() == [True, False]
    assert chosen.neighbours.rows[:, 0].tolist() == [-1, 0]


def test_items_of_release_and_delta_are_popular_by_one_order(catalogue: Catalogue) -> None:
    added = cold_items([Item("late", "Late"), Item("usual", "Usual"), Item("tied", "Tied")], 7, 8, 9)
    added.statistics[:, RECENT_POPULARITY] = [0.5, 0.0, 0.0]
    added.statistics[:, POPULARITY] = [0.0, 0.9, 0.8]
    catalogue.upsert(added)
    now = catalogue.now
    everything = now.select(Filter(), np.empty(0, dtype=np.int64))
    popular = now.take(now.popular(5, everything)).item_ids
    assert popular == ["late", "desk", "usual", "floor", "tied"]
    cold = now.select_cold(everything)
    assert now.take(now.popular(3, everything.without(cold))).item_ids == ["desk", "floor", "rug"]


def test_a_replaced_item_is_there_once(catalogue: Catalogue) -> None:
    catalogue.upsert(cold_items([replace(ITEMS[1], title="New", price=1.0), replace(ITEMS[1], title="Newer")], 8, 9))
    now = catalogue.now
    assert passing(now, Filter(categories=[("Home", "Lamps")])) == ["desk", "floor"]
    item, row = now.item("floor"), now.row("floor")
    assert item is not None
    assert item.title == "Newer"
    assert row is not None
    assert now.vectors(np.array([row])).tolist() == vectors(9).tolist()


def test_a_removed_item_is_gone_until_it_is_added_again(catalogue: Catalogue) -> None:
    assert catalogue.delete(["floor", "floor", "unheard-of"]) == 1
    assert catalogue.delete(["floor"]) == 0
    assert catalogue.now.item("floor") is None
    assert "floor" not in passing(catalogue.now, Filter())
    catalogue.upsert(cold_items([ITEMS[1]], 1))
    assert catalogue.now.item("floor") == ITEMS[1]


def test_a_snapshot_is_not_disturbed(catalogue: Catalogue) -> None:
    before = catalogue.now
    changed = [replace(ITEMS[1], title="New", brand="Acme"), Item("pan", "Pan", brand="Acme")]
    catalogue.upsert(cold_items(changed, 8, 9))
    catalogue.delete(["desk"])
    assert passing(before, Filter(brands=["acme"])) == ["desk"]
    assert before.item("floor") == ITEMS[1]
    assert before.item("pan") is None
    assert passing(catalogue.now, Filter(brands=["acme"])) == ["floor", "pan"]


class Reference:
    """The reference for a catalogue: a dictionary."""

    def __init__(self) -> None:
        self.items = {
            item.item_id: (item, float(row)) for row, item in enumerate(ITEMS) if item.catalogue == "products"
        }

    def agrees_with(self, snapshot: Snapshot) -> bool:
        chosen = snapshot.take(living(snapshot))
        found = {item.item_id: (item, float(v)) for item, v in zip(chosen.items, chosen.vectors[:, 0], strict=True)}
        looked_up = {item_id: snapshot.item(item_id) for item_id in self.items}
        return found == self.items and looked_up == {item_id: item for item_id, (item, _) in self.items.items()}

    def passing(self, wanted: Filter) -> set[str]:
        return {item_id for item_id, (item, _) in self.items.items() if passes(item, wanted)}


def passes(item: Item, wanted: Filter) -> bool:
    return (
        (not wanted.categories or any(item.category_path[: len(each)] == each for each in wanted.categories))
        and (not wanted.brands or (item.brand or "").casefold() in [brand.casefold() for brand in wanted.brands])
        and (wanted.min_price is None or (item.price is not None and item.price >= wanted.min_price))
        and (wanted.max_price is None or (item.price is not None and item.price <= wanted.max_price))
        and item.item_id not in wanted.exclude_item_ids
    )


ids = st.sampled_from(["desk", "floor", "rug", "a", "b", "c"])
paths = st.sampled_from([(), ("Home",), ("Home", "Lamps"), ("Homely",)])
brands = st.sampled_from(["acme", "Acme", "NORDEN"])
prices = st.none() | st.sampled_from([5.0, 20.0, 50.0])
filters = st.builds(
    Filter,
    categories=st.lists(paths, max_size=2),
    brands=st.lists(brands, max_size=2),
    min_price=prices,
    max_price=prices,
    exclude_item_ids=st.lists(ids, max_size=2),
)
new_items = st.builds(
    Item, ids, st.text("xyz", max_size=3), category_path=paths, brand=st.none() | brands, price=prices
)
changes = st.lists(st.lists(new_items, min_size=1, max_size=4) | st.frozensets(ids, min_size=1), max_size=30)


@given(changes, filters)
def test_after_any_changes_it_holds_what_a_dictionary_would(
    changes: list[list[Item] | frozenset[str]], wanted: Filter
) -> None:
    """And so does every snapshot of an earlier moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portrait.server.catalogue.catalogue._MAX_DELETED_ROWS", 2)
        catalogue, reference = Catalogue("products", release_of(ITEMS)), Reference()
        seen = [(catalogue.now, Reference())]
        for number, change in enumerate(changes, start=10):
            if isinstance(change, list):
                values = [number + place / 8 for place in range(len(change))]
                catalogue.upsert(cold_items(change, *values))
                reference.items |= {item.item_id: (item, v) for item, v in zip(change, values, strict=True)}
            else:
                gone = change & reference.items.keys()
                assert catalogue.delete(list(change)) == len(gone)
                for item_id in gone:
                    del reference.items[item_id]
            held = Reference()
            held.items = dict(reference.items)
            seen.append((catalogue.now, held))
        for snapshot, held in seen:
            assert held.agrees_with(snapshot)
            assert set(passing(snapshot, wanted)) == held.passing(wanted)


COUNT, DIMENSION = 3_000, 8


@pytest.fixture(scope="module")
def both() -> tuple[Catalogue, Catalogue]:
    """The same items, each compared (the cold ones apart), and by an index of all lists; some were changed since."""
    random = np.random.default_rng(0)
    items = [Item(str(row), "", category_path=("A" if row % 3 else "B",), brand=f"{row % 40}") for row in range(COUNT)]
    drawn = random.normal(size=(COUNT, DIMENSION))
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    exact = release_of(items)
    of_items = {"vectors": vectors, "dimension": DIMENSION, "is_cold": np.arange(COUNT) % 5 == 0}
    exact.__dict__.update(of_items, nearest=FlatIndex(vectors))
    index = ScanIndex(make_listed_codes(vectors), vectors)
    indexed = cast(Release, SimpleNamespace(**(vars(exact) | {"nearest": index})))
    with pytest.MonkeyPatch.context() as patch:  # so that the cold items are enough for an index of their own
        patch.setattr("portrait.server.catalogue.release_items._GATHERED", 50)
        made = Catalogue("products", exact), Catalogue("products", indexed)
    for catalogue in made:
        new = cold_items(items[:40], *range(40))
        catalogue.upsert(replace(new, vectors=vectors[100:140]))
        catalogue.delete([str(row) for row in range(200, 300)])
    return made


@pytest.mark.parametrize("wanted", [Filter(), Filter(categories=[("A",)]), Filter(brands=["7"])])
@pytest.mark.parametrize("cold_only", [False, True])
def test_an_index_finds_what_looking_at_each_finds(
    both: tuple[Catalogue, Catalogue], wanted: Filter, cold_only: bool
) -> None:
    # Else nothing is looked up in the index.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portrait.server.catalogue.release_items._GATHERED", 50)
        left_out = np.arange(400, 450)
        wish, found = np.ones(DIMENSION, dtype=np.float32), []
        for catalogue in both:
            selection = catalogue.now.select(wanted, left_out)
            if cold_only:
                selection = catalogue.now.select_cold(selection)
            [rows] = catalogue.now.nearest(wish, [(30, selection)])
            assert catalogue.now.holds(selection, rows).all()
            found.append(set(catalogue.now.take(rows).item_ids))
    exactly, approximately = found
    assert len(exactly & approximately) >= 0.9 * len(exactly)
    assert len(exactly) == len(approximately)


@pytest.mark.parametrize("wanted", [Filter(), Filter(categories=[("A",)])])
def test_cold_items_that_codes_hardly_tell_apart_are_found(wanted: Filter) -> None:
    random, count = np.random.default_rng(0), 12_000
    items = [Item(str(row), "", category_path=("A" if row % 3 else "B",)) for row in range(count)]
    is_cold = np.arange(count) % 4 == 0
    drawn = random.normal(size=(count, DIMENSION))
    drawn[is_cold] = drawn[0] + random.normal(0.0, 0.02, size=(is_cold.sum(), DIMENSION))
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    release = release_of(items)
    of_items = {"vectors": vectors, "dimension": DIMENSION, "is_cold": is_cold}
    release.__dict__.update(of_items, nearest=ScanIndex(make_codes(vectors), vectors))
    now = Catalogue("products", release).now
    selection = now.select_cold(now.select(wanted, np.empty(0, dtype=np.int64)))
    for wish in drawn[~is_cold][:20].astype(np.float32):
        [rows] = now.nearest(wish, [(20, selection)])
        inner = vectors @ wish
        least = np.sort(inner[now.rows_in(selection)])[-20]
        assert (inner[rows] >= least - 0.01).all()
        assert len(rows) == 20


def test_one_item_changed_again_and_again_takes_no_more_room(catalogue: Catalogue) -> None:
    for _ in range(5_000):
        catalogue.upsert(cold_items([Item("pan", "Pan")], 1))
    assert len(catalogue.now) < 1_100


def test_catalogues_are_apart() -> None:
    catalogues = Catalogues(release_of(ITEMS))
    ad = catalogues["ads"].now.item("desk")
    assert ad is not None
    assert ad.title == "An advertisement"
    with pytest.raises(NotFound):
        catalogues["help_articles"]
    article = Item("returns", "How to return", catalogue="help_articles")
    catalogues.upsert("help_articles", cold_items([article], 1))
    assert len(catalogues["help_articles"].now) == 1

    snapshots = catalogues.now()
    seen = Event("1", EventType.VIEW, item_id="desk", catalogue="ads")
    assert snapshots.item(seen) == ad
    assert snapshots.item(seen._replace(catalogue="products")) == ITEMS[0]
    assert snapshots.item(seen._replace(catalogue="unheard-of")) is None
    assert snapshots.item(seen._replace(item_id="unheard-of")) is None
    assert snapshots.item(Event("2", EventType.SEARCH, query="lamp")) is None


def test_other_catalogues_are_searched_by_sentence_vectors() -> None:
    ads = Catalogue("ads", release_of([*ITEMS, Item("rug", "Another", catalogue="ads")]))
    ads.upsert(cold_items([Item("lamp", "A lamp", catalogue="ads"), Item("rug", "A rug", catalogue="ads")], 0.6, 3))
    query, everything = directions(0.7)[0], ads.now.select(Filter(), np.empty(0, dtype=np.int64))
    found = ads.now.take(ads.now.nearest_sentences(query, 3, everything))
    assert found.item_ids == ["lamp", "desk", "rug"]
    np.testing.assert_allclose(found.sentences, directions(0.6, 0, 3))
    assert ads.now.take(ads.now.nearest_sentences(query, 1, everything)).item_ids == ["lamp"]
    without = ads.now.select(Filter(exclude_item_ids=["lamp"]), np.empty(0, dtype=np.int64))
    assert ads.now.take(ads.now.nearest_sentences(query, 2, without)).item_ids == ["desk", "rug"]


def test_a_catalogue_of_no_release_goes_with_its_last_item() -> None:
    catalogues = Catalogues(release_of(ITEMS))
    article = Item("returns", "How to return", catalogue="help_articles")
    for _ in range(2):
        catalogues.upsert("help_articles", cold_items([article], 1))
        assert len(catalogues) == 3
        assert catalogues.delete("help_articles", ["returns"]) == 1
        assert "help_articles" not in catalogues.now().by_name
        # It can be asked as before: a repeated DeleteItems, or a recommendation, is no error.
        assert catalogues.delete("help_articles", ["returns"]) == 0
        assert len(catalogues["help_articles"].now) == 0
    assert catalogues.delete("ads", ["desk"]) == 1
    assert sorted(catalogues.now().by_name) == ["ads", "products"]


def test_ever_new_catalogues_that_are_emptied_take_no_room() -> None:
    catalogues = Catalogues(release_of(ITEMS))
    for number in range(3_000):
        catalogues.upsert(f"c{number}", cold_items([Item("a", "A", catalogue=f"c{number}")], 1))
        catalogues.delete(f"c{number}", ["a"])
    assert len(catalogues) == 2
    assert len(catalogues["c2999"].now) == 0
    with pytest.raises(NotFound):
        catalogues["c0"]


def test_a_catalogue_without_items_answers_with_none() -> None:
    empty = Catalogue("products", release_of([])).now
    assert passing(empty, Filter(categories=[("Home",)], brands=["Acme"], min_price=1.0)) == []
    nothing = empty.select(Filter(), np.empty(0, dtype=np.int64))
    assert [rows.tolist() for rows in empty.nearest(np.zeros(2, dtype=np.float32), [(3, nothing)])] == [[]]
    assert empty.popular(3, nothing).tolist() == []
