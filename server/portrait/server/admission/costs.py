"""What calls cost before they are read: which limit they count against, and how many units of it.

It is an estimate that lets calls be refused unread; `request_units` says what a request costs that was read.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Calls that wait for the same thing have one limit: what waits for models must not keep events from the disk."""

    MODELS = "models"
    STORE = "store"
    AUDIENCES = "audiences"


class UnlistedMethod(Exception):
    """A method or a request that nobody has said the cost of: its calls would pass by every limit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls of one method cost."""

    kind: Kind
    bytes_per_unit: int
    """Every so many bytes of a request are one unit more: entries of a batch, events of an inline history."""
    least: int = 1
    """Units of the smallest request."""
    background: bool = False
    """Whether nobody waits for such calls, whatever they say of themselves."""

    def units(self, size: int) -> int:
        """Units of a request of so many bytes."""
        return self.least + size // self.bytes_per_unit


_COSTS = {
    "ProfileService/GetProfile": Cost(Kind.MODELS, 16_384),
    # A named shopper is some 40 bytes, and as much work as a call of its own.
    "ProfileService/BatchGetProfiles": Cost(Kind.MODELS, 40),
    "RecommendationService/Recommend": Cost(Kind.MODELS, 16_384),
    "RecommendationService/Rank": Cost(Kind.MODELS, 16_384),
    # Asked again without each of up to 64 events, and without those of each item that has several.
    "ExplanationService/ExplainRecommendation": Cost(Kind.MODELS, 16_384, 32),
    "ExplanationService/ExplainProfile": Cost(Kind.MODELS, 16_384, 32),
    # An item's words are encoded, about eight items in the time of a recommendation.
    "CatalogueService/UpsertItems": Cost(Kind.MODELS, 1_024),
    "CatalogueService/DeleteItems": Cost(Kind.STORE, 16_384),
    "CatalogueService/GetItem": Cost(Kind.STORE, 16_384),
    # As many bytes are some eight titles.
    "TextService/EncodeTexts": Cost(Kind.MODELS, 512),
    # One thread works for all of them, and some are slow to take what it found: ten at a time are enough.
    "AudienceService/FindAudience": Cost(Kind.AUDIENCES, 16_384, 4, background=True),
    "AudienceService/EstimateAudience": Cost(Kind.AUDIENCES, 16_384, 4, background=True),
    "EventService/RecordEvents": Cost(Kind.STORE, 16_384),
    "ConsentService/SetConsents": Cost(Kind.STORE, 16_384),
    "ConsentService/GetConsents": Cost(Kind.STORE, 16_384),
    "ConsentService/SetDemographics": Cost(Kind.STORE, 16_384),
    "ConsentService/ForgetShopper": Cost(Kind.STORE, 16_384),
}
_PACKAGE = "portrait.v1."
LISTED = frozenset(f"{_PACKAGE}{method}" for method in _COSTS)
"""The methods that have a cost."""
FREE = ("grpc.health.", "grpc.reflection.")
"""What the names of methods begin with whose calls are never refused."""


def cost_of(method: str) -> Cost | None:
    """Look up what calls of a method cost; None for those that are never refused, as health and reflection.

    Args:
        method: for example `portrait.v1.ProfileService/GetProfile`.

    Raises:
        UnlistedMethod: nobody has said what they cost.
    """
    if method.startswith(FREE):
        return None
    cost = _COSTS.get(method.removeprefix(_PACKAGE)) if method.startswith(_PACKAGE) else None
    if cost is None:
        raise UnlistedMethod(f"{method} has no cost: add it to portrait.server.admission.costs")
    return cost
