"""Prices as percentiles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.prices import PriceScale

_PATHS = [("Home", "Lamps")] * 30 + [("Home", "Rugs")] * 5 + [("Garden",)] * 25
SCALE = PriceScale.fit(_PATHS, np.array([round(each * 0.5) for each in range(len(_PATHS))], dtype=np.float64))


@given(
    st.sampled_from([*_PATHS, ("Home", "Lamps", "Desk"), ("Toys",), ()]),
    st.one_of(st.integers(-5, 40), st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(0, 2),
)
def test_one_price_stands_where_it_stands_among_many(path: tuple[str, ...], price: float, widest: int) -> None:
    [among_many] = SCALE.percentiles(path, np.array([price], dtype=np.float64), widest)
    np.testing.assert_equal(SCALE.percentile(path, price, widest), among_many)


def test_a_price_that_is_none_stands_nowhere() -> None:
    assert all(np.isnan(SCALE.percentile((), price)) for price in (None, np.nan, np.inf))
