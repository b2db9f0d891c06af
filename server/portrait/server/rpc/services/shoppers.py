"""The history that a request refers to, and its time."""

from collections.abc import Generator, Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from portrait.features.events import Event
from portrait.features.generators import run_to_completion
from portrait.features.profiles.keywords import MAX_KEYWORD_EVENTS
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units, search_units
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, NotFound
from portrait.server.profiles.compute import MAX_INLINE_EVENTS
from portrait.server.rpc.services.messages import event_from_message
from portrait.server.runtime.cooperation import run_in_steps
from portrait.server.storage.histories import MAX_HISTORY_EVENTS, History, read_history, visible_until
from portrait.server.storage.store import Store
from portrait.v1 import shopper_pb2


async def load_history(
    store: Store,
    permissions: Permissions,
    shopper: shopper_pb2.ShopperRef,
    as_of: datetime | None,
    limit: int = MAX_HISTORY_EVENTS,
) -> History:
    """The history that a request brings or names; of a shopper who does not allow personalisation, none.

    Args:
        store: holds the histories of named shoppers.
        permissions: says whose may be looked at. One that a request brings is the caller's to answer for.
        shopper: keeps the contract.
        as_of: the moment; None means now, and then events of clocks that run ahead of ours count too: what
            was just recorded is seen.
        limit: of a named shopper so many of the latest events are read.
    """
    if shopper.WhichOneof("shopper") == "history":
        reading = _inline_events(shopper.history, visible_until(as_of))
        short = len(shopper.history.events) <= MAX_INLINE_EVENTS
        return History.up_to(run_to_completion(reading) if short else await run_in_steps(reading), as_of)
    if await permissions.allows(shopper.shopper_id, Purpose.PERSONALISATION):
        return await read_history(store, shopper.shopper_id, as_of, limit)
    return History.up_to((), as_of)


async def count_stored_events(
    store: Store, shoppers: Iterable[shopper_pb2.ShopperRef], as_of: datetime | None
) -> list[int]:
    """Count the recorded events that would be read for each shopper; 0 for a shopper who is not named."""
    named = [shopper.shopper_id for shopper in shoppers]
    counts = await store.count_events([name for name in named if name], visible_until(as_of), MAX_HISTORY_EVENTS)
    return [counts.get(name, 0) for name in named]


async def charge_history(store: Store, shopper: shopper_pb2.ShopperRef, as_of: datetime | None) -> None:
    """Count the current call as the work of a shopper's recorded history, before that is read.

    Raises:
        Overloaded: there is no place for so much now.
    """
    if shopper.shopper_id:
        [events] = await count_stored_events(store, [shopper], as_of)
        await add_units(history_units(events))


async def charge_searches(history: Sequence[Event]) -> None:
    """Count the current call as the work of what a shopper typed, before the models and the profile read it.

    Raises:
        FailedPrecondition: no call may be so much work.
        Overloaded: there is no place for so much now.
    """
    await add_units(search_units(sum(len(event.query or "") for event in history[-MAX_KEYWORD_EVENTS:])))


async def require_history(
    store: Store,
    permissions: Permissions,
    shopper: shopper_pb2.ShopperRef,
    as_of: datetime | None,
    path: str = "shopper",
    limit: int = MAX_HISTORY_EVENTS,
) -> History:
    """The history that a request brings, or that of a shopper of whom something is recorded; see `load_history`.

    Args:
        store: holds the histories of named shoppers.
        permissions: says whose may be looked at.
        shopper: keeps the contract.
        as_of: the moment; None means now.
        path: where `shopper` stands in the request.
        limit: of a named shopper so many of the latest events are read.

    Raises:
        NotFound: nothing is recorded of the named shopper.
        FailedPrecondition: the named shopper does not allow personalisation.
    """
    history = await load_history(store, permissions, shopper, as_of, limit)
    if not history.events and shopper.shopper_id:
        if Purpose.PERSONALISATION not in await permissions.list_allowed(shopper.shopper_id):
            raise FailedPrecondition(
                "the shopper does not allow the purpose `personalisation`",
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
    """An inline history; events that have times take, among themselves, the order of their times."""
    sent: list[Event] = []
    for place, event in enumerate(message.events):
        if place % MAX_INLINE_EVENTS == 0:
            yield
        sent.append(event_from_message(event, event.event_id or f"events[{place}]"))
    yield
    seen = [event for event in sent if event.time is None or event.time <= latest]
    timed = iter(sorted((event for event in seen if event.time), key=attrgetter("time")))
    return [event if event.time is None else next(timed) for event in seen]
