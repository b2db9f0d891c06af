"""Traits in the report: the metrics that `portrait train-traits` measured."""

from dataclasses import dataclass
from typing import Any

from scipy.stats import beta

from portrait.reporting.estimates import Estimate, ReliabilityPoint
from portrait.training.traits.artifacts import FittedTraits


@dataclass(frozen=True)
class Trait:
    """A trait that the run has learnt, measured on its test."""

    name: str
    description: str
    horizon_days: int
    samples: int
    positives: int
    first_day: str
    """Day of the first sample."""
    last_day: str
    """Day on which the last label window ends."""
    by_profile: bool
    """True if validation chose a head that reads the profile, and not only the statistics of the history."""
    auc: Estimate
    rfm_auc: Estimate
    above_rfm: Estimate
    calibration_error: Estimate
    excess: Estimate | None
    """Mean probability minus how often it came true; None if an earlier version measured the trait."""
    corrected: int
    """Training samples whose label a person corrected."""
    reliability: list[ReliabilityPoint]


@dataclass(frozen=True)
class AbsentTrait:
    """A trait that the run could not learn, and the reason."""

    name: str
    reason: str


def collect_traits(traits: FittedTraits | None) -> tuple[list[Trait], list[AbsentTrait]]:
    """Collect the traits that were learnt and those that could not be; a run without traits has none of either."""
    declared = traits.declared if traits else []
    return (
        [_read_trait(entry) for entry in declared if entry["absent"] is None],
        [AbsentTrait(entry["name"], entry["absent"]) for entry in declared if entry["absent"] is not None],
    )


def _read_trait(entry: dict[str, Any]) -> Trait:
    test = entry["samples"]["test"]
    return Trait(
        name=entry["name"],
        description=entry["description"],
        horizon_days=entry["horizon_days"],
        samples=test["samples"],
        positives=test["positives"],
        first_day=test["first"],
        last_day=test["last"],
        by_profile=entry["head"]["profile"],
        auc=Estimate.from_json(entry["test"]["auc"]),
        rfm_auc=Estimate.from_json(entry["rfm"]["auc"]),
        above_rfm=Estimate.from_json(entry["auc_above_rfm"]),
        calibration_error=Estimate.from_json(entry["test"]["calibration_error"]),
        excess=Estimate.from_json(entry["test"]["excess"]) if "excess" in entry["test"] else None,
        corrected=entry.get("corrected", 0),
        reliability=[_make_point(**point) for point in entry["reliability"]],
    )


def _make_point(samples: int, predicted: float, rate: float) -> ReliabilityPoint:
    """Make a point with the exact binomial interval of its rate (Clopper and Pearson 1934)."""
    count = round(samples * rate)
    low = float(beta.ppf(0.025, count, samples - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, samples - count)) if count < samples else 1.0
    return ReliabilityPoint(predicted, Estimate(rate, low, high), count)
