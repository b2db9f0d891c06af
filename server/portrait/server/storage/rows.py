"""Conversions between stored objects and rows of tables."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from portrait.features.events import Event, EventType, Item
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.households import Membership
from portrait.server.identities import Link
from portrait.server.reviews.review import Review, ReviewAction, ReviewTarget, Segment, Subject, SubjectKind
from portrait.server.storage.store import ItemChange, RecordedEvent
from portrait.server.timestamps import from_microseconds, to_microseconds

EVENT_COLUMNS = Event._fields
CONSENT_COLUMNS = ("purpose", "granted", "time", "recorded_at", "notice", "source")
LINK_COLUMNS = ("shopper_id", "time", "recorded_at", "source", "confidence")
"""The first is the anonymous id."""
MEMBERSHIP_COLUMNS = ("shopper_id", "household_id", "time", "recorded_at", "source", "confidence")
SHOPPER_ID = 0
EVENT_ID, TIME = (1 + EVENT_COLUMNS.index(name) for name in ("event_id", "time"))
"""Positions of shopper, event id and time in a row of an event."""
_EVENT_TYPES = {kind.value: kind for kind in EventType}


def event_row(recorded: RecordedEvent) -> tuple[Any, ...]:
    """Shopper, then the event in the order of its fields; the time in microseconds since 1970."""
    event_id, kind, time, *rest = recorded.event  # by position: a mapping by name takes thrice as long
    if time is None:
        raise ValueError("an event without a time can't be recorded")
    return (recorded.shopper_id, event_id, kind.value, to_microseconds(time), *rest)


def event_of(row: Sequence[Any]) -> Event:
    """An event of its fields."""
    event_id, kind, time, *rest = row
    return Event(event_id, _EVENT_TYPES[kind], from_microseconds(time), *rest)


def consent_row(consent: Consent) -> tuple[Any, ...]:
    """A consent in the order of `CONSENT_COLUMNS`."""
    moments = (to_microseconds(consent.time), to_microseconds(consent.recorded_at))
    return (consent.purpose.value, consent.granted, *moments, consent.notice, consent.source)


def consent_of(row: Sequence[Any]) -> Consent:
    """A consent of these columns."""
    purpose, granted, time, recorded_at, notice, source = row
    return Consent(
        Purpose(purpose), bool(granted), from_microseconds(time), from_microseconds(recorded_at), notice, source
    )


def link_row(link: Link) -> tuple[Any, ...]:
    """A link in the order of `LINK_COLUMNS`."""
    moments = (to_microseconds(link.time), to_microseconds(link.recorded_at))
    return (link.anonymous_id, *moments, link.source, link.confidence)


def link_of(row: Sequence[Any]) -> Link:
    """A link of these columns."""
    anonymous_id, time, recorded_at, source, confidence = row
    return Link(anonymous_id, from_microseconds(time), from_microseconds(recorded_at), source, confidence)


def membership_row(membership: Membership) -> tuple[Any, ...]:
    """A membership in the order of `MEMBERSHIP_COLUMNS`."""
    moments = (to_microseconds(membership.time), to_microseconds(membership.recorded_at))
    return (membership.shopper_id, membership.household_id, *moments, membership.source, membership.confidence)


def membership_of(row: Sequence[Any]) -> Membership:
    """A membership of these columns."""
    shopper_id, household_id, time, recorded_at, *evidence = row
    return Membership(shopper_id, household_id, from_microseconds(time), from_microseconds(recorded_at), *evidence)


def review_key(target: ReviewTarget) -> str:
    """The one text of what is reviewed, and of the segment that it is for."""
    (kind, names), _, segment = target
    return _to_json([kind, names, segment])


def review_json(review: Review) -> str:
    """A review as JSON, without the shopper's id."""
    (kind, names), _, segment = review.target
    decided = (review.action, review.value, review.reviewed_by, review.note, to_microseconds(review.reviewed_at))
    return _to_json([kind, names, segment, *decided])


def review_of(shopper_id: str, text: str | bytes) -> Review:
    """The inverse of `review_json`."""
    kind, names, segment, action, value, reviewed_by, note, reviewed_at = json.loads(text)
    return Review(
        ReviewTarget(
            Subject(SubjectKind(kind), tuple(names)),
            shopper_id,
            None if segment is None else Segment(tuple(segment[0]), segment[1]),
        ),
        ReviewAction(action),
        value,
        reviewed_by,
        note,
        from_microseconds(reviewed_at),
    )


def change_of(row: Sequence[Any]) -> ItemChange:
    """A change of catalogue, id, item as JSON, and number."""
    catalogue, item_id, item, number = row
    return ItemChange(catalogue, item_id, _item(item), number)


def item_json(item: Item | None) -> str | None:
    """An item as JSON; None if there is none."""
    return None if item is None else json.dumps(dataclasses.asdict(item), ensure_ascii=False)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _item(text: str | None) -> Item | None:
    if text is None:
        return None
    values = json.loads(text)
    return Item(**{**values, "category_path": tuple(values["category_path"])})
