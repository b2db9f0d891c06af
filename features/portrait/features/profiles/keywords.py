"""Keywords: the words that set a history apart from the catalogue."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from portrait.features.generators import run_at_once
from portrait.features.profiles.absence import Absence, Reason
from portrait.features.profiles.evidence import Evidence, Weighted, latest
from portrait.features.text.idf import Rarity
from portrait.features.text.salient_words import words_of_note

MAX_KEYWORDS = 20
READ_EVENTS = 512
"""Words are read from this many of the latest events."""
_MIN_WEIGHT = 0.01
_REMEMBERED_CHARACTERS = 300
"""Words of longer texts are not remembered: many of them would take hundreds of MiB."""
"""A word that says less of the shopper than this share of the strongest one has faded."""


@dataclass(frozen=True, slots=True)
class WeightedKeyword:
    """A word and how much it says of the shopper."""

    word: str
    """In its most frequent spelling."""
    weight: float
    """TF-IDF, scaled so that the strongest has 1."""
    confidence: float
    """Evidence over itself plus the prior, 0 to 1."""
    evidence_event_ids: tuple[str, ...]
    """The latest first."""
    evidence_count: int
    """Number of events that speak for it."""
    expires_at: datetime | None


def keywords(evidence: Evidence, rarity: Rarity) -> list[WeightedKeyword] | Absence:
    """The result of `read_keywords`, at once."""
    return run_at_once(read_keywords(evidence, rarity))


def read_keywords(evidence: Evidence, rarity: Rarity) -> Generator[None, None, list[WeightedKeyword] | Absence]:
    """Keywords of titles, brands and queries, the strongest first; what says how much or which size is none.

    Pauses after the words of each event.

    The weight is recency-weighted term frequency times inverse document frequency.

    Args:
        evidence: the weighted history.
        rarity: of stems in the release's catalogue.
    """
    read = [each for each in evidence.events[-READ_EVENTS:] if each.long > 0.0]
    words = []
    for each in read:
        yield
        words.append(_words(each))
    mass: dict[str, float] = defaultdict(float)
    for each, found in zip(read, words, strict=True):
        for stem in found:
            mass[stem] += each.long
    weighted = {stem: value * rarity.known.get(stem, rarity.unknown) for stem, value in mass.items()}
    least = _MIN_WEIGHT * max(weighted.values(), default=0.0)
    strongest = heapq.nsmallest(
        MAX_KEYWORDS,
        (stem for stem, weight in weighted.items() if weight > 0.0 and weight >= least),
        key=lambda stem: (-weighted[stem], stem),
    )
    if not strongest:
        return Absence(Reason.TOO_LITTLE_EVIDENCE, "no event carries a word that says something")
    carriers: dict[str, list[tuple[str, str]]] = {stem: [] for stem in strongest}
    """Spelling and event id of each time that a stem was read, oldest first."""
    for each, found in zip(read, words, strict=True):
        if carriers.keys().isdisjoint(found):
            continue
        for stem in found.keys() & carriers.keys():
            carriers[stem].append((found[stem], each.event.event_id))
    return [
        WeightedKeyword(
            word=Counter(surface for surface, _ in carriers[stem]).most_common(1)[0][0],
            weight=weighted[stem] / weighted[strongest[0]],
            confidence=mass[stem] / (mass[stem] + evidence.decay.prior),
            evidence_event_ids=latest([event_id for _, event_id in carriers[stem]]),
            evidence_count=len(carriers[stem]),
            expires_at=evidence.fades_at,
        )
        for stem in strongest
    ]


def _words(each: Weighted) -> Mapping[str, str]:
    item = each.item
    texts = (each.event.query, item.title if item else None, item.brand if item else None)
    text = " | ".join(filter(None, texts))  # a number ends one text, and is not of the next
    return _remembered_words(text) if len(text) <= _REMEMBERED_CHARACTERS else _distinct_words(text)


def _distinct_words(text: str) -> Mapping[str, str]:
    """The stems of a text, with the spelling of each."""
    return {word.stem: word.surface for word in words_of_note(text)}


_remembered_words = lru_cache(maxsize=1 << 14)(_distinct_words)
"""Titles and queries come again and again."""
