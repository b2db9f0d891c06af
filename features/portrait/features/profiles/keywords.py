"""Keywords: the words that set a history apart from the catalogue."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from portrait.features.generators import run_to_completion
from portrait.features.profiles.absence import Absence, AbsenceReason, explain_weightless
from portrait.features.profiles.evidence import Evidence, WeightedEvent, latest_event_ids
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.features.text.salient_words import extract_salient_keywords

MAX_KEYWORDS = 20
MAX_KEYWORD_EVENTS = 512
"""Words are read from this many of the latest events."""
_MIN_WEIGHT = 0.01
_MAX_CACHED_CHARACTERS = 300
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


def compute_keywords(evidence: Evidence, rarity: InverseDocumentFrequency) -> list[WeightedKeyword] | Absence:
    """The result of `compute_keywords_in_steps`, at once."""
    return run_to_completion(compute_keywords_in_steps(evidence, rarity))


def compute_keywords_in_steps(
    evidence: Evidence, rarity: InverseDocumentFrequency
) -> Generator[None, None, list[WeightedKeyword] | Absence]:
    """Keywords of titles, brands and queries, the strongest first; what says how much or which size is none.

    Pauses after the words of each event.

    The weight is recency-weighted term frequency times inverse document frequency.

    Args:
        evidence: the weighted history.
        rarity: of stems in the release's catalogue.
    """
    read = [each for each in evidence.events[-MAX_KEYWORD_EVENTS:] if each.long > 0.0]
    words = []
    for each in read:
        yield
        words.append(_read_words(each))
    mass: dict[str, float] = defaultdict(float)
    for each, found in zip(read, words, strict=True):
        for stem in found:
            mass[stem] += each.long
    weighted = {stem: value * rarity.by_stem.get(stem, rarity.unseen) for stem, value in mass.items()}
    least = _MIN_WEIGHT * max(weighted.values(), default=0.0)
    strongest = heapq.nsmallest(
        MAX_KEYWORDS,
        (stem for stem, weight in weighted.items() if weight > 0.0 and weight >= least),
        key=lambda stem: (-weighted[stem], stem),
    )
    if evidence.events and not read:
        return explain_weightless("all events")
    if not strongest:
        return Absence(AbsenceReason.TOO_LITTLE_EVIDENCE, "no event carries a word that says something")
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
            evidence_event_ids=latest_event_ids([event_id for _, event_id in carriers[stem]]),
            evidence_count=len(carriers[stem]),
            expires_at=evidence.long_term_expires_at,
        )
        for stem in strongest
    ]


def _read_words(each: WeightedEvent) -> Mapping[str, str]:
    item = each.item
    texts = (each.event.query, item.title if item else None, item.brand if item else None)
    text = " | ".join(filter(None, texts))  # a number ends one text, and is not of the next
    return _read_words_cached(text) if len(text) <= _MAX_CACHED_CHARACTERS else _read_distinct_words(text)


def _read_distinct_words(text: str) -> Mapping[str, str]:
    """The stems of a text, with the spelling of each."""
    return {word.stem: word.surface for word in extract_salient_keywords(text)}


_read_words_cached = lru_cache(maxsize=1 << 14)(_read_distinct_words)
"""Titles and queries come again and again."""
