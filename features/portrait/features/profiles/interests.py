"""Interests: which parts of the taxonomy a shopper's attention goes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portrait.features.items.prices import category_key
from portrait.features.population.interest_dynamics import compute_interest_share, compute_next_event_probability
from portrait.features.population.population import InterestDynamics
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import Evidence, strongest_event_ids

MAX_INTERESTS = 20

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in one node of the taxonomy."""

    category_path: Path
    weight: float
    """Share of the attention: of late, as far as there is evidence of late, else in the long run; 0 to 1."""
    confidence: float
    """Evidence over itself plus the prior, 0 to 1; of an inferred interest its probability."""
    evidence_event_ids: tuple[str, ...]
    """The strongest first, of equal ones the latest."""
    short_term_weight: float
    """Share of the evidence by the short half-life alone."""
    long_term_weight: float
    """Share of the evidence by the long half-life alone."""
    next_event_probability: float | None
    """Chance that the next event falls under the node; None without statistics."""
    population_weight: float | None
    """The node's share of all shoppers' attention; None without statistics."""
    expires_at: datetime | None
    inferred: bool = False
    evidence_count: int = 0
    """Number of events that speak for it."""

    @property
    def lift(self) -> float:
        """Lift over the average shopper of the probability to come to the node next; 1 if it is not known."""
        return (
            self.next_event_probability / self.population_weight
            if self.next_event_probability and self.population_weight
            else 1.0
        )

    @property
    def trend(self) -> float:
        """-1 (fades) to 1 (new): the difference of weight and long-term weight over their sum."""
        total = self.weight + self.long_term_weight
        return (self.weight - self.long_term_weight) / total if total > 0.0 else 0.0


def compute_interests(evidence: Evidence, attention: InterestDynamics | None) -> list[Interest] | Absence:
    """Observed interests, the strongest first; of equal ones the wider first.

    Args:
        evidence: the weighted history.
        attention: what is usual among shoppers; None if the release has no statistics.
    """
    observed = _sum_masses(evidence)
    if not observed.masses:
        return Absence(AbsenceReason.NOT_RECORDED, "no event is of an item with a category")
    decay, weights, masses = evidence.decay, observed.weights, observed.masses
    short_total, long_total = observed.short_total, observed.long_total
    chosen = _choose_paths(weights)
    cited = _cite_events(evidence, chosen)

    def interest(path: Path) -> Interest:
        short, long = masses[path]
        usual = None if attention is None else attention.population_weights.get(category_key(path), 0.0)
        chance = None
        if usual is not None:
            chance = compute_next_event_probability(short, short_total, long, long_total, usual, decay)
        return Interest(
            category_path=path,
            weight=weights[path],
            confidence=long / (long + decay.prior),
            evidence_event_ids=strongest_event_ids(cited[path]),
            evidence_count=len(cited[path]),
            short_term_weight=short / short_total if short_total > 0.0 else 0.0,
            long_term_weight=long / long_total,
            next_event_probability=chance,
            population_weight=usual,
            expires_at=evidence.short_term_expires_at,
        )

    return [interest(path) for path in chosen]


def compute_interest_weight(evidence: Evidence, path: Path) -> float:
    """The weight of one interest as `compute_interests` has it; 0 if it is not among them.

    Args:
        evidence: the weighted history.
        path: the node of the taxonomy.
    """
    weights = _sum_masses(evidence).weights
    return weights[path] if path in _choose_paths(weights) else 0.0


@dataclass(frozen=True, slots=True)
class _ObservedMasses:
    """Sums of a history, by node of the taxonomy."""

    masses: dict[Path, tuple[float, float]]
    """Sums by the short and by the long half-life."""
    short_total: float
    long_total: float
    weights: dict[Path, float]


def _sum_masses(evidence: Evidence) -> _ObservedMasses:
    sums: dict[Path, list[float]] = {}
    sums_above: dict[Path, list[list[float]]] = {}
    """Sums of the nodes of each category, the widest first."""
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
    """Weight, place and id of the events of each of some nodes."""
    cited: dict[Path, list[tuple[float, int, str]]] = {path: [] for path in paths}
    for place, each in enumerate(evidence.events):
        if each.item is None or each.long <= 0.0:
            continue
        for depth in range(1, len(each.item.category_path) + 1):
            if (of_node := cited.get(each.item.category_path[:depth])) is not None:
                of_node.append((each.long, place, each.event.event_id))
    return cited
