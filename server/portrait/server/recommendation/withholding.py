"""Withholding: events of sensitive topics, and items that need a declared age, are left out of recommendations."""

from collections.abc import Sequence

from portrait.features.events import Event
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.engine import Engine
from portrait.server.recommendation.rule_plan import RulePlan, bar_also
from portrait.server.sensitivity.release_topics import RECOMMENDATION_USES


async def select_usable(engine: Engine, history: Sequence[Event], min_age: int) -> Sequence[Event]:
    """Select the events that may decide what is shown. The shop's rules, and `exclude_seen`, still see all events.

    Args:
        engine: knows the topics.
        history: the shopper's events.
        min_age: the shopper is at least so old, by declaration; 0 if nothing is declared.
    """
    withheld = engine.topics.policy.find_withheld(RECOMMENDATION_USES, min_age)
    return await engine.topics.select_usable(history, engine.snapshots, withheld)


def bar_unshown(engine: Engine, catalogue: Snapshot, plan: RulePlan | None, min_age: int) -> RulePlan | None:
    """Have a plan bar the items for which the shopper may be too young; None if nothing is planned.

    Args:
        engine: knows the topics.
        catalogue: the items to choose from.
        plan: the shop's rules for the request; None without any.
        min_age: as in `select_usable`.
    """
    return bar_also(plan, engine.topics.find_unshown(catalogue, min_age))
