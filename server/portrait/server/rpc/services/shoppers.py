"""Histories for requests: an inline history of the request, or the recorded events of a shopper that it names.

The functions `charge_…` add units to the current call before the work is done, so that admission control can refuse it.
"""

from collections.abc import Generator, Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from portrait.features.events import Event
from portrait.features.generators import run_to_completion
from portrait.features.profiles.keywords import MAX_KEYWORD_EVENTS
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units, search_units
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.demographics import find_first_age
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
    """Load the history of a shopper; empty without personalisation consent, or if nothing is recorded.

    Args:
        store: holds the histories of recorded shoppers.
        permissions: decides whether recorded events may be used. For an inline history the caller is responsible.
        shopper: a valid reference: an inline history, or the id of a shopper.
        as_of: the moment up to which events count. None means now, and then events of clocks that run ahead of this
            server's count too, so that an event counts as soon as it is recorded.
        limit: maximum number of recorded events to read, the latest ones. An inline history is always read whole.
    """
    if shopper.WhichOneof("shopper") == "history":
        reading = _inline_events(shopper.history, visible_until(as_of))
        short = len(shopper.history.events) <= MAX_INLINE_EVENTS
        return History.up_to(run_to_completion(reading) if short else await run_in_steps(reading), as_of)
    if await permissions.allows(shopper.shopper_id, Purpose.PERSONALISATION):
        return await read_history(store, shopper.shopper_id, as_of, limit)
    return History.up_to((), as_of)


async def load_min_age(store: Store, permissions: Permissions, shopper: shopper_pb2.ShopperRef) -> int:
    """Load the age that a shopper is at least, by the declared band; 0 if none is declared, or may be used."""
    declared = await store.demographics(shopper.shopper_id) if shopper.shopper_id else None
    if declared is None or Purpose.DEMOGRAPHICS not in await permissions.list_allowed(shopper.shopper_id):
        return 0
    return find_first_age(declared.age_band)


async def count_stored_events(
    store: Store, shoppers: Iterable[shopper_pb2.ShopperRef], as_of: datetime | None
) -> list[int]:
    """Count the recorded events that would be read for each shopper; 0 for an inline history."""
    named = [shopper.shopper_id for shopper in shoppers]
    counts = await store.count_events([name for name in named if name], visible_until(as_of), MAX_HISTORY_EVENTS)
    return [counts.get(name, 0) for name in named]


async def charge_history(store: Store, shopper: shopper_pb2.ShopperRef, as_of: datetime | None) -> None:
    """Charge the current call for a recorded history, before it is read.

    Raises:
        FailedPrecondition: no call may have so many units.
        Overloaded: the gate has no room for so many units now.
    """
    if shopper.shopper_id:
        [events] = await count_stored_events(store, [shopper], as_of)
        await add_units(history_units(events))


async def charge_searches(history: Sequence[Event]) -> None:
    """Charge the current call for the queries of a history, before the models and the profile read them.

    Raises:
        FailedPrecondition: no call may have so many units.
        Overloaded: the gate has no room for so many units now.
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
    """Load the history of a shopper like `load_history`, but raise if a named shopper has none.

    Args:
        store: see `load_history`.
        permissions: see `load_history`.
        shopper: see `load_history`.
        as_of: see `load_history`.
        path: the path of `shopper` in the request, for error messages.
        limit: see `load_history`.

    Raises:
        NotFound: no event of the named shopper is recorded up to `as_of`.
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
