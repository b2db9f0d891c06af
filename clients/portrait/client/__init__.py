"""The client of Portrait.

from portrait.client import Client

with Client("localhost:50051") as portrait:
    profile = portrait.get_profile("a-shopper")
    for ranked in portrait.recommend("a-shopper", k=5).items:
        print(ranked.item.title)
"""

from portrait.client.aio import AsyncClient
from portrait.client.channels import Priority, Tls
from portrait.client.errors import (
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    PortraitError,
    ServerError,
    UnavailableError,
)
from portrait.client.profiles import (
    AbsentField,
    Aversion,
    BrandAffinity,
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
    Rhythm,
    SessionFocus,
    SessionIntent,
    SummarySentence,
    Trait,
    Value,
)
from portrait.client.results import (
    Embeddings,
    Event,
    EventEffect,
    EventType,
    Filter,
    Item,
    ItemEffect,
    ProfileExplanation,
    RankedItem,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Rejection,
    UpsertSummary,
    WordEffect,
)
from portrait.client.sync import Client

__all__ = [
    "AbsentField",
    "AsyncClient",
    "Aversion",
    "BrandAffinity",
    "Client",
    "DeadlineExceededError",
    "Demographics",
    "DiscountSensitivity",
    "Embeddings",
    "Event",
    "EventEffect",
    "EventType",
    "FieldViolation",
    "Filter",
    "Interest",
    "InvalidRequestError",
    "Item",
    "ItemEffect",
    "Keyword",
    "LabelInterest",
    "NotFoundError",
    "PortraitError",
    "PriceBand",
    "Priority",
    "Profile",
    "ProfileError",
    "ProfileExplanation",
    "PurchaseCycle",
    "QueryIntent",
    "RankedItem",
    "Ranking",
    "RankingExplanation",
    "RecordSummary",
    "Rejection",
    "Rhythm",
    "ServerError",
    "SessionFocus",
    "SessionIntent",
    "SummarySentence",
    "Tls",
    "Trait",
    "UnavailableError",
    "UpsertSummary",
    "Value",
    "WordEffect",
]
