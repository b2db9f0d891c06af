"""Rhythm: when a shopper is active, in the log's own clock."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

import numpy as np

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.profiles.absence import Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import MAX_EVIDENCE, Evidence, latest_event_ids

MIN_DAYS = 8
"""Minimum number of days with events: with fewer, every week looks like a habit."""
MAX_PEAKS = 3
_HOURS, _WEEKDAYS, _SECONDS_PER_HOUR = 24, 7, 3_600
_FIRST_WEEKDAY = 4
"""1 January 1970, day 0, was a Thursday."""
_SIGNIFICANCE = 0.01
"""A count stands out if one that high has at most this probability where all hours, or weekdays, are alike."""
_NEGLIGIBLE = 1e-12
"""Terms of a sum below this share of it are left out."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ActivityPattern:
    """The hours and weekdays at which a shopper is active."""

    hour_shares: tuple[float, ...]
    """Share of the shopper's moments by hour, 0 to 23; empty if times are days."""
    weekday_shares: tuple[float, ...]
    """Monday first."""
    peak_hours: tuple[int, ...]
    """Hours that stand out, the strongest first."""
    peak_weekdays: tuple[int, ...]
    """Weekdays that stand out, 1 for Monday to 7, the strongest first."""
    median_gap_days: float
    """From one day with events to the next, the median."""
    confidence: float
    """Probability that the weekdays are not all alike."""
    evidence_event_ids: tuple[str, ...]
    """The latest first."""
    expires_at: datetime | None


def compute_activity_pattern(evidence: Evidence, times_are_days: bool) -> ActivityPattern | Absence:
    """The rhythm of the shopper's moments; events of one moment, such as a basket's, count once.

    Args:
        evidence: the weighted history.
        times_are_days: whether the log tells no hours.
    """
    if not evidence.has_times:
        return Absence(AbsenceReason.NOT_RECORDED, "the events carry no times")
    moments = np.unique(evidence.seconds)
    days = np.unique(moments // SECONDS_PER_DAY)
    if len(days) < MIN_DAYS:
        return explain_too_few(len(days), MIN_DAYS, "days with events")
    weekdays = Counter(((days + _FIRST_WEEKDAY - 1) % _WEEKDAYS + 1).astype(int).tolist())
    hours = Counter([] if times_are_days else (moments % SECONDS_PER_DAY // _SECONDS_PER_HOUR).astype(int).tolist())
    peak_weekdays = _find_peaks(weekdays, range(1, _WEEKDAYS + 1))
    peak_hours = _find_peaks(hours, range(_HOURS))
    return ActivityPattern(
        hour_shares=_compute_shares(hours, range(_HOURS)) if hours else (),
        weekday_shares=_compute_shares(weekdays, range(1, _WEEKDAYS + 1)),
        peak_hours=peak_hours,
        peak_weekdays=peak_weekdays,
        median_gap_days=float(np.median(np.diff(days))),
        confidence=_test_uniformity([weekdays[day] for day in range(1, _WEEKDAYS + 1)]),
        evidence_event_ids=_cite_events(evidence, peak_hours, peak_weekdays),
        expires_at=evidence.long_term_expires_at,
    )


def _compute_shares(counts: Counter[int], places: range) -> tuple[float, ...]:
    total = sum(counts.values())
    return tuple(counts[place] / total for place in places)


def _find_peaks(counts: Counter[int], places: range) -> tuple[int, ...]:
    """Places that stand out, by the binomial tail; the test is repeated for each place (Bonferroni)."""
    total, chance = sum(counts.values()), 1.0 / len(places)
    found = [
        place
        for place in places
        if counts[place] > total * chance
        and _compute_binomial_tail(counts[place], total, chance) * len(places) <= _SIGNIFICANCE
    ]
    return tuple(sorted(found, key=lambda place: (-counts[place], place))[:MAX_PEAKS])


def _compute_binomial_tail(count: int, total: int, chance: float) -> float:
    """P(X ≥ count) of a binomial distribution, for a count above its mean: what is added shrinks, soon to nothing."""
    log_first = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    log_first += count * math.log(chance) + (total - count) * math.log1p(-chance)
    added = tail = math.exp(log_first)
    for k in range(count, total):
        added *= (total - k) / (k + 1) * chance / (1.0 - chance)
        tail += added
        if added < _NEGLIGIBLE * tail:
            break
    return tail


def _test_uniformity(counts: Sequence[int]) -> float:
    """One minus the p-value of Pearson's chi-squared test that all are alike (Wilson & Hilferty 1931)."""
    expected, freedom = sum(counts) / len(counts), len(counts) - 1
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    variance = 2.0 / (9.0 * freedom)
    return _NORMAL.cdf(((statistic / freedom) ** (1.0 / 3.0) - (1.0 - variance)) / variance**0.5)


def _cite_events(evidence: Evidence, hours: Sequence[int], weekdays: Sequence[int]) -> tuple[str, ...]:
    at_peaks = (
        each.event.event_id
        for each in reversed(evidence.events)
        if each.event.time is not None
        and (not hours or each.event.time.hour in hours)
        and (not weekdays or each.event.time.isoweekday() in weekdays)
    )
    return tuple(itertools.islice(at_peaks, MAX_EVIDENCE)) or latest_event_ids(
        [each.event.event_id for each in evidence.events]
    )
