"""A price of 0 is none: shops write it for unknown and for free. Training and serving read prices by this module."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Item
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.items.prices import PriceScale, known_price


@pytest.mark.parametrize(("price", "known"), [(0.01, 0.01), (0.0, None), (-0.0, None), (None, None), (math.nan, None)])
def test_a_price_is_above_0(price: float | None, known: float | None) -> None:
    assert known_price(price) == known


def test_a_price_of_0_moves_no_quantile() -> None:
    prices = np.arange(1.0, 101.0)
    paths = [("Home", "Lamps")] * 100
    scale = PriceScale.fit(paths, prices)
    with_free = PriceScale.fit([*paths, *paths], np.concatenate([prices, np.zeros(100)]))
    assert with_free.to_json() == scale.to_json()
    assert math.isnan(scale.percentile(("Home", "Lamps"), 0.0))
    assert PriceScale.fit(paths, np.zeros(100)).to_json() == {}


def test_serving_sees_an_items_price_as_training_does() -> None:
    items = [Item("free", "Free", price=0.0), Item("dear", "Dear", price=9.0), Item("unknown", "Unknown")]
    scale = PriceScale.fit([()] * 3, np.array([1.0, 9.0, 5.0]))
    trained = [scale.percentile(item.category_path, item.price) for item in items]
    served = ItemTable.from_lines("".join(map(format_item_line, items)).encode(), scale).columns.percentile
    assert np.array_equal(served, np.array(trained), equal_nan=True)
    assert np.isnan(served).tolist() == [True, False, True]


_PATHS = [("Home", "Lamps")] * 30 + [("Home", "Rugs")] * 5 + [("Garden",)] * 25
SCALE = PriceScale.fit(_PATHS, np.array([round(each * 0.5) for each in range(len(_PATHS))], dtype=np.float64))


@given(
    st.sampled_from([*_PATHS, ("Home", "Lamps", "Desk"), ("Toys",), ()]),
    st.one_of(st.integers(-5, 40), st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(0, 2),
)
def test_one_price_stands_where_it_stands_among_many(path: tuple[str, ...], price: float, widest: int) -> None:
    if price <= 0:
        assert np.isnan(SCALE.percentile(path, price, widest))
        return
    [among_many] = SCALE.percentiles(path, np.array([price], dtype=np.float64), widest)
    np.testing.assert_equal(SCALE.percentile(path, price, widest), among_many)


def test_a_price_that_is_none_stands_nowhere() -> None:
    assert all(np.isnan(SCALE.percentile((), price)) for price in (None, np.nan, np.inf))
