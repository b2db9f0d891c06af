"""Enums that callers give, and the defaults of a client: what the command line needs before it calls anybody."""

from enum import StrEnum

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT = 5.0
"""Seconds that a call may take, retries included."""


class EventType(StrEnum):
    """A kind of behaviour."""

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


class Priority(StrEnum):
    """Which calls an overloaded gateway serves first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody does."""
