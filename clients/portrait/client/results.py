"""What the client takes and gives: plain typed values, times aware and in UTC."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portrait.client.enums import EventType as EventType
from portrait.client.enums import Purpose as Purpose


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a shopper did; the fields are those of `portrait.v1.Event`. Its time has a time zone."""

    type: EventType
    event_id: str = ""
    time: datetime | None = None
    item_id: str = ""
    catalogue: str = ""
    query: str = ""
    price: float | None = None
    quantity: float | None = None
    rating: float | None = None
    dwell_seconds: float | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be shown; the fields are those of `portrait.v1.Item`."""

    item_id: str
    title: str = ""
    category_path: Sequence[str] = ()
    brand: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items may be shown; the fields are those of `portrait.v1.ItemFilter`."""

    categories: Sequence[Sequence[str]] = ()
    brands: Sequence[str] = ()
    min_price: float | None = None
    max_price: float | None = None
    exclude_item_ids: Sequence[str] = ()


Shopper = str | Sequence[Event]
"""Whose request it is: the id of a shopper whose events were recorded, or the history itself, oldest first."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a shopper said of one purpose. Its time has a time zone."""

    purpose: Purpose
    granted: bool
    """False: withdrawn."""
    time: datetime | None = None
    """When they said so; None to count by arrival. A grant before a withdrawal that is known changes nothing."""
    notice: str = ""
    """Name or version of the words that were agreed to."""
    source: str = ""
    """Where it was said, for example `cookie banner`."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One thing that a shopper said, as it is kept."""

    consent: Consent
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be done for a purpose."""

    allowed: bool
    granted: bool | None
    """What the shopper said last; None if nothing: then the server's rule for the purpose says what is allowed."""


@dataclass(frozen=True, slots=True)
class Consents:
    """What a shopper allows, and said."""

    permissions: Mapping[Purpose, Permission]
    records: tuple[ConsentRecord, ...]
    """The last 1,000 things that they said, in the order in which they were recorded."""


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What was removed of a shopper."""

    event_count: int
    """How many events; 0 if none was recorded, or all were removed before."""
    forgotten_at: datetime
    """Events up to this moment are refused from now on."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event or item that was not stored."""

    index: int
    """Its place among all that was given to the client's method, from 0."""
    field: str
    """The field at fault, within the event or item; empty if none is."""
    message: str
    reason: str = ""
    """The cause in one word, for example `FIELD_INVALID`."""


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What became of recorded events."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class UpsertSummary:
    """What became of upserted items."""

    stored: int
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Texts as vectors. Compare them with vectors of the same release only."""

    vectors: "tuple[array[float], ...]"
    """One for each text, in their order: unit length, float32; `numpy.asarray` reads it without a copy."""
    release: int


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item at its place."""

    item: Item
    score: float
    click_probability: float
    purchase_probability: float


@dataclass(frozen=True, slots=True)
class EventEffect:
    """What one event adds to what is explained."""

    event_id: str
    effect: float
    type: EventType | None = None
    """None if this client does not know it."""
    time: datetime | None = None
    subject: str = ""
    """Title of its item, or its id where no catalogue holds it; the query of a search."""


@dataclass(frozen=True, slots=True)
class ItemEffect:
    """What two or more events of one item add together: more than each alone, as they stand in for each other."""

    subject: str
    event_ids: tuple[str, ...]
    effect: float


@dataclass(frozen=True, slots=True)
class WordEffect:
    """What one word of a title adds to the score."""

    word: str
    effect: float


@dataclass(frozen=True, slots=True)
class RankingExplanation:
    """Why an item has its score: of each event and word, the score with it minus the score without it."""

    ranked_item: RankedItem
    events: tuple[EventEffect, ...]
    words: tuple[WordEffect, ...]
    release: int
    event_count: int
    items: tuple[ItemEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileExplanation:
    """What a profile, or a part of it, rests on, the largest effect first."""

    events: tuple[EventEffect, ...]
    weight: float
    """Of the interest; 0 where an inferred one or anything else is explained."""
    release: int
    event_count: int
    probability: float | None = None
    """Of the trait or the inferred interest; None where anything else is explained."""
    items: tuple[ItemEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked items, the best first."""

    items: tuple[RankedItem, ...]
    release: int
    event_count: int
    """How many of the shopper's events were used; 0 means it is not personal."""
    degraded: bool = False
    """Whether the models had no part in it; then all probabilities are 0."""
