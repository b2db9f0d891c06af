"""ReviewService: keeps what people decided about interests, traits, items and rules."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.identities import list_ids
from portrait.server.reviews.review import MAX_SHARED_REVIEWS, MAX_SHOPPER_REVIEWS, SHARED
from portrait.server.rpc.context import Context
from portrait.server.rpc.services.review_messages import review_from_message, review_to_message, target_from_message
from portrait.server.storage.store import Store
from portrait.v1 import review_service_pb2, review_service_pb2_grpc

_PAGE = 100
"""Reviews of a response, and shoppers that are listed at a time."""


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """Keeps reviews.

    Args:
        store: keeps them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

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
