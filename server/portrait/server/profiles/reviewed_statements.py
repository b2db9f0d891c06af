"""Reviews of the interests and traits of a profile: what people blocked, corrected or pinned."""

from collections.abc import Sequence
from dataclasses import replace

from portrait.features.profiles.absence import Absence
from portrait.features.profiles.interests import Interest
from portrait.server.release.traits import TraitValue
from portrait.server.reviews.review import Review, ReviewAction, SubjectKind
from portrait.server.reviews.review_set import ReviewSet

BLOCKED = "a review blocks it"
"""Why a blocked trait has no probability."""


def review_interests(interests: list[Interest] | Absence, reviews: ReviewSet) -> list[Interest] | Absence:
    """Leave out the blocked interests, set the weights of corrected ones, and add the pinned ones; the strongest first.

    Args:
        interests: what the events say, or why they say nothing.
        reviews: those that hold for the shopper.
    """
    if not reviews.list_of(SubjectKind.INTEREST):
        return interests
    known = {} if isinstance(interests, Absence) else {each.category_path: each for each in interests}
    for review in reviews.list_of(SubjectKind.INTEREST):
        path = review.target.subject.names
        if review.action is ReviewAction.PIN or (review.action is ReviewAction.CORRECT and path in known):
            known[path] = _set_weight(known.get(path), review)
    if isinstance(interests, Absence) and not known:
        return interests
    stated = [each for path, each in known.items() if not reviews.blocks_interest(path)]
    return sorted(stated, key=lambda each: -each.weight)


def review_traits(values: Sequence[TraitValue], reviews: ReviewSet) -> list[TraitValue]:
    """Take the probability from blocked traits, replace that of corrected ones, and give pinned ones theirs."""
    return [_review_trait(each, reviews.find(SubjectKind.TRAIT, each.trait.name)) for each in values]


def _review_trait(value: TraitValue, review: Review | None) -> TraitValue:
    if review is None:
        return value
    if review.action is ReviewAction.BLOCK:
        return replace(value, probability=None, absent=BLOCKED, reviewed_by=review.reviewed_by)
    if review.action is ReviewAction.CORRECT and value.probability is None:
        return value
    return replace(value, probability=review.value, absent="", reviewed_by=review.reviewed_by)


def _set_weight(known: Interest | None, review: Review) -> Interest:
    """Set the weight of an interest; whoever reviewed it vouches for it, and says nothing of a trend."""
    weight = review.value or 0.0
    stated = known or Interest(
        category_path=review.target.subject.names,
        weight=weight,
        confidence=1.0,
        evidence_event_ids=(),
        short_term_weight=weight,
        long_term_weight=weight,
        next_event_probability=None,
        population_weight=None,
        expires_at=None,
    )
    return replace(
        stated,
        weight=weight,
        confidence=1.0,
        short_term_weight=weight,
        long_term_weight=weight,
        inferred=False,
        reviewed_by=review.reviewed_by,
    )
