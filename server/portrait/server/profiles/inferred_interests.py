"""Inferred interests: categories that a shopper has not met, but that what was met leads to."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EventType
from portrait.features.items.prices import category_key
from portrait.features.population.population import InterestDynamics
from portrait.features.profiles.evidence import Evidence, strongest_event_ids
from portrait.features.profiles.interests import Interest, Path
from portrait.server.release.release import Release

MAX_INFERRED = 5
MIN_LIFT = 3.0
"""A category is inferred only if it is so much likelier for this shopper than for all: else it is merely popular."""


@dataclass(frozen=True, slots=True)
class _CategoryAssociations:
    """Associations of a history with categories that it does not hold, one entry for each pair of event and item."""

    place: NDArray[np.int64]
    category: NDArray[np.int32]
    value: NDArray[np.float64]


def infer_interests(evidence: Evidence, release: Release, attention: InterestDynamics) -> list[Interest]:
    """Inferred interests, the likeliest first.

    The chance is σ(a + b log s), s the sum of the release's associations from the history's items to those of the
    category; each event's part in s is exact, and those with the largest are its evidence.

    Args:
        evidence: the weighted history.
        release: its associations.
        attention: a and b, and what is usual.
    """
    if attention.inferred_calibration is None:
        return []
    leads = _associate_categories(evidence, release)
    if not len(leads.value):
        return []
    paths = release.items.codes.paths
    total = np.bincount(leads.category, leads.value, minlength=len(paths))
    best = np.argsort(-total, kind="stable")[: 4 * MAX_INFERRED]
    found = []
    for category in best.tolist():
        path = paths[category]
        usual = attention.population_weights.get(category_key(path), 0.0)
        if total[category] <= 0.0:
            break
        chance = _calibrate(total[category], attention.inferred_calibration)
        if chance >= MIN_LIFT * usual:
            found.append(_make_interest(path, chance, usual, leads, category, evidence))
    return sorted(found, key=lambda each: -each.confidence)[:MAX_INFERRED]


def infer_probability(evidence: Evidence, release: Release, attention: InterestDynamics, path: Path) -> float:
    """Compute the probability of one category that the history lacks, however small; 0 without associations.

    Args:
        evidence: the weighted history.
        release: its associations.
        attention: a and b.
        path: the category.
    """
    if attention.inferred_calibration is None:
        return 0.0
    leads, paths = _associate_categories(evidence, release), release.items.codes.paths
    total = float(leads.value[[paths[category] == path for category in leads.category]].sum())
    return _calibrate(total, attention.inferred_calibration) if total > 0.0 else 0.0


def _make_interest(
    path: Path, chance: float, usual: float, leads: _CategoryAssociations, category: int, evidence: Evidence
) -> Interest:
    of_category = leads.category == category
    parts = zip(leads.value[of_category].tolist(), leads.place[of_category].tolist(), strict=True)
    by_event: dict[int, float] = {}
    for value, place in parts:
        by_event[place] = by_event.get(place, 0.0) + value
    cited = ((value, place, evidence.events[place].event.event_id) for place, value in by_event.items())
    return Interest(
        path, 0.0, chance, strongest_event_ids(cited), 0.0, 0.0, chance, usual, evidence.short_term_expires_at, True,
        len(by_event),
    )  # fmt: skip


def _associate_categories(evidence: Evidence, release: Release) -> _CategoryAssociations:
    events = [each.event for each in evidence.events]
    rows = [-1 if event.type is EventType.REFUND else release.row_of(event) for event in events]
    contributions = release.relations.association.compute_contributions(rows, evidence.seconds.tolist())
    of_row, paths = release.items.columns.path, release.items.codes.paths
    category = of_row[contributions.items]
    met = np.zeros(len(paths), dtype=bool)
    met[:1] = paths[:1] == [()]  # items without a category; the paths are in ascending order
    met[of_row[[row for row in rows if row >= 0]]] = True
    new = ~met[category]
    return _CategoryAssociations(contributions.positions[new], category[new], contributions.values[new])


def _calibrate(total: float, fitted: tuple[float, float]) -> float:
    """σ(a + b log s) of a sum above 0."""
    a, b = fitted
    return 1.0 / (1.0 + math.exp(-a - b * math.log(total)))
