"""The shop's rules over a real Triton: recommendations follow them, and everything else stays as it was."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from support.tiny_release import ITEMS

from portrait.features.events import Event, EventType
from portrait.server.catalogue.filters import Filter
from portrait.server.engine import Engine
from portrait.server.recommendation.ranking import RankedItem, RecommendRequest, recommend
from portrait.server.recommendation.rule_plan import ShopRules
from portrait.server.rules.file import Rule

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HISTORY = [Event("1", EventType.PURCHASE, NOW - timedelta(days=3), "desk-lamp-red", price=20.0)]
EVERYTHING = len(ITEMS)
PATH = {item.item_id: item.category_path for item in ITEMS}


def rules_of(*contents: Mapping[str, Any]) -> ShopRules:
    named = [{"name": f"rule-{place}", **content} for place, content in enumerate(contents)]
    return ShopRules(TypeAdapter(list[Rule]).validate_python(named))


async def ask(engine: Engine, *contents: Mapping[str, Any], **fields: Any) -> list[RankedItem]:
    request = RecommendRequest(HISTORY, NOW, rules=rules_of(*contents), **{"k": EVERYTHING, **fields})
    return (await recommend(engine, request, deadline=asyncio.get_running_loop().time() + 60.0)).items


def ids(ranked: Sequence[RankedItem]) -> list[str]:
    return [each.item.item_id for each in ranked]


async def test_excluded_items_are_not_shown_and_all_others_keep_their_order(engine: Engine) -> None:
    before, lamps = ids(await ask(engine)), {"categories": [["Home", "Lamps"]]}
    after = ids(await ask(engine, {"action": "exclude", "items": lamps}))
    assert after == [each for each in before if PATH[each][:2] != ("Home", "Lamps")]
    assert 0 < len(after) < len(before)
    # All conditions count together.
    both = {"action": "exclude", "items": {**lamps, "item_ids": ["desk-lamp-red", "wool-rug-blue"]}}
    assert ids(await ask(engine, both)) == [each for each in before if each != "desk-lamp-red"]


async def test_bought_items_come_back_after_their_days(engine: Engine) -> None:
    items = {"categories": [["Home"]]}
    for days, shown in ((2.0, True), (4.0, False)):
        ranked = ids(await ask(engine, {"action": "exclude_bought", "items": items, "days": days}))
        assert ("desk-lamp-red" in ranked) == shown
    elsewhere = {"action": "exclude_bought", "items": {"brands": ["nobody's"]}, "days": 4.0}
    assert "desk-lamp-red" in ids(await ask(engine, elsewhere))


async def test_a_boost_adds_to_the_score_and_is_named(engine: Engine) -> None:
    before = {each.item.item_id: each for each in await ask(engine)}
    after = await ask(engine, {"action": "boost", "amount": 5.0, "items": {"categories": [["Home", "Lamps"]]}})
    for each in after:
        is_lamp = PATH[each.item.item_id][:2] == ("Home", "Lamps")
        assert each.score == pytest.approx(before[each.item.item_id].score + 5.0 * is_lamp, abs=1e-4)
        assert each.rules == (("rule-0",) if is_lamp else ())
        assert each.click_probability == before[each.item.item_id].click_probability
    assert ids(after) == ids(sorted(after, key=lambda each: (-each.score, each.item.item_id)))


async def test_of_limited_items_the_best_are_shown(engine: Engine) -> None:
    before, items = ids(await ask(engine)), {"categories": [["Home"]]}
    at_home = [each for each in before if PATH[each][:1] == ("Home",)]
    after = ids(await ask(engine, {"action": "limit", "count": 2, "items": items}))
    assert after == [each for each in before if each not in at_home[2:]]


async def test_pinned_items_have_their_places(engine: Engine) -> None:
    before = ids(await ask(engine))
    last, second_last = before[-1], before[-2]
    pin = {"action": "pin", "position": 2, "items": {"item_ids": [last, "not-sold", second_last]}}
    after = await ask(engine, pin, k=5)
    assert ids(after) == [before[0], last, second_last, *before[1:3]]
    assert [each.rules for each in after] == [(), ("rule-0",), ("rule-0",), (), ()]
    # A filter and other rules are stronger than a pin.
    assert last not in ids(await ask(engine, pin, {"action": "exclude", "items": {"item_ids": [last]}}, k=5))
    assert last not in ids(await ask(engine, pin, k=5, filter=Filter(exclude_item_ids=[last])))
    assert len(await ask(engine, pin, {"action": "limit", "count": 0, "items": {"min_price": 0.0}})) > 0


async def test_diversity_spreads_what_is_alike_and_leaves_pins_and_exclusions_alone(engine: Engine) -> None:
    before = await ask(engine)
    spread = {"action": "diversify", "amount": 20.0}
    after = await ask(engine, spread, k=4)
    assert len({PATH[each.item.item_id] for each in after}) > len({PATH[each.item.item_id] for each in before[:4]})
    assert after[0].item == before[0].item
    scores = {each.item.item_id: (each.score, each.click_probability) for each in before}
    assert all(scores[each.item.item_id] == (each.score, each.click_probability) for each in after)
    assert [each.rules for each in after] == [
        () if each.item == plain.item else ("rule-0",) for each, plain in zip(after, before, strict=False)
    ]
    hero = [each for each in ids(before) if each not in ids(after)][-1]
    pin = {"action": "pin", "position": 2, "items": {"item_ids": [hero]}}
    exclude = {"action": "exclude", "items": {"item_ids": [ids(after)[1]]}}
    both = await ask(engine, spread, pin, exclude, k=4)
    assert ids(both)[1] == hero
    assert ids(after)[1] not in ids(both)
    # The strongest of several counts.
    assert ids(await ask(engine, {**spread, "amount": 0.1}, spread, k=4)) == ids(after)


@pytest.mark.parametrize(
    ("when", "query", "applies"),
    [
        ({"catalogue": "ads"}, "", False),
        ({"query_words": ["lamp", "Rug"]}, "a blue rug", True),
        ({"query_words": ["lamp"]}, "lamps", False),
        ({"query_words": ["lamp"]}, "", False),
        ({"history": {"categories": [["Home"]]}}, "", True),
        ({"history": {"item_ids": ["wool-rug-blue"]}}, "", False),
        ({"history": {"categories": [["Home"]]}, "query_words": ["lamp"]}, "rug", False),
    ],
)
def test_a_rule_applies_where_all_its_conditions_hold(
    engine: Engine, when: Mapping[str, Any], query: str, applies: bool
) -> None:
    rules = rules_of({"action": "exclude", "items": {"categories": [["Home"]]}, "when": when})
    catalogue = engine.catalogues["products"].now
    assert (rules.plan(catalogue, HISTORY, query, NOW) is not None) == applies


_ITEMS = st.one_of(
    st.fixed_dictionaries({"item_ids": st.lists(st.sampled_from(ITEMS).map(lambda each: each.item_id), min_size=1)}),
    st.fixed_dictionaries({"categories": st.lists(st.sampled_from([p for p in PATH.values() if p]), min_size=1)}),
    st.fixed_dictionaries({"max_price": st.floats(0.0, 200.0)}),
)
_RULES = st.one_of(
    st.fixed_dictionaries({"action": st.just("exclude"), "items": _ITEMS}),
    st.fixed_dictionaries({"action": st.just("boost"), "items": _ITEMS, "amount": st.floats(-20.0, 20.0)}),
    st.fixed_dictionaries({"action": st.just("diversify"), "amount": st.floats(0.1, 20.0)}),
    st.fixed_dictionaries({"action": st.just("limit"), "items": _ITEMS, "count": st.integers(0, 5)}),
    st.fixed_dictionaries(
        {
            "action": st.just("pin"),
            "position": st.integers(1, 60),
            "items": st.fixed_dictionaries(
                {"item_ids": st.lists(st.sampled_from(ITEMS).map(lambda each: each.item_id), min_size=1, max_size=5)}
            ),
        }
    ),
)


def test_any_rules_show_each_item_once_and_none_that_is_excluded(engine: Engine) -> None:
    catalogue = engine.catalogues["products"].now
    rows = catalogue.rows_in(catalogue.select(Filter(), catalogue.rows_of([])))

    @given(st.lists(_RULES, min_size=1, max_size=6), st.integers(1, 60))
    def check(contents: list[dict[str, Any]], k: int) -> None:
        plan = rules_of(*contents).plan(catalogue, HISTORY, "", NOW)
        assert plan is not None
        allowed = plan.bar(catalogue.select(Filter(), plan.unwanted))
        ranked = rows[catalogue.holds(allowed, rows)]
        scores = np.linspace(3.0, -3.0, len(ranked), dtype=np.float32)
        shown = ranked[[place for place, _ in plan.arrange(catalogue, ranked, scores, k)]]
        assert len(set(shown.tolist())) == len(shown) <= k
        assert catalogue.holds(allowed, shown).all()
        pinned = set(plan.pinned.tolist())
        for items, count in plan.limits:
            free = [row for row in shown.tolist() if row not in pinned]
            assert items.holds(catalogue, shown[[row not in pinned for row in shown.tolist()]]).sum() <= count, free
        if not plan.limits and k >= len(ranked):
            assert sorted(shown.tolist()) == sorted(ranked.tolist())

    check()
