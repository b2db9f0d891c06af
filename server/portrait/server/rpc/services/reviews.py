"""ReviewService: keeps what people decided about interests, traits, items and rules, and lists what wants a review."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.identities import list_ids
from portrait.server.review_queue.entry import Measure, QueueEntry, QueueKind
from portrait.server.review_queue.queue import ReviewQueue, drop_decided
from portrait.server.reviews.review import MAX_SHARED_REVIEWS, MAX_SHOPPER_REVIEWS, SHARED, ReviewTarget
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context
from portrait.server.rpc.services.audience_tables import find_engine, open_table
from portrait.server.rpc.services.page_tokens import PageToken, fingerprint
from portrait.server.rpc.services.review_messages import (
    review_from_message,
    review_to_message,
    target_from_message,
    target_to_message,
)
from portrait.server.storage.store import Store
from portrait.v1 import review_service_pb2, review_service_pb2_grpc

_PAGE = 100
"""Reviews of a response, shoppers that are listed at a time, and entries of the queue if a request sets no number."""
_KINDS = {kind: f"REVIEW_QUEUE_KIND_{kind.name}" for kind in QueueKind}
_MEASURES = {measure: f"REVIEW_QUEUE_MEASURE_{measure.name}" for measure in Measure}


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """Keeps reviews.

    Args:
        store: keeps them.
        registry: holds the engines.
        snapshots: the audience tables.
        min_size: shoppers that an audience must have; the queue does not count fewer.
    """

    def __init__(self, store: Store, registry: EngineRegistry, snapshots: TableSnapshots, min_size: int) -> None:
        self._store, self._registry, self._snapshots = store, registry, snapshots
        self._queue = ReviewQueue(min_size)

    async def SetReview(  # noqa: N802 - the contract's name
        self, request: review_service_pb2.SetReviewRequest, context: Context
    ) -> review_service_pb2.SetReviewResponse:
        """Keep a review in place of that of the same target."""
        review = review_from_message(request.review, "review", datetime.now(UTC))
        if not await self._store.set_review(review):
            is_shared = review.target.shopper_id == SHARED
            raise FailedPrecondition(
                f"segments and all shoppers together have {MAX_SHARED_REVIEWS} reviews, which is the limit"
                if is_shared
                else f"has {MAX_SHOPPER_REVIEWS} reviews, which is the limit",
                ErrorReason.REVIEWS_FULL,
                "review.target" if is_shared else "review.target.shopper_id",
            )
        return review_service_pb2.SetReviewResponse(review=review_to_message(review))

    async def RemoveReview(  # noqa: N802 - the contract's name
        self, request: review_service_pb2.RemoveReviewRequest, context: Context
    ) -> review_service_pb2.RemoveReviewResponse:
        """Remove the review of a target."""
        removed = await self._store.remove_review(target_from_message(request.target, "target"))
        return review_service_pb2.RemoveReviewResponse(removed=removed)

    async def ListReviews(  # type: ignore[override] # noqa: N802 - the contract's name; it writes its stream itself
        self, request: review_service_pb2.ListReviewsRequest, context: Context
    ) -> None:
        """Stream the reviews for a shopper, or all."""
        count = 0
        async for shopper_id in self._list_ids(request.shopper_id):
            reviews = await self._store.reviews(shopper_id)
            for begin in range(0, len(reviews), _PAGE):
                part = map(review_to_message, reviews[begin : begin + _PAGE])
                await context.write(review_service_pb2.ListReviewsResponse(reviews=part))
            count += len(reviews)
        structlog.contextvars.bind_contextvars(reviews=count)

    async def ListReviewQueue(  # noqa: N802 - the contract's name
        self, request: review_service_pb2.ListReviewQueueRequest, context: Context
    ) -> review_service_pb2.ListReviewQueueResponse:
        """Return a page of what wants a review.

        A page is a part of all entries of its kind, decided or not: so a reviewer who decides page by page misses none.
        """
        question = fingerprint(review_service_pb2.ListReviewQueueRequest(kind=request.kind))
        token = PageToken.read(request.page_token, question, "queue") if request.page_token else None
        with self._registry.routes as routes:
            engine = routes.serving if token is None else find_engine(self._registry, token)
            table = await open_table(self._snapshots, engine, token)
            entries = await self._queue.list_entries(engine.release, engine.topics, table)
        kind = review_service_pb2.ReviewQueueKind.Name(request.kind)
        wanted = [each for each in entries if not request.kind or _KINDS[each.kind] == kind]
        begin = token.row if token else 0
        end = begin + (request.page_size or _PAGE)
        page = drop_decided(wanted[begin:end], await self._store.reviews(SHARED))
        structlog.contextvars.bind_contextvars(entries=len(page))
        snapshot = table.description.snapshot
        return review_service_pb2.ListReviewQueueResponse(
            entries=map(_entry_to_message, page),
            next_page_token=str(PageToken(engine.release.number, snapshot, end, question)) if end < len(wanted) else "",
            release=engine.release.number,
            snapshot=str(snapshot),
        )

    async def _list_ids(self, shopper_id: str) -> AsyncIterator[str]:
        """Yield all ids of a shopper, the login first; or `SHARED`, then all ids with reviews."""
        if shopper_id:
            for each in list_ids(await self._store.identities([shopper_id]), shopper_id):
                yield each
            return
        yield SHARED
        last = ""
        while found := await self._store.reviewed_shoppers(last, _PAGE):
            for each in found:
                yield each
            last = found[-1]


def _entry_to_message(entry: QueueEntry) -> review_service_pb2.ReviewQueueEntry:
    return review_service_pb2.ReviewQueueEntry(
        kind=_KINDS[entry.kind],
        target=target_to_message(ReviewTarget(entry.subject)),
        shoppers=entry.shoppers,
        measure=_MEASURES[entry.measure],
        value=entry.value,
        threshold=entry.threshold,
        topic=entry.topic,
        reason=entry.reason,
    )
