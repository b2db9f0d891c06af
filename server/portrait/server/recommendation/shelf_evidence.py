"""Evidence of shelves: the numbers that put an item there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Visits with an item of the request and the item of the shelf, as `features.candidates.item_pairs` counts them."""

    item_id: str
    """Id of the item of the request."""
    together: int = 0
    """Visits with both; 0 if only a rule of the shop says that they belong together."""
    with_item: int = 0
    with_other: int = 0
    visits: int = 0
    bought_together: int = 0
    shoppers: int = 0
    log_odds_ratio: float = 0.0
    lower_bound: float = 0.0


@dataclass(frozen=True, slots=True)
class SimilarityEvidence:
    """Similarity to an item of the request."""

    item_id: str
    """Id of the item of the request that is nearest."""
    similarity: float
    """Cosine of the two vectors, -1 to 1."""


@dataclass(frozen=True, slots=True)
class DueEvidence:
    """The next purchase of the shopper in the category of an item."""

    interval_days: float
    """Expected days between two purchases."""
    probability: float
    """Calibrated probability of a purchase within the horizon."""
    horizon_days: float


@dataclass(frozen=True, slots=True)
class PurchaseEvidence:
    """Purchases of the item by the shopper, without refunded ones."""

    purchase_days: int
    """Days with a purchase; of a history without times, purchases."""
    last_time: datetime | None
    days_since: float | None
    due: DueEvidence | None
    """None if the category is not bought again, or by this shopper on one day only."""
    event_ids: Sequence[str]
    """Ids of the latest purchases."""


@dataclass(frozen=True, slots=True)
class TrendEvidence:
    """Shares of all events that the release learnt from which are of the item, as of the last of them."""

    recent_share: float
    """With a half-life of 14 days."""
    earlier_share: float
    """With a half-life of 60 days."""


@dataclass(frozen=True, slots=True)
class ViewEvidence:
    """Views of the item by the shopper."""

    view_count: int
    last_time: datetime | None
    days_since: float | None
    event_ids: Sequence[str]
    """Ids of the latest views."""


@dataclass(frozen=True, slots=True)
class ShelfEvidence:
    """All that puts an item on a shelf."""

    pair: PairEvidence | None = None
    similarity: SimilarityEvidence | None = None
    purchases: PurchaseEvidence | None = None
    trend: TrendEvidence | None = None
    views: ViewEvidence | None = None
