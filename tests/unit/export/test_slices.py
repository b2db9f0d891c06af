"""Parts of the test by hand: who is in them, and who is left out."""

import numpy as np
import pytest

from portrait.export.report.slices import slicing


def test_parts_by_hand() -> None:
    part = np.array([0, 0, 0, 0, 1, 1, 1, 2, -1])
    ours = np.array([1.0, 1, 1, 0, 0, 1, 0, 1, 1])
    popularity = np.array([0.0, 0, 1, 0, 0, 0, 0, 1, 1])
    cut = slicing("by hand", ["first", "second", "alone", "nobody"], part, ours, popularity, minimum=2)
    assert [(each.name, each.shoppers) for each in cut.slices] == [("first", 4), ("second", 3)]
    assert [each.ours.value for each in cut.slices] == pytest.approx([3 / 4, 1 / 3])
    assert [each.popularity.value for each in cut.slices] == pytest.approx([1 / 4, 0])
    # Others are all who are in some part, shown or not.
    assert [each.against_others.value for each in cut.slices if each.against_others] == pytest.approx(
        [3 / 4 - 2 / 4, 1 / 3 - 4 / 5]
    )
    assert (cut.small, cut.unknown) == (1, 2)


def test_a_part_that_holds_everybody_has_no_others() -> None:
    cut = slicing("all", ["only"], np.zeros(5, dtype=np.int64), np.ones(5), np.zeros(5), minimum=1)
    assert cut.slices[0].against_others is None
    assert (cut.slices[0].ours.low, cut.slices[0].ours.high) == (1.0, 1.0)


def test_a_small_group_is_not_told_of() -> None:
    part = np.repeat([0, 1], [60, 49])
    hits = np.random.default_rng(0).integers(0, 2, 109).astype(np.float64)
    cut = slicing("Region", ["big", "tiny"], part, hits, hits, minimum=50)
    assert [each.name for each in cut.slices] == ["big"]


def test_two_parts_are_told_of_one_difference() -> None:
    hits = np.random.default_rng(1).integers(0, 2, 90).astype(np.float64)
    cut = slicing("two", ["one", "other"], np.repeat([0, 1], [40, 50]), hits, hits, minimum=1)
    first, second = (each.against_others for each in cut.slices)
    assert first is not None
    assert second == -first
