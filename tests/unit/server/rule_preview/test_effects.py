"""The rules that move an item: those that are about it, differ, and may cause such a change."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from support import tiny_release

from portrait.features.events import DEFAULT_CATALOGUE, Event, EventType
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.release.release import Release
from portrait.server.rule_preview.effects import Change, WatchedRules, name_causes
from portrait.server.rules.file import Placement, Rule

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAMP, RUG = "desk-lamp-red", "wool-rug-blue"
HISTORY = [Event("1", EventType.PURCHASE, NOW - timedelta(days=3), LAMP)]
ONLY_LAMP: dict[str, Any] = {"items": {"item_ids": [LAMP]}}
LEAVES, ENTERS, RISES, FALLS = Change.LEAVES, Change.ENTERS, Change.RISES, Change.FALLS


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    repository = tmp_path_factory.mktemp("repository")
    tiny_release.build(repository)
    return Catalogues(Release.load(repository, 1))[DEFAULT_CATALOGUE].now


def watch(catalogue: Snapshot, *contents: Mapping[str, Any]) -> WatchedRules:
    named = [{"name": content["action"].replace("_", "-"), **content} for content in contents]
    rules = WatchedRules(TypeAdapter(list[Rule]).validate_python(named))
    rules.plan(catalogue, HISTORY, "", NOW, Placement.FREQUENTLY_BOUGHT_TOGETHER)
    return rules


RULES: list[tuple[dict[str, Any], set[Change]]] = [
    ({"action": "exclude", **ONLY_LAMP}, {LEAVES}),
    ({"action": "exclude_bought", "days": 4, **ONLY_LAMP}, {LEAVES}),
    ({"action": "exclude_bought", "days": 2, **ONLY_LAMP}, set()),
    ({"action": "limit", "count": 0, **ONLY_LAMP}, {LEAVES}),
    ({"action": "boost", "amount": 1, **ONLY_LAMP}, {ENTERS, RISES}),
    ({"action": "boost", "amount": -1, **ONLY_LAMP}, {LEAVES, FALLS}),
    ({"action": "pin", **ONLY_LAMP}, set(Change)),
    ({"action": "diversify", "amount": 1}, set(Change)),
    ({"action": "exclude", "items": {"item_ids": [RUG]}}, set()),
    ({"action": "exclude", "when": {"query_words": ["lamp"]}, **ONLY_LAMP}, set()),
    (
        {"action": "relate", "kind": "complement", "items": {"item_ids": [RUG]}, "other_items": {"item_ids": [LAMP]}},
        {ENTERS, RISES},
    ),
    (
        {"action": "unrelate", "kind": "complement", "items": {"item_ids": [RUG]}, "other_items": {"min_price": 0}},
        {LEAVES, FALLS},
    ),
    (
        {"action": "relate", "kind": "complement", "items": {"item_ids": [LAMP]}, "other_items": {"item_ids": [LAMP]}},
        set(),
    ),
]


@pytest.mark.parametrize(("content", "causes"), RULES)
def test_a_rule_is_named_where_it_may_be_the_cause(
    catalogue: Snapshot, content: Mapping[str, Any], causes: set[Change]
) -> None:
    nothing, rule = watch(catalogue), watch(catalogue, content)
    opposite = {LEAVES: ENTERS, ENTERS: LEAVES, RISES: FALLS, FALLS: RISES}
    for change in Change:
        assert bool(name_causes(nothing, rule, LAMP, change, [RUG])) == (change in causes)
        assert bool(name_causes(rule, nothing, LAMP, change, [RUG])) == (opposite[change] in causes)
        assert name_causes(rule, rule, LAMP, change, [RUG]) == []


def test_a_changed_rule_is_named_once_and_diversity_only_where_nothing_else_is(catalogue: Snapshot) -> None:
    weak, strong = ({"action": "boost", "amount": amount, **ONLY_LAMP} for amount in (0.5, 1.0))
    spread = {"action": "diversify", "amount": 1}
    before, after = watch(catalogue, weak), watch(catalogue, strong, spread)
    assert name_causes(before, after, LAMP, RISES, []) == ["boost"]
    assert name_causes(before, after, LAMP, FALLS, []) == ["diversify"]
    assert name_causes(before, after, RUG, RISES, []) == ["diversify"]
    elsewhere = watch(catalogue, {**weak, "items": {"item_ids": [LAMP, RUG]}})
    assert name_causes(before, elsewhere, LAMP, RISES, []) == []
    assert name_causes(before, elsewhere, RUG, RISES, []) == ["boost"]
    few, many = ({"action": "limit", "count": count, **ONLY_LAMP} for count in (1, 2))
    assert name_causes(watch(catalogue, few), watch(catalogue, many), LAMP, ENTERS, []) == ["limit"]
    assert name_causes(watch(catalogue, few), watch(catalogue, many), LAMP, LEAVES, []) == []
