"""Reviews of the candidates that a caller brings: blocked ones come last, others get boosts and places."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Item
from portrait.server.recommendation.pinning import insert_pinned
from portrait.server.reviews.review import Review, ReviewAction, SubjectKind
from portrait.server.reviews.review_set import ReviewSet


def compute_boosts(items: Sequence[Item], catalogue: str, reviews: ReviewSet) -> NDArray[np.float32] | None:
    """`[items]`: nats that reviews add to the scores of candidates; None if they add nothing."""
    if not reviews.list_of(SubjectKind.ITEM):
        return None
    found = (_find(item, catalogue, reviews, ReviewAction.CORRECT) for item in items)
    return np.array([review.value if review else 0.0 for review in found], dtype=np.float32)


def place_reviewed(items: Sequence[Item], catalogue: str, reviews: ReviewSet) -> Sequence[int]:
    """Order ranked candidates by the reviews of them; returns their places, in the new order.

    Args:
        items: the candidates, the best first.
        catalogue: the one they are of.
        reviews: those that hold for the shopper.
    """
    if not reviews.list_of(SubjectKind.ITEM):
        return range(len(items))
    pins: list[tuple[int, list[int]]] = []
    blocked: list[int] = []
    order: list[int] = []
    for place, item in enumerate(items):
        if pin := _find(item, catalogue, reviews, ReviewAction.PIN):
            pins.append((int(pin.value or 1), [place]))
        else:
            is_blocked = _find(item, catalogue, reviews, ReviewAction.BLOCK) is not None
            (blocked if is_blocked else order).append(place)
    insert_pinned(order, pins)
    return [*order, *blocked]


def _find(item: Item, catalogue: str, reviews: ReviewSet, action: ReviewAction) -> Review | None:
    review = reviews.find(SubjectKind.ITEM, catalogue, item.item_id)
    return review if review and review.action is action else None
