"""Interests: the shares of a shopper's attention on the nodes of the taxonomy.

`InterestDecay` defines the formula. "Mass" is a sum of decayed event weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portrait.features.items.prices import category_key
from portrait.features.population.interest_dynamics import compute_interest_share, compute_next_event_probability
from portrait.features.population.population import InterestDynamics
from portrait.features.profiles.absence import Absence, AbsenceReason, explain_weightless
from portrait.features.profiles.evidence import Evidence, strongest_event_ids

MAX_INTERESTS = 20
"""Interests in a profile, the largest weights first."""

Path = tuple[str, ...]
"""A node of the taxonomy: its categories, widest first."""


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in one node of the taxonomy."""

    category_path: Path
    weight: float
    """Share of the shopper's attention, 0 to 1, by both half-lives; see `compute_interest_share`."""
    confidence: float
    """Mass under the node divided by itself plus the prior, 0 to 1; for an inferred interest, its probability."""
    evidence_event_ids: tuple[str, ...]
    """Strongest event first; among equally strong ones, the latest first."""
    short_term_weight: float
    """Share of the mass under the short half-life alone."""
    long_term_weight: float
    """Share of the mass under the long half-life alone."""
    next_event_probability: float | None
    """Probability that the next event falls under the node; None without population statistics."""
    population_weight: float | None
    """The node's share of all shoppers' attention; None without population statistics."""
    expires_at: datetime | None
    inferred: bool = False
    evidence_count: int = 0
    """Number of events that support the interest."""
    reviewed_by: str = ""
    """Name of the person who set the weight; empty if nobody did."""

    @property
    def lift(self) -> float:
        """Ratio of the shopper's probability to that of the average shopper; 1 if either is unknown."""
        return (
            self.next_event_probability / self.population_weight
            if self.next_event_probability and self.population_weight
            else 1.0
        )

    @property
    def trend(self) -> float:
        """-1 (fading) to 1 (new): the difference of weight and long-term weight, divided by their sum."""
        total = self.weight + self.long_term_weight
        return (self.weight - self.long_term_weight) / total if total > 0.0 else 0.0


def compute_interests(evidence: Evidence, attention: InterestDynamics | None) -> list[Interest] | Absence:
    """Compute the observed interests, the largest weight first; among equal ones, the wider category first.

    Args:
        evidence: the weighted history.
        attention: population weights of the categories; None if the release has no statistics.
    """
    observed = _sum_masses(evidence)
    if not observed.masses:
        if any(each.item is not None and each.item.category_path for each in evidence.events):
            return explain_weightless("all events of items with a category")
        return Absence(AbsenceReason.NOT_RECORDED, "no event is of an item with a category")
    decay, weights, masses = evidence.decay, observed.weights, observed.masses
    short_total, long_total = observed.short_total, observed.long_total
    chosen = _choose_paths(weights)
    cited = _cite_events(evidence, chosen)

    def make_interest(path: Path) -> Interest:
        short, long = masses[path]
        population_weight = None if attention is None else attention.population_weights.get(category_key(path), 0.0)
        probability = None
        if population_weight is not None:
            probability = compute_next_event_probability(short, short_total, long, long_total, population_weight, decay)
        return Interest(
            category_path=path,
            weight=weights[path],
            confidence=long / (long + decay.prior),
            evidence_event_ids=strongest_event_ids(cited[path]),
            evidence_count=len(cited[path]),
            short_term_weight=short / short_total if short_total > 0.0 else 0.0,
            long_term_weight=long / long_total,
            next_event_probability=probability,
            population_weight=population_weight,
            expires_at=evidence.short_term_expires_at,
        )

    return [make_interest(path) for path in chosen]


def compute_interest_weight(evidence: Evidence, path: Path) -> float:
    """Compute the weight of one interest alone, as `compute_interests` does; 0 if the profile does not name it.

    Args:
        evidence: the weighted history.
        path: node of the taxonomy.
    """
    weights = _sum_masses(evidence).weights
    return weights[path] if path in _choose_paths(weights) else 0.0


@dataclass(frozen=True, slots=True)
class _ObservedMasses:
    """Masses of a history, by node of the taxonomy. An event counts for its category and all categories above it."""

    masses: dict[Path, tuple[float, float]]
    """Masses under the short and under the long half-life."""
    short_total: float
    long_total: float
    weights: dict[Path, float]


def _sum_masses(evidence: Evidence) -> _ObservedMasses:
    sums: dict[Path, list[float]] = {}
    sums_above: dict[Path, list[list[float]]] = {}
    """The sums of a category and of all above it, widest first: looked up once per category, not once per event."""
    short_total = long_total = 0.0
    for _, item, short, long, _ in evidence.events:
        if item is None or not item.category_path or long <= 0.0:
            continue
        short_total, long_total = short_total + short, long_total + long
        path = item.category_path
        if path not in sums_above:
            sums_above[path] = [sums.setdefault(path[:depth], [0.0, 0.0]) for depth in range(1, len(path) + 1)]
        for of_node in sums_above[path]:
            of_node[0] += short
            of_node[1] += long
    masses = {path: (short, long) for path, (short, long) in sums.items()}
    weights = {
        path: compute_interest_share(short, short_total, long, long_total, evidence.decay)
        for path, (short, long) in masses.items()
    }
    return _ObservedMasses(masses, short_total, long_total, weights)


def _choose_paths(weights: Mapping[Path, float]) -> list[Path]:
    return sorted(weights, key=lambda path: (-weights[path], len(path), path))[:MAX_INTERESTS]


def _cite_events(evidence: Evidence, paths: Sequence[Path]) -> dict[Path, list[tuple[float, int, str]]]:
    """Collect weight, position in the history and id of the events under each node."""
    cited: dict[Path, list[tuple[float, int, str]]] = {path: [] for path in paths}
    for position, each in enumerate(evidence.events):
        if each.item is None or each.long <= 0.0:
            continue
        for depth in range(1, len(each.item.category_path) + 1):
            if (of_node := cited.get(each.item.category_path[:depth])) is not None:
                of_node.append((each.long, position, each.event.event_id))
    return cited
