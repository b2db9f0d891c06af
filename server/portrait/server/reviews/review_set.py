"""The reviews that hold for a request, and what of a history may be used under them."""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

from portrait.features.events import Event, EventType, Item
from portrait.features.generators import run_to_completion
from portrait.server.reviews.review import Review, ReviewAction, Segment, Subject, SubjectKind
from portrait.server.runtime.cooperation import run_in_steps

_MAX_INLINE_EVENTS = 512
"""So many events are looked at within a few milliseconds."""
STATED = (SubjectKind.INTEREST, SubjectKind.TRAIT, SubjectKind.ITEM)
"""Kinds of subjects that profiles depend on."""
SHOWN = (SubjectKind.INTEREST, SubjectKind.ITEM, SubjectKind.RULE)
"""Kinds of subjects that lists of items depend on."""

FindItem = Callable[[Event], Item | None]


class ReviewSet:
    """One review of each subject at most.

    Args:
        reviews: those that count; of one subject, the last one. What is kept is as without a review.
    """

    def __init__(self, reviews: Iterable[Review] = ()) -> None:
        counting = {review.target.subject: review for review in reviews}
        self._by_subject = {
            subject: review for subject, review in counting.items() if review.action is not ReviewAction.KEEP
        }
        blocked = [each.target.subject for each in self._by_subject.values() if each.action is ReviewAction.BLOCK]
        self._blocked_paths = {subject.names for subject in blocked if subject.kind is SubjectKind.INTEREST}
        self._blocked_items = {subject.names for subject in blocked if subject.kind is SubjectKind.ITEM}
        self.blocked_rules = frozenset(subject.names[0] for subject in blocked if subject.kind is SubjectKind.RULE)
        """Names of the shop's rules that do not apply."""

    def __bool__(self) -> bool:
        return bool(self._by_subject)

    def find(self, kind: SubjectKind, *names: str) -> Review | None:
        """Find the review of a subject; None if there is none."""
        return self._by_subject.get(Subject(kind, names))

    def list_of(self, kind: SubjectKind) -> list[Review]:
        """List the reviews of all subjects of a kind."""
        return [each for each in self._by_subject.values() if each.target.subject.kind is kind]

    def list_reviewers(self, kinds: Sequence[SubjectKind]) -> list[str]:
        """List who reviewed subjects of some kinds, by name."""
        return sorted({each.reviewed_by for each in self._by_subject.values() if each.target.subject.kind in kinds})

    def name_reviewer(self, kind: SubjectKind, *names: str) -> str:
        """Name who reviewed a subject; empty if nobody did."""
        review = self.find(kind, *names)
        return review.reviewed_by if review else ""

    def blocks_interest(self, path: Sequence[str]) -> bool:
        """Tell whether an interest is blocked, by itself or by one above it."""
        return bool(self._blocked_paths) and not self._blocked_paths.isdisjoint(_list_nodes(path))

    def select_usable(
        self, history: Sequence[Event], items: Sequence[Item | None]
    ) -> Generator[None, None, Sequence[Event]]:
        """Leave out the events of blocked items, and those in blocked interests; yields where it may pause."""
        if not self._blocked_items and not self._blocked_paths:
            return history
        usable = []
        for event, item in zip(history, items, strict=True):
            yield
            is_blocked = event.item_id is not None and (event.catalogue, event.item_id) in self._blocked_items
            if not is_blocked and (item is None or not self.blocks_interest(item.category_path)):
                usable.append(event)
        return usable


NO_REVIEW_SET = ReviewSet()


class Reviewed(NamedTuple):
    """A history under the reviews that hold for its shopper."""

    events: Sequence[Event]
    """Those that may be used."""
    reviews: ReviewSet


