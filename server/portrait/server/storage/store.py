"""The interface of a store. Each other module of this folder that implements it is one kind of store."""

from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple, Protocol

from portrait.features.events import Event, EventType, Item
from portrait.server.consent.consents import Consent, Decisions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.households import JoinOutcome, Membership
from portrait.server.identities import Identity, Link, LinkOutcome
from portrait.server.reviews.review import Review, ReviewTarget
from portrait.server.reviews.review_set import Reviews
from portrait.server.storage.tombstones import Tombstone


class StoreError(Exception):
    """The store can't be opened: it is damaged, locked, or of a later version of Portrait."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and the shopper who did it. Its time is set."""

    shopper_id: str
    event: Event


class Recorded(Enum):
    """The outcome of recording an event."""

    NEW = auto()
    KNOWN = auto()
    """Its shopper's event of this id was stored before, and is the same."""
    CONFLICT = auto()
    """Not stored: its shopper has another event of this id."""
    FORGOTTEN = auto()
    """Not stored: its shopper was forgotten at its time or later."""
    EXPIRED = auto()
    """Not stored: it is older than events of its type are kept."""


class EventPosition(NamedTuple):
    """The place of an event among those of its shopper."""

    time: int
    """Microseconds since 1970."""
    arrival: int


@dataclass(frozen=True, slots=True)
class EventSelection:
    """The events of a shopper that a list is of."""

    types: frozenset[EventType] = frozenset(EventType)
    since: int = -(2**62)
    """Microseconds since 1970: no earlier events."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The data that a deletion removed."""

    events: int
    """Number of deleted events of all linked ids."""
    at: datetime
    """UTC: events of the named id up to it are not stored any more. Later than the call where one was dated ahead."""


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item that was added, replaced or removed since the release."""

    catalogue: str
    item_id: str
    item: Item | None
    """None: removed."""
    number: int = field(default=0, compare=False)
    """Its place among all changes, from 1; the store gives it."""


class Households(Protocol):
    """Keeps who is a member of which household. Every call may raise what those of `Store` may."""

    async def join(self, membership: Membership) -> JoinOutcome:
        """Make a shopper a member of a household; a membership in the same one is replaced.

        Raises:
            Unavailable: also where the identity is being changed by another call for long.
        """
        ...

    async def leave(self, household_id: str, shopper_id: str) -> None:
        """Remove a membership, if there is one.

        Raises:
            Unavailable: see `join`.
        """
        ...

    async def memberships(self, shopper_ids: Sequence[str]) -> dict[str, Membership]:
        """The memberships of those of any number of ids who have one, by the ids; linked ids have none."""
        ...

    async def members(self, household_id: str) -> list[Membership]:
        """All memberships in a household, in the order of the shoppers' UTF-8."""
        ...


