"""Parts of the test by hand: who is in them, and who is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.reporting.slices import cut_into_slices


def test_parts_by_hand() -> None:
    part = np.array([0, 0, 0, 0, 1, 1, 1, 2, -1])
    ours = np.array([1.0, 1, 1, 0, 0, 1, 0, 1, 1])
    popularity = np.array([0.0, 0, 1, 0, 0, 0, 0, 1, 1])
    cut = cut_into_slices("by hand", ["first", "second", "alone", "nobody"], part, ours, popularity, minimum=2)
    assert [(each.name, each.shoppers) for each in cut.slices] == [("first", 4), ("second", 3)]
    assert [each.ours.value for each in cut.slices] == pytest.approx([3 / 4, 1 / 3])
    assert [each.popularity.value for each in cut.slices] == pytest.approx([1 / 4, 0])
    # Others are all who are not in the part.
    assert [each.against_others.value for each in cut.slices if each.against_others] == pytest.approx(
        [3 / 4 - 3 / 5, 1 / 3 - 5 / 6]
    )
    assert (cut.small, cut.unknown) == (1, 2)


def test_a_part_that_holds_everybody_has_no_others() -> None:
    cut = cut_into_slices("all", ["only"], np.zeros(5, dtype=np.int64), np.ones(5), np.zeros(5), minimum=1)
    assert cut.slices[0].against_others is None
    assert (cut.slices[0].ours.low, cut.slices[0].ours.high) == (1.0, 1.0)


@pytest.mark.slow
@given(st.lists(st.integers(0, 120), min_size=1, max_size=6), st.integers(0, 120))
def test_no_subtraction_tells_of_a_small_group(sizes: list[int], undeclared: int) -> None:
    part = np.repeat(np.arange(-1, len(sizes)), [undeclared, *sizes])
    hits = np.random.default_rng(0).integers(0, 2, len(part)).astype(np.float64)
    cut = cut_into_slices("Region", [str(size) for size in sizes], part, hits, hits, minimum=50)
    assert all(each.shoppers >= 50 for each in cut.slices)
    assert not cut.slices or cut.unknown == 0 or cut.unknown >= 50


def test_two_parts_are_told_of_one_difference() -> None:
    hits = np.random.default_rng(1).integers(0, 2, 90).astype(np.float64)
    cut = cut_into_slices("two", ["one", "other"], np.repeat([0, 1], [40, 50]), hits, hits, minimum=1)
    first, second = (each.against_others for each in cut.slices)
    assert first is not None
    assert second == -first
