"""The quick way to read an event to record: each field is looked at once, to check it and to convert it.

An event that may break a limit is left to `find_violations`, which says what is wrong. So nothing is refused here; a
test holds both against each other.
"""

from portrait.features.events import Event, EventType
from portrait.server.rpc.contract.limits import LIMITS
from portrait.server.rpc.services.messages import EVENT_TYPES, catalogue_name, datetime_from_message
from portrait.server.storage.store import RecordedEvent
from portrait.v1 import event_service_pb2

_SHOPPER_ID, _EVENT_ID, _TIME, _ITEM_ID, _CATALOGUE, _QUERY, _PRICE, _QUANTITY, _RATING, _DWELL_SECONDS, _POSITION = (
    LIMITS[field].violations
    for field in (
        "ShopperEvent.shopper_id", "Event.event_id", "Event.time", "Event.item_id", "Event.catalogue", "Event.query",
        "Event.price", "Event.quantity", "Event.rating", "Event.dwell_seconds", "Event.position",
    )
)  # fmt: skip


def read_valid_event(sent: event_service_pb2.ShopperEvent) -> RecordedEvent | None:
    """Read an event that breaks no limit; None for any other."""
    event = sent.event
    has = event.HasField
    shopper_id, event_id, time, item_id, query = sent.shopper_id, event.event_id, event.time, event.item_id, event.query
    kind, catalogue = EVENT_TYPES.get(event.type), event.catalogue
    price = event.price if has("price") else None
    quantity = event.quantity if has("quantity") else None
    rating = event.rating if has("rating") else None
    dwell_seconds = event.dwell_seconds if has("dwell_seconds") else None
    position = event.position if has("position") else None
    if (
        kind is None
        or not (query if kind is EventType.SEARCH else item_id)
        or _SHOPPER_ID(shopper_id)
        or _EVENT_ID(event_id)
        or _TIME(time)  # an unset time is 1970, which is too early
        or (item_id and _ITEM_ID(item_id))
        or (catalogue and _CATALOGUE(catalogue))
        or (query and _QUERY(query))
        or (price is not None and _PRICE(price))
        or (quantity is not None and _QUANTITY(quantity))
        or (rating is not None and _RATING(rating))
        or (dwell_seconds is not None and _DWELL_SECONDS(dwell_seconds))
        or (position is not None and _POSITION(position))
    ):
        return None
    return RecordedEvent(
        shopper_id,
        Event(
            event_id, kind, datetime_from_message(time), item_id or None, catalogue_name(catalogue), query or None,
            price, quantity, rating, dwell_seconds, position,
        ),
    )  # fmt: skip
