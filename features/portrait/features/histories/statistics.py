"""Statistics of a history that the profile encoder does not see: how recent, how frequent, how much, how regular.

Heads of traits read them beside the profile. Training and serving call the same function on the same latest events.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPES, Event, EventType
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS, SECONDS_PER_DAY

SPAN_DAYS = (30, 90, 365)
"""Days before the moment over which is counted."""
RFM = ("recency", "frequency_365", "monetary_365")
"""Recency, frequency and monetary value of a year (Hughes 1994, "Strategic Database Marketing")."""
STATISTICS = (
    "recency", "last_event", "tenure", "gap", "overdue",
    *(f"{name}_{days}" for name in ("frequency", "monetary", "events") for days in SPAN_DAYS),
)  # fmt: skip
"""The columns, all as `log(1 + …)`: days since the latest purchase, since the latest event and since the earliest
remembered one; mean days between days with purchases; recency less gap; and over each span the days with purchases,
what was spent, and the events."""

_MAX_DAYS = 730.0
"""Days that stand for never."""


def compute_spending(price: NDArray[np.float64], quantity: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[events]`: price times quantity, 0 where the price is not known; NaN is unknown, an unknown quantity is one."""
    return np.nan_to_num(price, nan=0.0) * np.nan_to_num(quantity, nan=1.0)


def compute_statistics(
    time: NDArray[np.float64], purchased: NDArray[np.bool_], spend: NDArray[np.float64], as_of: float
) -> NDArray[np.float32]:
    """`[len(STATISTICS)]`, of the latest `MAX_REMEMBERED_EVENTS`.

    Args:
        time: `[events]`, seconds since 1970, ascending, nothing later than `as_of`, none unknown.
        purchased: `[events]`, whether the event is a purchase.
        spend: `[events]`, as `compute_spending` gives it; only that of purchases counts.
        as_of: the moment, seconds since 1970.
    """
    latest = slice(-MAX_REMEMBERED_EVENTS, None)
    age = (as_of - time[latest]) / SECONDS_PER_DAY
    bought, paid = age[purchased[latest]], spend[latest][purchased[latest]]
    days = np.unique(np.floor(time[latest][purchased[latest]] / SECONDS_PER_DAY), return_index=True)[1]
    recency = min(float(bought[-1]), _MAX_DAYS) if len(bought) else _MAX_DAYS
    gap = (bought[0] - bought[-1]) / (len(days) - 1) if len(days) > 1 else _MAX_DAYS
    plain = [
        recency,
        min(float(age[-1]), _MAX_DAYS) if len(age) else _MAX_DAYS,
        float(age[0]) if len(age) else 0.0,
        gap,
        0.0,
        *(np.count_nonzero(bought[days] < span) for span in SPAN_DAYS),
        *(paid[bought < span].sum() for span in SPAN_DAYS),
        *(np.count_nonzero(age < span) for span in SPAN_DAYS),
    ]
    told = np.log1p(plain)
    told[STATISTICS.index("overdue")] = np.log1p(recency) - np.log1p(gap)
    return told.astype(np.float32)


def select_counted_events(events: Sequence[Event]) -> list[Event]:
    """The events that statistics are of, as in training: searches, and what was done in the default catalogue.

    Refunds are none of them: the corpus has none.
    """
    told = (event for event in events if event.type in EVENT_TYPES)
    return [event for event in told if event.type is EventType.SEARCH or event.targets_catalogue(DEFAULT_CATALOGUE)]


def compute_history_statistics(events: Sequence[Event], as_of: datetime) -> NDArray[np.float32] | None:
    """Compute the statistics of a history; None if an event that counts has no time.

    Args:
        events: oldest first, none later than `as_of`.
        as_of: the moment of the statistics.
    """
    latest = select_counted_events(events)[-MAX_REMEMBERED_EVENTS:]
    times = [event.time.timestamp() for event in latest if event.time is not None]
    if len(times) < len(latest):
        return None

    def column(values: list[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    return compute_statistics(
        np.array(times, dtype=np.float64),
        np.array([event.type is EventType.PURCHASE for event in latest], dtype=bool),
        compute_spending(column([event.price for event in latest]), column([event.quantity for event in latest])),
        as_of.timestamp(),
    )
