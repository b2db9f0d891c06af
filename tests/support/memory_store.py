"""A store in memory: a small example of another engine behind `portrait.server.storage.store.Store`.

It follows the recipe "A new store" of CONTRIBUTING, and `tests/unit/server/storage/test_any_store.py` holds it to the
same behaviour as the store of the gateway. It is one process's, and nothing survives it.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime, timedelta

from portrait.features.events import Event
from portrait.features.logs.shopper_hashes import sha256_of
from portrait.server.consent.consents import Consent, Decisions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.identities import MAX_LINKS, Identity, Link, LinkOutcome
from portrait.server.reviews.review import MAX_SHARED_REVIEWS, MAX_SHOPPER_REVIEWS, SHARED, Review, ReviewTarget
from portrait.server.reviews.review_set import Reviews, SharedReviews
from portrait.server.storage.rows import review_key
from portrait.server.storage.store import EventPosition, EventSelection, Forgotten, ItemChange, Recorded, RecordedEvent
from portrait.server.storage.tombstones import Tombstone
from portrait.server.timestamps import to_microseconds
from support.memory_households import MemoryHouseholds

_ALL_EVENTS = 2**31
_TOLERANCE = timedelta(seconds=1)


class MemoryStore:
    """Keeps everything in dictionaries; see `Store` for what the methods do."""

    identity = "in memory"
    fault = None

    def __init__(self) -> None:
        self._events: dict[str, dict[str, tuple[int, Event]]] = defaultdict(dict)
        """By shopper and event id: number of arrival and event."""
        self._arrivals = 0
        self._tombstones: dict[str, tuple[int, datetime]] = {}
        self._deletions = 0
        self._consents: dict[str, list[Consent]] = defaultdict(list)
        self._demographics: dict[str, Demographics] = {}
        self._changes: dict[tuple[str, str], ItemChange] = {}
        self._last_change = 0
        self._versions: dict[str, int] = defaultdict(int)
        self._links: dict[str, tuple[str, Link]] = {}
        """By anonymous id: the login and the link."""
        self._relinked: dict[str, int] = {}
        self._reviews: dict[str, dict[str, Review]] = defaultdict(dict)
        """By shopper id and target."""
        self._households = MemoryHouseholds(
            self._links.__contains__, lambda each: self._is_forgotten(each.shopper_id, each.time)
        )

    @property
    def households(self) -> MemoryHouseholds:
        return self._households

    async def check(self) -> None:
        """Find nothing damaged."""

    async def record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        return [self._record(each.shopper_id, each.event) for each in events]

    def _record(self, shopper_id: str, event: Event) -> Recorded:
        assert event.time is not None
        if event.event_id in self._events[shopper_id]:
            stored = self._events[shopper_id][event.event_id][1]
            return Recorded.KNOWN if stored == event else Recorded.CONFLICT
        if self._is_forgotten(shopper_id, event.time):
            return Recorded.FORGOTTEN
        self._arrivals += 1
        self._events[shopper_id][event.event_id] = self._arrivals, event
        self._versions[shopper_id] += 1
        return Recorded.NEW

    def _is_forgotten(self, shopper_id: str, time: datetime) -> bool:
        tombstone = self._tombstones.get(sha256_of(shopper_id))
        return tombstone is not None and time <= tombstone[1]

    async def forget(self, shopper_id: str, now: datetime) -> Forgotten:
        forgotten = {each: self._forget(each, now) for each in self._identity(shopper_id).shopper_ids}
        return Forgotten(sum(each.events for each in forgotten.values()), forgotten[shopper_id].at)

    def _forget(self, shopper_id: str, now: datetime) -> Forgotten:
        removed = self._events.pop(shopper_id, {})
        at = max([now, *(event.time for _, event in removed.values() if event.time is not None)])
        self._consents.pop(shopper_id, None)
        self._demographics.pop(shopper_id, None)
        self._relinked.pop(shopper_id, None)
        self._reviews.pop(shopper_id, None)
        self._households.by_shopper.pop(shopper_id, None)
        for each in [each for each, (login_id, _) in self._links.items() if shopper_id in (each, login_id)]:
            del self._links[each]
        self._deletions += 1
        self._tombstones[sha256_of(shopper_id)] = self._deletions, at
        return Forgotten(len(removed), at)

    async def delete_expired(self) -> int:
        return 0  # it keeps every event for ever

    async def last_forgotten(self) -> int:
        return self._deletions

    async def forgotten_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        numbers = {each: self._tombstones.get(sha256_of(each), (0, None))[0] for each in shopper_ids}
        return {each for each, number in numbers.items() if number > after}

    async def tombstones(self) -> list[Tombstone]:
        ordered = sorted(self._tombstones.items(), key=lambda each: each[1][0])
        return [Tombstone(hashed, at) for hashed, (_, at) in ordered]

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        stored = self._events.get(shopper_id, {}).values()
        known = [(event.time, arrival, event) for arrival, event in stored if event.time and event.time <= as_of]
        return [event for _, _, event in sorted(known, key=lambda each: each[:2])][-limit:]

    async def list_events(
        self, shopper_id: str, after: EventPosition | None, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        stored = self._events.get(shopper_id, {}).values()
        timed = ((arrival, event, event.time) for arrival, event in stored if event.time)
        known = [(EventPosition(to_microseconds(time), arrival), event) for arrival, event, time in timed]
        return sorted((each for each in known if after is None or each[0] > after), key=lambda each: each[0])[:limit]

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: EventPosition, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        listed = await self.list_events(shopper_id, None, _ALL_EVENTS)
        return [
            (position, event)
            for position, event in reversed(listed)
            if position < before and position.time >= selection.since and event.type in selection.types
        ][:limit]

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        return {each: len(await self.history(each, as_of, limit)) for each in shopper_ids}

    async def versions(self, shopper_ids: Sequence[str]) -> Hashable:
        linked = {other: None for each in shopper_ids for other in self._identity(each).shopper_ids}
        return tuple(self._versions[each] for each in (*linked, SHARED)), self._deletions

    async def shoppers(self, after: str, limit: int) -> list[str]:
        logins = {login for login, _ in self._links.values()}
        known = sorted(logins | {each for each, events in self._events.items() if events}, key=str.encode)
        return [each for each in known if each.encode() > after.encode()][:limit]

    async def shoppers_with_arrivals(self, after: int, last: int) -> list[str]:
        relinked = {shopper_id for shopper_id, arrival in self._relinked.items() if after < arrival <= last}
        return [
            *relinked.union(
                shopper_id
                for shopper_id, events in self._events.items()
                if any(after < arrival <= last for arrival, _ in events.values())
            )
        ]

    async def last_arrival(self) -> int:
        return self._arrivals

    async def record_consents(self, shopper_id: str, consents: Sequence[Consent]) -> None:
        self._consents[shopper_id] += consents
        self._versions[shopper_id] += 1
        if any(each.purpose is Purpose.DEMOGRAPHICS and not each.granted for each in consents):
            self._demographics.pop(shopper_id, None)

    async def link(self, login_id: str, link: Link) -> LinkOutcome:
        logins = {login for login, _ in self._links.values()}
        anonymous_id = link.anonymous_id
        if login_id in self._links:
            return LinkOutcome.LOGIN_LINKED
        if anonymous_id in self._links and self._links[anonymous_id][0] != login_id:
            return LinkOutcome.TAKEN
        if anonymous_id in logins:
            return LinkOutcome.HAS_LINKS
        if anonymous_id in self._households.by_shopper:
            return LinkOutcome.MEMBER
        others = {*self._identity(login_id).shopper_ids} - {login_id, anonymous_id}
        if len(others) >= MAX_LINKS:
            return LinkOutcome.FULL
        if any(self._is_forgotten(each, link.time) for each in (login_id, anonymous_id)):
            return LinkOutcome.FORGOTTEN
        self._links[anonymous_id] = login_id, link
        self._note_change(login_id, anonymous_id)
        return LinkOutcome.LINKED

    async def unlink(self, login_id: str, anonymous_id: str) -> None:
        if self._links.get(anonymous_id, ("",))[0] == login_id:
            del self._links[anonymous_id]
            self._note_change(login_id, anonymous_id)

    def _note_change(self, *shopper_ids: str) -> None:
        for shopper_id in shopper_ids:
            self._arrivals += 1
            self._relinked[shopper_id] = self._arrivals
            self._versions[shopper_id] += 1

    def _identity(self, shopper_id: str) -> Identity:
        login_id = self._links[shopper_id][0] if shopper_id in self._links else shopper_id
        links = [self._links[each][1] for each in sorted(self._links) if self._links[each][0] == login_id]
        return Identity(login_id, tuple(links))

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        identities = {each: self._identity(each) for each in shopper_ids}
        return {each: identity for each, identity in identities.items() if identity.links}

    async def relinked_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        return {each for each in shopper_ids if self._relinked.get(each, 0) > after}

    async def consents(self, shopper_id: str) -> Decisions:
        return Decisions.combine({each: self._own_consents(each) for each in self._identity(shopper_id).shopper_ids})

    def _own_consents(self, shopper_id: str) -> dict[Purpose, bool]:
        decisions: dict[Purpose, bool] = {}
        withdrawn: dict[Purpose, datetime] = {}
        for each in self._consents.get(shopper_id, ()):
            last = withdrawn.get(each.purpose)
            if not each.granted:
                withdrawn[each.purpose] = max(each.time, last or each.time)
            elif last is not None and each.time != each.recorded_at and last - each.time >= _TOLERANCE:
                continue
            decisions[each.purpose] = each.granted
        return decisions

    async def consent_records(self, shopper_id: str, limit: int) -> list[Consent]:
        return self._consents.get(shopper_id, [])[-limit:]

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        return {each for each in shopper_ids if self._own_consents(each).get(purpose) is granted}

    async def set_demographics(self, shopper_id: str, demographics: Demographics) -> bool:
        if self._own_consents(shopper_id).get(Purpose.DEMOGRAPHICS) is False:
            return False
        self._demographics[shopper_id] = demographics
        self._versions[shopper_id] += 1
        return True

    async def demographics(self, shopper_id: str) -> Demographics | None:
        return self._demographics.get(shopper_id)

    async def regions(self, shopper_ids: Sequence[str]) -> dict[str, str]:
        declared = {each: self._demographics[each].region for each in shopper_ids if each in self._demographics}
        return {each: region for each, region in declared.items() if region}

    async def set_review(self, review: Review) -> bool:
        shopper_id, key = review.target.shopper_id, review_key(review.target)
        others = len(self._reviews[shopper_id].keys() - {key})
        if others >= (MAX_SHARED_REVIEWS if shopper_id == SHARED else MAX_SHOPPER_REVIEWS):
            return False
        self._reviews[shopper_id][key] = review
        self._versions[shopper_id] += 1
        return True

    async def remove_review(self, target: ReviewTarget) -> bool:
        was_there = self._reviews[target.shopper_id].pop(review_key(target), None) is not None
        self._versions[target.shopper_id] += was_there
        return was_there

    async def reviews(self, shopper_id: str) -> list[Review]:
        return [review for _, review in sorted(self._reviews[shopper_id].items())]

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        known = sorted((each for each, reviews in self._reviews.items() if each and reviews), key=str.encode)
        return [each for each in known if each.encode() > after.encode()][:limit]

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        own = [review for each in shopper_ids for review in await self.reviews(each)]
        return Reviews(own, SharedReviews(await self.reviews(SHARED)))

    async def change_items(self, changes: Sequence[ItemChange], *, since: float | None = None) -> None:
        for change in changes:
            self._last_change += 1
            self._changes.pop((change.catalogue, change.item_id), None)
            self._changes[change.catalogue, change.item_id] = ItemChange(
                change.catalogue, change.item_id, change.item, self._last_change
            )

    async def item_changes(self) -> AsyncIterator[ItemChange]:
        for change in list(self._changes.values()):
            yield change

    async def last_item_change(self) -> int:
        return self._last_change

    async def remote_item_changes(self, after: int) -> tuple[int, list[ItemChange]]:
        return self._last_change, []

    async def close(self) -> None:
        """Have nothing to close."""
