"""Histories for requests: an inline history of the request, or the recorded events of a shopper that it names.

The functions `charge_…` add units to the current call before the work is done, so that admission control can refuse it.
"""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from portrait.features.events import Event
from portrait.features.generators import run_to_completion
from portrait.features.profiles.keywords import MAX_KEYWORD_EVENTS
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units, search_units
from portrait.server.consent.consents import Decisions, Permissions, Purpose
from portrait.server.demographics import Demographics, find_first_age
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, NotFound
from portrait.server.identities import list_ids
from portrait.server.profiles.compute import MAX_INLINE_EVENTS
from portrait.server.reviews.review_set import Reviews
from portrait.server.rpc.services.messages import event_from_message
from portrait.server.runtime.cooperation import run_in_steps
from portrait.server.storage.histories import MAX_HISTORY_EVENTS, History, read_history, visible_until
from portrait.server.storage.store import Store
from portrait.v1 import shopper_pb2

_NOBODY = Decisions((), {})


async def read_decisions(store: Store, shopper: shopper_pb2.ShopperRef) -> Decisions:
    """Read all ids of a shopper and the decisions in force, once for a whole call; of an inline history nobody's."""
    return await store.consents(shopper.shopper_id) if shopper.shopper_id else _NOBODY


async def load_history(
    store: Store,
    permissions: Permissions,
    decisions: Decisions,
    shopper: shopper_pb2.ShopperRef,
    as_of: datetime | None,
    limit: int = MAX_HISTORY_EVENTS,
    *,
    charge: bool = True,
) -> History:
    """Load the history of a shopper under all linked ids; empty without consent, or if nothing is recorded.

    Args:
        store: holds the histories of recorded shoppers.
        permissions: decides whether recorded events may be used. For an inline history the caller is responsible.
        decisions: the shopper's, of `read_decisions`.
        shopper: a valid reference: an inline history, or the id of a shopper.
        as_of: the moment up to which events count. None means now, and then events of clocks that run ahead of this
            server's count too, so that an event counts as soon as it is recorded.
        limit: maximum number of recorded events to read, the latest ones. An inline history is always read whole.
        charge: charge the current call, before they are read, for the events of a whole history, or of several ids;
            False if the caller has done it.

    Raises:
        FailedPrecondition: no call may have so many units.
        Overloaded: the gate has no room for so many units now.
    """
    if shopper.WhichOneof("shopper") == "history":
        reading = _inline_events(shopper.history, visible_until(as_of))
        short = len(shopper.history.events) <= MAX_INLINE_EVENTS
        return History.up_to(run_to_completion(reading) if short else await run_in_steps(reading), as_of)
    shopper_ids = permissions.select_ids(decisions, Purpose.PERSONALISATION)
    if not shopper_ids:
        return History.up_to((), as_of)
    if charge and (limit == MAX_HISTORY_EVENTS or len(shopper_ids) > 1):
        counts = await store.count_events(shopper_ids, visible_until(as_of), limit)
        await add_units(history_units(sum(counts.values())))
    return await read_history(store, shopper_ids, as_of, limit)


class ServingTerms(NamedTuple):
    """The terms that hold for a shopper besides the events."""

    min_age: int
    """The shopper is at least so old, by the declared band; 0 if none is declared, or may be used."""
    reviews: Reviews
    """Those for all; without consent to `personalisation`, as for an unknown shopper, no others."""


async def load_terms(store: Store, permissions: Permissions, decisions: Decisions) -> ServingTerms:
    """Load what decides how a shopper may be served; the decisions are those of `read_decisions`."""
    if not decisions.shopper_ids:
        return ServingTerms(0, await store.applied_reviews(()))
    own, declaring = (permissions.judge(decisions, each) for each in (Purpose.PERSONALISATION, Purpose.DEMOGRAPHICS))
    reviews = await store.applied_reviews(own.shopper_ids if own.denied is None else ())
    declared = await read_declaration(store, declaring.shopper_ids) if declaring.denied is None else None
    return ServingTerms(0 if declared is None else find_first_age(declared.age_band), reviews)


