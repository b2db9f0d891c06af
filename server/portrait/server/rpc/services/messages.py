"""Conversion between messages of the contract and the types of the engine and the store."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BytesValue
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType, Item
from portrait.features.generators import run_to_completion
from portrait.server.catalogue.filters import Filter
from portrait.server.engine import FEW_ITEMS
from portrait.server.errors import InvalidRequest, PortraitError, Violation
from portrait.server.households import Membership
from portrait.server.identities import Link
from portrait.server.recommendation.ranking import RankedItem
from portrait.server.rpc.contract.statuses import code_from_error, field_from_error, message_from_error
from portrait.server.runtime.cooperation import run_in_steps
from portrait.v1 import entry_error_pb2, event_pb2, item_pb2, link_pb2, membership_pb2, profile_pb2

T = TypeVar("T")
R = TypeVar("R")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENT_TYPES = {
    event_pb2.EVENT_TYPE_SEARCH: EventType.SEARCH,
    event_pb2.EVENT_TYPE_VIEW: EventType.VIEW,
    event_pb2.EVENT_TYPE_CLICK: EventType.CLICK,
    event_pb2.EVENT_TYPE_ADD_TO_CART: EventType.ADD_TO_CART,
    event_pb2.EVENT_TYPE_PURCHASE: EventType.PURCHASE,
    event_pb2.EVENT_TYPE_RATE: EventType.RATE,
    event_pb2.EVENT_TYPE_REFUND: EventType.REFUND,
}
_TYPE_MESSAGES = {kind: number for number, kind in EVENT_TYPES.items()}


def catalogue_name(sent: str) -> str:
    """Return the name of a catalogue; an empty name means the default one."""
    return sent or DEFAULT_CATALOGUE


def datetime_from_message(time: Timestamp) -> datetime:
    """Convert a timestamp to UTC, to the microsecond; three times as fast as `Timestamp.ToDatetime`."""
    return _EPOCH + timedelta(0, time.seconds, time.nanos // 1_000)


def timestamp_to_message(time: datetime) -> Timestamp:
    """Convert a time in UTC."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def link_to_message(link: Link) -> link_pb2.Link:
    """Convert a link of an anonymous id."""
    return link_pb2.Link(
        anonymous_id=link.anonymous_id,
        source=link.source,
        confidence=link.confidence,
        time=timestamp_to_message(link.time),
        recorded_at=timestamp_to_message(link.recorded_at),
    )


def membership_to_message(membership: Membership) -> membership_pb2.Membership:
    """Convert a membership in a household."""
    return membership_pb2.Membership(
        household_id=membership.household_id,
        shopper_id=membership.shopper_id,
        source=membership.source,
        confidence=membership.confidence,
        time=timestamp_to_message(membership.time),
        recorded_at=timestamp_to_message(membership.recorded_at),
    )


def requested_as_of(request: Any) -> datetime | None:
    """Read the field `as_of` of a request; None if it is not set, which means now."""
    return datetime_from_message(request.as_of) if request.HasField("as_of") else None


def event_from_message(message: event_pb2.Event, event_id: str) -> Event:
    """Convert an event.

    Args:
        message: a valid event.
        event_id: its id; for an inline event without one, its path in the request.
    """
    has = message.HasField
    return Event(  # positional arguments: keywords take twice as long, and a history has thousands of events
        event_id,
        EVENT_TYPES[message.type],
        datetime_from_message(message.time) if has("time") else None,
        message.item_id or None,
        catalogue_name(message.catalogue),
        message.query or None,
        message.price if has("price") else None,
        message.quantity if has("quantity") else None,
        message.rating if has("rating") else None,
        message.dwell_seconds if has("dwell_seconds") else None,
        message.position if has("position") else None,
    )


def event_to_message(event: Event) -> event_pb2.Event:
    """Convert a recorded event for a response."""
    message = event_pb2.Event(
        event_id=event.event_id,
        type=_TYPE_MESSAGES[event.type],
        item_id=event.item_id or "",
        catalogue=event.catalogue,
        query=event.query or "",
        price=event.price,
        quantity=event.quantity,
        rating=event.rating,
        dwell_seconds=event.dwell_seconds,
        position=event.position,
    )
    if event.time is not None:
        message.time.FromDatetime(event.time)
    return message


