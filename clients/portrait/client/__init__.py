"""The client of Portrait.

from portrait.client import Client

with Client("localhost:50051") as portrait:
    profile = portrait.get_profile("a-shopper")
    for ranked in portrait.recommend("a-shopper", k=5).items:
        print(ranked.item.title)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portrait.client.aio import AsyncClient
    from portrait.client.audiences import (
        ActivityCriterion,
        AudienceMember,
        AudiencePage,
        AudienceSummary,
        CustomerValueCriterion,
        InterestCriterion,
        LookAlike,
        RegionCriterion,
        TraitCriterion,
    )
    from portrait.client.channels import Tls
    from portrait.client.enums import (
        EventType,
        Priority,
        Purpose,
        ReviewAction,
        ReviewQueueKind,
        ReviewQueueMeasure,
        ShelfKind,
    )
    from portrait.client.errors import (
        AccessDeniedError,
        DeadlineExceededError,
        FailedPreconditionError,
        FieldViolation,
        InvalidRequestError,
        NotFoundError,
        PortraitError,
        ServerError,
        UnavailableError,
    )
    from portrait.client.options import CallOptions, Metadata
    from portrait.client.profiles import (
        AbsentField,
        ActivityPattern,
        Aversion,
        BrandAffinity,
        CustomerValue,
        Demographics,
        DiscountSensitivity,
        Interest,
        Keyword,
        LabelInterest,
        PriceBand,
        Profile,
        ProfileError,
        PurchaseCycle,
        QueryIntent,
        SessionCategory,
        SessionIntent,
        SummarySentence,
        Trait,
    )
    from portrait.client.results import (
        Consent,
        ConsentRecord,
        Consents,
        Embeddings,
        Event,
        EventEffect,
        EventPage,
        Filter,
        ForgetSummary,
        Identity,
        Item,
        ItemEffect,
        Link,
        Membership,
        Permission,
        ProfileExplanation,
        RankedItem,
        Ranking,
        RankingExplanation,
        RecordSummary,
        Rejection,
        UpsertSummary,
        WordEffect,
    )
    from portrait.client.review_queue import ReviewQueueEntry, ReviewQueuePage
    from portrait.client.reviews import Review, ReviewSegment, ReviewTarget
    from portrait.client.shelves import (
        DueEvidence,
        PairEvidence,
        PurchaseEvidence,
        Shelf,
        ShelfEvidence,
        ShelfItem,
        SimilarityEvidence,
        TrendEvidence,
        ViewEvidence,
    )
    from portrait.client.shopper_records import ShopperRecords
    from portrait.client.sync import Client

__all__ = [
    "AbsentField",
    "AccessDeniedError",
    "ActivityCriterion",
    "ActivityPattern",
    "AsyncClient",
    "AudienceMember",
    "AudiencePage",
    "AudienceSummary",
    "Aversion",
    "BrandAffinity",
    "CallOptions",
    "Client",
    "Consent",
    "ConsentRecord",
    "Consents",
    "CustomerValue",
    "CustomerValueCriterion",
    "DeadlineExceededError",
    "Demographics",
    "DiscountSensitivity",
    "DueEvidence",
    "Embeddings",
    "Event",
    "EventEffect",
    "EventPage",
    "EventType",
    "FailedPreconditionError",
    "FieldViolation",
    "Filter",
    "ForgetSummary",
    "Identity",
    "Interest",
    "InterestCriterion",
    "InvalidRequestError",
    "Item",
    "ItemEffect",
    "Keyword",
    "LabelInterest",
    "Link",
    "LookAlike",
    "Membership",
    "Metadata",
    "NotFoundError",
    "PairEvidence",
    "Permission",
    "PortraitError",
    "PriceBand",
    "Priority",
    "Profile",
    "ProfileError",
    "ProfileExplanation",
    "PurchaseCycle",
    "PurchaseEvidence",
    "Purpose",
    "QueryIntent",
    "RankedItem",
    "Ranking",
    "RankingExplanation",
    "RecordSummary",
    "RegionCriterion",
    "Rejection",
    "Review",
    "ReviewAction",
    "ReviewQueueEntry",
    "ReviewQueueKind",
    "ReviewQueueMeasure",
    "ReviewQueuePage",
    "ReviewSegment",
    "ReviewTarget",
    "ServerError",
    "SessionCategory",
    "SessionIntent",
    "Shelf",
    "ShelfEvidence",
    "ShelfItem",
    "ShelfKind",
    "ShopperRecords",
    "SimilarityEvidence",
    "SummarySentence",
    "Tls",
    "Trait",
    "TraitCriterion",
    "TrendEvidence",
    "UnavailableError",
    "UpsertSummary",
    "ViewEvidence",
    "WordEffect",
]

_MODULES = (
    "enums",
    "results",
    "channels",
    "options",
    "errors",
    "profiles",
    "audiences",
    "shelves",
    "reviews",
    "review_queue",
    "sync",
    "aio",
)
"""Modules with public names, the fast ones first: the command line starts before gRPC is imported."""

# The core of gRPC logs to stderr. It reads these variables when it is first imported.
if not os.environ.keys() & {"GRPC_VERBOSITY", "GLOG_minloglevel"}:
    os.environ["GRPC_VERBOSITY"] = "ERROR"

if not TYPE_CHECKING:  # with it, type checkers would accept any name

    def __getattr__(name: str) -> Any:
        """Import a public name on first access."""
        if name in __all__:
            for module in _MODULES:
                found = getattr(import_module(f"{__name__}.{module}"), name, None)
                if found is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List the public names, also before they are imported."""
        return [*globals(), *__all__]
