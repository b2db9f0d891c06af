"""The estimated cost of calls before their request is parsed: the workload, and the units.

With this estimate, calls are refused without being parsed; `request_units` has the cost of a parsed request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Workload(StrEnum):
    """Calls that wait for the same resource. Each workload has its own limit, so that models do not delay the store."""

    MODELS = "models"
    STORE = "store"
    AUDIENCES = "audiences"
    STREAMS = "streams"
    """Open streams. Their requests are work for the models, and each of them waits for room there."""


class UnlistedMethod(Exception):
    """A method or a request without a cost or a scope, whose calls would bypass every limit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of calls of one method."""

    workload: Workload
    bytes_per_unit: int
    """Bytes of a request that add one unit: entries of a batch, events of an inline history."""
    base_units: int = 1
    """Units of the smallest request."""
    background: bool = False
    """True if calls always have the priority `batch`, whatever their metadata say."""
    part_workload: Workload | None = None
    """The workload of each request of a stream; None for methods with one request."""

    def units(self, size: int) -> int:
        """Return the units of a request, by its size in bytes."""
        return self.base_units + size // self.bytes_per_unit


_COSTS = {
    "ProfileService/GetProfile": Cost(Workload.MODELS, 16_384),
    # A named shopper is about 40 bytes, and as much work as a call of its own.
    "ProfileService/BatchGetProfiles": Cost(Workload.MODELS, 40),
    "RecommendationService/Recommend": Cost(Workload.MODELS, 16_384),
    "RecommendationService/Rank": Cost(Workload.MODELS, 16_384),
    # No model runs, but the vectors of items are searched as for a recommendation.
    "RecommendationService/GetShelf": Cost(Workload.MODELS, 16_384),
    # The models run again without each of up to 64 events, and without the events of each item that has several.
    "ExplanationService/ExplainRecommendation": Cost(Workload.MODELS, 16_384, 32),
    "ExplanationService/ExplainProfile": Cost(Workload.MODELS, 16_384, 32),
    # The text of an item is encoded; eight items take about as long as a recommendation.
    "CatalogueService/UpsertItems": Cost(Workload.MODELS, 1_024),
    "CatalogueService/DeleteItems": Cost(Workload.STORE, 16_384),
    "CatalogueService/GetItem": Cost(Workload.STORE, 16_384),
    # This is the size of about eight titles.
    "TextService/EncodeTexts": Cost(Workload.MODELS, 512),
    # About ten streams are enough: one alone keeps the models busy.
    "TextService/EncodeTextStream": Cost(Workload.STREAMS, 512, 4, background=True, part_workload=Workload.MODELS),
    # One thread serves all of them, and some callers read the response slowly: about ten at a time are enough.
    "AudienceService/FindAudience": Cost(Workload.AUDIENCES, 16_384, 4, background=True),
    "AudienceService/EstimateAudience": Cost(Workload.AUDIENCES, 16_384, 4, background=True),
    "EventService/RecordEvents": Cost(Workload.STORE, 16_384),
    "EventService/ListEvents": Cost(Workload.STORE, 16_384),
    "IdentityService/LinkShoppers": Cost(Workload.STORE, 16_384),
    "IdentityService/UnlinkShoppers": Cost(Workload.STORE, 16_384),
    "IdentityService/GetIdentity": Cost(Workload.STORE, 16_384),
    "IdentityService/JoinHousehold": Cost(Workload.STORE, 16_384),
    "IdentityService/LeaveHousehold": Cost(Workload.STORE, 16_384),
    "IdentityService/GetHousehold": Cost(Workload.STORE, 16_384),
    "ReviewService/SetReview": Cost(Workload.STORE, 16_384),
    "ReviewService/RemoveReview": Cost(Workload.STORE, 16_384),
    # As an export.
    "ReviewService/ListReviews": Cost(Workload.STORE, 16_384, 4, background=True),
    # The first call after a new audience table looks at all of its rows; the others page through what that one found.
    "ReviewService/ListReviewQueue": Cost(Workload.AUDIENCES, 16_384, 4, background=True),
    "ConsentService/SetConsents": Cost(Workload.STORE, 16_384),
    "ConsentService/GetConsents": Cost(Workload.STORE, 16_384),
    "ConsentService/SetDemographics": Cost(Workload.STORE, 16_384),
    # Pages of a thousand events, read one after the other; nobody waits for it in a page of the shop.
    "ConsentService/ExportShopper": Cost(Workload.STORE, 16_384, 4, background=True),
    "ConsentService/ForgetShopper": Cost(Workload.STORE, 16_384),
}
PACKAGE = "portrait.v1."
"""Prefix of the names of the services of the contract."""
LISTED_METHODS = frozenset(f"{PACKAGE}{method}" for method in _COSTS)
"""Full names of the methods that have a cost."""
EXEMPT_PREFIXES = ("grpc.health.", "grpc.reflection.")
"""Prefixes of the names of methods whose calls are never refused."""


def cost_of(method: str) -> Cost | None:
    """Look up the cost of a method; None for methods whose calls are never refused: health and reflection.

    Args:
        method: for example `portrait.v1.ProfileService/GetProfile`.

    Raises:
        UnlistedMethod: nobody has said what they cost.
    """
    return find_entry(_COSTS, method, "no cost: add it to portrait.server.admission.costs")


def find_entry(entries: Mapping[str, T], method: str, lack: str) -> T | None:
    """Look up what is listed for a method; None for health and reflection, which are exempt.

    Args:
        entries: by service and method, without the package.
        method: with the package.
        lack: told if the method is not listed.

    Raises:
        UnlistedMethod: it is not listed.
    """
    if method.startswith(EXEMPT_PREFIXES):
        return None
    entry = entries.get(method.removeprefix(PACKAGE)) if method.startswith(PACKAGE) else None
    if entry is None:
        raise UnlistedMethod(f"{method} has {lack}")
    return entry