def event_type_to_message(kind: EventType) -> event_pb2.EventType:
    """Convert the type of an event."""
    return _TYPE_MESSAGES[kind]


def item_from_message(message: item_pb2.Item, catalogue: str) -> Item:
    """Convert an item of a catalogue."""
    return Item(
        item_id=message.item_id,
        title=message.title,
        catalogue=catalogue,
        category_path=tuple(message.category_path),
        brand=message.brand or None,
        attributes=dict(message.attributes),
        price=message.price if message.HasField("price") else None,
    )


def item_to_message(item: Item) -> item_pb2.Item:
    """Convert an item for a response."""
    return item_pb2.Item(
        item_id=item.item_id,
        title=item.title,
        category_path=item.category_path,
        brand=item.brand or "",
        attributes=item.attributes,
        price=item.price,
    )


def shown_item_to_message(item: Item) -> item_pb2.Item:
    """Convert an item that is shown to a shopper; a price of 0 means that the price is unknown."""
    return item_to_message(item if item.price else replace(item, price=None))


def filter_from_message(message: item_pb2.ItemFilter) -> Filter:
    """Convert the filter of recommended items."""
    return Filter(
        categories=[tuple(category.names) for category in message.categories],
        brands=list(message.brands),
        min_price=message.min_price if message.HasField("min_price") else None,
        max_price=message.max_price if message.HasField("max_price") else None,
        exclude_item_ids=list(message.exclude_item_ids),
    )


async def items_from_messages(messages: Sequence[item_pb2.Item], catalogue: str) -> list[Item]:
    """Convert items of a catalogue; a thread converts more than `FEW_ITEMS`."""
    return await translate_all(lambda message: item_from_message(message, catalogue), messages)


async def ranked_items_to_messages(items: Sequence[RankedItem]) -> list[item_pb2.RankedItem]:
    """Convert ranked items, in their order; a thread converts more than `FEW_ITEMS`."""
    return await translate_all(ranked_item_to_message, items)


def ranked_item_to_message(ranked: RankedItem) -> item_pb2.RankedItem:
    """Convert a ranked item for a response."""
    return item_pb2.RankedItem(
        item=shown_item_to_message(ranked.item),
        score=ranked.score,
        click_probability=ranked.click_probability,
        purchase_probability=ranked.purchase_probability,
        rules=ranked.rules,
        reviewed_by=ranked.reviewed_by,
    )


async def translate_all(translate: Callable[[T], R], entries: Sequence[T]) -> list[R]:
    """Convert entries, in their order; a thread converts more than `FEW_ITEMS`."""

    def work() -> Generator[None, None, list[R]]:
        translated = []
        for entry in entries:
            yield
            translated.append(translate(entry))
        return translated

    return run_to_completion(work()) if len(entries) <= FEW_ITEMS else await run_in_steps(work())


def vector_to_message(vector: NDArray[np.float32]) -> profile_pb2.Vector:
    """Convert a vector."""
    return profile_pb2.Vector.FromString(pack_floats(vector))


def pack_floats(numbers: NDArray[np.float32]) -> bytes:
    """Serialise numbers as a message whose field 1 is `repeated float`.

    On the wire a packed `repeated float` looks like a `bytes` field with the little-endian array, which `BytesValue`
    writes without making a Python object of each number.
    """
    return BytesValue(value=numbers.astype("<f4", copy=False).tobytes()).SerializeToString()


def error_to_message(error: PortraitError) -> entry_error_pb2.EntryError:
    """Convert the error of one entry of a batch; only expected errors, whose text callers may read."""
    return entry_error_pb2.EntryError(
        code=code_from_error(error),
        field=field_from_error(error),
        message=message_from_error(error),
        reason=error.reason,
    )


def violations_to_message(violations: list[Violation]) -> entry_error_pb2.EntryError:
    """Convert the violations of one entry of a batch."""
    return error_to_message(InvalidRequest(violations))
