"""The plan of a request: the shop's rules that apply to it, as rows of its catalogue."""

import re
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.item_pairs import PairKind
from portrait.features.events import Event, EventType
from portrait.server.catalogue.snapshot import Selection, Snapshot
from portrait.server.recommendation.diversity import MAX_SPREAD_ITEMS, order_by_marginal_relevance
from portrait.server.recommendation.pinning import insert_pinned
from portrait.server.rules.file import (
    Boost,
    Diversify,
    Exclude,
    ExcludeBought,
    ItemCondition,
    Limit,
    Occasion,
    Pin,
    Placement,
    Relate,
    Rule,
    Unrelate,
    read_rules,
)

_MAX_SNAPSHOTS = 4
"""Catalogues of two releases, and some that just changed."""
_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ItemSet:
    """Items that meet a condition."""

    selection: Selection
    ids: NDArray[np.int64] | None
    """Rows of the items that the condition names; None if it names none."""

    def holds(self, catalogue: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`[rows]`: which of some rows are in the set."""
        held = catalogue.holds(self.selection, rows)
        return held if self.ids is None else held & np.isin(rows, self.ids)

    @classmethod
    def find(cls, catalogue: Snapshot, condition: ItemCondition) -> "ItemSet":
        """Find the items of a catalogue that meet a condition."""
        ids = _find_rows(catalogue, condition.item_ids) if condition.item_ids else None
        return cls(catalogue.select(condition.filter, _NO_ROWS), ids)


@dataclass(frozen=True, slots=True)
class RulePlan:
    """Effects of the rules on one request."""

    unwanted: NDArray[np.int64]
    """Rows that are not shown."""
    barred: Sequence[Selection]
    """Sets of rows that are not shown."""
    boosts: Sequence[tuple[str, ItemSet, float]]
    """Name of the rule, items, and nats that are added to their scores."""
    limits: Sequence[tuple[ItemSet, int]]
    """Items, and how many of them are shown."""
    pins: Sequence[tuple[str, NDArray[np.int64], int]]
    """Name of the rule, empty for a review, rows, and the place of the first, from 1."""
    diversity: tuple[str, float] | None = None
    """Name of the rule, and nats that likeness to an item above costs; None for no such rule."""
    related: Sequence[tuple[PairKind, str, ItemSet, NDArray[np.int64]]] = ()
    """Kind, name of the rule, items, and the rows that belong to each of them."""
    unrelated: Sequence[tuple[PairKind, ItemSet, ItemSet]] = ()
    """Kind, items, and the items that do not belong to them."""
    moved: Sequence[tuple[int, float]] = ()
    """Rows, and the nats that reviews add to their scores."""

    @property
    def pinned(self) -> NDArray[np.int64]:
        """All rows that have fixed places."""
        return np.concatenate([_NO_ROWS, *(rows for _, rows, _ in self.pins)])

    @property
    def needs_all(self) -> bool:
        """True if more than the best `k` candidates have to be ordered."""
        return bool(self.limits or self.pins or self.diversity)

    @property
    def moves_items(self) -> bool:
        """True if it does more than leave items out."""
        return self.needs_all or bool(self.boosts)

    def bar(self, selection: Selection) -> Selection:
        """Return a selection without the barred rows."""
        for barred in self.barred:
            selection = selection.without(barred)
        return selection

    def compute_boosts(self, catalogue: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`[rows]`: nats that are added to the scores of some rows."""
        total = np.zeros(len(rows), dtype=np.float32)
        for _, items, amount in self.boosts:
            total += np.float32(amount) * items.holds(catalogue, rows)
        if self.moved:
            moved = dict(self.moved)
            total += np.array([moved.get(row, 0.0) for row in rows.tolist()], dtype=np.float32)
        return total

    def arrange(
        self, catalogue: Snapshot, rows: NDArray[np.int64], scores: NDArray[np.float32], k: int
    ) -> list[tuple[int, tuple[str, ...]]]:
        """Arrange ranked items by limits, diversity and pins.

        Args:
            catalogue: the items.
            rows: rows of the ranked items, the best first.
            scores: `[rows]`, with the boosts.
            k: how many are shown.

        Returns:
            The places of at most `k` of them, in their new order, each with the names of the rules that moved it.
        """
        stays = np.ones(len(rows), dtype=bool)
        for items, count in self.limits:
            counted = items.holds(catalogue, rows) & stays
            stays &= ~counted | (np.cumsum(counted) <= count)
        place_of = {row: place for place, row in enumerate(rows.tolist())}
        pins = [[place_of[row] for row in pinned.tolist() if row in place_of] for _, pinned, _ in self.pins]
        moved = {place for places in pins for place in places}
        by_score = [place for place in np.flatnonzero(stays).tolist() if place not in moved]
        order = self._spread(catalogue, rows, scores, by_score, sorted(moved), k)
        spread = {place for place, before in zip(order, by_score, strict=True) if place != before}
        insert_pinned(order, zip((position for _, _, position in self.pins), pins, strict=True))
        shown = order[:k]
        return [
            (place, (*names, self.diversity[0]) if self.diversity and place in spread else names)
            for place, names in zip(shown, self._name_rules(catalogue, rows[shown]), strict=True)
        ]

    def _spread(
        self,
        catalogue: Snapshot,
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
        order: list[int],
        pinned: list[int],
        k: int,
    ) -> list[int]:
        """Order places so that no item is much like one above it, or like a pinned one."""
        if self.diversity is None:
            return list(order)
        found = order_by_marginal_relevance(
            scores[order],
            catalogue.vectors(rows[order[:MAX_SPREAD_ITEMS]]),
            self.diversity[1],
            k,
            catalogue.vectors(rows[pinned]),
        )
        return [order[place] for place in found]

    def find_related(self, catalogue: Snapshot, kind: PairKind, row: int) -> dict[int, tuple[str, ...]]:
        """Find the rows that rules relate to one row, and the rules' names, in the order of the rules."""
        found: dict[int, tuple[str, ...]] = {}
        for its_kind, name, items, others in self.related:
            if its_kind is kind and items.holds(catalogue, np.array([row])).all():
                for other in others.tolist():
                    found[other] = (*found.get(other, ()), name)
        return found

    def mark_unrelated(
        self, catalogue: Snapshot, kind: PairKind, row: int, others: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """`[others]`: which of some rows do not belong to one row."""
        marked = np.zeros(len(others), dtype=bool)
        for its_kind, items, unrelated in self.unrelated:
            if its_kind is kind and items.holds(catalogue, np.array([row])).all():
                marked |= unrelated.holds(catalogue, others)
        return marked

    def _name_rules(self, catalogue: Snapshot, rows: NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Name the rules that moved each of some rows."""
        moved = [(name, items.holds(catalogue, rows)) for name, items, _ in self.boosts]
        moved += [(name, np.isin(rows, pinned)) for name, pinned, _ in self.pins if name]
        return [tuple(name for name, held in moved if held[place]) for place in range(len(rows))]


EMPTY_PLAN = RulePlan(_NO_ROWS, (), (), (), ())


def bar_also(plan: RulePlan | None, unshown: Selection | None) -> RulePlan | None:
    """Have a plan bar a set of rows as well; None if nothing is planned.

    Args:
        plan: the shop's rules for the request; None without any.
        unshown: rows that are not shown; None for none.
    """
    if unshown is None:
        return plan
    plan = plan or EMPTY_PLAN
    return replace(plan, barred=[*plan.barred, unshown])


class ShopRules:
    """The shop's rules, and the items that they are about.

    Args:
        rules: in the order of their file.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules
        self._item_sets: OrderedDict[int, tuple[Snapshot, dict[int, ItemSet]]] = OrderedDict()
        """Sets of the snapshots that were used last, by the identities of snapshot and condition: finding them reads
        columns of the whole catalogue."""

    def plan(
        self,
        catalogue: Snapshot,
        history: Sequence[Event],
        query: str,
        as_of: datetime,
        placement: Placement = Placement.RECOMMENDATIONS,
        blocked: Collection[str] = (),
    ) -> RulePlan | None:
        """Plan the rules that apply to a request; None if none does.

        Args:
            catalogue: what is recommended from.
            history: the shopper's events, oldest first.
            query: the query; empty without one.
            as_of: the moment of the request.
            placement: where the items are shown.
            blocked: names of rules that do not apply.
        """
        active = self.select_active(catalogue, history, query, as_of, placement, blocked)
        if not active:
            return None
        unwanted, barred = [_NO_ROWS], []
        for rule in active:
            if isinstance(rule, ExcludeBought):
                bought = find_bought(catalogue, history, as_of, rule.days)
                unwanted.append(bought[self.find_items(catalogue, rule.items).holds(catalogue, bought)])
            elif isinstance(rule, Exclude):
                items = self.find_items(catalogue, rule.items)
                if items.ids is None:
                    barred.append(items.selection)
                else:
                    unwanted.append(items.ids[catalogue.holds(items.selection, items.ids)])
        return RulePlan(
            np.concatenate(unwanted),
            barred,
            [
                (rule.name, self.find_items(catalogue, rule.items), rule.amount)
                for rule in active
                if isinstance(rule, Boost)
            ],
            [(self.find_items(catalogue, rule.items), rule.count) for rule in active if isinstance(rule, Limit)],
            [
                (rule.name, _find_rows(catalogue, rule.items.item_ids), rule.position)
                for rule in active
                if isinstance(rule, Pin)
            ],
            max(
                ((rule.name, rule.amount) for rule in active if isinstance(rule, Diversify)),
                key=lambda named: named[1],
                default=None,
            ),
            [
                (
                    rule.kind,
                    rule.name,
                    self.find_items(catalogue, rule.items),
                    _find_rows(catalogue, rule.other_items.item_ids),
                )
                for rule in active
                if isinstance(rule, Relate)
            ],
            [
                (rule.kind, self.find_items(catalogue, rule.items), self.find_items(catalogue, rule.other_items))
                for rule in active
                if isinstance(rule, Unrelate)
            ],
        )

    def select_active(
        self,
        catalogue: Snapshot,
        history: Sequence[Event],
        query: str,
        as_of: datetime,
        placement: Placement,
        blocked: Collection[str],
    ) -> list[Rule]:
        """Select the rules that apply to a request; the arguments are those of `plan`."""
        words = frozenset(_split_words(query)) if self._rules else frozenset()
        return [
            rule
            for rule in self._rules
            if rule.name not in blocked
            and rule.is_valid_at(as_of)
            and self._applies(rule.when, catalogue, history, words, placement)
        ]

    def _applies(
        self,
        when: Occasion,
        catalogue: Snapshot,
        history: Sequence[Event],
        words: frozenset[str],
        placement: Placement,
    ) -> bool:
        if when.catalogue != catalogue.name or (when.placements and placement not in when.placements):
            return False
        if when.query_words and words.isdisjoint(each.casefold() for each in when.query_words):
            return False
        if when.history is None:
            return True
        return bool(self.find_items(catalogue, when.history).holds(catalogue, catalogue.rows_of(history)).any())

    def find_items(self, catalogue: Snapshot, condition: ItemCondition) -> ItemSet:
        """Find the items of a catalogue that meet a condition of one of the rules."""
        if id(catalogue) not in self._item_sets:
            self._item_sets[id(catalogue)] = catalogue, {}
            if len(self._item_sets) > _MAX_SNAPSHOTS:
                self._item_sets.popitem(last=False)
        _, sets = self._item_sets[id(catalogue)]
        if id(condition) not in sets:
            sets[id(condition)] = ItemSet.find(catalogue, condition)
        return sets[id(condition)]


def _split_words(query: str) -> list[str]:
    return re.findall(r"\w+", query.casefold())


def _find_rows(catalogue: Snapshot, item_ids: Sequence[str]) -> NDArray[np.int64]:
    """Find the rows of items that the catalogue holds, in their order."""
    rows = (catalogue.row(item_id) for item_id in item_ids)
    return np.array([row for row in rows if row is not None], dtype=np.int64)


def find_bought(catalogue: Snapshot, history: Sequence[Event], as_of: datetime, days: float) -> NDArray[np.int64]:
    """Find the rows of the items that a shopper bought in the last days before a moment."""
    since = as_of - timedelta(days=days)
    return catalogue.rows_of(
        [event for event in history if event.type is EventType.PURCHASE and event.time and event.time >= since]
    )


NO_RULES = ShopRules()


def read_shop_rules(path: Path) -> ShopRules:
    """Read a file of rules.

    Raises:
        RulesError: it can't be read, or a rule breaks a limit.
    """
    return ShopRules(read_rules(path))
