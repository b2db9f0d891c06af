"""A profile: everything that is said of one shopper at one moment, by one release."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, Item
from portrait.server.profiles.interests import Interest, interests
from portrait.server.profiles.prices import PriceBand, price_bands
from portrait.server.profiles.traits import TraitValue
from portrait.server.profiles.words import WeightedKeyword, keywords
from portrait.server.releases import Release


@dataclass(frozen=True, slots=True)
class Profile:
    """What a history says about a shopper."""

    interests: list[Interest]
    keywords: list[WeightedKeyword]
    price_bands: list[PriceBand]
    embedding: NDArray[np.float32] | None
    """`[dimension]`, unit length; None if it was not asked for, and of an empty history."""
    event_count: int
    first_event_time: datetime | None
    last_event_time: datetime | None
    release: int
    as_of: datetime
    computed_at: datetime
    degraded: bool
    """Whether the models were asked for, but not there: the embedding is that of some events ago, or None."""
    traits: Sequence[TraitValue] = ()
    """Empty if they were not asked for."""


def build(
    history: Sequence[Event],
    as_of: datetime,
    item: Callable[[Event], Item | None],
    release: Release,
    embedding: NDArray[np.float32] | None,
    *,
    traits: Sequence[TraitValue] = (),
    degraded: bool = False,
) -> Profile:
    """Compute a profile.

    Args:
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        item: looks up what an event was done to, None if it is unknown.
        release: what the catalogue's words and prices are compared with.
        embedding: `[dimension]`, what the profile encoder said; None if it was not asked.
        traits: what the heads said; empty if they were not asked.
        degraded: whether the models should have been asked, but were not there.
    """
    times = [event.time for event in history if event.time is not None]
    return Profile(
        interests=interests(history, as_of, item),
        keywords=keywords(history, as_of, item, release.documents, release.document_frequencies),
        price_bands=price_bands(history, item, release.price_scale),
        embedding=embedding,
        event_count=len(history),
        first_event_time=min(times, default=None),
        last_event_time=max(times, default=None),
        release=release.number,
        as_of=as_of,
        computed_at=datetime.now(UTC),
        degraded=degraded,
        traits=traits,
    )
