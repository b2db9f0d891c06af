"""Interests: which parts of the taxonomy a shopper's attention goes to."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from portrait.features.attention import next_probability, share
from portrait.features.population import Attention
from portrait.features.prices import category_key
from portrait.server.profiles.absence import Absence, Reason
from portrait.server.profiles.evidence import Evidence, strongest

MOST_INTERESTS = 20

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in one node of the taxonomy."""

    path: Path
    weight: float
    """Share of the attention: of late, as far as there is evidence of late, else in the long run; 0 to 1."""
    confidence: float
    """Evidence over itself plus the prior, 0 to 1; of an inferred interest its probability."""
    evidence_event_ids: tuple[str, ...]
    """The strongest first, of equal ones the latest."""
    short_weight: float
    """Share of the evidence by the short half-life alone."""
    long_weight: float
    """Share of the evidence by the long half-life alone."""
    next_probability: float | None
    """Chance that the next event falls under the node; None without statistics."""
    usual_weight: float | None
    """The node's share of all shoppers' attention; None without statistics."""
    expires_at: datetime | None
    inferred: bool = False
    evidence_count: int = 0
    """How many events speak for it."""

    @property
    def lift(self) -> float:
        """How much likelier the shopper is to come to the node next than the average shopper; 1 if it is not known."""
        return self.next_probability / self.usual_weight if self.next_probability and self.usual_weight else 1.0

    @property
    def trend(self) -> float:
        """-1 (fades) to 1 (new): the difference of weight and long-term weight over their sum."""
        total = self.weight + self.long_weight
        return (self.weight - self.long_weight) / total if total > 0.0 else 0.0


def interests(evidence: Evidence, attention: Attention | None) -> list[Interest] | Absence:
    """Observed interests, the strongest first; of equal ones the wider first.

    Args:
        evidence: the weighted history.
        attention: what is usual among shoppers; None if the release has no statistics.
    """
    masses: dict[Path, list[float]] = defaultdict(lambda: [0.0, 0.0])
    cited: dict[Path, list[tuple[float, int, str]]] = defaultdict(list)
    short_total = long_total = 0.0
    for place, each in enumerate(evidence.events):
        if each.item is None or not each.item.category_path or each.long <= 0.0:
            continue
        short_total, long_total = short_total + each.short, long_total + each.long
        for depth in range(1, len(each.item.category_path) + 1):
            path = each.item.category_path[:depth]
            mass = masses[path]
            mass[0] += each.short
            mass[1] += each.long
            cited[path].append((each.long, place, each.event.event_id))
    if not masses:
        return Absence(Reason.NOT_RECORDED, "no event is of an item with a category")
    decay = evidence.decay
    weights = {path: share(short, short_total, long, long_total, decay) for path, (short, long) in masses.items()}
    chosen = sorted(weights, key=lambda path: (-weights[path], len(path), path))[:MOST_INTERESTS]

    def interest(path: Path) -> Interest:
        short, long = masses[path]
        usual = None if attention is None else attention.usual.get(category_key(path), 0.0)
        chance = None
        if usual is not None:
            chance = next_probability(short, short_total, long, long_total, usual, decay)
        return Interest(
            path=path,
            weight=weights[path],
            confidence=long / (long + decay.prior),
            evidence_event_ids=strongest(cited[path]),
            evidence_count=len(cited[path]),
            short_weight=short / short_total if short_total > 0.0 else 0.0,
            long_weight=long / long_total,
            next_probability=chance,
            usual_weight=usual,
            expires_at=evidence.halves_at,
        )

    return [interest(path) for path in chosen]
