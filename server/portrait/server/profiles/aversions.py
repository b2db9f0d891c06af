"""Aversions: what a shopper turns away from."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from portrait.features.events import Event, EventType
from portrait.features.population.interest_dynamics import MAX_BOUNCE_SECONDS
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import Evidence, strongest_event_ids

MAX_AVERSIONS = 10
MIN_WEIGHT = 0.5
"""Minimum share of negative evidence under a node: one bad purchase among many good ones is no aversion."""

_NEUTRAL_RATING, _WORST_RATING = 3.0, 1.0
_SKIP_DISLIKE = 0.3


@dataclass(frozen=True, slots=True)
class Aversion:
    """A node of the taxonomy that the shopper turns away from."""

    category_path: tuple[str, ...]
    weight: float
    """Share of the recency-weighted evidence under the node that speaks against it, 0 to 1."""
    confidence: float
    """Evidence against over itself plus the prior, 0 to 1."""
    evidence_event_ids: tuple[str, ...]
    evidence_count: int
    """Number of supporting events."""
    expires_at: datetime | None


def find_aversions(evidence: Evidence) -> list[Aversion] | Absence:
    """Aversions, the strongest first.

    A refund counts in full, as a purchase does. Low ratings count in proportion, in full at 1 of 5 and nothing at 3;
    a page that was left at once counts as little as a glance.
    """
    against: dict[tuple[str, ...], float] = defaultdict(float)
    total: dict[tuple[str, ...], float] = defaultdict(float)
    cited: dict[tuple[str, ...], list[tuple[float, int, str]]] = defaultdict(list)
    for place, each in enumerate(evidence.events):
        if each.item is None:
            continue
        dislike = _measure_dislike(each.event)
        weight = dislike * each.recency
        for depth in range(1, len(each.item.category_path) + 1):
            path = each.item.category_path[:depth]
            total[path] += weight if dislike > 0.0 else each.long
            if weight > 0.0:
                against[path] += weight
                cited[path].append((weight, place, each.event.event_id))
    found = [
        Aversion(
            category_path=path,
            weight=mass / total[path],
            confidence=mass / (mass + evidence.decay.prior),
            evidence_event_ids=strongest_event_ids(cited[path]),
            evidence_count=len(cited[path]),
            expires_at=evidence.long_term_expires_at,
        )
        for path, mass in against.items()
        if mass / total[path] >= MIN_WEIGHT
    ]
    if not found:
        return Absence(AbsenceReason.TOO_LITTLE_EVIDENCE, "nothing is mostly rated low, given back or left at once")
    return sorted(found, key=lambda each: (-each.confidence, len(each.category_path), each.category_path))[
        :MAX_AVERSIONS
    ]


def _measure_dislike(event: Event) -> float:
    """Measure how much an event speaks against its item, 0 to 1."""
    if event.type is EventType.REFUND:
        return 1.0
    if event.type is EventType.RATE and event.rating is not None:
        return max(0.0, (_NEUTRAL_RATING - event.rating) / (_NEUTRAL_RATING - _WORST_RATING))
    left_at_once = event.dwell_seconds is not None and event.dwell_seconds <= MAX_BOUNCE_SECONDS
    return _SKIP_DISLIKE if left_at_once and event.type in (EventType.VIEW, EventType.CLICK) else 0.0
