"""Brands: which a shopper prefers, against others who shop in the same categories."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from portrait.features.items.prices import category_key
from portrait.features.population.population import Population
from portrait.features.profiles.absence import (
    NO_STATISTICS,
    Absence,
    AbsenceReason,
    explain_too_few,
    explain_weightless,
)
from portrait.features.profiles.evidence import Evidence, strongest_event_ids

MAX_BRANDS = 10
MIN_EVENTS = 3
"""Minimum number of events with a brand."""
_PRIOR_EVIDENCE = 1.0
"""Evidence that the prior, a lift of 1, is worth."""
_UNLISTED_SHARE = 1e-4
"""Assumed share of a brand that the release does not list."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class BrandAffinity:
    """A shopper's preference for a brand, relative to other shoppers."""

    brand: str
    lift: float
    """Evidence over what the brand's shares of the shopper's categories would give, shrunk towards 1."""
    share: float
    """Share of the shopper's evidence with any brand, 0 to 1."""
    confidence: float
    """Probability that the lift is above 1."""
    evidence_event_ids: tuple[str, ...]
    evidence_count: int
    """Number of supporting events."""
    expires_at: datetime | None


def compute_brand_affinities(evidence: Evidence, population: Population | None) -> list[BrandAffinity] | Absence:
    """Brands with a lift above 1, the surest first.

    The lift of a brand is (o + 1) / (e + 1), with o the shopper's evidence for it and e that evidence in each category
    times the brand's share of the category: the posterior mean of a Poisson rate under a gamma prior of mean 1, as in
    DuMouchel 1999 with one component. Its confidence is the posterior's mass above 1 (Wilson & Hilferty 1931).
    """
    if population is None:
        return NO_STATISTICS
    if not population.brand_shares:
        return Absence(AbsenceReason.NOT_RECORDED, "no item that shoppers met carries a brand")
    observed: dict[str, float] = defaultdict(float)
    by_category: dict[tuple[str, ...], float] = defaultdict(float)
    cited: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for place, each in enumerate(evidence.events):
        if each.item is None or not each.item.brand or each.long <= 0.0:
            continue
        observed[each.item.brand] += each.long
        by_category[each.item.category_path] += each.long
        cited[each.item.brand].append((each.long, place, each.event.event_id))
    count = sum(map(len, cited.values()))
    if not count and any(each.item is not None and each.item.brand for each in evidence.events):
        return explain_weightless("all events of items with a brand")
    if count < MIN_EVENTS:
        return explain_too_few(count, MIN_EVENTS, "events of items with a brand")
    shares = [(_find_brand_shares(path, population.brand_shares), mass) for path, mass in by_category.items()]
    total = sum(observed.values())
    found = []
    for brand, mass in observed.items():
        expected = sum(part.get(brand, _UNLISTED_SHARE) * weight for part, weight in shares)
        lift = (mass + _PRIOR_EVIDENCE) / (expected + _PRIOR_EVIDENCE)
        if lift > 1.0:
            sure = _compute_mass_above_one(mass + _PRIOR_EVIDENCE, expected + _PRIOR_EVIDENCE)
            found.append(
                BrandAffinity(
                    brand, lift, mass / total, sure, strongest_event_ids(cited[brand]), len(cited[brand]),
                    evidence.long_term_expires_at,
                )
            )  # fmt: skip
    if not found:
        return Absence(AbsenceReason.TOO_LITTLE_EVIDENCE, "no brand is met more than usual in the shopper's categories")
    return sorted(found, key=lambda each: (-each.confidence, -each.lift, each.brand))[:MAX_BRANDS]


def _find_brand_shares(path: tuple[str, ...], brands: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """Brands of the narrowest category of a path that has any."""
    keys = (category_key(path[:depth]) for depth in range(len(path), -1, -1))
    return next((brands[key] for key in keys if key in brands), {})


def _compute_mass_above_one(shape: float, rate: float) -> float:
    """Mass above 1 of a gamma distribution: its cube root is about normal (Wilson & Hilferty 1931)."""
    variance = 1.0 / (9.0 * shape)
    return 1.0 - _NORMAL.cdf(((rate / shape) ** (1.0 / 3.0) - (1.0 - variance)) / variance**0.5)
