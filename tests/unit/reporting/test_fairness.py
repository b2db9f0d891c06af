"""Parts of the fairness audit by hand: exposure, resampling, errors of traits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from portrait.features.events import Item
from portrait.reporting.fairness import resampling
from portrait.reporting.fairness.exposure import (
    BRANDS,
    CATEGORIES,
    MAX_NAMES,
    Distribution,
    Exposure,
    list_distributions,
)
from portrait.reporting.fairness.measures import measure_trait
from portrait.reporting.fairness.resampling import Strata, draw_random_groups
from portrait.training.traits.artifacts import TraitPredictions

ITEMS = [
    Item("a", "a lamp", category_path=("Home", "Lamps"), brand="Acme"),
    Item("b", "a rug", category_path=("Home", "Rugs"), brand="ACME"),
    Item("c", "a rug", category_path=("Home", "Rugs"), brand="Birke"),
    Item("d", "a card"),
]


@pytest.fixture
def exposure() -> Exposure:
    """Two shoppers: the first is shown a and b and did a; the second is shown d and did nothing with an item."""
    shown = np.array([[0.75, 0.25, 0, 0], [0, 0, 0, 1.0]])
    earlier = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    return Exposure(sparse.csr_array(shown), sparse.csr_array(earlier), ITEMS)


def test_averages_of_exposure_leave_out_what_is_not_known(exposure: Exposure) -> None:
    price = np.array([0.2, np.nan, 0.5, 0.9])
    assert exposure.average(price).tolist() == pytest.approx([0.2, 0.9])
    popular = np.array([0.0, 1, 0, 1])
    assert exposure.average(popular).tolist() == pytest.approx([0.25, 1.0])
    assert np.isnan(exposure.average(popular, exposure.earlier)).tolist() == [False, True]


def test_categories_and_brands_of_exposure(exposure: Exposure) -> None:
    categories, brands = list_distributions(exposure)
    # All are of the department Home: the next level tells them apart.
    assert (categories.subject, categories.names) == (CATEGORIES, ["Home › Lamps", "Home › Rugs"])
    assert categories.targets.tolist() == [0]
    assert categories.shown.toarray().tolist() == [[0.75, 0.25]]
    assert categories.earlier.toarray().tolist() == [[1.0, 0.0]]
    assert (brands.subject, brands.names) == (BRANDS, ["acme", "birke"])
    assert brands.shown.toarray().tolist() == [[1.0, 0.0]]


def test_rare_names_are_merged() -> None:
    names = [f"name {number}" for number in range(MAX_NAMES + 5)]
    shares = np.arange(len(names), 0.0, -1.0)
    row = sparse.csr_array(shares[None] / shares.sum())
    merged = Distribution(CATEGORIES, names, np.array([-1, 0, MAX_NAMES + 2]), np.array([0]), row, row).merge_rare()
    assert merged.names == [*names[:MAX_NAMES], "all others"]
    assert merged.shown.toarray()[0, -1] == pytest.approx(shares[MAX_NAMES:].sum() / shares.sum())
    assert merged.shown.sum() == pytest.approx(1.0)
    assert merged.of_item.tolist() == [-1, 0, MAX_NAMES]


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=40))
def test_sums_of_groups_are_those_of_their_shoppers(part: list[int]) -> None:
    values = np.random.default_rng(0).random((len(part), 3))
    strata = Strata.of_groups(np.array(part), [2, 0])
    expected = [values[np.array(part) == 2].sum(0), values[np.array(part) == 0].sum(0)]
    expected.append(values.sum(0) - expected[0] - expected[1])
    np.testing.assert_allclose(strata.sum_groups(values), expected, atol=1e-12)
    np.testing.assert_allclose(strata.sum_groups(sparse.csr_array(values)), expected, atol=1e-12)
    assert strata.sizes.sum() == len(part)


def test_draws_keep_the_size_of_each_group_and_scatter_as_means_do() -> None:
    part = np.repeat([0, 1, -1], [200, 100, 50])
    values = np.stack([np.ones(350), np.random.default_rng(0).normal(size=350)], 1)
    drawn = Strata.of_groups(part, [0, 1]).resample_sums(values)
    assert drawn.shape == (resampling.DRAWS, 3, 2)
    assert drawn[..., 0] == pytest.approx(np.broadcast_to([200.0, 100.0, 50.0], (resampling.DRAWS, 3)))
    for stratum, size in enumerate((200, 100, 50)):
        assert (drawn[:, stratum, 1] / size).std() == pytest.approx(1.0 / np.sqrt(size), rel=0.25)


def test_equal_matrices_are_drawn_alike_dense_or_sparse() -> None:
    values = np.random.default_rng(0).random((30, 2))
    strata = Strata.of_groups(np.repeat([0, 1], 15), [0, 1])
    np.testing.assert_allclose(strata.resample_sums(values), strata.resample_sums(sparse.csr_array(values)))


def test_random_groups_differ_as_little_as_chance_makes_them() -> None:
    rows = np.eye(4)[np.arange(400) % 4]
    random = np.abs(draw_random_groups(sparse.csr_array(rows), 100)).sum(1) / 2.0
    assert len(random) == resampling.CHANCE_DRAWS
    # Two categories of four for one group and the other two for all others: half of the places would have to change.
    other = np.eye(4)[np.where(np.arange(400) < 100, np.arange(400) % 2, 2 + np.arange(400) % 2)]
    assert np.abs(other[:100].mean(0) - other[100:].mean(0)).sum() / 2.0 == pytest.approx(1.0)
    assert 0.0 < np.quantile(random, 0.95) < 0.2


def test_each_shopper_counts_once_in_a_trait() -> None:
    predictions = TraitPredictions(np.array([7, 3, 7]), np.array([True, False, False]), np.array([0.5, 0.25, 0.1]))
    panel = measure_trait("buys", predictions)
    assert panel.shoppers.tolist() == [3, 7]
    assert [measure.name for measure in panel.measures] == ["buys excess", "buys Brier score"]
    assert panel.values.tolist() == [pytest.approx([0.25, 0.0625]), pytest.approx([-0.2, 0.13])]
