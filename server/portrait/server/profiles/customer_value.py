"""Value: recency, frequency and spending (RFM), in fifths of the release's shoppers (Hughes 1994)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from portrait.features.events import EventType
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.items.prices import known_price
from portrait.features.population.population import Population, SpendingFifths
from portrait.features.profiles.absence import NO_STATISTICS, Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import Evidence, WeightedEvent, strongest_event_ids
from portrait.features.profiles.sentences import days_between

_FIFTHS = 5
_MIN_TOP, _MIN_HIGH, _MIN_MIDDLE = 5.0, 3.5, 2.5
"""Mean of the scores of frequency and spending from which a tier begins."""
_MIN_RECENT_SCORE, _MIN_FREQUENT_SCORE = 3, 3
"""Scores of recency and frequency from which a segment counts as such."""
_MIN_PRICED_SHARE = 0.5


class ValueTier(Enum):
    """The tier of a shopper's value."""

    LOW = auto()
    MIDDLE = auto()
    HIGH = auto()
    TOP = auto()


class ValueSegment(Enum):
    """The lifecycle segment of a shopper."""

    LOYAL = auto()
    OCCASIONAL = auto()
    NEW = auto()
    AT_RISK = auto()
    DORMANT = auto()


@dataclass(frozen=True, slots=True)
class CustomerValue:
    """A shopper's value; scores are 1 to 5, 5 the best."""

    tier: ValueTier
    segment: ValueSegment
    recency_days: float
    frequency: int
    """Days with a purchase in the window."""
    monetary: float | None
    """Spent in the window, less refunds; None if too few purchases carry a price."""
    recency_score: int
    frequency_score: int
    monetary_score: int | None
    window_days: float
    confidence: float
    """Share of the window that lies behind the first event, 0 to 1."""
    evidence_event_ids: tuple[str, ...]
    """The most spent first."""
    expires_at: datetime
    days_since_purchase: int = 0
    """Calendar days, UTC, from the last purchase to the moment of the profile: 0 of the same day."""


def compute_customer_value(evidence: Evidence, population: Population | None) -> CustomerValue | Absence:
    """A shopper's value at the moment of the profile.

    Args:
        evidence: the weighted history.
        population: the fifths.
    """
    if population is None:
        return NO_STATISTICS
    if not evidence.has_times:
        return Absence(AbsenceReason.NOT_RECORDED, "the events carry no times")
    if population.spending is None:
        return Absence(
            AbsenceReason.NO_STATISTICS, "too few of the release's shoppers have bought, or its times are unknown"
        )
    purchases = [each for each in evidence.events if each.event.type is EventType.PURCHASE]
    if not purchases:
        return explain_too_few(0, 1, "purchases")
    return _compute_value(purchases, evidence, population.spending)


def _compute_value(purchases: Sequence[WeightedEvent], evidence: Evidence, spending: SpendingFifths) -> CustomerValue:
    ages = [_compute_age(each, evidence.as_of) for each in purchases]
    recency = min(ages)
    last = max(each.event.time for each in purchases if each.event.time)
    within = [each for each, age in zip(purchases, ages, strict=True) if age < spending.window_days]
    frequency = len({int(each.event.time.timestamp() // SECONDS_PER_DAY) for each in within if each.event.time})
    monetary = _sum_spending(within, _sum_refunds(evidence, spending.window_days))
    scores = (
        _FIFTHS - bisect_left(spending.recency_days, recency),
        1 + bisect_right(spending.frequency, frequency) if within else 1,
        None if monetary is None or spending.monetary is None else 1 + bisect_right(spending.monetary, monetary),
    )
    known = max(_compute_age(each, evidence.as_of) for each in evidence.events) / spending.window_days
    spent = ((_compute_amount(each), place, each.event.event_id) for place, each in enumerate(within or purchases))
    return CustomerValue(
        tier=_find_tier(scores[1], scores[2]),
        segment=_find_segment(scores[0], scores[1], known, spending),
        recency_days=recency,
        days_since_purchase=days_between(last, evidence.as_of),
        frequency=frequency,
        monetary=None if spending.monetary is None else monetary,
        recency_score=scores[0],
        frequency_score=scores[1],
        monetary_score=scores[2],
        window_days=spending.window_days,
        confidence=min(1.0, known),
        evidence_event_ids=strongest_event_ids(spent),
        expires_at=_find_expiry(recency, evidence.as_of, spending),
    )


def _compute_age(each: WeightedEvent, as_of: datetime) -> float:
    return (as_of - each.event.time).total_seconds() / SECONDS_PER_DAY if each.event.time else 0.0


def _compute_amount(each: WeightedEvent) -> float:
    quantity = 1.0 if each.event.quantity is None else each.event.quantity
    return (each.event.price or 0.0) * quantity


def _sum_refunds(evidence: Evidence, window_days: float) -> float:
    """Worth of the refunds in the window that carry a price."""
    refunds = (each for each in evidence.events if each.event.type is EventType.REFUND)
    return sum(_compute_amount(each) for each in refunds if _compute_age(each, evidence.as_of) < window_days)


def _sum_spending(purchases: Sequence[WeightedEvent], given_back: float) -> float | None:
    """Sum the spending less refunds; None if too few purchases carry a price."""
    priced = [each for each in purchases if known_price(each.event.price) is not None]
    if len(priced) < _MIN_PRICED_SHARE * len(purchases):
        return None
    return max(0.0, sum(map(_compute_amount, priced)) - given_back)


def _find_tier(frequency: int, monetary: int | None) -> ValueTier:
    mean = frequency if monetary is None else (frequency + monetary) / 2
    tiers = ((_MIN_TOP, ValueTier.TOP), (_MIN_HIGH, ValueTier.HIGH), (_MIN_MIDDLE, ValueTier.MIDDLE))
    return next((tier for least, tier in tiers if mean >= least), ValueTier.LOW)


def _find_segment(recency: int, frequency: int, known: float, spending: SpendingFifths) -> ValueSegment:
    if known * spending.window_days <= spending.recency_days[-1]:
        return ValueSegment.NEW
    if recency >= _MIN_RECENT_SCORE:
        return ValueSegment.LOYAL if frequency >= _MIN_FREQUENT_SCORE else ValueSegment.OCCASIONAL
    return ValueSegment.AT_RISK if frequency >= _MIN_FREQUENT_SCORE else ValueSegment.DORMANT


def _find_expiry(recency: float, as_of: datetime, spending: SpendingFifths) -> datetime:
    """Compute the time at which the next cut of recency is reached."""
    cut = next((cut for cut in spending.recency_days if cut > recency), recency + spending.window_days)
    return as_of + timedelta(days=cut - recency)
