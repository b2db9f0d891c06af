"""The parts of a state as both stores hold them, and what tells that two states are equal."""

import hashlib
import json
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from portrait.server.reviews.review import SHARED

BATCH = 200
"""Shoppers, tombstones or items that are read and written at a time."""
_HASH_BITS = 256
PARTS = (
    "events", "arrival_order", "event_ids", "consents", "decisions", "demographics", "links", "households", "reviews",
    "tombstones", "item_changes",
)  # fmt: skip


class ShopperState(NamedTuple):
    """All that a store holds of a shopper."""

    shopper_id: str
    events: Sequence[tuple[int, tuple[Any, ...]]]
    """Number of arrival, and the fields of the event; by that number."""
    event_ids: Mapping[str, bytes]
    """Ids that are taken, with a digest of their event."""
    consents: Sequence[tuple[Any, ...]]
    """In the order of their arrival, as `CONSENT_COLUMNS`."""
    decisions: Mapping[str, tuple[bool, int | None]]
    """By purpose: the decision in force, and the time of the latest withdrawal."""
    demographics: tuple[Any, ...] | None
    """Age band, gender, region, time and source."""
    login: tuple[Any, ...] | None = None
    """Login and link of an anonymous id that is linked: the login, then all of `LINK_COLUMNS` but the first."""
    linked_ids: Sequence[str] = ()
    """The anonymous ids that are linked to a login."""
    reviews: Sequence[tuple[str, str]] = ()
    """Target and review of each, as JSON; by target."""
    household: tuple[Any, ...] | None = None
    """The membership of a member of a household, as all of `MEMBERSHIP_COLUMNS` but the first."""

    @property
    def is_empty(self) -> bool:
        """True if nothing is held."""
        told = (self.consents, self.decisions, self.demographics, self.reviews)
        return not self.events and not any((*told, self.login, self.linked_ids, self.household))


class TombstoneState(NamedTuple):
    """A shopper who was forgotten."""

    number: int
    shopper_sha256: str
    forgotten_at: int


class ItemState(NamedTuple):
    """The last change of an item."""

    number: int
    catalogue: str
    item_id: str
    item: str | None
    """JSON; None if it was removed."""
    writer: str


class StateReader(Protocol):
    """Reads a state that nobody changes meanwhile."""

    async def position(self) -> Hashable:
        """Another value after everything that a gateway writes.

        Raises:
            StoreError: a gateway is connected.
        """
        ...

    @property
    def identity(self) -> str:
        """Identity of the state."""
        ...

    def shopper_ids(self) -> AsyncIterator[list[str]]:
        """Yield all shoppers of whom anything is held, each once, in any order."""
        ...

    async def read_shoppers(self, shopper_ids: Sequence[str]) -> list[ShopperState]:
        """Read some shoppers."""
        ...

    async def shared_reviews(self) -> list[tuple[str, str]]:
        """Read target and review, as JSON, of each review for a segment or for all; by target."""
        ...

    def tombstones(self) -> AsyncIterator[TombstoneState]:
        """Yield all tombstones, by number."""
        ...

    def items(self) -> AsyncIterator[ItemState]:
        """Yield the last change of each item."""
        ...


class StateWriter(Protocol):
    """Fills a state that no gateway opens before it is complete. What was written may be written again."""

    async def missing(self, shopper_ids: Sequence[str]) -> list[str]:
        """Those of some shoppers who are not written yet."""
        ...

    async def write_shoppers(self, shoppers: Sequence[ShopperState]) -> None:
        """Write some shoppers who are missing, each whole or not at all."""
        ...

    async def write_shared_reviews(self, reviews: Sequence[tuple[str, str]]) -> None:
        """Write all reviews for segments and for all."""
        ...

    async def write_tombstones(self, tombstones: Sequence[TombstoneState]) -> None:
        """Write some tombstones."""
        ...

    async def write_items(self, items: Sequence[ItemState]) -> None:
        """Write the last changes of some items."""
        ...

    async def complete(self) -> StateReader:
        """Finish what can't be done bit by bit, and return what reads the result."""
        ...

    async def publish(self) -> None:
        """Let gateways open the state."""
        ...

    async def discard(self) -> None:
        """Remove everything that was written."""
        ...


class PartDigest:
    """Count and hash of the records of a part, whatever their order: the hashes of all are added up."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, *record: Any, count: int = 1) -> None:
        """Add a record, which JSON can hold."""
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        hashed = hashlib.blake2b(text.encode(), digest_size=_HASH_BITS // 8).digest()
        self._sum = (self._sum + int.from_bytes(hashed, "big")) % (1 << _HASH_BITS)
        self.count += count

    @property
    def hash(self) -> str:
        """In hexadecimal digits."""
        return f"{self._sum:064x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartDigest) and (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]


class StateDigest:
    """Count and hash of each part of a state.

    Events are hashed with the items that they link to. The numbers of arrival differ between two stores, so
    `arrival_order` is the order of a shopper's events by them.
    """

    def __init__(self) -> None:
        self.parts = {name: PartDigest() for name in PARTS}

    def add_shopper(self, shopper: ShopperState) -> None:
        """Add all that is held of a shopper."""
        parts, name = self.parts, shopper.shopper_id
        for _, row in shopper.events:
            parts["events"].add(name, *row)
        if shopper.events:
            parts["arrival_order"].add(name, [row[0] for _, row in shopper.events])
        for event_id, digest in shopper.event_ids.items():
            parts["event_ids"].add(name, event_id, digest.hex())
        if shopper.consents:
            parts["consents"].add(name, [list(row) for row in shopper.consents], count=len(shopper.consents))
        for purpose, decision in shopper.decisions.items():
            parts["decisions"].add(name, purpose, *decision)
        if shopper.demographics:
            parts["demographics"].add(name, *shopper.demographics)
        if shopper.login:
            parts["links"].add(name, *shopper.login)
        if shopper.household:
            parts["households"].add(name, *shopper.household)
        self.add_reviews(name, shopper.reviews)

    def add_reviews(self, shopper_id: str, reviews: Sequence[tuple[str, str]]) -> None:
        """Add target and review of the reviews for an id, or of the shared ones."""
        for review in reviews:
            self.parts["reviews"].add(shopper_id, *review)

    def add_tombstone(self, tombstone: TombstoneState) -> None:
        """Add a shopper who was forgotten."""
        self.parts["tombstones"].add(*tombstone)

    def add_item(self, item: ItemState) -> None:
        """Add the last change of an item."""
        self.parts["item_changes"].add(*item)

    def list_differences(self, other: "StateDigest") -> list[str]:
        """Name the parts in which another state differs, with the counts of both."""
        pairs = {name: (self.parts[name], other.parts[name]) for name in PARTS}
        return [f"{name} ({one.count} and {two.count})" for name, (one, two) in pairs.items() if one != two]


async def digest_state(reader: StateReader) -> StateDigest:
    """Read and digest a whole state."""
    digest = StateDigest()
    async for tombstone in reader.tombstones():
        digest.add_tombstone(tombstone)
    async for item in reader.items():
        digest.add_item(item)
    digest.add_reviews(SHARED, await reader.shared_reviews())
    async for shopper_ids in reader.shopper_ids():
        for shopper in await reader.read_shoppers(shopper_ids):
            digest.add_shopper(shopper)
    return digest
