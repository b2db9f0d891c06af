"""Conversion of reviews to messages of the contract, and back."""

from collections.abc import Mapping
from datetime import datetime

from portrait.server.errors import InvalidRequest, Violation
from portrait.server.reviews.review import (
    SHARED,
    Review,
    ReviewAction,
    ReviewTarget,
    Segment,
    Subject,
    SubjectKind,
    find_fault,
)
from portrait.server.rpc.services.messages import catalogue_name, timestamp_to_message
from portrait.v1 import item_pb2, review_pb2

_NAMES = {action: f"REVIEW_ACTION_{action.name}" for action in ReviewAction}
_ACTIONS: Mapping[int, ReviewAction] = {review_pb2.ReviewAction.Value(name): each for each, name in _NAMES.items()}


def review_from_message(message: review_pb2.Review, path: str, now: datetime) -> Review:
    """Convert a review.

    Args:
        message: keeps the limits of the contract.
        path: where it stands in the request.
        now: the time of the record.

    Raises:
        InvalidRequest: there can't be such a review.
    """
    target = target_from_message(message.target, f"{path}.target")
    action, value = _ACTIONS[message.action], message.value if message.HasField("value") else None
    if fault := find_fault(target.subject.kind, action, value):
        field, description = fault
        raise InvalidRequest([Violation(f"{path}.{field}", description)])
    return Review(target, action, value, message.reviewed_by, message.note, now)


def review_to_message(review: Review) -> review_pb2.Review:
    """Convert a review for a response."""
    return review_pb2.Review(
        target=target_to_message(review.target),
        action=_NAMES[review.action],
        value=review.value,
        reviewed_by=review.reviewed_by,
        note=review.note,
        reviewed_at=timestamp_to_message(review.reviewed_at),
    )


def target_from_message(message: review_pb2.ReviewTarget, path: str) -> ReviewTarget:
    """Convert what is reviewed, and for whom.

    Raises:
        InvalidRequest: a segment has no condition.
    """
    segment = None
    if message.WhichOneof("scope") == "segment":
        segment = Segment(tuple(message.segment.category.names), message.segment.brand)
        if segment == Segment():
            raise InvalidRequest([Violation(f"{path}.segment", "sent no condition; one is required")])
    return ReviewTarget(_subject_from_message(message), message.shopper_id or SHARED, segment)


def _subject_from_message(message: review_pb2.ReviewTarget) -> Subject:
    kind = SubjectKind(message.WhichOneof("subject") or "")
    if kind is SubjectKind.INTEREST:
        return Subject(kind, tuple(message.interest.names))
    if kind is SubjectKind.ITEM:
        return Subject(kind, (catalogue_name(message.item.catalogue), message.item.item_id))
    return Subject(kind, (message.trait or message.rule,))


def target_to_message(target: ReviewTarget) -> review_pb2.ReviewTarget:
    """Convert what is reviewed, and for whom, for a response."""
    message = review_pb2.ReviewTarget()
    kind, names = target.subject
    if kind is SubjectKind.INTEREST:
        message.interest.CopyFrom(item_pb2.CategoryPath(names=names))
    elif kind is SubjectKind.ITEM:
        message.item.CopyFrom(review_pb2.ReviewedItem(catalogue=names[0], item_id=names[1]))
    else:
        setattr(message, kind.value, names[0])
    if target.shopper_id != SHARED:
        message.shopper_id = target.shopper_id
    elif target.segment is None:
        message.all_shoppers.SetInParent()
    else:
        category = item_pb2.CategoryPath(names=target.segment.category) if target.segment.category else None
        message.segment.CopyFrom(review_pb2.ReviewSegment(category=category, brand=target.segment.brand))
    return message
