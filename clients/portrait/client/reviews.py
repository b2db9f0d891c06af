"""Reviews: what people decide about interests, traits, items and rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from portrait.client.arguments import ArgumentError
from portrait.client.enums import ReviewAction
from portrait.v1 import item_pb2, review_pb2, review_service_pb2


@dataclass(frozen=True, slots=True)
class ReviewSegment:
    """Shoppers with an event of an item that meets all conditions that are given; at least one is."""

    category: Sequence[str] = ()
    """The item is in or below it."""
    brand: str = ""


@dataclass(frozen=True, slots=True)
class ReviewTarget:
    """Subject and scope of a review: one of the first four fields, and one of the last three."""

    interest: Sequence[str] = ()
    """A category, from the broadest name down."""
    trait: str = ""
    item_id: str = ""
    rule: str = ""
    catalogue: str = ""
    """Catalogue of the item; empty for `products`."""
    shopper_id: str = ""
    segment: ReviewSegment | None = None
    all_shoppers: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """A decision of a person."""

    target: ReviewTarget
    action: ReviewAction
    value: float | None = None
    """A weight or probability; of an item, nats to add, or its place. None to block or keep it."""
    reviewed_by: str = ""
    """Name of the person who decided; shown in responses."""
    note: str = ""
    reviewed_at: datetime | None = None
    """Set by the gateway."""


def build_target(target: ReviewTarget) -> review_pb2.ReviewTarget:
    """Build the message of a target.

    Raises:
        ArgumentError: it names several subjects or several groups of shoppers.
    """
    _require_one("target.interest, trait, item_id and rule", target.interest, target.trait, target.item_id, target.rule)
    _require_one(
        "target.shopper_id, segment and all_shoppers", target.shopper_id, target.segment, target.all_shoppers
    )  # fmt: skip
    segment = target.segment
    return review_pb2.ReviewTarget(
        interest=_build_category(target.interest),
        trait=target.trait or None,
        item=review_pb2.ReviewedItem(catalogue=target.catalogue, item_id=target.item_id) if target.item_id else None,
        rule=target.rule or None,
        shopper_id=target.shopper_id or None,
        segment=None if segment is None else _build_segment(segment),
        all_shoppers=review_pb2.AllShoppers() if target.all_shoppers else None,
    )


def build_review(review: Review) -> review_pb2.Review:
    """Build the message of a review; its time is that of the gateway.

    Raises:
        ArgumentError: see `build_target`.
    """
    return review_pb2.Review(
        target=build_target(review.target),
        action=f"REVIEW_ACTION_{ReviewAction(review.action).name}",
        value=review.value,
        reviewed_by=review.reviewed_by,
        note=review.note,
    )


def read_review(message: review_pb2.Review) -> Review:
    """Read a review of a response."""
    return Review(
        read_target(message.target),
        ReviewAction(review_pb2.ReviewAction.Name(message.action).removeprefix("REVIEW_ACTION_").lower()),
        message.value if message.HasField("value") else None,
        message.reviewed_by,
        message.note,
        message.reviewed_at.ToDatetime(tzinfo=UTC),
    )


def read_reviews(messages: Iterable[review_pb2.Review]) -> tuple[Review, ...]:
    """Read reviews; those of an action that only a later contract knows are left out."""
    known = review_pb2.ReviewAction.values()
    return tuple(read_review(each) for each in messages if each.action in known)


def read_review_list(message: review_service_pb2.ListReviewsResponse) -> tuple[Review, ...]:
    """Read a part of the reviews."""
    return read_reviews(message.reviews)


def read_target(message: review_pb2.ReviewTarget) -> ReviewTarget:
    """Read a target of a response."""
    segment = message.segment
    return ReviewTarget(
        tuple(message.interest.names),
        message.trait,
        message.item.item_id,
        message.rule,
        message.item.catalogue,
        message.shopper_id,
        ReviewSegment(tuple(segment.category.names), segment.brand) if message.HasField("segment") else None,
        message.HasField("all_shoppers"),
    )


def _build_segment(segment: ReviewSegment) -> review_pb2.ReviewSegment:
    return review_pb2.ReviewSegment(category=_build_category(segment.category), brand=segment.brand)


def _build_category(names: Sequence[str]) -> item_pb2.CategoryPath | None:
    return item_pb2.CategoryPath(names=names) if names else None


def _require_one(names: str, *given: object) -> None:
    if sum(map(bool, given)) != 1:
        raise ArgumentError(f"of {names}, one is needed")
