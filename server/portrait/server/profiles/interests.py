"""Interests: which parts of the taxonomy a shopper's attention goes to."""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from portrait.features.events import Event, Item
from portrait.server.profiles.evidence import MOST_EVIDENCE, weights

MOST_INTERESTS = 20
_SURE = 3.0
"""Evidence worth this many purchases made now gives a confidence of 1 - 1/e."""


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in one node of the taxonomy."""

    path: tuple[str, ...]
    weight: float
    """Share of the recency-weighted evidence that falls under the node, 0 to 1."""
    confidence: float
    """`1 - exp(-evidence / 3)`: 0 without evidence, near 1 from about ten recent purchases on."""
    evidence_event_ids: tuple[str, ...]
    """The strongest first, of equal ones the latest."""


def interests(history: Sequence[Event], as_of: datetime, item: Callable[[Event], Item | None]) -> list[Interest]:
    """Interests, the strongest first; of equal ones the wider first.

    Args:
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        item: looks up what an event was done to, None if it is unknown.
    """
    mass: dict[tuple[str, ...], float] = defaultdict(float)
    evidence: dict[tuple[str, ...], list[tuple[float, int, str]]] = defaultdict(list)
    total = 0.0
    for place, (event, weight) in enumerate(zip(history, weights(history, as_of), strict=True)):
        known = item(event)
        if known is None or not known.category_path or weight <= 0.0:
            continue
        total += weight
        for depth in range(1, len(known.category_path) + 1):
            path = known.category_path[:depth]
            mass[path] += weight
            evidence[path].append((weight, place, event.event_id))
    strongest = sorted(mass, key=lambda path: (-mass[path], len(path), path))[:MOST_INTERESTS]
    return [
        Interest(
            path=path,
            weight=mass[path] / total,
            confidence=1.0 - math.exp(-mass[path] / _SURE),
            evidence_event_ids=tuple(event_id for _, _, event_id in heapq.nlargest(MOST_EVIDENCE, evidence[path])),
        )
        for path in strongest
    ]
