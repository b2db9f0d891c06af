"""What calls cost before they are read: which limit they count against, and how many units of it.

It is an estimate that lets calls be refused unread; `request_units` says what a request costs that was read.
"""

from dataclasses import dataclass
from enum import StrEnum


class Workload(StrEnum):
    """Calls that wait for the same thing have one limit: what waits for models must not keep events from the disk."""

    MODELS = "models"
    STORE = "store"
    AUDIENCES = "audiences"


class UnlistedMethod(Exception):
    """A method or a request that nobody has said the cost of: its calls would pass by every limit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls of one method cost."""

    workload: Workload
    bytes_per_unit: int
    """Every so many bytes of a request are one unit more: entries of a batch, events of an inline history."""
    base_units: int = 1
    """Units of the smallest request."""
    background: bool = False
    """Whether nobody waits for such calls, whatever they say of themselves."""

    def units(self, size: int) -> int:
        """Units of a request of so many bytes."""
        return self.base_units + size // self.bytes_per_unit


_COSTS = {
    "ProfileService/GetProfile": Cost(Workload.MODELS, 16_384),
    # A named shopper is some 40 bytes, and as much work as a call of its own.
    "ProfileService/BatchGetProfiles": Cost(Workload.MODELS, 40),
    "RecommendationService/Recommend": Cost(Workload.MODELS, 16_384),
    "RecommendationService/Rank": Cost(Workload.MODELS, 16_384),
    # Asked again without each of up to 64 events, and without those of each item that has several.
    "ExplanationService/ExplainRecommendation": Cost(Workload.MODELS, 16_384, 32),
    "ExplanationService/ExplainProfile": Cost(Workload.MODELS, 16_384, 32),
    # An item's words are encoded, about eight items in the time of a recommendation.
    "CatalogueService/UpsertItems": Cost(Workload.MODELS, 1_024),
    "CatalogueService/DeleteItems": Cost(Workload.STORE, 16_384),
    "CatalogueService/GetItem": Cost(Workload.STORE, 16_384),
    # As many bytes are some eight titles.
    "TextService/EncodeTexts": Cost(Workload.MODELS, 512),
    # One thread works for all of them, and some are slow to take what it found: ten at a time are enough.
    "AudienceService/FindAudience": Cost(Workload.AUDIENCES, 16_384, 4, background=True),
    "AudienceService/EstimateAudience": Cost(Workload.AUDIENCES, 16_384, 4, background=True),
    "EventService/RecordEvents": Cost(Workload.STORE, 16_384),
    "ConsentService/SetConsents": Cost(Workload.STORE, 16_384),
    "ConsentService/GetConsents": Cost(Workload.STORE, 16_384),
    "ConsentService/SetDemographics": Cost(Workload.STORE, 16_384),
    "ConsentService/ForgetShopper": Cost(Workload.STORE, 16_384),
}
_PACKAGE = "portrait.v1."
LISTED_METHODS = frozenset(f"{_PACKAGE}{method}" for method in _COSTS)
"""The methods that have a cost."""
EXEMPT_PREFIXES = ("grpc.health.", "grpc.reflection.")
"""What the names of methods begin with whose calls are never refused."""


def cost_of(method: str) -> Cost | None:
    """Look up what calls of a method cost; None for those that are never refused, as health and reflection.

    Args:
        method: for example `portrait.v1.ProfileService/GetProfile`.

    Raises:
        UnlistedMethod: nobody has said what they cost.
    """
    if method.startswith(EXEMPT_PREFIXES):
        return None
    cost = _COSTS.get(method.removeprefix(_PACKAGE)) if method.startswith(_PACKAGE) else None
    if cost is None:
        raise UnlistedMethod(f"{method} has no cost: add it to portrait.server.admission.costs")
    return cost
