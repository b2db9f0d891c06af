"""Enums of arguments, and defaults of the client; fast to import, for the help of the command line."""

from enum import StrEnum

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT = 5.0
"""Time limit of a call in seconds, retries included."""


class EventType(StrEnum):
    """The type of an event."""

    SEARCH = "search"
    VIEW = "view"
    CLICK = "click"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RATE = "rate"
    REFUND = "refund"


class Purpose(StrEnum):
    """A purpose for which a shopper's data may be used."""

    PERSONALISATION = "personalisation"
    ADVERTISING = "advertising"
    RISK = "risk"
    DEMOGRAPHICS = "demographics"


class ShelfKind(StrEnum):
    """The kind of a shelf."""

    SIMILAR_ITEMS = "similar_items"
    FREQUENTLY_BOUGHT_TOGETHER = "frequently_bought_together"
    BUY_AGAIN = "buy_again"
    TRENDING = "trending"
    RECENTLY_VIEWED = "recently_viewed"


class ReviewAction(StrEnum):
    """The effect of a review on an interest, a trait, an item or a rule."""

    BLOCK = "block"
    CORRECT = "correct"
    PIN = "pin"
    KEEP = "keep"
    """It is as without any review."""


class ReviewQueueKind(StrEnum):
    """Reason for a review."""

    LOW_CONFIDENCE = "low_confidence"
    DRIFT = "drift"
    SENSITIVE_NEAR_MISS = "sensitive_near_miss"


class ReviewQueueMeasure(StrEnum):
    """Measure of the figure of an entry of the review queue."""

    CONFIDENCE = "confidence"
    AUC = "auc"
    CALIBRATION_ERROR = "calibration_error"
    STABILITY_INDEX = "stability_index"
    SIMILARITY = "similarity"
    EXCESS = "excess"


class Priority(StrEnum):
    """Priority of calls at an overloaded gateway."""

    INTERACTIVE = "interactive"
    """A person waits for the response."""
    BATCH = "batch"
    """No person waits; such calls get the capacity that interactive calls leave."""
