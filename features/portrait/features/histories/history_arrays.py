"""Histories as arrays: what the profile encoder sees of each event beside its embedding.

Training and serving both call `encode_history`: training with the columns of a whole data set, serving with those that
`build_event_columns` makes of one history. The caller looks up the event embeddings: the text encoder's vector of the
query for a search, the item's vector for every other event. It pools them with `pool_slots`, since the profile encoder
sees events of one moment and one type, such as the purchases of a basket, as one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, Event, EventType
from portrait.features.text.normalisation import normalise_text

MAX_ENCODED_SLOTS = 64
"""The profile encoder sees at most this many of the latest slots. A slot holds consecutive events of one moment and one
type, as a set; a search, and an event without a time, have a slot of their own."""
MAX_REMEMBERED_EVENTS = 512
"""Models look back over at most this many of the latest events."""

EVENT_NUMBERS = (
    "price_percentile", "price_known",
    "dwell", "dwell_known",
    "position", "position_known",
    "search_seconds", "search_known",
    "rating", "rating_known",
    "quantity",
    "events",
)  # fmt: skip
"""The columns of `event_numbers`: means over the events of a slot, and how many there are. A value is 0 where the log
does not know it."""

UNKNOWN_AGE = -1.0
SECONDS_PER_DAY = 86_400.0

_MAX_DWELL_SECONDS = 3600.0
_MAX_QUANTITY = float(np.finfo(np.float64).max)
_MAX_SEARCH_SECONDS = 3600.0
"""A search led to nothing later than so many seconds after it."""


@dataclass(frozen=True)
class EventColumns:
    """Events as columns, all of shape `[events]`, oldest first; NaN where the log does not know a number."""

    type_code: NDArray[np.int64]
    time: NDArray[np.float64]
    """Seconds since 1970, UTC."""
    price_percentile: NDArray[np.float64]
    dwell_seconds: NDArray[np.float64]
    position: NDArray[np.float64]
    search_seconds: NDArray[np.float64]
    """Seconds from the search that led to the event, as `find_leading_searches` finds it."""
    rating: NDArray[np.float64]
    quantity: NDArray[np.float64]

    def take(self, events: NDArray[np.int64] | slice) -> "EventColumns":
        """Take the columns of some events."""
        return EventColumns(**{name: values[events] for name, values in vars(self).items()})


@dataclass(frozen=True)
class HistoryArrays:
    """Model input of one history, or of a padded batch with a leading dimension more."""

    event_type: NDArray[np.int64]
    """`[slots]`: codes of `EVENT_TYPE_CODES`, 0 is padding."""
    event_age: NDArray[np.float32]
    """`[slots]`: days from the events to the moment of the profile; -1 if unknown."""
    event_numbers: NDArray[np.float32]
    """`[slots, len(EVENT_NUMBERS)]`."""
    mask: NDArray[np.int64]
    """`[slots]`: 1 for a slot, 0 for padding. Padding stands on the left."""


def build_event_columns(events: Sequence[Event], price_percentile: Callable[[Event], float]) -> EventColumns:
    """Columns of one history.

    Args:
        events: oldest first.
        price_percentile: where an event's price stands in its item's category, NaN if unknown.
    """

    def column(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    type_code = np.array([EVENT_TYPE_CODES[event.type] for event in events], dtype=np.int64)
    time = column([event.time.timestamp() if event.time else None for event in events])
    searches = find_leading_searches(np.array([0, len(events)]), type_code, time, [event.query for event in events])
    return EventColumns(
        type_code=type_code,
        time=time,
        price_percentile=column([price_percentile(event) for event in events]),
        dwell_seconds=column([event.dwell_seconds for event in events]),
        position=column([event.position for event in events]),
        search_seconds=compute_search_seconds(time, searches),
        rating=column([event.rating for event in events]),
        quantity=column([event.quantity for event in events]),
    )


def find_leading_searches(
    starts: NDArray[np.int64], type_code: NDArray[np.int64], time: NDArray[np.float64], queries: Sequence[str | None]
) -> NDArray[np.int64]:
    """`[events]`: the search that led to an event with an item; -1 if none is known.

    That search is the shopper's latest one with the event's query, or the latest of all where the event tells no
    query; it was at most an hour earlier, and not of the same moment.

    Args:
        starts: `[histories + 1]`: the events of history h are `starts[h]:starts[h + 1]`, oldest first.
        type_code: `[events]`, codes of `EVENT_TYPE_CODES`.
        time: `[events]`, seconds since 1970, NaN if unknown.
        queries: `[events]`, what was typed, None or empty if unknown.
    """
    search = type_code == EVENT_TYPE_CODES[EventType.SEARCH]
    if not search.any():
        return np.full(len(type_code), -1, dtype=np.int64)
    codes: dict[str, int] = {"": 0}
    query = np.array(
        [codes.setdefault(normalise_text(each), len(codes)) if each else 0 for each in queries], dtype=np.int64
    )
    history = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    latest = np.where(query > 0, _find_latest(search, history * len(codes) + query), _find_latest(search, history))
    seconds = time - time[latest]
    led = (latest >= 0) & ~search & (seconds > 0.0) & (seconds <= _MAX_SEARCH_SECONDS)
    return np.where(led, latest, -1)


def compute_search_seconds(time: NDArray[np.float64], searches: NDArray[np.int64]) -> NDArray[np.float64]:
    """`[events]`: seconds from the search that led to each event, as `find_leading_searches` finds it; else NaN."""
    return np.where(searches >= 0, time - time[searches], np.nan)


def _find_latest(chosen: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[events]`: the latest chosen event of the same group up to each event; -1 if there is none."""
    order = np.argsort(group, kind="stable")
    place = np.arange(len(order))
    first = np.searchsorted(group[order], group[order])
    found = np.maximum.accumulate(np.where(chosen[order], place, -1))
    latest = np.empty_like(order)
    latest[order] = np.where(found >= first, order[found], -1)
    return latest


