"""Items as columns: every one is found by its id, and comes back as it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Item
from portrait.features.items.item_table import ItemTable, format_item_line, write_item_lines
from portrait.features.items.prices import PriceScale

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
items = st.lists(
    st.builds(
        Item,
        item_id=words,
        title=words,
        catalogue=st.sampled_from(["products", "ads"]),
        category_path=st.lists(words, max_size=2).map(tuple),
        brand=st.none() | words,
        attributes=st.dictionaries(words, words, max_size=2),
        price=st.none() | st.floats(0, 1e9),
    ),
    max_size=30,
    unique_by=lambda item: (item.catalogue, item.item_id),
)


def scale_of(items: list[Item]) -> PriceScale:
    prices = np.array([np.nan if item.price is None else item.price for item in items])
    return PriceScale.fit([item.category_path for item in items], prices)


def same(table: ItemTable, items: list[Item], scale: PriceScale) -> None:
    assert list(table) == table[:] == items
    for row, item in enumerate(items):
        assert table.row(item.catalogue, item.item_id) == row
        assert table.item_id(row) == item.item_id
        assert table.codes.paths[table.columns.path[row]] == item.category_path
        assert table.codes.brands[table.columns.brand[row]] == (item.brand or "").casefold()
    expected = [scale.percentile(item.category_path, item.price) for item in items]
    np.testing.assert_array_equal(table.columns.percentile, expected)


@given(items, words)
def test_items_come_back_and_are_found(items: list[Item], other: str) -> None:
    scale = scale_of(items)
    table = ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale)
    same(table, items, scale)
    held = {(item.catalogue, item.item_id) for item in items}
    assert (table.row("products", other) >= 0) == (("products", other) in held)
    assert table.row("unheard-of", other) == -1


def test_columns_are_read_as_they_were_written(tmp_path: Path) -> None:
    items = [Item(f"i{row}", f"Item {row}", category_path=("A", f"B{row % 3}"), price=float(row)) for row in range(200)]
    scale = scale_of(items)
    write_item_lines(items, tmp_path / "items.jsonl")
    made = ItemTable.load(tmp_path, scale)
    same(made, items, scale)
    made.save(tmp_path)
    same(ItemTable.load(tmp_path, scale), items, scale)


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError):
        ItemTable.from_lines(b"", PriceScale({}))[0]
