"""Typed values that the client takes and returns. Times have a time zone; returned ones are in UTC."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portrait.client.enums import EventType as EventType
from portrait.client.enums import Purpose as Purpose


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a shopper, with the fields of `portrait.v1.Event`. Its time has a time zone."""

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
    """An item that can be recommended, with the fields of `portrait.v1.Item`."""

    item_id: str
    title: str = ""
    category_path: Sequence[str] = ()
    brand: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter on the items that may be shown, with the fields of `portrait.v1.ItemFilter`."""

    categories: Sequence[Sequence[str]] = ()
    brands: Sequence[str] = ()
    min_price: float | None = None
    max_price: float | None = None
    exclude_item_ids: Sequence[str] = ()


Shopper = str | Sequence[Event]
"""The id of a shopper whose events were recorded, or a history: events, the oldest first."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A shopper's consent decision on one purpose. Its time has a time zone."""

    purpose: Purpose
    granted: bool
    """False for a withdrawal."""
    time: datetime | None = None
    """The time of the decision; None to count by arrival. A grant before a recorded withdrawal changes nothing."""
    notice: str = ""
    """Name or version of the consent text."""
    source: str = ""
    """The place of the decision, for example `cookie banner`."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A recorded consent decision."""

    consent: Consent
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission for one purpose."""

    allowed: bool
    granted: bool | None
    """The shopper's latest decision; None if there is none: then the server's default for the purpose applies."""


@dataclass(frozen=True, slots=True)
class Consents:
    """A shopper's permissions and recorded decisions."""

    permissions: Mapping[Purpose, Permission]
    records: tuple[ConsentRecord, ...]
    """The latest 1,000 decisions, in the order in which they were recorded."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of an anonymous id to a login, with the evidence for it."""

    anonymous_id: str
    source: str
    """The event that showed that both ids are of one shopper."""
    confidence: float
    """Probability that they are, as the caller stated it."""
    time: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """The membership of a shopper in a household, with the evidence for it."""

    household_id: str
    shopper_id: str
    """A login, or an id without links."""
    source: str
    """The event that showed that the shopper belongs to the household."""
    confidence: float
    """Probability that the shopper does, as the caller stated it."""
    time: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """All ids of a shopper."""

    shopper_id: str
    """The login; for an id without links, the id itself."""
    links: tuple[Link, ...] = ()
    """In the order of the anonymous ids."""
    household: Membership | None = None
    """The membership of the login in a household; None if there is none."""


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """Result of forgetting a shopper."""

    event_count: int
    """Number of deleted events of all linked ids; 0 if none was recorded, or all were deleted earlier."""
    forgotten_at: datetime
    """Events of the named id up to this time are rejected from now on."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event or item that was not stored."""

    index: int
    """Index among all events or items that were given to the client's method, from 0."""
    field: str
    """The field at fault, within the event or item; empty if no field is at fault."""
    message: str
    reason: str = ""
    """The reason code, for example `FIELD_INVALID`."""


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """Result of recording events."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a shopper's recorded events, the newest first."""

    events: tuple[tuple[str, Event], ...]
    """Pairs of the id under which an event is recorded, and the event."""
    next_page_token: str
    """Token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True)
class UpsertSummary:
    """Result of upserting items."""

    stored: int
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings of texts. Compare embeddings of one release only."""

    vectors: "tuple[array[float], ...]"
    """One float32 vector of unit length for each text, in their order; `numpy.asarray` reads it without a copy."""
    release: int


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item of a ranking, with its score."""

    item: Item
    score: float
    click_probability: float
    purchase_probability: float
    rules: tuple[str, ...] = ()
    """Names of the shop's rules that moved the item."""
    reviewed_by: str = ""
    """Name of the person who reviewed the item for this shopper; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class EventEffect:
    """The effect of one event on the explained score or profile."""

    event_id: str
    effect: float
    type: EventType | None = None
    """None for a type that this version of the client does not know."""
    time: datetime | None = None
    subject: str = ""
    """The item's title, or its id if no catalogue holds it; for a search, the query."""


@dataclass(frozen=True, slots=True)
class ItemEffect:
    """Joint effect of two or more events of one item. Each alone has less effect, because the others replace it."""

    subject: str
    event_ids: tuple[str, ...]
    effect: float


@dataclass(frozen=True, slots=True)
class WordEffect:
    """The effect of one word of a title on the score."""

    word: str
    effect: float


@dataclass(frozen=True, slots=True)
class RankingExplanation:
    """Explanation of an item's score. An effect is the score with an event or a word minus the score without it."""

    ranked_item: RankedItem
    events: tuple[EventEffect, ...]
    words: tuple[WordEffect, ...]
    release: int
    event_count: int
    items: tuple[ItemEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileExplanation:
    """Explanation of a profile, or of a part of it; the largest effect comes first."""

    events: tuple[EventEffect, ...]
    weight: float
    """Weight of the explained interest; 0 for an inferred interest and for any other part."""
    release: int
    event_count: int
    probability: float | None = None
    """Probability of the explained trait or inferred interest; None for any other part."""
    items: tuple[ItemEffect, ...] = ()
    reviewed_by: str = ""
    """Name of the person who reviewed the interest or trait: profiles state the reviewed value; this explains it
    without."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked items, the best first."""

    items: tuple[RankedItem, ...]
    release: int
    event_count: int
    """Number of the shopper's events that the ranking used; 0 means that it is not personal."""
    degraded: bool = False
    """True if the ranking was computed without the models; then all probabilities are 0."""
    reviewed_by: tuple[str, ...] = ()
    """Everybody whose review of an interest, an item or a rule holds for this shopper, by name."""