def count_later_moments(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """`[events]`: number of moments after each event; events of equal times are one moment, NaN equals nothing."""
    later = np.zeros(len(times), dtype=np.int64)
    later[:-1] = ~(times[1:] == times[:-1])
    return np.cumsum(later[::-1])[::-1]


def compute_ages(time: NDArray[np.float64], as_of: NDArray[np.float64] | float) -> NDArray[np.float32]:
    """Days from `time` to `as_of`, in seconds since 1970; -1 where either is NaN, else at least 0."""
    days = (np.asarray(as_of) - time) / SECONDS_PER_DAY
    return np.where(np.isnan(days), UNKNOWN_AGE, np.maximum(days, 0.0)).astype(np.float32)


def begin_slots(type_code: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.bool_]:
    """`[events]`: whether a slot begins with the event: it is a search, or its time or type is new.

    Args:
        type_code: `[events]`, codes of `EVENT_TYPE_CODES`, of one history, oldest first.
        time: `[events]`, seconds since 1970, NaN if unknown.
    """
    begins = np.ones(len(time), dtype=bool)
    continues = (time[1:] == time[:-1]) & (type_code[1:] == type_code[:-1])
    begins[1:] = ~continues | (type_code[1:] == EVENT_TYPE_CODES[EventType.SEARCH])
    return begins


def find_encoded_slots(columns: EventColumns) -> NDArray[np.int64]:
    """`[slots]`: the first event of each of the latest `MAX_ENCODED_SLOTS` slots, in `MAX_REMEMBERED_EVENTS`."""
    latest = max(0, len(columns.time) - MAX_REMEMBERED_EVENTS)
    first = np.flatnonzero(begin_slots(columns.type_code[latest:], columns.time[latest:]))
    return latest + first[-MAX_ENCODED_SLOTS:]


def pool_slots(values: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """`[events, …]` → `[slots, …]`: means over the events of each slot.

    Args:
        values: what is known of each event.
        first: `[slots]`, ascending: the first event of each slot; the first slot begins with event 0.
    """
    sizes = np.diff(first, append=len(values)).reshape(-1, *[1] * (values.ndim - 1))
    summed: NDArray[np.float32] = np.add.reduceat(values, first, axis=0, dtype=np.float32)
    return summed / sizes.astype(np.float32)


def compute_event_numbers(columns: EventColumns) -> NDArray[np.float32]:
    """`[events, len(EVENT_NUMBERS) - 1]`: numbers scaled to about 0…1, each beside a flag: is it known."""
    dwell = np.log1p(np.clip(columns.dwell_seconds, 0.0, _MAX_DWELL_SECONDS)) / np.log1p(_MAX_DWELL_SECONDS)
    position = 1.0 / np.log2(1.0 + np.maximum(columns.position, 1.0))
    search = np.log1p(columns.search_seconds) / np.log1p(_MAX_SEARCH_SECONDS)
    rating = (columns.rating - 3.0) / 2.0
    quantity = np.where(np.isnan(columns.quantity), 1.0, columns.quantity)
    stacked = np.stack(
        [
            columns.price_percentile, ~np.isnan(columns.price_percentile),
            dwell, ~np.isnan(dwell),
            position, ~np.isnan(position),
            search, ~np.isnan(search),
            rating, ~np.isnan(rating),
            _scale_count(np.clip(quantity, 0.0, _MAX_QUANTITY)),
        ],
        axis=-1,
    )  # fmt: skip
    stacked[np.isnan(stacked)] = 0.0
    return stacked.astype(np.float32)


def compute_slot_numbers(numbers: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """`[slots, len(EVENT_NUMBERS)]`.

    Args:
        numbers: `compute_event_numbers` of the events of the slots.
        first: see `pool_slots`.
    """
    sizes = _scale_count(np.diff(first, append=len(numbers)).astype(np.float64))
    return np.concatenate([pool_slots(numbers, first), sizes[:, None].astype(np.float32)], axis=1)


def _scale_count(count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put counts on a logarithmic scale: 0 for one, and 1 for three."""
    return np.log1p(count) / np.log(2.0) - 1.0


def encode_history(columns: EventColumns, slots: NDArray[np.int64], as_of: datetime | float | None) -> HistoryArrays:
    """Model input of one history.

    Args:
        columns: the history, oldest first, nothing later than `as_of`; at least one event.
        slots: `find_encoded_slots` of the columns.
        as_of: the moment of the profile (seconds since 1970 or a datetime), None if times mean nothing.
    """
    latest = columns.take(slice(slots[0], None))
    first = slots - slots[0]
    moment = as_of.timestamp() if isinstance(as_of, datetime) else np.nan if as_of is None else as_of
    return HistoryArrays(
        event_type=latest.type_code[first],
        event_age=compute_ages(latest.time[first], moment),
        event_numbers=compute_slot_numbers(compute_event_numbers(latest), first),
        mask=np.ones(len(first), dtype=np.int64),
    )


def pad_histories(histories: Sequence[HistoryArrays], length: int) -> HistoryArrays:
    """One batch `[histories, length, …]`, padded on the left; no history may be longer than `length`."""

    def padded(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        batch = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
        for row, array in enumerate(arrays):
            if len(array):
                batch[row, length - len(array) :] = array
        return batch

    return HistoryArrays(
        event_type=padded([history.event_type for history in histories]),
        event_age=padded([history.event_age for history in histories]),
        event_numbers=padded([history.event_numbers for history in histories]),
        mask=padded([history.mask for history in histories]),
    )
