"""An entry of the queue: an interest or a trait that a person should look at, and why."""

from dataclasses import dataclass
from enum import StrEnum

from portrait.server.reviews.review import Subject


class QueueKind(StrEnum):
    """Reason for a review."""

    LOW_CONFIDENCE = "low_confidence"
    DRIFT = "drift"
    SENSITIVE_NEAR_MISS = "sensitive_near_miss"


class Measure(StrEnum):
    """Measure of an entry's figure."""

    CONFIDENCE = "confidence"
    AUC = "auc"
    CALIBRATION_ERROR = "calibration_error"
    STABILITY_INDEX = "stability_index"
    EXCESS = "excess"
    SIMILARITY = "similarity"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An interest or a trait, with the figure for which it is listed. It names no shopper."""

    kind: QueueKind
    subject: Subject
    shoppers: int
    """Those of the audience table who have it, rounded; 0 if they are fewer than an audience must have."""
    measure: Measure
    value: float
    threshold: float
    reason: str
    topic: str = ""
    """Name of the sensitive topic of a near miss."""
