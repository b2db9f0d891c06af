"""Matchers: functions that tell which rows of a table meet a criterion."""

from collections.abc import Callable
from functools import partial
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
from portrait.server.audiences.table import UNKNOWN_TIME, AudienceTable
from portrait.server.profiles.label_interests import standardise_similarity
from portrait.server.timestamps import to_microseconds

Mask = NDArray[np.bool_]
Matcher = Callable[[slice], Mask]
"""`[rows]`: which of some rows meet a criterion."""

_NORMAL = NormalDist()


def make_matcher(criterion: TableCriterion, table: AudienceTable, profiles: ProfileDistribution | None) -> Matcher:
    """Make the function that tells which rows meet a criterion.

    Args:
        criterion: a trait is one that the table has.
        table: of all shoppers.
        profiles: of the release; None if it has no statistics, and then no criterion has labels.
    """
    return partial(MATCHERS[type(criterion)], criterion, table, profiles)


def read_embeddings(table: AudienceTable, rows: "slice | NDArray[np.int64]") -> NDArray[np.float32]:
    """`[rows, dimension]`: profiles; zeros for those who have none."""
    return table["vector"][rows].astype(np.float32)


def _match_interest(
    criterion: InterestCriterion, table: AudienceTable, profiles: ProfileDistribution | None, rows: slice
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


def _match_trait(criterion: TraitCriterion, table: AudienceTable, _: ProfileDistribution | None, rows: slice) -> Mask:
    probability = table["trait"][rows, table.description.traits.index(criterion.name)]
    minimum, maximum = np.float32(criterion.min_probability), np.float32(criterion.max_probability)
    return (probability >= minimum) & (probability <= maximum)  # false for NaN: the trait is absent


def _match_customer_value(
    criterion: CustomerValueCriterion, table: AudienceTable, _: ProfileDistribution | None, rows: slice
) -> Mask:
    met: Mask = table["tier"][rows] > 0
    if criterion.tiers:
        met &= np.isin(table["tier"][rows], [tier.value for tier in criterion.tiers])
    if criterion.segments:
        met &= np.isin(table["segment"][rows], [segment.value for segment in criterion.segments])
    met &= table["recency_score"][rows] >= criterion.min_recency_score
    met &= table["frequency_score"][rows] >= criterion.min_frequency_score
    met &= table["monetary_score"][rows] >= criterion.min_monetary_score
    return met


def _match_activity(
    criterion: ActivityCriterion, table: AudienceTable, _: ProfileDistribution | None, rows: slice
) -> Mask:
    last = table["last_event"][rows]
    met: Mask = last != UNKNOWN_TIME
    if criterion.since is not None:
        met &= last >= to_microseconds(criterion.since)
    if criterion.before is not None:
        met &= last < to_microseconds(criterion.before)
    return met


MATCHERS: dict[type, Callable[..., Mask]] = {
    InterestCriterion: _match_interest,
    TraitCriterion: _match_trait,
    CustomerValueCriterion: _match_customer_value,
    ActivityCriterion: _match_activity,
}
"""The function of each criterion: of the criterion, the table, the release's shoppers and some rows, as `Matcher`."""
