"""Identities: the ids of one shopper, a login and the anonymous ids that are linked to it.

An anonymous id has one login, and a login is linked to none. So an identity is found in two steps from any of its ids,
and there is nothing but links to undo.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

MAX_LINKS = 16
"""Links of a login: each is one more history to read."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of an anonymous id to a login, with the evidence for it."""

    anonymous_id: str
    time: datetime
    """UTC; when the caller found it out. Not ahead of `recorded_at`."""
    recorded_at: datetime
    """UTC, by the clock of the gateway that recorded it."""
    source: str
    confidence: float
    """Above 0, up to 1; kept and shown, not used."""


@dataclass(frozen=True, slots=True)
class Identity:
    """All ids of a shopper."""

    login_id: str
    """The id itself, if it has no links."""
    links: tuple[Link, ...] = ()
    """By anonymous id."""

    @property
    def shopper_ids(self) -> tuple[str, ...]:
        """All ids, the login first."""
        return self.login_id, *(link.anonymous_id for link in self.links)


def list_ids(identities: Mapping[str, Identity], shopper_id: str) -> tuple[str, ...]:
    """List all ids of a shopper, given the identities of those who have links."""
    return identities[shopper_id].shopper_ids if shopper_id in identities else (shopper_id,)


class LinkOutcome(Enum):
    """The outcome of linking an anonymous id to a login."""

    LINKED = auto()
    FORGOTTEN = auto()
    """Not linked: one of the ids was forgotten at its time or later."""
    LOGIN_LINKED = auto()
    """Not linked: the login is itself linked to a login."""
    HAS_LINKS = auto()
    """Not linked: others are linked to the anonymous id, so it is a login."""
    MEMBER = auto()
    """Not linked: the anonymous id is a member of a household, so it is a person's login."""
    TAKEN = auto()
    """Not linked: the anonymous id is linked to another login."""
    FULL = auto()
    """Not linked: the login has `MAX_LINKS` links."""
