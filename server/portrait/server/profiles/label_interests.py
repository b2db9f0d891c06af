"""Labels: how near a shopper is to words, or to other shoppers, that nobody trained for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.features.profiles.absence import NO_STATISTICS, Absence, explain_too_few
from portrait.features.profiles.evidence import strongest_event_ids

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Label:
    """A requested label."""

    name: str
    vector: NDArray[np.float32]
    """`[dimension]`, unit length: the embedding of the words, or `compute_direction` of the examples."""
    from_examples: bool


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """The latest events as the profile encoder sees them."""

    event_ids: Sequence[str]
    """Oldest first."""
    vectors: NDArray[np.float32]
    """`[events, dimension]`; zeros for an event of an unknown item."""


@dataclass(frozen=True, slots=True)
class LabelInterest:
    """The similarity of a shopper to a label."""

    label: str
    score: float
    """In standard deviations of the release's shoppers."""
    percentile: float
    """Share of them who are less near, by the normal distribution."""
    confidence: float
    """Share of the shopper's latest events that are nearer to the label than the average item of the catalogue."""
    evidence_event_ids: tuple[str, ...]
    """The nearest first."""
    evidence_count: int
    """Number of supporting events."""
    from_examples: bool
    expires_at: datetime | None


def compute_label_interests(
    labels: Sequence[Label],
    profile: NDArray[np.float32] | None,
    seen: EncodedEvents,
    profiles: ProfileDistribution | None,
    expires_at: datetime | None,
) -> list[LabelInterest] | Absence:
    """Compute the similarity of a profile to labels, in their order.

    The score is `(p - μ)·v / √(vᵀΣv)`: the inner product of profile and label, standardised by that of the release's
    shoppers, whose profiles have mean μ and covariance Σ. So a label that everybody is near to says nothing of anyone.

    Args:
        labels: what is asked for.
        profile: `[dimension]`, unit length; None if there is none.
        seen: the events that it is of.
        profiles: the release's shoppers; None if the release has no statistics.
        expires_at: of the answers.
    """
    if profiles is None:
        return NO_STATISTICS
    if profile is None:
        return explain_too_few(len(seen.event_ids), 1, "events")
    return [_compute_interest(label, profile, seen, profiles, expires_at) for label in labels]


def compute_direction(
    examples: Sequence[NDArray[np.float32]], shoppers: ProfileDistribution | None
) -> NDArray[np.float32]:
    """`[dimension]`, unit length: what sets example shoppers apart from the others.

    It is their prototype (Snell et al. 2017) less the mean of the release's shoppers: `python -m benchmarks profiles`
    measures it.

    Args:
        examples: profiles, each `[dimension]`.
        shoppers: of the release; None if it has no statistics.
    """
    apart = np.mean(examples, axis=0) - (0.0 if shoppers is None else shoppers.mean)
    unit: NDArray[np.float32] = (apart / max(float(np.linalg.norm(apart)), 1e-12)).astype(np.float32)
    return unit


def standardise_similarity(
    profiles: NDArray[np.float32], label: NDArray[np.float32], shoppers: ProfileDistribution
) -> NDArray[np.float32]:
    """`[profiles]`: how near each profile is to a label, in standard deviations of the release's shoppers.

    Args:
        profiles: `[profiles, dimension]`, unit length.
        label: `[dimension]`, unit length.
        shoppers: of the release.
    """
    deviation = float(label @ shoppers.covariance @ label) ** 0.5
    return (profiles @ label - float(shoppers.mean @ label)) / np.float32(max(deviation, 1e-9))


def _compute_interest(
    label: Label,
    profile: NDArray[np.float32],
    seen: EncodedEvents,
    profiles: ProfileDistribution,
    expires_at: datetime | None,
) -> LabelInterest:
    score = float(standardise_similarity(profile[np.newaxis], label.vector, profiles)[0])
    known = seen.vectors.any(axis=1)
    above = np.where(known, seen.vectors @ label.vector - float(profiles.item_mean @ label.vector), 0.0).tolist()
    near = [(value, place, seen.event_ids[place]) for place, value in enumerate(above) if value > 0.0]
    return LabelInterest(
        label=label.name,
        score=score,
        percentile=_NORMAL.cdf(score),
        confidence=len(near) / max(1, int(known.sum())),
        evidence_event_ids=strongest_event_ids(near),
        evidence_count=len(near),
        from_examples=label.from_examples,
        expires_at=expires_at,
    )
