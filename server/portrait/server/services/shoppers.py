"""Whose history a request is about, and for which moment."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from google.protobuf.timestamp_pb2 import Timestamp

from portrait.features.events import Event
from portrait.features.generators import run_to_completion
from portrait.features.profiles.keywords import MAX_KEYWORD_EVENTS
from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units, search_units
from portrait.server.consents import Permissions, Purpose
from portrait.server.contract.limits import HISTORY_EVENTS
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, NotFound
from portrait.server.profiling import SHORT_EVENTS
from portrait.server.services.translation import datetime_of, event_of
from portrait.server.stepwise import run_in_steps
from portrait.server.storage.store import Store
from portrait.v1 import types_pb2

_CLOCK_SKEW = timedelta(days=1)
"""How far ahead of this server's clock an event's time may be."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A shopper's events up to a moment."""

    history: Sequence[Event]
    """Oldest first, nothing later than `as_of`."""
    as_of: datetime


async def behaviour_of(
    store: Store,
    permissions: Permissions,
    shopper: types_pb2.ShopperRef,
    as_of: Timestamp | None,
    limit: int = HISTORY_EVENTS,
) -> Behaviour:
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
        reading = _inline(shopper.history, _latest(as_of))
        short = len(shopper.history.events) <= SHORT_EVENTS
        return _behaviour(run_to_completion(reading) if short else await run_in_steps(reading), as_of)
    if await permissions.allows(shopper.shopper_id, Purpose.PERSONALISATION):
        return await recorded_behaviour_of(store, shopper.shopper_id, as_of, limit)
    return _behaviour((), as_of)


async def recorded_behaviour_of(
    store: Store, shopper_id: str, as_of: Timestamp | None, limit: int = HISTORY_EVENTS
) -> Behaviour:
    """The recorded history of a shopper; that they allow to look at it is the caller's to know."""
    return _behaviour(await store.history(shopper_id, _latest(as_of), limit), as_of)


async def stored_events(store: Store, shoppers: Iterable[types_pb2.ShopperRef], as_of: Timestamp | None) -> list[int]:
    """How many recorded events would be read of each shopper; of one who is not named, none."""
    named = [shopper.shopper_id for shopper in shoppers]
    counts = await store.count_events([name for name in named if name], _latest(as_of), HISTORY_EVENTS)
    return [counts.get(name, 0) for name in named]


async def charge_history(store: Store, shopper: types_pb2.ShopperRef, as_of: Timestamp | None) -> None:
    """Count the current call as the work of a shopper's recorded history, before that is read.

    Raises:
        Overloaded: there is no place for so much now.
    """
    if shopper.shopper_id:
        [events] = await stored_events(store, [shopper], as_of)
        await add_units(history_units(events))


async def charge_searches(history: Sequence[Event]) -> None:
    """Count the current call as the work of what a shopper typed, before the models and the profile read it.

    Raises:
        FailedPrecondition: no call may be so much work.
        Overloaded: there is no place for so much now.
    """
    await add_units(search_units(sum(len(event.query or "") for event in history[-MAX_KEYWORD_EVENTS:])))


async def known_behaviour_of(
    store: Store,
    permissions: Permissions,
    shopper: types_pb2.ShopperRef,
    as_of: Timestamp | None,
    path: str = "shopper",
    limit: int = HISTORY_EVENTS,
) -> Behaviour:
    """The history that a request brings, or that of a shopper of whom something is recorded; see `behaviour_of`.

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
    behaviour = await behaviour_of(store, permissions, shopper, as_of, limit)
    if not behaviour.history and shopper.shopper_id:
        if Purpose.PERSONALISATION not in await permissions.of(shopper.shopper_id):
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
    return behaviour


def _latest(as_of: Timestamp | None) -> datetime:
    """The time of the last event that is seen."""
    return datetime.now(UTC) + _CLOCK_SKEW if as_of is None else datetime_of(as_of)


def _behaviour(history: Sequence[Event], as_of: Timestamp | None) -> Behaviour:
    return Behaviour(history, _now_or_last(history) if as_of is None else datetime_of(as_of))


def _inline(message: types_pb2.History, latest: datetime) -> Generator[None, None, list[Event]]:
    """An inline history; events that have times take, among themselves, the order of their times."""
    sent: list[Event] = []
    for place, event in enumerate(message.events):
        if place % SHORT_EVENTS == 0:
            yield
        sent.append(event_of(event, event.event_id or f"events[{place}]"))
    yield
    seen = [event for event in sent if event.time is None or event.time <= latest]
    timed = iter(sorted((event for event in seen if event.time), key=attrgetter("time")))
    return [event if event.time is None else next(timed) for event in seen]


def _now_or_last(history: Sequence[Event]) -> datetime:
    times = [event.time for event in history if event.time is not None]
    return max([datetime.now(UTC), *times])
