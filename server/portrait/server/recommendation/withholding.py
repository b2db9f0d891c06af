"""Withholding: what sensitive topics, declared ages and reviews leave out of recommendations."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from portrait.features.events import Event
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.engine import Engine
from portrait.server.recommendation.rule_plan import EMPTY_PLAN, RulePlan, bar_also
from portrait.server.reviews.review import Review, ReviewAction, SubjectKind
from portrait.server.reviews.review_set import Reviewed, Reviews, ReviewSet
from portrait.server.sensitivity.release_topics import RECOMMENDATION_USES


async def select_usable(engine: Engine, history: Sequence[Event], min_age: int, reviews: Reviews) -> Reviewed:
    """Select the events that may decide what is shown. The shop's rules, and `exclude_seen`, still see all events.

    Args:
        engine: knows the topics.
        history: the shopper's events.
        min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
        reviews: those that may hold for the shopper.
    """
    withheld, snapshots = engine.topics.policy.find_withheld(RECOMMENDATION_USES, min_age), engine.snapshots
    usable = await engine.topics.select_usable(history, snapshots, withheld)
    return await reviews.apply(usable, snapshots.item)


def bar_unshown(engine: Engine, catalogue: Snapshot, plan: RulePlan | None, min_age: int) -> RulePlan | None:
    """Have a plan bar the items for which the shopper may be too young; None if nothing is planned.

    Args:
        engine: knows the topics.
        catalogue: the items to choose from.
        plan: the shop's rules for the request; None without any.
        min_age: as in `select_usable`.
    """
    return bar_also(plan, engine.topics.find_unshown(catalogue, min_age))


def plan_reviews(catalogue: Snapshot, plan: RulePlan | None, reviews: ReviewSet) -> RulePlan | None:
    """Have a plan follow the reviews of items; None if nothing is planned.

    Args:
        catalogue: the items to choose from.
        plan: the shop's rules for the request; None without any.
        reviews: those that hold for the shopper.
    """
    found = _find_rows(catalogue, reviews) if reviews else []
    if not found:
        return plan
    plan = plan or EMPTY_PLAN
    unwanted = [row for row, review in found if review.action is ReviewAction.BLOCK]
    moved = [(row, review.value or 0.0) for row, review in found if review.action is ReviewAction.CORRECT]
    pinned = [("", np.array([row]), int(each.value or 1)) for row, each in found if each.action is ReviewAction.PIN]
    return replace(
        plan,
        unwanted=np.concatenate([plan.unwanted, np.array(unwanted, dtype=np.int64)]),
        moved=[*plan.moved, *moved],
        pins=[*plan.pins, *pinned],
    )


def _find_rows(catalogue: Snapshot, reviews: ReviewSet) -> list[tuple[int, Review]]:
    """Find the rows of the reviewed items that a catalogue holds."""
    found = []
    for review in reviews.list_of(SubjectKind.ITEM):
        name, item_id = review.target.subject.names
        row = catalogue.row(item_id) if name == catalogue.name else None
        if row is not None:
            found.append((row, review))
    return found
