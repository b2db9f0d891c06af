"""Random things that are done to shoppers who are linked and live in households, and what counts of them in the end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from portrait.features.events import Event, EventType
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.households import JoinOutcome, Membership
from portrait.server.identities import Identity, Link, LinkOutcome, list_ids
from portrait.server.storage.histories import read_history
from portrait.server.storage.store import Recorded, RecordedEvent, Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=999)
SHOPPERS = ("login", "web", "app", "tv")
HOUSEHOLDS = ("home", "web")
"""One has the id of a shopper, which says nothing."""
PURPOSES = (Purpose.PERSONALISATION, Purpose.ADVERTISING, Purpose.DEMOGRAPHICS)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def linked(anonymous_id: str, seconds: int = 0, confidence: float = 0.9) -> Link:
    return Link(anonymous_id, at(seconds), at(seconds + 1), "login on web", confidence)


def joined(shopper_id: str, seconds: int = 0, household_id: str = "home") -> Membership:
    return Membership(shopper_id, household_id, at(seconds), at(seconds + 1), "family account", 0.8)


def viewed(event_id: str, seconds: int = 0) -> Event:
    return Event(event_id, EventType.VIEW, at(seconds), item_id="lamp")


def decided(purpose: Purpose, granted: bool) -> Consent:
    return Consent(purpose, granted, NOON, NOON)


@dataclass(frozen=True)
class Step:
    """Something that is done; the numbers say with what."""

    deed: str
    shopper_id: str
    other_id: str
    number: int
    seconds: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            [
                "record",
                "record",
                "consent",
                "declare",
                "link",
                "link",
                "link",
                "unlink",
                "join",
                "join",
                "leave",
                "forget",
            ]
        ),
        st.sampled_from(SHOPPERS),
        st.sampled_from(SHOPPERS),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=16,
)


@dataclass
class Remaining:
    """All that was done to a store and still counts, told without the store's help."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    said: dict[str, list[Consent | Demographics]] = field(default_factory=dict)
    links: dict[str, tuple[str, Link]] = field(default_factory=dict)
    """By anonymous id: login and link."""
    memberships: dict[str, Membership] = field(default_factory=dict)
    """By shopper."""

    def members(self, household_id: str) -> list[Membership]:
        return [
            self.memberships[each]
            for each in sorted(self.memberships)
            if self.memberships[each].household_id == household_id
        ]

    def identity(self, shopper_id: str) -> Identity:
        login_id = self.links[shopper_id][0] if shopper_id in self.links else shopper_id
        of_login = [self.links[each][1] for each in sorted(self.links) if self.links[each][0] == login_id]
        return Identity(login_id, tuple(of_login))

    def history(self, shopper_id: str) -> list[Event]:
        every = [event for each in self.identity(shopper_id).shopper_ids for event in self.by_time(each)]
        return sorted(every, key=lambda event: event.time or NOON)

    def by_time(self, shopper_id: str) -> list[Event]:
        return sorted(self.events.get(shopper_id, []), key=lambda event: event.time or NOON)

    async def replay(self, store: Store) -> None:
        """Tell another store: each id by itself, then the links and memberships."""
        for shopper_id, events in self.events.items():
            await store.record([RecordedEvent(shopper_id, event) for event in events])
        for shopper_id, said in self.said.items():
            for each in said:
                if isinstance(each, Consent):
                    await store.record_consents(shopper_id, [each])
                else:
                    assert await store.set_demographics(shopper_id, each)
        for login_id, link in self.links.values():
            assert await store.link(login_id, link) is LinkOutcome.LINKED
        for membership in self.memberships.values():
            assert await store.households.join(membership) is JoinOutcome.JOINED


async def take(store: Store, step: Step, remaining: Remaining) -> None:
    """Take a step, and note what counts of it."""
    takes = {"link": _link, "unlink": _unlink, "join": _join, "leave": _leave, "forget": _forget}
    await takes.get(step.deed, _tell)(store, step, remaining)


async def _tell(store: Store, step: Step, remaining: Remaining) -> None:
    """Record an event, a consent or a declaration."""
    shopper_id, number = step.shopper_id, step.number
    if step.deed == "record":
        event = viewed(f"e{number}", step.seconds)
        if await store.record([RecordedEvent(shopper_id, event)]) == [Recorded.NEW]:
            remaining.events.setdefault(shopper_id, []).append(event)
    elif step.deed == "consent":
        consent = decided(PURPOSES[number % 3], step.seconds % 2 == 0)
        await store.record_consents(shopper_id, [consent])
        remaining.said.setdefault(shopper_id, []).append(consent)
    else:
        declared = Demographics("25-34", "", f"region-{number}", at(step.seconds))
        if await store.set_demographics(shopper_id, declared):
            remaining.said.setdefault(shopper_id, []).append(declared)


async def _link(store: Store, step: Step, remaining: Remaining) -> None:
    link = linked(step.other_id, step.seconds, 0.1 + step.number / 10)
    if step.other_id != step.shopper_id and await store.link(step.shopper_id, link) is LinkOutcome.LINKED:
        remaining.links[step.other_id] = step.shopper_id, link


async def _unlink(store: Store, step: Step, remaining: Remaining) -> None:
    await store.unlink(step.shopper_id, step.other_id)
    if remaining.links.get(step.other_id, ("",))[0] == step.shopper_id:
        del remaining.links[step.other_id]


async def _join(store: Store, step: Step, remaining: Remaining) -> None:
    membership = joined(step.shopper_id, step.seconds, HOUSEHOLDS[step.number % 2])
    before = remaining.memberships.get(step.shopper_id)
    outcome = await store.households.join(membership)
    assert (outcome is JoinOutcome.LINKED) == (step.shopper_id in remaining.links)
    if outcome is JoinOutcome.JOINED:
        assert before is None or before.household_id == membership.household_id
        remaining.memberships[step.shopper_id] = membership


async def _leave(store: Store, step: Step, remaining: Remaining) -> None:
    household_id = HOUSEHOLDS[step.number % 2]
    await store.households.leave(household_id, step.shopper_id)
    if step.shopper_id in {each.shopper_id for each in remaining.members(household_id)}:
        del remaining.memberships[step.shopper_id]


async def _forget(store: Store, step: Step, remaining: Remaining) -> None:
    ids = remaining.identity(step.shopper_id).shopper_ids
    removed = sum(len(remaining.events.pop(each, [])) for each in ids)
    assert (await store.forget(step.shopper_id, at(step.seconds))).events == removed
    for each in ids:
        remaining.said.pop(each, None)
        remaining.links.pop(each, None)
        remaining.memberships.pop(each, None)


async def look_up(store: Store, shopper_id: str) -> tuple[Any, ...]:
    """All that a store tells of a shopper."""
    decisions, identities = await store.consents(shopper_id), await store.identities([shopper_id])
    assert list_ids(identities, shopper_id) == decisions.shopper_ids
    history = await read_history(store, decisions.shopper_ids, EVER)
    return (
        identities.get(shopper_id, Identity(shopper_id)),
        decisions,
        history.events,
        await store.demographics(shopper_id),
        await store.consent_records(shopper_id, 100),
    )
