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
from portrait.client.results import (
    Embeddings,
    Event,
    EventEffect,
    EventType,
    Filter,
    Interest,
    Item,
    Keyword,
    PriceBand,
    Profile,
    ProfileError,
    ProfileExplanation,
    RankedItem,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Rejection,
    Trait,
    UpsertSummary,
    WordEffect,
)
from portrait.client.sync import Client

__all__ = [
    "AsyncClient",
    "Client",
    "DeadlineExceededError",
    "Embeddings",
    "Event",
    "EventEffect",
    "EventType",
    "FieldViolation",
    "Filter",
    "Interest",
    "InvalidRequestError",
    "Item",
    "Keyword",
    "NotFoundError",
    "PortraitError",
    "PriceBand",
    "Priority",
    "Profile",
    "ProfileError",
    "ProfileExplanation",
    "RankedItem",
    "Ranking",
    "RankingExplanation",
    "RecordSummary",
    "Rejection",
    "ServerError",
    "Tls",
    "Trait",
    "UnavailableError",
    "UpsertSummary",
    "WordEffect",
]
