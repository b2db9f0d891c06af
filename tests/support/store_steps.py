"""Random things that are done to a store, and all that it then tells."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from portrait.features.events import Event, EventType, Item
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.households import Membership
from portrait.server.identities import Link
from portrait.server.reviews.review import SHARED, Review, ReviewAction, ReviewTarget, Segment, Subject, SubjectKind
from portrait.server.storage.store import EventPosition, EventSelection, ItemChange, RecordedEvent, Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=999)
LAST = EventPosition(2**60, 0)
SHOPPERS = ("ann", "bob", "zoë", "灯\0{x}")
HOUSEHOLDS = ("ann", "home {灯}")
"""One has the id of a shopper, which says nothing."""


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds, microseconds=seconds)


@dataclass(frozen=True)
class Step:
    """Something that is done to a store; the numbers say with what."""

    deed: str
    shopper_id: str
    number: int
    other: int


TIMES = st.integers(0, 5)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            ["record", "consent", "declare", "forget", "item", "link", "unlink", "review", "unreview", "join", "leave"]
        ),
        st.sampled_from(SHOPPERS),
        TIMES,
        TIMES,
    ),
    max_size=25,
)


async def do(store: Store, step: Step) -> object:
    """Take a step; returns what the store says of it."""
    number, other = step.number, step.other
    if step.deed == "record":
        event = Event(f"e{number}", EventType.VIEW, at(other), f"item-{other % 2}", "ads", "a \u00e4\0 lamp", 9.5, 2.0)
        another = Event(f"e{other}", EventType.RATE, at(number), rating=4.5, position=3)
        events = [RecordedEvent(step.shopper_id, event), RecordedEvent("ann", another)]
        return await store.record(events)
    if step.deed == "consent":
        purpose = [*Purpose][number % 4]
        consents = [
            Consent(purpose, other % 2 == 0, at(other), at(number), "notice"),
            Consent(purpose, True, at(2), at(2)),
        ]
        return await store.record_consents(step.shopper_id, consents[: 1 + other % 2])
    if step.deed == "declare":
        declared = Demographics("25-34", "", f"region-{number % 2}" if number else "", at(other), "form")
        return await store.set_demographics(step.shopper_id, declared)
    if step.deed == "link":
        link = Link(SHOPPERS[other % 4], at(number), at(number + 1), f"login {other}", 0.5 + number / 10)
        return None if link.anonymous_id == step.shopper_id else await store.link(step.shopper_id, link)
    if step.deed == "unlink":
        return await store.unlink(step.shopper_id, SHOPPERS[other % 4])
    if step.deed in ("join", "leave"):
        return await change_household(store, step)
    if step.deed == "review":
        action = ReviewAction.BLOCK if number % 2 else ReviewAction.CORRECT
        value = None if action is ReviewAction.BLOCK else other / 8
        return await store.set_review(Review(reviewed(step), action, value, f"eve \u706f {number}", "note", at(number)))
    if step.deed == "unreview":
        return await store.remove_review(reviewed(step))
    if step.deed == "forget":
        return await store.forget(step.shopper_id, at(number))
    item = None if other == 0 else Item(f"i{number}", f"Lamp {other}", category_path=("Home", "Lamps"), price=1.5)
    return await store.change_items([ItemChange("ads", f"i{number}", item), ItemChange("products", "x", None)])


async def change_household(store: Store, step: Step) -> object:
    """Join a household, or leave one."""
    number, household_id = step.number, HOUSEHOLDS[step.other % 2]
    if step.deed == "leave":
        return await store.households.leave(household_id, step.shopper_id)
    moments = at(number), at(number + 1)
    return await store.households.join(
        Membership(step.shopper_id, household_id, *moments, "account", 0.5 + number / 10)
    )


def reviewed(step: Step) -> ReviewTarget:
    """The target of a step: something of one shopper, of a segment, or of all."""
    subject = Subject(SubjectKind.INTEREST, ("Home", "Lamps")) if step.other % 2 else Subject(SubjectKind.TRAIT, ("t",))
    if step.other < 3:
        return ReviewTarget(subject, step.shopper_id)
    return ReviewTarget(subject, SHARED, Segment(("Home",), "Ikea") if step.other == 3 else None)


async def list_arrived(store: Store) -> list[str]:
    return sorted(await store.shoppers_with_arrivals(0, await store.last_arrival()))


async def link_changes(store: Store) -> tuple[list[str], set[str]]:
    """Return what a store tells of links that were made and undone: numbers of one state, which no other takes over."""
    return await list_arrived(store), await store.relinked_since(0, SHOPPERS)


async def everything(store: Store) -> dict[str, Any]:
    """All that a store tells, whatever numbers it counts by."""
    everybody = [*SHOPPERS, "nobody"]
    purposes = [(purpose, granted) for purpose in Purpose for granted in (True, False)]
    return {
        "histories": {each: await store.history(each, EVER, 100) for each in everybody},
        "parts": {each: await store.history(each, at(3), 2) for each in everybody},
        "lists": {each: [event for _, event in await store.list_events(each, None, 100)] for each in everybody},
        "latest": {
            each: [event for _, event in await store.latest_events(each, EventSelection(), LAST, 3)]
            for each in everybody
        },
        "counts": await store.count_events(everybody, at(3), 2),
        "shoppers": [await store.shoppers(after, 2) for after in ("", "ann", "zoë")],
        "arrived": [each for each in await list_arrived(store) if await store.history(each, EVER, 1)],
        "consents": {each: await store.consents(each) for each in everybody},
        "identities": await store.identities(everybody),
        "memberships": await store.households.memberships(everybody),
        "members": [await store.households.members(each) for each in HOUSEHOLDS],
        "records": {each: await store.consent_records(each, 3) for each in everybody},
        "decisions": {each: await store.shoppers_with_decision(*each, everybody) for each in purposes},
        "demographics": {each: await store.demographics(each) for each in everybody},
        "regions": await store.regions(everybody),
        # Those of one identity are in any order.
        "tombstones": sorted(await store.tombstones(), key=lambda each: (each.forgotten_at, each.shopper_sha256)),
        "deletions": await store.last_forgotten(),
        "forgotten": await store.forgotten_since(0, everybody),
        "items": sorted([change async for change in store.item_changes()], key=lambda each: each.number),
        "numbers": sorted([change.number async for change in store.item_changes()]),
        "last change": await store.last_item_change(),
        "reviews": {each: await store.reviews(each) for each in (SHARED, *everybody)},
        "reviewed": [await store.reviewed_shoppers(after, 2) for after in ("", "ann", "zo\u00eb")],
    }
