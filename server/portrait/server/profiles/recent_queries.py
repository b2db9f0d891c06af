"""Recent queries: what a shopper asked for, and what became of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from portrait.features.events import EventType
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import Evidence, WeightedEvent, latest_event_ids
from portrait.features.text.normalisation import normalise_text
from portrait.server.profiles.session_intent import DEFAULT_GAP_MINUTES

MAX_QUERIES = 10


class QueryOutcome(IntEnum):
    """The outcome of a query, from nothing to a purchase."""

    NONE = 0
    VIEWED = 1
    PURCHASED = 2


_OUTCOMES = {EventType.SEARCH: QueryOutcome.NONE, EventType.PURCHASE: QueryOutcome.PURCHASED}


@dataclass(frozen=True, slots=True)
class QueryIntent:
    """Something that the shopper asked for."""

    query: str
    """As it was typed the last time."""
    count: int
    """Searches, or where the log keeps none, events that it led to."""
    last_time: datetime | None
    outcome: QueryOutcome
    category_path: tuple[str, ...]
    """The narrowest category of what it led to most; empty if it led to nothing."""
    confidence: float
    """Remaining need: it halves with each short half-life since, and with a purchase."""
    evidence_event_ids: tuple[str, ...]
    """The latest first."""
    expires_at: datetime | None


def find_recent_queries(evidence: Evidence, gap_minutes: float | None) -> list[QueryIntent] | Absence:
    """The last queries, whatever their case and spacing each once, the latest first.

    A query led to the events that carry it. Where none but searches carry one, it led to what follows in the session,
    up to the next search.

    Args:
        evidence: the weighted history.
        gap_minutes: the release's session gap; None for half an hour.
    """
    asks = [normalise_text(typed).casefold() if (typed := each.event.query) else "" for each in evidence.events]
    if not any(asks):
        return Absence(AbsenceReason.NOT_RECORDED, "no event carries a query")
    gap = timedelta(minutes=DEFAULT_GAP_MINUTES if gap_minutes is None else gap_minutes)
    carried = any(each.event.query and each.event.type is not EventType.SEARCH for each in evidence.events)
    asked: dict[str, list[int]] = {}
    query, before = "", None
    for place, (each, own) in enumerate(zip(evidence.events, asks, strict=True)):
        time = each.event.time
        follows = not carried and each.event.type is not EventType.SEARCH
        near = time is not None and before is not None and time - before <= gap
        query, before = own or (query if follows and near else ""), time
        if query:
            asked.setdefault(query, []).append(place)
    latest_first = sorted(asked.values(), key=lambda places: -places[-1])
    return [_make_intent(evidence, places) for places in latest_first[:MAX_QUERIES]]


def _make_intent(evidence: Evidence, places: Sequence[int]) -> QueryIntent:
    events = [evidence.events[place] for place in places]
    outcome = max(_OUTCOMES.get(each.event.type, QueryOutcome.VIEWED) for each in events)
    searches = sum(each.event.type is EventType.SEARCH for each in events)
    last = next(each for each in reversed(events) if each.event.query)
    left = _compute_short_recency(last, evidence)
    return QueryIntent(
        query=normalise_text(last.event.query or ""),
        count=searches or len(events),
        last_time=last.event.time,
        outcome=outcome,
        category_path=_find_main_category(events),
        confidence=left / 2.0 if outcome is QueryOutcome.PURCHASED else left,
        evidence_event_ids=latest_event_ids([each.event.event_id for each in events]),
        expires_at=evidence.short_term_expires_at,
    )


def _find_main_category(events: Sequence[WeightedEvent]) -> tuple[str, ...]:
    paths = Counter(each.item.category_path for each in events if each.item is not None and each.item.category_path)
    return paths.most_common(1)[0][0] if paths else ()


def _compute_short_recency(last: WeightedEvent, evidence: Evidence) -> float:
    """Compute the recency by the short half-life: that by the long one to the power of the ratio of the two."""
    return last.recency ** (evidence.decay.long / evidence.decay.short)
