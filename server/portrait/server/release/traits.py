"""Traits of a shopper: the probabilities that a team declared, each with its value or the reason why it has none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from numpy import float32
from numpy.typing import NDArray

from portrait.features.events import Event
from portrait.features.histories.statistics import select_counted_events
from portrait.features.population.probability_distribution import ProbabilityDistribution
from portrait.features.release.manifest import Manifest

MODELS_AWAY = "the models did not answer"


@dataclass(frozen=True, slots=True)
class Trait:
    """A named probability, as it was declared."""

    name: str
    description: str
    horizon: timedelta
    """It is about so much time after the moment of the profile."""
    window: timedelta
    """It is about shoppers with an event in so much time up to that moment."""
    auc: float | None
    """Area under the ROC curve on the test split, when the trait was trained."""
    calibration_error: float | None
    """The same."""
    absent: str
    """Why the release has not learnt it; empty if it has."""
    distribution: ProbabilityDistribution | None = None
    """Its probabilities on the test; None if it has not learnt it, or an earlier version has."""
    tested_until: datetime | None = None
    """The end of the horizon of its last test samples; None as for `distribution`."""
    excess: tuple[float, float] | None = None
    """95% interval, on the test, of the mean probability minus how often it came true; None as for `distribution`."""


@dataclass(frozen=True, slots=True)
class TraitValue:
    """The value of a trait for one shopper."""

    trait: Trait
    probability: float | None
    """Calibrated; None if absent."""
    absent: str
    """Why it is absent; empty if it is not."""
    reviewed_by: str = ""
    """Name of the person who set the probability, or took it away; empty if nobody did."""


def declared(manifest: Manifest) -> list[Trait]:
    """The traits of a release, in the order of their file."""
    return [
        Trait(
            name=entry["name"],
            description=entry["description"],
            horizon=timedelta(days=entry["horizon_days"]),
            window=timedelta(days=entry["window_days"]),
            auc=entry["test"]["auc"]["value"] if "test" in entry else None,
            calibration_error=entry["test"]["calibration_error"]["value"] if "test" in entry else None,
            absent=entry["absent"] or "",
            distribution=ProbabilityDistribution.from_json(entry["distribution"]) if "distribution" in entry else None,
            tested_until=datetime.fromisoformat(entry["tested_until"]) if "tested_until" in entry else None,
            excess=_read_interval(entry["test"]["excess"]) if "excess" in entry.get("test", {}) else None,
        )
        for entry in manifest.traits
    ]


def _read_interval(estimate: dict[str, Any]) -> tuple[float, float]:
    low, high = estimate["interval"]
    return float(low), float(high)


def values(
    traits: Sequence[Trait], probabilities: NDArray[float32] | None, history: Sequence[Event], as_of: datetime
) -> list[TraitValue]:
    """Return the value of each trait, or the reason of its absence.

    Args:
        traits: all that are declared.
        probabilities: one for each trait that the release has learnt, in order; None if no model was asked or there.
        history: oldest first, nothing later than `as_of`.
        as_of: the moment of the profile.
    """
    given = iter([] if probabilities is None else probabilities.tolist())
    told, found = select_counted_events(history), []
    for trait in traits:
        chance = None if trait.absent else next(given, None)
        absent = trait.absent or _unfit(trait, told, as_of) or (MODELS_AWAY if chance is None else "")
        found.append(TraitValue(trait, None if absent else chance, absent))
    return found


def _unfit(trait: Trait, told: Sequence[Event], as_of: datetime) -> str:
    """Why a trait that the release has learnt says nothing of the events that count; empty if it does."""
    if any(event.time is None for event in told):
        return "the history has events without a time"
    latest = max((event.time for event in told if event.time is not None), default=None)
    if latest is None or latest <= as_of - trait.window:
        return f"no event in the {trait.window.days} days before"
    return ""
