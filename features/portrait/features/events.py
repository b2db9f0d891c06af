"""The vocabulary of behaviour: event types, events and items, as every part of Portrait names them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class EventType(StrEnum):
    """Type of an event."""

    SEARCH = "search"
    VIEW = "view"
    CLICK = "click"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RATE = "rate"
    REFUND = "refund"
    """Gave an item back. The models do not see it; profiles do."""


EVENT_TYPES: tuple[EventType, ...] = tuple(kind for kind in EventType if kind is not EventType.REFUND)
"""Event types that the models see. The order is their input encoding: append, never reorder."""
EVENT_TYPE_CODES: dict[EventType, int] = {kind: code for code, kind in enumerate(EVENT_TYPES, start=1)}
"""Model input code of each event type; 0 is padding."""

DEFAULT_CATALOGUE = "products"


class Event(NamedTuple):
    """One thing a shopper did. A tuple, which takes a sixth of a dataclass's time to make: histories have thousands.

    `search` carries a query; every other type carries an item. A field that the log does not know is None.
    """

    event_id: str
    type: EventType
    time: datetime | None = None
    """Time of the event, UTC. None only in logs that record order but no times."""
    item_id: str | None = None
    catalogue: str = DEFAULT_CATALOGUE
    query: str | None = None
    """Text of the search itself, or of the search whose results the item was found in."""
    price: float | None = None
    """Price of one unit, in the shop's currency, at the time of the event."""
    quantity: float | None = None
    rating: float | None = None
    """1 (worst) to 5 (best)."""
    dwell_seconds: float | None = None
    """Time that the shopper looked at the item."""
    position: int | None = None
    """1-based rank at which the item was shown."""

    def targets_catalogue(self, catalogue: str) -> bool:
        """Tell whether the event is about an item of a catalogue."""
        return self.catalogue == catalogue and self.type is not EventType.SEARCH


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be shown. It lives in a catalogue and is found by its words."""

    item_id: str
    title: str
    catalogue: str = DEFAULT_CATALOGUE
    category_path: tuple[str, ...] = ()
    """From the widest category to the narrowest."""
    brand: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    price: float | None = None
    """Price of one unit, in the shop's currency."""
