"""Purchase cycles: what a shopper buys again and again, and when it is due."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portrait.features.events import EventType
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.items.prices import category_key
from portrait.features.population.population import Population, PurchaseCycles
from portrait.features.population.purchase_cycles import CategoryCycle, compute_due_probability, estimate_cycle
from portrait.features.profiles.absence import NO_STATISTICS, Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import Evidence, latest_event_ids

MAX_CYCLES = 10
MIN_PURCHASE_DAYS = 3
"""Minimum number of days with a purchase in a category: two purchases are no habit yet."""
_EARLY_QUANTILE, _LATE_QUANTILE = 0.1, 0.9
_MAX_INTERVAL_DAYS = 3650.0


@dataclass(frozen=True, slots=True)
class PurchaseCycle:
    """A category that a shopper buys repeatedly, and when it is due."""

    category_path: tuple[str, ...]
    interval_days: float
    purchase_count: int
    last_time: datetime
    due_at: datetime
    earliest_due_at: datetime
    latest_due_at: datetime
    due_probability: float
    """Probability of a purchase within the horizon, calibrated."""
    horizon_days: float
    evidence_event_ids: tuple[str, ...]
    evidence_count: int
    """Purchases that it was computed from."""
    expires_at: datetime


def compute_purchase_cycles(evidence: Evidence, population: Population | None) -> list[PurchaseCycle] | Absence:
    """Cycles of the narrowest categories, the likeliest next first.

    Args:
        evidence: the weighted history.
        population: how the categories are bought by all.
    """
    if population is None:
        return NO_STATISTICS
    if not evidence.has_times:
        return Absence(AbsenceReason.NOT_RECORDED, "the events carry no times")
    if population.purchase_cycles is None:
        return Absence(
            AbsenceReason.NO_STATISTICS, "the release's window is shorter than three horizons, or nobody buys again"
        )
    bought: dict[tuple[str, ...], list[tuple[int, datetime, str]]] = defaultdict(list)
    for each in evidence.events:
        kept = each.event.type is EventType.PURCHASE and each.long > 0.0  # not refunded
        if kept and each.item and each.item.category_path and each.event.time:
            day = int(each.event.time.timestamp() // SECONDS_PER_DAY)
            bought[each.item.category_path].append((day, each.event.time, each.event.event_id))
    found, most = [], 0
    for path, purchases in bought.items():
        days = list(dict.fromkeys(day for day, _, _ in purchases))
        most = max(most, len(days))
        category = population.purchase_cycles.categories.get(category_key(path))
        if category is not None and len(days) >= MIN_PURCHASE_DAYS:
            cycle_ = _compute_cycle(path, days, purchases, category, population.purchase_cycles, evidence.as_of)
            if cycle_.latest_due_at > evidence.as_of:  # else the habit has ended
                found.append(cycle_)
    if not found:
        return explain_too_few(
            most, MIN_PURCHASE_DAYS, "days with a purchase in one category that is usually bought again"
        )
    return sorted(found, key=lambda each: (-each.due_probability, each.category_path))[:MAX_CYCLES]


def _compute_cycle(
    path: tuple[str, ...],
    days: Sequence[int],
    purchases: Sequence[tuple[int, datetime, str]],
    category: CategoryCycle,
    cycles: PurchaseCycles,
    as_of: datetime,
) -> PurchaseCycle:
    intervals = [float(later - earlier) for earlier, later in itertools.pairwise(days)]
    known, last = estimate_cycle(intervals, category, cycles.scale), purchases[-1][1]

    def after(quantile: float) -> datetime:
        return last + timedelta(days=min(known.days(quantile), _MAX_INTERVAL_DAYS))

    elapsed = (as_of - last).total_seconds() / SECONDS_PER_DAY
    return PurchaseCycle(
        category_path=path,
        interval_days=known.days(),
        purchase_count=len(days),
        last_time=last,
        due_at=after(0.5),
        earliest_due_at=after(_EARLY_QUANTILE),
        latest_due_at=after(_LATE_QUANTILE),
        due_probability=compute_due_probability(known, elapsed, cycles.scale),
        horizon_days=cycles.scale.horizon_days,
        evidence_event_ids=latest_event_ids([event_id for _, _, event_id in purchases]),
        evidence_count=len(purchases),
        expires_at=as_of + timedelta(days=cycles.scale.horizon_days),
    )
