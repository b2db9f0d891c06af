"""Session intent: what a shopper's latest session is about."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from portrait.features.events import EventType
from portrait.features.population.interest_dynamics import EVENT_TYPE_WEIGHTS
from portrait.features.profiles.absence import Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import Evidence, WeightedEvent, latest_event_ids
from portrait.features.text.normalisation import normalise_text

DEFAULT_GAP_MINUTES = 30.0
"""Session gap for a release without statistics."""
MAX_CATEGORIES, MAX_QUERIES = 5, 5
_MIN_COMPARED_ITEMS = 3
"""Minimum number of viewed items of one category in the stage of comparing."""
_VIEW_TYPES = (EventType.VIEW, EventType.CLICK)


class SessionStage(Enum):
    """The stage of a session."""

    BROWSING = auto()
    SEARCHING = auto()
    COMPARING = auto()
    CART = auto()
    PURCHASED = auto()


@dataclass(frozen=True, slots=True)
class SessionCategory:
    """A share of a session that one category has."""

    category_path: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class SessionIntent:
    """The intent of the latest session."""

    stage: SessionStage
    active: bool
    """True if the session may still continue."""
    categories: tuple[SessionCategory, ...]
    """The narrowest categories, the largest share first."""
    queries: tuple[str, ...]
    """The latest first, each once."""
    started_at: datetime
    event_count: int
    confidence: float
    """One minus the entropy of the categories' shares over the logarithm of the number of their events, 0 to 1."""
    evidence_event_ids: tuple[str, ...]
    expires_at: datetime


def compute_session_intent(evidence: Evidence, gap_minutes: float | None) -> SessionIntent | Absence:
    """The events after the last pause longer than the gap.

    Args:
        evidence: the weighted history.
        gap_minutes: the release's session gap; None for half an hour.
    """
    if not evidence.events:
        return explain_too_few(0, 1, "events")
    if not evidence.has_times:
        return Absence(AbsenceReason.NOT_RECORDED, "the events carry no times")
    gap = timedelta(minutes=DEFAULT_GAP_MINUTES if gap_minutes is None else gap_minutes)
    times = [each.event.time for each in evidence.events if each.event.time is not None]
    first = len(times) - 1
    while first > 0 and times[first] - times[first - 1] <= gap:
        first -= 1
    events = evidence.events[first:]
    focus = _rank_categories(events)
    return SessionIntent(
        stage=_find_stage(events),
        active=evidence.as_of - times[-1] <= gap,
        categories=focus[:MAX_CATEGORIES],
        queries=_collect_queries(events),
        started_at=times[first],
        event_count=len(events),
        confidence=_measure_concentration(events, focus),
        evidence_event_ids=latest_event_ids([each.event.event_id for each in events]),
        expires_at=times[-1] + gap,
    )


def _rank_categories(events: Sequence[WeightedEvent]) -> tuple[SessionCategory, ...]:
    """Categories by what was done in them; recency counts for nothing within one session."""
    mass: dict[tuple[str, ...], float] = defaultdict(float)
    for path, weight in _weigh_categories(events):
        mass[path] += weight
    total = sum(mass.values())
    return tuple(
        SessionCategory(path, mass[path] / total) for path in sorted(mass, key=lambda path: (-mass[path], path))
    )


def _weigh_categories(events: Sequence[WeightedEvent]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Category and weight of each event that turns to one."""
    for each in events:
        if each.item is not None and each.item.category_path and each.event.type in EVENT_TYPE_WEIGHTS:
            yield each.item.category_path, EVENT_TYPE_WEIGHTS[each.event.type]


def _measure_concentration(events: Sequence[WeightedEvent], focus: Sequence[SessionCategory]) -> float:
    """0 if every event is of a category of its own, 1 if all are of one; one event alone says nothing."""
    count = sum(1 for _ in _weigh_categories(events))
    if count < 2:
        return 0.0
    entropy = -sum(part.share * math.log(part.share) for part in focus)
    return max(0.0, 1.0 - entropy / math.log(count))


def _collect_queries(events: Sequence[WeightedEvent]) -> tuple[str, ...]:
    typed = (normalise_text(each.event.query) for each in reversed(events) if each.event.query)
    return tuple({query.casefold(): query for query in typed if query}.values())[:MAX_QUERIES]


def _find_stage(events: Sequence[WeightedEvent]) -> SessionStage:
    kinds = {each.event.type for each in events}
    looked = {
        (each.item.category_path, each.item.item_id) for each in events if each.item and each.event.type in _VIEW_TYPES
    }
    if EventType.PURCHASE in kinds:
        return SessionStage.PURCHASED
    if EventType.ADD_TO_CART in kinds:
        return SessionStage.CART
    if max(Counter(path for path, _ in looked).values(), default=0) >= _MIN_COMPARED_ITEMS:
        return SessionStage.COMPARING
    return SessionStage.SEARCHING if EventType.SEARCH in kinds else SessionStage.BROWSING
