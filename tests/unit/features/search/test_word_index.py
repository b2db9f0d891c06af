"""Words of items: what a query's words find, and how well an item matches them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Item
from portrait.features.search import row_bitmap as bits
from portrait.features.search.item_words import ItemWords
from portrait.features.search.word_index import POPULARITY_SHARE, QUERY_MATCHES, WordIndex, match_words, score_words

ITEMS = [
    Item("diapers", "Baby diapers, 40 ct", category_path=("Drug store", "Diapers & disposables")),
    Item("bag", "Diaper bag", category_path=("Luggage",)),
    Item("milk", "Fluid milk", category_path=("Grocery", "Fluid milk products"), brand="Alpine"),
    Item("chocolate", "Milk chocolate", category_path=("Candy",)),
    Item("lamp", "红色台灯", category_path=("Home", "Lamps"), attributes={"colour": "red"}),
    Item("game", "Gears of war 3", category_path=("Games",)),
]
INDEX = WordIndex.from_items(ITEMS)
POPULARITY = np.zeros(len(ITEMS), dtype=np.float32)


def find(query: str, k: int = 10) -> list[str]:
    rows, _ = INDEX.find(INDEX.read_query(query), POPULARITY, k)
    return [ITEMS[row].item_id for row in rows.tolist()]


def match(query: str, item_id: str) -> dict[str, float]:
    row = [item.item_id for item in ITEMS].index(item_id)
    matches = match_words(INDEX.items.select(np.array([row])), INDEX.read_query(query))
    return dict(zip(QUERY_MATCHES, matches[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("diaper", ["diapers", "bag"]),
        ("MILK", ["milk", "chocolate"]),
        ("台灯", ["lamp"]),
        ("red", ["lamp"]),
        ("alpine", ["milk"]),
        ("gears 3", ["game"]),
        ("the", []),
        ("", []),
        ("unheard", []),
    ],
)
def test_a_query_finds_the_items_that_hold_its_words(query: str, found: list[str]) -> None:
    assert find(query) == found


def test_fewer_rows_are_the_best_ones_and_only_those_allowed() -> None:
    query = INDEX.read_query("milk")
    assert find("milk", 1) == ["milk"]
    rows, _ = INDEX.find(query, POPULARITY, 1, among=bits.pack_rows(np.arange(len(ITEMS)) != 2))
    assert rows.tolist() == [3]


def test_of_equally_described_items_the_more_popular_one_comes_first() -> None:
    index = WordIndex.from_items([Item(str(row), "Tea") for row in range(5)])
    rows, _ = index.find(index.read_query("tea"), np.array([0.1, 0.5, 0.2, 0.9, 0.2], dtype=np.float32), 4)
    assert rows.tolist() == [3, 1, 2, 4]


def test_matches_say_where_the_words_are() -> None:
    whole = match("diapers", "diapers")
    assert whole == pytest.approx(dict.fromkeys(QUERY_MATCHES, 1.0) | {"query_title_share": 0.5})
    part = match("milk diapers", "bag")
    assert 0.4 < part["query_words"] == part["query_title"] < 0.6
    assert part["query_category"] == part["query_all_words"] == 0.0
    assert not any(match("lamp", "milk").values())


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    assert match("gears milk", "game")["query_words"] > match("gears milk", "milk")["query_words"]


def test_a_saved_index_is_the_same(tmp_path: Path) -> None:
    INDEX.save(tmp_path)
    loaded = WordIndex.load(tmp_path)
    for name, values in vars(INDEX).items():
        if isinstance(values, np.ndarray):
            assert np.array_equal(values, getattr(loaded, name)), name


words = st.lists(st.sampled_from(["tea", "pot", "red", "lamp", "7"]), max_size=4).map(" ".join)


@given(st.lists(st.tuples(words, words, words), max_size=12), words, st.integers(1, 15))
def test_the_index_finds_what_scoring_every_item_finds(items: list[tuple[str, str, str]], asked: str, k: int) -> None:
    listed = [Item(str(row), *each[:1], category_path=each[1:2], brand=each[2]) for row, each in enumerate(items)]
    index = WordIndex.from_items(listed)
    query = index.read_query(asked)
    popularity = (7 * np.arange(len(items)) % 11 / 11).astype(np.float32)
    words = score_words(index.items, query)
    scores = words + np.float32(POPULARITY_SHARE) * popularity
    expected = sorted(np.flatnonzero(words).tolist(), key=lambda row: (-scores[row], row))[:k]
    rows, found = index.find(query, popularity, k)
    assert found == pytest.approx(scores[rows], rel=1e-5)
    assert sorted(scores[rows].tolist()) == pytest.approx(sorted(scores[expected].tolist()))


@given(st.lists(st.tuples(words, words), max_size=8), st.data())
def test_lists_of_words_are_selected_and_joined(items: list[tuple[str, str]], data: st.DataObject) -> None:
    listed = [Item(str(row), title, brand=brand) for row, (title, brand) in enumerate(items)]
    whole = ItemWords.from_items(listed)
    rows = data.draw(st.lists(st.integers(0, max(0, len(items) - 1)), max_size=8 * bool(items)))
    selected, expected = (
        whole.select(np.array(rows, dtype=np.int64)),
        ItemWords.from_items([listed[row] for row in rows]),
    )
    joined = whole.concatenate(selected)
    for one, other in ((selected, expected), (joined, ItemWords.from_items([*listed, *(listed[row] for row in rows)]))):
        for name in ("starts", "words", "places"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
