"""The queue of what wants a human review."""

from dataclasses import dataclass

from portrait.client.enums import ReviewQueueKind, ReviewQueueMeasure
from portrait.client.reviews import ReviewTarget, read_target
from portrait.v1 import review_service_pb2

_KIND, _MEASURE = "REVIEW_QUEUE_KIND_", "REVIEW_QUEUE_MEASURE_"


@dataclass(frozen=True, slots=True)
class ReviewQueueEntry:
    """An interest or a trait that wants a review. It names no shopper."""

    kind: ReviewQueueKind
    target: ReviewTarget
    """For all shoppers; a review of it takes the entry out of the queue."""
    shoppers: int
    """Those of the audience table who have it, rounded; 0 if they are fewer than an audience must have."""
    measure: ReviewQueueMeasure
    value: float
    threshold: float
    topic: str
    """The sensitive topic of a near miss; empty otherwise."""
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewQueuePage:
    """A page of the queue, what concerns most shoppers first."""

    entries: tuple[ReviewQueueEntry, ...]
    """Reviews take entries out of their page: there may be fewer than asked for, or none."""
    next_page_token: str
    """Token of the next page; empty on the last page."""
    release: int
    snapshot: str
    """Name of the audience table."""


def build_queue_request(
    kind: ReviewQueueKind | None, page_size: int, page_token: str
) -> review_service_pb2.ListReviewQueueRequest:
    """Build the request for a page of the queue; without a kind, for entries of all kinds."""
    return review_service_pb2.ListReviewQueueRequest(
        kind=None if kind is None else f"{_KIND}{ReviewQueueKind(kind).name}",
        page_size=page_size,
        page_token=page_token,
    )


def read_queue_page(response: review_service_pb2.ListReviewQueueResponse) -> ReviewQueuePage:
    """Read a page of the queue; entries of a kind or measure of a later contract are left out."""
    kinds, measures = review_service_pb2.ReviewQueueKind.values(), review_service_pb2.ReviewQueueMeasure.values()
    known = (each for each in response.entries if each.kind in kinds and each.measure in measures)
    return ReviewQueuePage(
        tuple(map(_read_entry, known)), response.next_page_token, response.release, response.snapshot
    )


def _read_entry(message: review_service_pb2.ReviewQueueEntry) -> ReviewQueueEntry:
    return ReviewQueueEntry(
        ReviewQueueKind(review_service_pb2.ReviewQueueKind.Name(message.kind).removeprefix(_KIND).lower()),
        read_target(message.target),
        message.shoppers,
        ReviewQueueMeasure(review_service_pb2.ReviewQueueMeasure.Name(message.measure).removeprefix(_MEASURE).lower()),
        message.value,
        message.threshold,
        message.topic,
        message.reason,
    )
