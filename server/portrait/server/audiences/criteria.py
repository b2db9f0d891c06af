"""The criteria of an audience."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.server.profiles.customer_value import ValueSegment, ValueTier


@dataclass(frozen=True, slots=True)
class InterestCriterion:
    """An interest in one of some nodes of the taxonomy, or in one of some labels."""

    paths: Sequence[tuple[str, ...]] = ()
    min_weight: float = 0.0
    """Long-term weight, 0 to 1; at 0 any weight above it will do."""
    labels: Sequence[NDArray[np.float32]] = ()
    """Each `[dimension]`, unit length: the embedding of its words."""
    min_percentile: float = 0.0
    """For labels: minimum share of the release's shoppers who are less near, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TraitCriterion:
    """A trait with a probability in a range, both ends included; a shopper of whom it is absent does not meet it."""

    name: str
    min_probability: float = 0.0
    max_probability: float = 1.0


@dataclass(frozen=True, slots=True)
class CustomerValueCriterion:
    """A value to the shop; a shopper without one does not meet it. What is empty or 0 asks for nothing."""

    tiers: frozenset[ValueTier] = frozenset()
    segments: frozenset[ValueSegment] = frozenset()
    min_recency_score: int = 0
    min_frequency_score: int = 0
    min_monetary_score: int = 0


@dataclass(frozen=True, slots=True)
class ActivityCriterion:
    """A last event in a span of time; a shopper whose events carry no times does not meet it."""

    since: datetime | None = None
    before: datetime | None = None
    """Not included."""


@dataclass(frozen=True, slots=True)
class RegionCriterion:
    """A declared region that is one of these. It stands in no table: it is asked for at the moment of the answer."""

    regions: frozenset[str]


TableCriterion = InterestCriterion | TraitCriterion | CustomerValueCriterion | ActivityCriterion
"""Criteria that the table alone can decide."""
Criterion = TableCriterion | RegionCriterion


@dataclass(frozen=True, slots=True)
class SeedShoppers:
    """A seed by name; the table may lack some of them."""

    shopper_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class SeedCriteria:
    """A seed by all that its shoppers meet."""

    criteria: Sequence[Criterion]


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Shoppers whose profiles are like those of a seed, who are not among them."""

    seed: SeedShoppers | SeedCriteria
    top: int | None = None
    """So many of those who meet the audience's criteria, the most similar."""
    min_similarity: float | None = None
    """Or all of them who are so similar, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Shoppers who meet every criterion, and are look-alikes of a seed if there is one."""

    criteria: Sequence[Criterion] = ()
    look_alike: LookAlike | None = None
