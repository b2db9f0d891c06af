"""Shelves and their parts; each has the fields of the message of the same name in the contract."""

from dataclasses import dataclass
from datetime import datetime

from portrait.client.message_reader import read_message
from portrait.client.messages import read_item
from portrait.client.results import Item
from portrait.v1 import recommendation_service_pb2


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Visits of all shoppers with an item of the request and the item of the shelf; zeros if only a rule says so."""

    item_id: str
    """Id of the item of the request."""
    together: int = 0
    with_item: int = 0
    with_other: int = 0
    visits: int = 0
    bought_together: int = 0
    shoppers: int = 0
    confidence: float = 0.0
    """Share of the visits with the item of the request that have the item of the shelf as well."""
    log_odds_ratio: float = 0.0
    lower_bound: float = 0.0
    """Lower end of a 95% interval."""


@dataclass(frozen=True, slots=True)
class SimilarityEvidence:
    """Similarity to the nearest item of the request."""

    item_id: str
    """Id of the item of the request."""
    similarity: float
    """Cosine of the two vectors."""


@dataclass(frozen=True, slots=True)
class DueEvidence:
    """The shopper's next purchase in the category of an item."""

    interval_days: float
    probability: float
    """Probability of a purchase within `horizon_days`."""
    horizon_days: float


@dataclass(frozen=True, slots=True)
class PurchaseEvidence:
    """The shopper's purchases of an item, without refunded ones."""

    purchase_days: int
    last_time: datetime | None = None
    days_since: float | None = None
    due: DueEvidence | None = None
    event_ids: tuple[str, ...] = ()
    """Ids of the latest 10 purchases."""


@dataclass(frozen=True, slots=True)
class TrendEvidence:
    """Share of an item in all events, at the end of those that the release learnt from."""

    recent_share: float
    """An event counts half after 14 days."""
    earlier_share: float
    """An event counts half after 60 days."""
    growth: float
    """The first divided by the second."""


@dataclass(frozen=True, slots=True)
class ViewEvidence:
    """The shopper's views and clicks of an item."""

    view_count: int
    last_time: datetime | None = None
    days_since: float | None = None
    event_ids: tuple[str, ...] = ()
    """Ids of the latest 10."""


@dataclass(frozen=True, slots=True)
class ShelfEvidence:
    """The numbers that put an item on a shelf; None for those that did not."""

    pair: PairEvidence | None = None
    similarity: SimilarityEvidence | None = None
    purchases: PurchaseEvidence | None = None
    trend: TrendEvidence | None = None
    views: ViewEvidence | None = None


@dataclass(frozen=True, slots=True)
class ShelfItem:
    """An item of a shelf."""

    item: Item
    score: float
    """Minus the logarithm of the item's place by the evidence, plus the boosts of the shop's rules."""
    evidence: ShelfEvidence
    rules: tuple[str, ...] = ()
    """Names of the shop's rules that put the item there or moved it."""
    reviewed_by: str = ""
    """Name of the person who reviewed the item for this shopper; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items of one kind, the best first."""

    items: tuple[ShelfItem, ...]
    release: int
    event_count: int
    """Number of the shopper's events that were read; 0 means that the shelf depends on no shopper."""
    reviewed_by: tuple[str, ...] = ()
    """Everybody whose review of an interest, an item or a rule holds for this shopper, by name."""


def read_shelf(message: recommendation_service_pb2.GetShelfResponse) -> Shelf:
    """Read a shelf of a response."""
    items = (
        ShelfItem(read_item(each.item), each.score, read_message(each.evidence), tuple(each.rules), each.reviewed_by)
        for each in message.items
    )
    return Shelf(tuple(items), message.release, message.event_count, tuple(message.reviewed_by))
