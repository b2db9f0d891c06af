"""Households: shoppers who belong together, and stay separate people.

A membership joins nothing. No history, consent, profile or audience of a member depends on another member.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

MAX_MEMBERS = 16
"""Members of a household."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The membership of a shopper in a household, with the evidence for it."""

    shopper_id: str
    """A login, or an id without links."""
    household_id: str
    time: datetime
    """UTC; when the caller found it out. Not ahead of `recorded_at`."""
    recorded_at: datetime
    """UTC, by the clock of the gateway that recorded it."""
    source: str
    confidence: float
    """Above 0, up to 1; kept and shown, not used."""


class JoinOutcome(Enum):
    """The outcome of making a shopper a member of a household."""

    JOINED = auto()
    FORGOTTEN = auto()
    """No member: the shopper was forgotten at its time or later."""
    LINKED = auto()
    """No member: the id is linked to a login."""
    TAKEN = auto()
    """No member: the shopper is a member of another household."""
    FULL = auto()
    """No member: the household has `MAX_MEMBERS` members."""