class SharedReviews:
    """Reviews for segments, and for all shoppers.

    Args:
        reviews: of no single shopper.
    """

    def __init__(self, reviews: Iterable[Review] = ()) -> None:
        for_all: list[Review] = []
        self.by_segment: dict[Segment, list[Review]] = {}
        for review in _sort_by_precedence(reviews):
            segment = review.target.segment
            (for_all if segment is None else self.by_segment.setdefault(segment, [])).append(review)
        self.alone = ReviewSet(for_all)
        """The reviews that hold for a shopper of no segment and without own ones."""
        # No wider review says otherwise of what is kept for all, so that requests need not look at it.
        self.for_all = [review for kind in SubjectKind for review in self.alone.list_of(kind)]


class Reviews:
    """All reviews that may hold for a shopper; the history tells which segments the shopper belongs to.

    Args:
        own: of the shopper, under all linked ids.
        shared: of segments and of all.
    """

    def __init__(self, own: Sequence[Review], shared: SharedReviews) -> None:
        self._own, self._shared = own, shared

    def __bool__(self) -> bool:
        return bool(self._own or self._shared.for_all or self._shared.by_segment)

    async def apply(self, history: Sequence[Event], find_item: FindItem) -> Reviewed:
        """Find the reviews that hold for the shopper of a history, and the events that may be used under them.

        Args:
            history: the events that may be used otherwise.
            find_item: returns the item of an event, None if it is unknown.
        """
        if not self:
            return Reviewed(history, NO_REVIEW_SET)
        work = self._apply(history, find_item)
        return run_to_completion(work) if len(history) <= _MAX_INLINE_EVENTS else await run_in_steps(work)

    def _apply(self, history: Sequence[Event], find_item: FindItem) -> Generator[None, None, Reviewed]:
        items = []
        for event in history:
            yield
            has_item = event.item_id is not None and event.type is not EventType.SEARCH
            items.append(find_item(event) if has_item else None)
        reviews = self._choose([item for item in items if item is not None])
        return Reviewed((yield from reviews.select_usable(history, items)), reviews)

    def _choose(self, items: Sequence[Item]) -> ReviewSet:
        """Choose the review that counts of each subject."""
        joined = self._list_joined(items) if self._shared.by_segment else []
        if not joined and not self._own:
            return self._shared.alone
        return ReviewSet(
            _choose_by_scope([self._shared.for_all, _sort_by_precedence(joined), _sort_by_precedence(self._own)])
        )

    def _list_joined(self, items: Sequence[Item]) -> list[Review]:
        """List the reviews for the segments that the items of a history make the shopper a member of."""
        kinds = {(node, brand) for item in items for node in _list_nodes(item.category_path) for brand in _brands(item)}
        return [
            review
            for segment, reviews in self._shared.by_segment.items()
            if (segment.category, segment.brand.casefold()) in kinds
            for review in reviews
        ]


def _choose_by_scope(scopes: Iterable[Iterable[Review]]) -> Iterable[Review]:
    """Choose one review of each subject: the narrower scope counts, but what it keeps stays blocked.

    Args:
        scopes: the reviews of each, the widest first; of one subject the last counts.
    """
    counting: dict[Subject, Review] = {}
    for reviews in scopes:
        for subject, review in {each.target.subject: each for each in reviews}.items():
            wider = counting.get(subject)
            if not (wider and wider.action is ReviewAction.BLOCK and review.action is ReviewAction.KEEP):
                counting[subject] = review
    return counting.values()


def _sort_by_precedence(reviews: Iterable[Review]) -> list[Review]:
    """Sort reviews of one scope, of two segments or two linked ids: a block counts, and else the later decision.

    Of two decisions at one moment, the one that changes something counts.
    """
    block, keep = ReviewAction.BLOCK, ReviewAction.KEEP
    return sorted(reviews, key=lambda each: (each.action is block, each.reviewed_at, each.action is not keep))


def _list_nodes(path: Sequence[str]) -> list[tuple[str, ...]]:
    """List a node of the taxonomy and all above it, the root first, which has no name."""
    return [tuple(path[:depth]) for depth in range(len(path) + 1)]


def _brands(item: Item) -> tuple[str, ...]:
    return ("", item.brand.casefold()) if item.brand else ("",)


NO_REVIEWS = Reviews((), SharedReviews())