class Store(Protocol):
    """Keeps events, what shoppers said of themselves, and changes of items.

    What a call has stored survives a crash of process and machine, as far as the engine promises. Every call may raise

        Unavailable: another process has locked the file for long, or the engine can't be used now;
        DiskFull: there is no room for what is to be stored (only who writes);
        StateDamaged: the file is damaged.

    Events whose retention is over are neither read nor counted, whether they are deleted yet or not; their ids are
    taken, and their shoppers listed, until they are.
    """

    @property
    def identity(self) -> str:
        """Tells this state from all others: numbers of arrivals and deletions of one state mean nothing in another.

        A state that was restored from a backup has another identity than before.
        """
        ...

    @property
    def fault(self) -> str | None:
        """Name of the damage that was met; None as long as none was. With a fault, nothing is written any more."""
        ...

    @property
    def households(self) -> Households:
        """The households and their members."""
        ...

    async def check(self) -> None:
        """Read everything, which may take minutes.

        Raises:
            StoreError: something is damaged.
        """
        ...

    async def record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        """Store events, those of one shopper in one transaction.

        Returns:
            for each event what became of it, as if those before it in `events` had been stored before. An id is of its
            shopper: events of two shoppers may have the same.
        """
        ...

    async def forget(self, shopper_id: str, now: datetime) -> Forgotten:
        """Remove all that is known of a shopper and remember nothing but that they are forgotten.

        All ids that are linked to the named one are forgotten, each as if it had been named. In one transaction, or on
        a full disk in small ones, which may end midway with `DiskFull`; where linked ids lie on several machines, one
        id at a time. A call that failed midway is to be repeated with the same id: it finds those that are left.

        Args:
            shopper_id: need not be known.
            now: the moment. Where an event of an id is dated later, its time takes the place of this for the id.
        """
        ...

    async def delete_expired(self) -> int:
        """Delete the events whose retention is over, in small steps between which others write; returns their number.

        To be called again and again: where several processes share a state, one of them does the work.
        """
        ...

    async def last_forgotten(self) -> int:
        """The number of the last time that a shopper was forgotten; 0 if none was."""
        ...

    async def forgotten_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who were forgotten after a time, by the numbers of `last_forgotten`."""
        ...

    async def tombstones(self) -> list[Tombstone]:
        """All shoppers who were forgotten, in the order in which they last were."""
        ...

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest `limit` events of one id that are not later than `as_of`, oldest first.

        Events of one time come in the order in which they arrived. Empty if nothing is known of the shopper.
        """
        ...

    async def list_events(
        self, shopper_id: str, after: "EventPosition | None", limit: int
    ) -> list[tuple["EventPosition", Event]]:
        """The first `limit` events of a shopper behind a position, oldest first; None for the beginning.

        Events of one time come in the order in which they arrived.
        """
        ...

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: "EventPosition", limit: int
    ) -> list[tuple["EventPosition", Event]]:
        """The last `limit` events of a selection before a position, newest first.

        Events of one time come in the reverse of the order in which they arrived.
        """
        ...

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """Count the events that `history` would return for each shopper; much cheaper than reading them."""
        ...

    async def versions(self, shopper_ids: Sequence[str]) -> Hashable:
        """Another value after every event, consent and declaration of one of the shoppers, and after one is forgotten.

        Also after those of the ids that are linked to one of them, after every link that is made or undone, and after
        every change of a review for one of them, for a segment, or for all.

        Whatever process did it. Cheap, and of the moment: an event is in it when `record` returns.
        """
        ...

    async def shoppers(self, after: str, limit: int) -> list[str]:
        """The first `limit` shoppers whose ids come after another, in the order of their UTF-8.

        Those with events, and those to whom others are linked.
        """
        ...

    async def shoppers_with_arrivals(self, after: int, last: int) -> list[str]:
        """All shoppers of the events that arrived after one and up to another, by the numbers of `last_arrival`.

        A link that is made or undone counts as an arrival of both ids. Shoppers of later events may be among them.
        """
        ...

    async def last_arrival(self) -> int:
        """A number that every event that arrives later is above; 0 if there was none.

        Events that have arrived may be above it too, and then count as later ones.
        """
        ...

    async def record_consents(self, shopper_id: str, consents: Sequence[Consent]) -> None:
        """Keep what a shopper said beside all that they said before, in one transaction.

        A withdrawal counts as soon as it arrives, whatever its time. A grant counts unless it has a time of its own
        (one that is not `recorded_at`), and that is before a withdrawal's by a second or more. Whoever withdraws
        `demographics` has what they declared erased.
        """
        ...

    async def link(self, login_id: str, link: Link) -> LinkOutcome:
        """Link an anonymous id to a login; a link of the two that exists is replaced.

        Raises:
            Unavailable: also where the identity is being changed by another call for long.
        """
        ...

    async def unlink(self, login_id: str, anonymous_id: str) -> None:
        """Remove the link of an anonymous id to a login, if there is one.

        Raises:
            Unavailable: see `link`.
        """
        ...

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """The identities of those of any number of shoppers who have links, by the ids that were asked for."""
        ...

    async def relinked_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers of whom a link was made or undone after a time, by `last_arrival`."""
        ...

    async def consents(self, shopper_id: str) -> Decisions:
        """Return all ids of a shopper, and the strictest decision in force on each purpose.

        Of a shopper without links, it is one read.
        """
        ...

    async def consent_records(self, shopper_id: str, limit: int) -> list[Consent]:
        """The last `limit` of all that a shopper said, in the order of its arrival."""
        ...

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of ids under which a purpose was granted, or withdrawn; linked ids don't count."""
        ...

    async def set_demographics(self, shopper_id: str, demographics: Demographics) -> bool:
        """Keep what a shopper declares, in place of what they declared before.

        Returns:
            whether it was kept: nothing is of a shopper who has withdrawn `demographics`.
        """
        ...

    async def demographics(self, shopper_id: str) -> Demographics | None:
        """Return the demographics that a shopper declared; None without any. The caller checks consent."""
        ...

    async def regions(self, shopper_ids: Sequence[str]) -> dict[str, str]:
        """The regions that any number of shoppers declared; one who declared none is not there.

        Whether they may be used, the caller has to ask: `shoppers_with_decision` of `demographics`.
        """
        ...

    async def set_review(self, review: Review) -> bool:
        """Keep a review in place of that of the same target.

        Returns:
            whether it was kept: it is not if its id has `MAX_SHOPPER_REVIEWS` of other targets, or segments and all
            together have `MAX_SHARED_REVIEWS`.
        """
        ...

    async def remove_review(self, target: ReviewTarget) -> bool:
        """Remove the review of a target; returns whether there was one."""
        ...

    async def reviews(self, shopper_id: str) -> list[Review]:
        """All reviews for one id, or, for `SHARED`, those for segments and for all; in a fixed order."""
        ...

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        """The first `limit` ids with reviews that come after another, in the order of their UTF-8; not `SHARED`."""
        ...

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        """The reviews for all ids of a shopper, and the shared ones; much cheaper than `reviews` where there are none.

        Args:
            shopper_ids: empty for a shopper without an id.
        """
        ...

    async def change_items(self, changes: Sequence[ItemChange], *, since: float | None = None) -> None:
        """Remember items that were added, replaced or removed, all in one transaction.

        Args:
            changes: in their order.
            since: `time.monotonic()` from which the wait for a locked file counts; None for now.
        """
        ...

    def item_changes(self) -> AsyncIterator[ItemChange]:
        """The last change of every item that was ever changed."""
        ...

    async def last_item_change(self) -> int:
        """The number of the last change of all; 0 if there was none."""
        ...

    async def remote_item_changes(self, after: int) -> tuple[int, list[ItemChange]]:
        """The last change of every item that another process changed last.

        Args:
            after: only changes with a higher number.

        Returns:
            the number of the last change of all, from which the next look goes on; and the changes, in their order.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of the files."""
        ...
