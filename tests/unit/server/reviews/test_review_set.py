"""The reviews that hold for a shopper, and the events that are used under them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portrait.features.events import Event, EventType, Item
from portrait.server.reviews.review import SHARED, Review, ReviewAction, ReviewTarget, Segment, Subject, SubjectKind
from portrait.server.reviews.review_set import Reviewed, Reviews, SharedReviews

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = {
    "desk": Item("desk", "Desk lamp", category_path=("Home", "Lamps"), brand="Ikea"),
    "rug": Item("rug", "Rug", category_path=("Home", "Rugs"), brand="Acme"),
    "pan": Item("pan", "Pan", category_path=("Kitchen",)),
}
HISTORY = [
    *(Event(f"e-{name}", EventType.VIEW, NOON, item_id=name) for name in ITEMS),
    Event("e-search", EventType.SEARCH, NOON, query="lamp"),
    Event("e-gone", EventType.VIEW, NOON, item_id="gone"),
]
SUBJECTS = [
    Subject(SubjectKind.INTEREST, ("Home",)),
    Subject(SubjectKind.INTEREST, ("Home", "Rugs")),
    Subject(SubjectKind.ITEM, ("products", "desk")),
    Subject(SubjectKind.ITEM, ("ads", "desk")),
    Subject(SubjectKind.TRAIT, ("buyer",)),
]
REVIEWS = st.builds(
    lambda subject, scope, action, hours: Review(
        ReviewTarget(subject, *scope),
        action,
        0.5 if action is ReviewAction.CORRECT else None,
        "eve",
        "",
        NOON + timedelta(hours=hours),
    ),
    st.sampled_from(SUBJECTS),
    st.sampled_from([("ann", None), ("web", None), (SHARED, Segment(("Kitchen",))), (SHARED, Segment(("Toys",))),
                     (SHARED, Segment((), "acme")), (SHARED, None)]),
    st.sampled_from([ReviewAction.BLOCK, ReviewAction.CORRECT, ReviewAction.KEEP]),
    st.integers(0, 9),
)  # fmt: skip


async def apply(reviews: Sequence[Review], history: Sequence[Event] = HISTORY) -> Reviewed:
    own = [each for each in reviews if each.target.shopper_id != SHARED]
    shared = SharedReviews(each for each in reviews if each.target.shopper_id == SHARED)
    return await Reviews(own, shared).apply(history, lambda event: ITEMS.get(event.item_id or ""))


def find_scope(review: Review) -> int:
    return 2 if review.target.shopper_id else 1 if review.target.segment else 0


def rank(review: Review) -> tuple[int, bool, datetime, bool]:
    """Precedence of a review that holds: by scope, then blocks, then the latest, then one that changes something."""
    is_block, changes = review.action is ReviewAction.BLOCK, review.action is not ReviewAction.KEEP
    return find_scope(review), is_block, review.reviewed_at, changes


def find_counting(holding: Sequence[Review]) -> Review | None:
    """The review that counts of those of one subject; to keep something lifts no block of a wider scope."""
    counting = None
    for scope in range(3):
        review = max((each for each in holding if find_scope(each) == scope), key=rank, default=None)
        if review is None:
            continue
        if review.action is not ReviewAction.KEEP:
            counting = review
        elif counting is None or counting.action is not ReviewAction.BLOCK:
            counting = None
    return counting


@given(st.lists(REVIEWS, max_size=12, unique_by=lambda each: (each.target, each.reviewed_at)))
@example([
    Review(ReviewTarget(SUBJECTS[4], SHARED, Segment(("Kitchen",))), ReviewAction.CORRECT, 0.5, "eve", "", NOON),
    Review(ReviewTarget(SUBJECTS[4], SHARED, Segment((), "acme")), ReviewAction.KEEP, None, "eve", "", NOON),
])  # fmt: skip
async def test_the_review_that_counts_decides_what_is_used(reviews: list[Review]) -> None:
    events, found = await apply(reviews)
    holding = [each for each in reviews if each.target.segment != Segment(("Toys",))]
    found_by_hand = {
        subject: find_counting([each for each in holding if each.target.subject == subject]) for subject in SUBJECTS
    }
    counting = {subject: each for subject, each in found_by_hand.items() if each is not None}
    for subject in SUBJECTS:
        expected, actual = counting.get(subject), found.find(subject.kind, *subject.names)
        assert (expected is None) == (actual is None)
        assert expected is None or actual is None or rank(expected) == rank(actual)
    blocked = {subject.names for subject, each in counting.items() if each.action is ReviewAction.BLOCK}
    left_out = {
        "e-desk": {("Home",), ("products", "desk")}, "e-rug": {("Home",), ("Home", "Rugs")},
    }  # fmt: skip
    assert [event.event_id for event in events] == [
        event.event_id for event in HISTORY if not left_out.get(event.event_id, set()) & blocked
    ]


@pytest.mark.parametrize("keeper", [("ann", None), (SHARED, Segment(("Kitchen",)))])
async def test_to_keep_something_lifts_no_block_for_all(keeper: tuple[str, Segment | None]) -> None:
    """A person who says that a statement is right does not know of a recall, which may come later."""
    blocked = Review(ReviewTarget(SUBJECTS[2]), ReviewAction.BLOCK, None, "recalls-team", "", NOON)
    kept = Review(ReviewTarget(SUBJECTS[2], *keeper), ReviewAction.KEEP, None, "eve", "", NOON)
    events, reviews = await apply([blocked, kept])
    assert reviews.find(SubjectKind.ITEM, "products", "desk") == blocked
    assert "e-desk" not in [event.event_id for event in events]
    corrected = Review(ReviewTarget(SUBJECTS[2]), ReviewAction.CORRECT, 0.5, "eve", "", NOON)
    assert (await apply([corrected, kept])).reviews.find(SubjectKind.ITEM, "products", "desk") is None


async def test_without_a_history_there_is_no_segment() -> None:
    of_kitchen = Review(
        ReviewTarget(SUBJECTS[2], SHARED, Segment(("Kitchen",))), ReviewAction.BLOCK, None, "eve", "", NOON
    )
    assert not (await apply([of_kitchen], history=[])).reviews
    assert (await apply([of_kitchen])).reviews
