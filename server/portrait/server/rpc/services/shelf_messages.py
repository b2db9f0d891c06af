"""Conversion of shelves to messages of the contract."""

from collections.abc import Sequence
from dataclasses import asdict

from google.protobuf.timestamp_pb2 import Timestamp

from portrait.server.recommendation.shelf_evidence import PairEvidence, PurchaseEvidence, TrendEvidence, ViewEvidence
from portrait.server.recommendation.shelves import ShelfItem
from portrait.server.rpc.services.messages import shown_item_to_message, translate_all
from portrait.server.rules.file import Placement
from portrait.v1 import shelf_pb2

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
            pair=evidence.pair and _pair_to_message(evidence.pair),
            similarity=evidence.similarity and shelf_pb2.SimilarityEvidence(**asdict(evidence.similarity)),
            purchases=evidence.purchases and _purchases_to_message(evidence.purchases),
            trend=evidence.trend and _trend_to_message(evidence.trend),
            views=evidence.views and _views_to_message(evidence.views),
        ),
        rules=shown.rules,
    )


def _pair_to_message(pair: PairEvidence) -> shelf_pb2.PairEvidence:
    return shelf_pb2.PairEvidence(**asdict(pair), confidence=pair.together / pair.with_item if pair.with_item else 0.0)


def _trend_to_message(trend: TrendEvidence) -> shelf_pb2.TrendEvidence:
    return shelf_pb2.TrendEvidence(**asdict(trend), growth=trend.recent_share / trend.earlier_share)


def _purchases_to_message(purchases: PurchaseEvidence) -> shelf_pb2.PurchaseEvidence:
    return shelf_pb2.PurchaseEvidence(
        purchase_days=purchases.purchase_days,
        last_time=_time_of(purchases),
        days_since=purchases.days_since,
        due=purchases.due and shelf_pb2.DueEvidence(**asdict(purchases.due)),
        event_ids=purchases.event_ids,
    )


def _views_to_message(views: ViewEvidence) -> shelf_pb2.ViewEvidence:
    return shelf_pb2.ViewEvidence(
        view_count=views.view_count,
        last_time=_time_of(views),
        days_since=views.days_since,
        event_ids=views.event_ids,
    )


def _time_of(evidence: PurchaseEvidence | ViewEvidence) -> Timestamp | None:
    if evidence.last_time is None:
        return None
    message = Timestamp()
    message.FromDatetime(evidence.last_time)
    return message
