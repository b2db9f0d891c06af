"""Conversion of shelves to messages of the contract."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from portrait.server.recommendation.shelf_evidence import (
    DueEvidence,
    PairEvidence,
    PurchaseEvidence,
    SimilarityEvidence,
    TrendEvidence,
    ViewEvidence,
)
from portrait.server.recommendation.shelves import ShelfItem
from portrait.server.rpc.services.messages import shown_item_to_message, translate_all
from portrait.server.rules.file import Placement
from portrait.v1 import shelf_pb2

T = TypeVar("T")
R = TypeVar("R")

SHELF_KINDS: dict[int, Placement] = {
    shelf_pb2.ShelfKind.Value(f"SHELF_KIND_{placement.name}"): placement
    for placement in Placement
    if placement is not Placement.RECOMMENDATIONS
}
"""The placement of each kind of shelf."""


async def shelf_items_to_messages(items: Sequence[ShelfItem]) -> list[shelf_pb2.ShelfItem]:
    """Convert the items of a shelf, in their order."""
    return await translate_all(_shelf_item_to_message, items)


def _shelf_item_to_message(shown: ShelfItem) -> shelf_pb2.ShelfItem:
    evidence = shown.evidence
    return shelf_pb2.ShelfItem(
        item=shown_item_to_message(shown.item),
        score=shown.score,
        evidence=shelf_pb2.ShelfEvidence(
            pair=_convert(_pair_to_message, evidence.pair),
            similarity=_convert(_similarity_to_message, evidence.similarity),
            purchases=_convert(_purchases_to_message, evidence.purchases),
            trend=_convert(_trend_to_message, evidence.trend),
            views=_convert(_views_to_message, evidence.views),
        ),
        rules=shown.rules,
        reviewed_by=shown.reviewed_by,
    )


def _convert(convert: Callable[[T], R], part: T | None) -> R | None:
    return None if part is None else convert(part)


def _pair_to_message(pair: PairEvidence) -> shelf_pb2.PairEvidence:
    return shelf_pb2.PairEvidence(**asdict(pair), confidence=pair.together / pair.with_item if pair.with_item else 0.0)


def _similarity_to_message(similarity: SimilarityEvidence) -> shelf_pb2.SimilarityEvidence:
    return shelf_pb2.SimilarityEvidence(**asdict(similarity))


def _trend_to_message(trend: TrendEvidence) -> shelf_pb2.TrendEvidence:
    return shelf_pb2.TrendEvidence(**asdict(trend), growth=trend.recent_share / trend.earlier_share)


def _purchases_to_message(purchases: PurchaseEvidence) -> shelf_pb2.PurchaseEvidence:
    return shelf_pb2.PurchaseEvidence(
        purchase_days=purchases.purchase_days,
        last_time=_convert(_time_to_message, purchases.last_time),
        days_since=purchases.days_since,
        due=_convert(_due_to_message, purchases.due),
        event_ids=purchases.event_ids,
    )


def _due_to_message(due: DueEvidence) -> shelf_pb2.DueEvidence:
    return shelf_pb2.DueEvidence(**asdict(due))


def _views_to_message(views: ViewEvidence) -> shelf_pb2.ViewEvidence:
    return shelf_pb2.ViewEvidence(
        view_count=views.view_count,
        last_time=_convert(_time_to_message, views.last_time),
        days_since=views.days_since,
        event_ids=views.event_ids,
    )


def _time_to_message(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message
