"""Which rows of a table meet a criterion."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.server.audiences.criteria import (
    ActivityCriterion,
    CustomerValueCriterion,
    InterestCriterion,
    TableCriterion,
    TraitCriterion,
)
from portrait.server.audiences.table import UNKNOWN_TIME, ShopperTable
from portrait.server.profiles.label_interests import standardise_similarity
from portrait.server.timestamps import to_microseconds

Mask = NDArray[np.bool_]
Matcher = Callable[[slice], Mask]
"""`[rows]`: which of some rows meet a criterion."""

_NORMAL = NormalDist()


def make_matcher(criterion: TableCriterion, table: ShopperTable, profiles: ProfileDistribution | None) -> Matcher:
    """How rows are held against a criterion.

    Args:
        criterion: what is asked for; a trait is one that the table has.
        table: of all shoppers.
        profiles: of the release; labels are not asked for if it is None.
    """
    match criterion:
        case InterestCriterion():
            return lambda rows: _match_interest(criterion, table, profiles, rows)
        case TraitCriterion():
            place = table.description.traits.index(criterion.name)
            least, most = np.float32(criterion.min_probability), np.float32(criterion.max_probability)
            return lambda rows: _match_range(table["trait"][rows, place], least, most)
        case CustomerValueCriterion():
            return lambda rows: _match_customer_value(criterion, table, rows)
        case ActivityCriterion():
            return lambda rows: _match_activity(criterion, table, rows)


def read_embeddings(table: ShopperTable, rows: "slice | NDArray[np.int64]") -> NDArray[np.float32]:
    """`[rows, dimension]`: profiles; zeros for those who have none."""
    return table["vector"][rows].astype(np.float32)


def _match_interest(
    criterion: InterestCriterion, table: ShopperTable, profiles: ProfileDistribution | None, rows: slice
) -> Mask:
    met = np.zeros(rows.stop - rows.start, dtype=bool)
    places = [place for path in criterion.paths if (place := table.encode_path(path)) is not None]
    if places:
        weight = table["interest_weight"][rows]
        enough = (weight >= np.float32(criterion.min_weight)) & (weight > 0.0)
        met |= (np.isin(table["interest_path"][rows], places) & enough).any(axis=1)
    if criterion.labels and profiles is not None:
        shoppers, least = read_embeddings(table, rows), _find_min_score(criterion.min_percentile)
        known = shoppers.any(axis=1)
        for label in criterion.labels:
            met |= known & (standardise_similarity(shoppers, label, profiles) >= least)
    return met


def _find_min_score(percentile: float) -> float:
    """The standard score that has a share of the normal distribution below it."""
    if percentile <= 0.0:
        return -np.inf
    return np.inf if percentile >= 1.0 else _NORMAL.inv_cdf(percentile)


def _match_range(values: NDArray[np.float32], least: np.float32, most: np.float32) -> Mask:
    return (values >= least) & (values <= most)  # NaN is neither


def _match_customer_value(criterion: CustomerValueCriterion, table: ShopperTable, rows: slice) -> Mask:
    met: Mask = table["tier"][rows] > 0
    if criterion.tiers:
        met &= np.isin(table["tier"][rows], [tier.value for tier in criterion.tiers])
    if criterion.segments:
        met &= np.isin(table["segment"][rows], [segment.value for segment in criterion.segments])
    met &= table["recency_score"][rows] >= criterion.min_recency_score
    met &= table["frequency_score"][rows] >= criterion.min_frequency_score
    met &= table["monetary_score"][rows] >= criterion.min_monetary_score
    return met


def _match_activity(criterion: ActivityCriterion, table: ShopperTable, rows: slice) -> Mask:
    last = table["last_event"][rows]
    met: Mask = last != UNKNOWN_TIME
    if criterion.since is not None:
        met &= last >= to_microseconds(criterion.since)
    if criterion.before is not None:
        met &= last < to_microseconds(criterion.before)
    return met
