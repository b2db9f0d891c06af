"""The rules that move an item themselves, by the request that they apply to."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

import numpy as np

from portrait.features.events import Event
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.recommendation.rule_plan import ShopRules, find_bought
from portrait.server.rules.file import (
    Boost,
    Diversify,
    Exclude,
    ExcludeBought,
    ItemCondition,
    Limit,
    Pin,
    Placement,
    Relate,
    Rule,
    Unrelate,
)


class Change(StrEnum):
    """A change of an item's place, as a verb."""

    LEAVES = "leaves"
    ENTERS = "enters"
    RISES = "rises"
    FALLS = "falls"

    @property
    def verb(self) -> str:
        """The change of several items."""
        return self.value.removesuffix("s")


_OPPOSITE = {
    Change.LEAVES: Change.ENTERS,
    Change.ENTERS: Change.LEAVES,
    Change.RISES: Change.FALLS,
    Change.FALLS: Change.RISES,
}
_UP, _DOWN = frozenset({Change.ENTERS, Change.RISES}), frozenset({Change.LEAVES, Change.FALLS})
_BY_ACTION = {
    Exclude: frozenset({Change.LEAVES}),
    ExcludeBought: frozenset({Change.LEAVES}),
    Limit: frozenset({Change.LEAVES}),
    Pin: frozenset(Change),
    Diversify: frozenset(Change),
    Relate: _UP,
    Unrelate: _DOWN,
}


def list_effects(before: Rule | None, after: Rule | None) -> frozenset[Change]:
    """List the changes that a change of a rule may make to an item that it is about.

    Args:
        before: the rule in force; None if there is none of its name.
        after: the new rule; None if it ends.
    """
    if isinstance(before, Boost) and isinstance(after, Boost):
        return _list_effects_of(after.model_copy(update={"amount": after.amount - before.amount}))
    if isinstance(before, Limit) and isinstance(after, Limit) and after.count != before.count:
        return frozenset({Change.ENTERS if after.count > before.count else Change.LEAVES})
    begun, ended = (frozenset() if rule is None else _list_effects_of(rule) for rule in (after, before))
    return begun | {_OPPOSITE[change] for change in ended}


def _list_effects_of(rule: Rule) -> frozenset[Change]:
    """List the changes that a rule may make once it is in force."""
    if isinstance(rule, Boost):
        return _UP if rule.amount > 0.0 else _DOWN if rule.amount < 0.0 else frozenset()
    return _BY_ACTION[type(rule)]


class WatchedRules(ShopRules):
    """The shop's rules, which remember which of them applied to the latest request.

    Args:
        rules: in the order of their file.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        super().__init__(rules)
        self._applied: tuple[Snapshot, Sequence[Event], datetime, Sequence[Rule]] | None = None
        """Catalogue, history, moment and rules of the latest request."""

    def select_active(
        self,
        catalogue: Snapshot,
        history: Sequence[Event],
        query: str,
        as_of: datetime,
        placement: Placement,
        blocked: Collection[str],
    ) -> list[Rule]:
        """Select the rules that apply to a request, and remember them."""
        active = super().select_active(catalogue, history, query, as_of, placement, blocked)
        self._applied = catalogue, history, as_of, active
        return active

    def list_about(self, item_id: str, named: Sequence[str]) -> list[Rule]:
        """List the rules that applied to the latest request and are about an item.

        Args:
            item_id: the item.
            named: the items that the request names, which pairs belong to.
        """
        if self._applied is None:
            return []
        catalogue, history, as_of, rules = self._applied

        def holds(condition: ItemCondition, item_ids: Sequence[str]) -> bool:
            rows = [row for each in item_ids if (row := catalogue.row(each)) is not None]
            found = self.find_items(catalogue, condition)
            return bool(found.holds(catalogue, np.array(rows, dtype=np.int64)).any())

        def is_about(rule: Rule) -> bool:
            if isinstance(rule, Diversify):
                return True
            if isinstance(rule, Relate | Unrelate):
                return holds(rule.other_items, [item_id]) and holds(rule.items, named)
            if isinstance(rule, ExcludeBought) and catalogue.row(item_id) not in find_bought(
                catalogue, history, as_of, rule.days
            ):
                return False
            return holds(rule.items, [item_id])

        return [rule for rule in rules if is_about(rule)]


def name_causes(
    before: WatchedRules, after: WatchedRules, item_id: str, change: Change, named: Sequence[str]
) -> list[str]:
    """Name the rules that change an item's place themselves; none where it only makes room, or takes a free place.

    Args:
        before: the rules in force; their latest request is the one that it is about.
        after: the new rules, likewise.
        item_id: the item.
        change: what becomes of it.
        named: the items that the request names.
    """
    old, new = ({rule.name: rule for rule in rules.list_about(item_id, named)} for rules in (before, after))
    causes = [
        name
        for name in {**new, **old}
        if old.get(name) != new.get(name) and change in list_effects(old.get(name), new.get(name))
    ]
    # Diversity is about every item, and so tells only where nothing else does.
    return [name for name in causes if not isinstance(new.get(name) or old[name], Diversify)] or causes