async def read_declaration(store: Store, shopper_ids: Sequence[str]) -> Demographics | None:
    """Read what a shopper declared: of linked ids, the first that declared something, in the order of the identity."""
    declared = await asyncio.gather(*map(store.demographics, shopper_ids))
    return next((each for each in declared if each is not None), None)


async def count_stored_events(
    store: Store, shoppers: Iterable[shopper_pb2.ShopperRef], as_of: datetime | None
) -> list[int]:
    """Count the recorded events that would be read for each shopper; 0 for an inline history."""
    named = [shopper.shopper_id for shopper in shoppers]
    wanted = [name for name in named if name]
    identities = await store.identities(wanted)
    ids = {name: list_ids(identities, name) for name in wanted}
    distinct = [*{each for shopper_ids in ids.values() for each in shopper_ids}]
    counts = await store.count_events(distinct, visible_until(as_of), MAX_HISTORY_EVENTS)
    return [min(sum(counts[each] for each in ids.get(name, ())), MAX_HISTORY_EVENTS) for name in named]


async def charge_searches(history: Sequence[Event]) -> None:
    """Charge the current call for the queries of a history, before the models and the profile read them.

    Raises:
        FailedPrecondition: no call may have so many units.
        Overloaded: the gate has no room for so many units now.
    """
    typed = [len(event.query or "") for event in history]
    await add_units(search_units(sum(typed[-MAX_KEYWORD_EVENTS:]), sum(typed[:-MAX_KEYWORD_EVENTS])))


async def require_history(
    store: Store,
    permissions: Permissions,
    decisions: Decisions,
    shopper: shopper_pb2.ShopperRef,
    as_of: datetime | None,
    path: str = "shopper",
    limit: int = MAX_HISTORY_EVENTS,
    *,
    charge: bool = True,
) -> History:
    """Load the history of a shopper like `load_history`, but raise if a named shopper has none.

    Args:
        store: see `load_history`.
        permissions: see `load_history`.
        decisions: see `load_history`.
        shopper: see `load_history`.
        as_of: see `load_history`.
        path: the path of `shopper` in the request, for error messages.
        limit: see `load_history`.
        charge: see `load_history`.

    Raises:
        NotFound: no event of the named shopper is recorded up to `as_of`.
        FailedPrecondition: the named shopper does not allow personalisation or a stated purpose, or no call may have so
            many units.
        Overloaded: the gate has no room for so many units now.
    """
    history = await load_history(store, permissions, decisions, shopper, as_of, limit, charge=charge)
    if not history.events and shopper.shopper_id:
        verdict = permissions.judge(decisions, Purpose.PERSONALISATION)
        if verdict.denied is not None:
            raise FailedPrecondition(
                f"the shopper does not allow the purpose `{verdict.denied}`",
                ErrorReason.CONSENT_MISSING,
                f"{path}.shopper_id",
            )
        raise NotFound(
            f"{path}.shopper_id",
            "no event of this shopper is recorded, or none up to `as_of`",
            ErrorReason.SHOPPER_UNKNOWN,
        )
    return history


def _inline_events(message: shopper_pb2.History, latest: datetime) -> Generator[None, None, list[Event]]:
    """Convert an inline history; leave out events later than `latest`.

    Events without a time keep their positions. The others are sorted by time among the remaining positions.
    """
    sent: list[Event] = []
    for place, event in enumerate(message.events):
        if place % MAX_INLINE_EVENTS == 0:
            yield
        sent.append(event_from_message(event, event.event_id or f"events[{place}]"))
    yield
    seen = [event for event in sent if event.time is None or event.time <= latest]
    timed = iter(sorted((event for event in seen if event.time), key=attrgetter("time")))
    return [event if event.time is None else next(timed) for event in seen]
