"""Whose history a request is about, and for which moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from google.protobuf.timestamp_pb2 import Timestamp

from portrait.features.events import Event
from portrait.server.contract.limits import HISTORY_EVENTS
from portrait.server.errors import NotFound
from portrait.server.services.translation import datetime_of, event_of
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


async def behaviour_of(store: Store, shopper: types_pb2.ShopperRef, as_of: Timestamp | None) -> Behaviour:
    """The history that a request brings or names.

    Args:
        store: holds the histories of named shoppers.
        shopper: keeps the contract.
        as_of: the moment; None means now, and then events of clocks that run ahead of ours count too: what
            was just recorded is seen.
    """
    latest = datetime.now(UTC) + _CLOCK_SKEW if as_of is None else datetime_of(as_of)
    if shopper.WhichOneof("shopper") == "shopper_id":
        history = await store.history(shopper.shopper_id, latest, HISTORY_EVENTS)
    else:
        history = _inline(shopper.history, latest)
    return Behaviour(history, latest if as_of is not None else _now_or_last(history))


async def known_behaviour_of(
    store: Store, shopper: types_pb2.ShopperRef, as_of: Timestamp | None, path: str = "shopper"
) -> Behaviour:
    """The history that a request brings, or that of a shopper of whom something is recorded; see `behaviour_of`.

    Args:
        store: holds the histories of named shoppers.
        shopper: keeps the contract.
        as_of: the moment; None means now.
        path: where `shopper` stands in the request.

    Raises:
        NotFound: nothing is recorded of the named shopper.
    """
    behaviour = await behaviour_of(store, shopper, as_of)
    if not behaviour.history and shopper.shopper_id:
        raise NotFound(f"{path}.shopper_id", "no event of this shopper is recorded, or none up to `as_of`")
    return behaviour


def _inline(message: types_pb2.History, latest: datetime) -> list[Event]:
    """An inline history; events that have times take, among themselves, the order of their times."""
    sent = [event_of(event, f"events[{place}]") for place, event in enumerate(message.events)]
    seen = [event for event in sent if event.time is None or event.time <= latest]
    timed = iter(sorted((event for event in seen if event.time), key=attrgetter("time")))
    return [event if event.time is None else next(timed) for event in seen]


def _now_or_last(history: Sequence[Event]) -> datetime:
    times = [event.time for event in history if event.time is not None]
    return max([datetime.now(UTC), *times])
