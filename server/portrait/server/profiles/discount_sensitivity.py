"""Discount sensitivity: how much of what a shopper buys is bought below the usual price."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portrait.features.events import EventType
from portrait.features.population.population import MAX_DISCOUNTED_RATIO, Population
from portrait.features.profiles.absence import NO_STATISTICS, Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import Evidence, strongest_event_ids

MIN_PURCHASES = 5
_Z = 1.96


@dataclass(frozen=True, slots=True)
class DiscountSensitivity:
    """A shopper's sensitivity to discounts."""

    discounted_share: float
    """Share of purchases at least 5% below the usual price."""
    mean_discount: float
    """Mean discount of these purchases, as a share of the usual price, 0 to 1."""
    percentile: float
    """Share of the release's shoppers who buy less below the usual price; of equal ones half."""
    confidence: float
    """One minus half the width of the 95% interval of the share (Wilson 1927)."""
    purchase_count: int
    evidence_event_ids: tuple[str, ...]
    """The largest discounts first."""
    expires_at: datetime | None


def compute_discount_sensitivity(evidence: Evidence, population: Population | None) -> DiscountSensitivity | Absence:
    """Compute the share of purchases below the catalogue's price.

    Args:
        evidence: the weighted history.
        population: how it is with the release's shoppers.
    """
    if population is None:
        return NO_STATISTICS
    if population.discounted_shares is None:
        return Absence(
            AbsenceReason.NOT_RECORDED, "the log's prices of one item do not tell a discount from another product"
        )
    paid = [
        (each.event.price / each.item.price, place, each.event.event_id)
        for place, each in enumerate(evidence.events)
        if each.event.type is EventType.PURCHASE and each.event.price and each.item and each.item.price
    ]
    if len(paid) < MIN_PURCHASES:
        return explain_too_few(len(paid), MIN_PURCHASES, "purchases with a price and a usual price")
    below = [(1.0 - ratio, place, event_id) for ratio, place, event_id in paid if ratio <= MAX_DISCOUNTED_RATIO]
    share = len(below) / len(paid)
    return DiscountSensitivity(
        discounted_share=share,
        mean_discount=sum(discount for discount, _, _ in below) / len(below) if below else 0.0,
        percentile=_compute_percentile(share, population.discounted_shares),
        confidence=1.0 - _compute_half_width(share, len(paid)),
        purchase_count=len(paid),
        evidence_event_ids=strongest_event_ids(below),
        expires_at=evidence.long_term_expires_at,
    )


def _compute_percentile(share: float, quantiles: Sequence[float]) -> float:
    return (bisect_left(quantiles, share) + bisect_right(quantiles, share)) / (2 * len(quantiles))


def _compute_half_width(share: float, count: int) -> float:
    """Compute half the width of Wilson's score interval."""
    spread = share * (1.0 - share) / count + _Z**2 / (4 * count**2)
    return float(_Z * spread**0.5 / (1.0 + _Z**2 / count))
