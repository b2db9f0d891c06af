"""Attention: how much each event counts, how that decays, and what share of it a category has.

Serving and the estimation of the decays (`training`) both compute with this module and with nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, EVENT_TYPES, EventType

N = TypeVar("N", float, NDArray[np.float64])

EVENT_TYPE_WEIGHTS: Mapping[EventType, float] = {
    EventType.SEARCH: 0.5,
    EventType.VIEW: 0.3,
    EventType.CLICK: 0.4,
    EventType.ADD_TO_CART: 0.7,
    EventType.PURCHASE: 1.0,
    EventType.RATE: 1.0,
}
"""Weight of an event at the moment at which it happens: effort of the shopper, from a glance to a purchase."""

MAX_BOUNCE_SECONDS = 3.0
"""A shopper who leaves a page within so many seconds has not read it: that view or click counts nothing."""

_DISLIKED, _LIKED = 2.0, 5.0
_WEIGHT_BY_CODE = np.array([0.0, *(EVENT_TYPE_WEIGHTS[kind] for kind in EVENT_TYPES)])
_RATE = EVENT_TYPE_CODES[EventType.RATE]
_PAGE_VIEWS = (EVENT_TYPE_CODES[EventType.VIEW], EVENT_TYPE_CODES[EventType.CLICK])


@dataclass(frozen=True, slots=True)
class InterestDecay:
    """Decay of attention: two half-lives, of which each has a part in what comes next.

    The chance that the next event falls under a node of the taxonomy is

        pₙ = λ (sₙ + κ qₙ) / (s + κ) + (1 - λ) (lₙ + κ qₙ) / (l + κ)

    with s and l the sums of the event weights by the short and by the long half-life, sₙ and lₙ those under the node,
    and qₙ the node's share of all shoppers' events: two caches that decay exponentially (Clarkson & Robinson 1997),
    with Dirichlet smoothing (Zhai & Lafferty 2004). `training` chooses all four numbers by the likelihood of held-out
    events.
    """

    short: float
    """Half-life, in days; in events where times are not known."""
    long: float
    short_share: float
    """λ, 0 to 1."""
    prior: float
    """κ: evidence that what is known of all shoppers is worth, in purchases made now."""


def compute_event_weights(
    type_code: NDArray[np.int64], rating: NDArray[np.float64], dwell_seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`[events]`, 0 to 1: what each event counts when it happens. A rating counts nothing at 2 of 5, in full at 5.

    Args:
        type_code: `[events]`, codes of `EVENT_TYPE_CODES`; 0 of an event that says nothing for its item.
        rating: `[events]`, 1 to 5, NaN if unknown.
        dwell_seconds: `[events]`, NaN if unknown.
    """
    liking = np.nan_to_num(np.maximum(0.0, (rating - _DISLIKED) / (_LIKED - _DISLIKED)), nan=1.0)
    skipped = ((type_code == _PAGE_VIEWS[0]) | (type_code == _PAGE_VIEWS[1])) & (dwell_seconds <= MAX_BOUNCE_SECONDS)
    return _WEIGHT_BY_CODE[type_code] * np.where(type_code == _RATE, liking, np.where(skipped, 0.0, 1.0))


def decay_by_age(age: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """`[events]`, 0 to 1: one halved for each half-life of age."""
    return np.exp2(-age / half_life)


def compute_interest_share(
    short: float, short_total: float, long: float, long_total: float, decay: InterestDecay
) -> float:
    """Compute a node's share of a shopper's interest, 0 to 1; 0 without evidence.

    The share is the node's part of what the shopper's own events add to the chance of `InterestDecay`: recent events
    count as far as there is recent evidence, the long run counts for the rest.
    """
    recent = decay.short_share / (short_total + decay.prior)
    steady = (1.0 - decay.short_share) / (long_total + decay.prior)
    own = recent * short_total + steady * long_total
    return (recent * short + steady * long) / own if own > 0.0 else 0.0


def compute_next_event_probability(
    short: N, short_total: N, long: N, long_total: N, usual: N, decay: InterestDecay
) -> N:
    """The chance of `InterestDecay` that the next event falls under a node.

    Args:
        short: evidence under the node by the short half-life.
        short_total: all evidence by the short half-life.
        long: evidence under the node by the long half-life.
        long_total: all evidence by the long half-life.
        usual: the node's share of all shoppers' events.
        decay: the release's.
    """
    recent = (short + decay.prior * usual) / (short_total + decay.prior)
    steady = (long + decay.prior * usual) / (long_total + decay.prior)
    return decay.short_share * recent + (1.0 - decay.short_share) * steady
