"""Keywords: the words that set a history apart from the catalogue."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from portrait.features.events import Event, Item
from portrait.features.keywords import Keyword
from portrait.features.keywords import keywords as segment
from portrait.server.profiles.evidence import MOST_EVIDENCE, weights

MOST_KEYWORDS = 20
READ_EVENTS = 512
"""Words are read from this many of the latest events."""


@dataclass(frozen=True, slots=True)
class WeightedKeyword:
    """A word and how much it says of the shopper."""

    word: str
    """In its most frequent spelling."""
    weight: float
    """TF-IDF, scaled so that the strongest has 1."""
    evidence_event_ids: tuple[str, ...]
    """The latest first."""


def keywords(
    history: Sequence[Event],
    as_of: datetime,
    item: Callable[[Event], Item | None],
    documents: int,
    frequencies: Mapping[str, int],
) -> list[WeightedKeyword]:
    """Keywords of titles, brands and queries, the strongest first.

    The weight is recency-weighted term frequency times smoothed inverse document frequency,
    `log((1 + documents) / (1 + frequency))` (Spärck Jones 1972).

    Args:
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
        item: looks up what an event was done to, None if it is unknown.
        documents: number of texts in the release's catalogue.
        frequencies: in how many of them each stem occurs.
    """
    latest = history[-READ_EVENTS:]
    mass: dict[str, float] = defaultdict(float)
    carriers: dict[str, list[tuple[str, str]]] = defaultdict(list)
    """Spelling and event id of each time that a stem was read, oldest first."""
    for event, weight in zip(latest, weights(latest, as_of), strict=True):
        if weight <= 0.0:
            continue
        event_id = event.event_id
        for word in _distinct_words(_text(event, item)):
            mass[word.stem] += weight
            carriers[word.stem].append((word.surface, event_id))
    weighted = {
        stem: value * math.log((1 + documents) / (1 + frequencies.get(stem, 0))) for stem, value in mass.items()
    }
    strongest = heapq.nsmallest(
        MOST_KEYWORDS, (stem for stem in weighted if weighted[stem] > 0), key=lambda stem: (-weighted[stem], stem)
    )
    return [
        WeightedKeyword(
            Counter(surface for surface, _ in carriers[stem]).most_common(1)[0][0],
            weighted[stem] / weighted[strongest[0]],
            tuple(event_id for _, event_id in carriers[stem][: -MOST_EVIDENCE - 1 : -1]),
        )
        for stem in strongest
    ]


@lru_cache(maxsize=1 << 14)
def _distinct_words(text: str) -> tuple[Keyword, ...]:
    """The words of a text, each stem once. Remembered, since titles and queries come again and again."""
    return tuple({word.stem: word for word in segment(text)}.values())


def _text(event: Event, item: Callable[[Event], Item | None]) -> str:
    known = item(event)
    return " ".join(filter(None, [event.query, known.title if known else None, known.brand if known else None]))
