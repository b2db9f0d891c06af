"""Shelves of the tiny release: what they show after changes of the catalogue, under filters and by the shop's rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pydantic import TypeAdapter, ValidationError
from support import tiny_release

from portrait.features.events import Event, EventType, Item
from portrait.server.catalogue.candidate_set import candidates_from_text
from portrait.server.catalogue.catalogue import Catalogues
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import CatalogueSnapshots
from portrait.server.engine import Engine
from portrait.server.errors import InvalidRequest, NotFound
from portrait.server.recommendation.rule_plan import ShopRules
from portrait.server.recommendation.shelves import ShelfItem, ShelfRequest, fill_shelf
from portrait.server.release.release import Release
from portrait.server.rules.file import Placement, Rule
from portrait.server.sensitivity.release_topics import ReleaseTopics
from portrait.server.sensitivity.topic_file import NO_TOPICS, Topic, TopicPolicy

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LAMP = "desk-lamp-red"
COMPLEMENTS, SUBSTITUTES = ["jute-rug-red", "wool-rug-red"], ["bedside-lamp-red", "floor-lamp-red"]
TOGETHER, SIMILAR = Placement.FREQUENTLY_BOUGHT_TOGETHER, Placement.SIMILAR_ITEMS


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    repository = tmp_path_factory.mktemp("repository")
    tiny_release.build(repository)
    return Release.load(repository, 1)


@dataclass
class ShelfEngine:
    """An engine of which only what shelves read is there: no model runs for them."""

    release: Release
    catalogues: Catalogues
    topics: ReleaseTopics

    @property
    def snapshots(self) -> CatalogueSnapshots:
        return self.catalogues.now()


def make_engine(release: Release, policy: TopicPolicy = NO_TOPICS) -> Engine:
    return cast(Engine, ShelfEngine(release, Catalogues(release), ReleaseTopics(policy, release)))


@pytest.fixture
def engine(release: Release) -> Engine:
    return make_engine(release)


async def fill(engine: Engine, kind: Placement, *item_ids: str, rules: Any = (), **fields: Any) -> list[ShelfItem]:
    named: list[Mapping[str, Any]] = [{"name": f"rule-{place}", **rule} for place, rule in enumerate(rules)]
    shop_rules = ShopRules(TypeAdapter(list[Rule]).validate_python(named))
    request = ShelfRequest(kind, **{"history": (), "as_of": NOW, "item_ids": item_ids, "rules": shop_rules, **fields})
    return (await fill_shelf(engine, request)).items


def ids(items: list[ShelfItem]) -> list[str]:
    return [each.item.item_id for each in items]


def did(kind: EventType, item_id: str, days: float) -> Event:
    return Event(f"{kind} {item_id} {days}", kind, NOW - timedelta(days=days), item_id)


async def test_pairs_of_the_release_are_shown_the_surest_first(engine: Engine) -> None:
    shelf = await fill(engine, TOGETHER, LAMP)
    assert ids(shelf) == COMPLEMENTS
    pair = shelf[0].evidence.pair
    assert pair is not None
    assert (pair.item_id, pair.together, pair.with_item, pair.shoppers, pair.lower_bound) == (LAMP, 20, 40, 9, 2.0)
    assert ids(await fill(engine, TOGETHER, "gift-card")) == []
    # Of a cart, an item that is in it is not shown.
    assert ids(await fill(engine, TOGETHER, LAMP, COMPLEMENTS[0], "unknown")) == COMPLEMENTS[1:]


async def test_similar_items_begin_with_substitutes_and_hold_no_complement(engine: Engine) -> None:
    shelf = await fill(engine, SIMILAR, LAMP, k=100)
    assert ids(shelf)[:2] == SUBSTITUTES
    assert len(shelf) == len(tiny_release.ITEMS) - 1 - len(COMPLEMENTS)
    assert not {LAMP, *COMPLEMENTS} & set(ids(shelf))
    near = [each.evidence.similarity.similarity for each in shelf[2:] if each.evidence.similarity]
    assert near == sorted(near, reverse=True)


async def test_a_change_of_the_catalogue_shows_at_once(engine: Engine, release: Release) -> None:
    def upsert(item: Item, like: str) -> None:
        words = release.vectors[[release.items.row("products", like)]]
        engine.catalogues.upsert("products", candidates_from_text(release, "products", [item], words))

    upsert(Item(COMPLEMENTS[0], "Jute rug, made anew"), COMPLEMENTS[0])
    assert (await fill(engine, TOGETHER, LAMP))[0].item.title == "Jute rug, made anew"
    engine.catalogues.delete("products", COMPLEMENTS[:1])
    assert ids(await fill(engine, TOGETHER, LAMP)) == COMPLEMENTS[1:]
    upsert(Item("new-lamp", "Red desk lamp"), LAMP)
    assert "new-lamp" in ids(await fill(engine, SIMILAR, LAMP, k=3))
    # Nobody has bought a new item, but much is like it.
    assert (await fill(engine, TOGETHER, "new-lamp"), len(await fill(engine, SIMILAR, "new-lamp"))) == ([], 10)
    engine.catalogues.delete("products", [LAMP])
    with pytest.raises(NotFound, match="item_ids: the catalogue holds none of these items"):
        await fill(engine, TOGETHER, LAMP)


async def test_filters_and_seen_items_hold(engine: Engine) -> None:
    assert ids(await fill(engine, TOGETHER, LAMP, filter=Filter(exclude_item_ids=COMPLEMENTS[:1]))) == COMPLEMENTS[1:]
    lamps = await fill(engine, SIMILAR, LAMP, k=100, filter=Filter(categories=[("Home", "Lamps")]))
    assert {each.item.category_path for each in lamps} == {("Home", "Lamps")}
    seen = [did(EventType.VIEW, COMPLEMENTS[0], 1.0)]
    assert ids(await fill(engine, TOGETHER, LAMP, history=seen, exclude_seen=True)) == COMPLEMENTS[1:]


async def test_rules_arrange_shelves_as_they_do_recommendations(engine: Engine) -> None:
    first, second = COMPLEMENTS
    jute = {"item_ids": [first]}
    assert ids(await fill(engine, TOGETHER, LAMP, rules=[{"action": "exclude", "items": jute}])) == [second]
    assert ids(
        await fill(engine, TOGETHER, LAMP, rules=[{"action": "limit", "items": {"categories": [["Home"]]}, "count": 1}])
    ) == [first]
    lowered = await fill(engine, TOGETHER, LAMP, rules=[{"action": "boost", "items": jute, "amount": -2.0}])
    assert [(each.item.item_id, each.rules) for each in lowered] == [(second, ()), (first, ("rule-0",))]
    # A pinned item has its place among those that belong there; no other comes in.
    pin = {"action": "pin", "items": {"item_ids": ["gift-card", second]}}
    assert ids(await fill(engine, TOGETHER, LAMP, rules=[pin])) == [second, first]
    bought = [did(EventType.PURCHASE, first, 3.0)]
    lately = {"action": "exclude_bought", "items": {"categories": [["Home"]]}, "days": 5.0}
    assert ids(await fill(engine, TOGETHER, LAMP, rules=[lately], history=bought)) == [second]


async def test_a_rule_may_be_of_some_placements(engine: Engine) -> None:
    exclude = {"action": "exclude", "items": {"item_ids": [COMPLEMENTS[0]]}}
    for placements, shown in (([], 1), (["frequently_bought_together"], 1), (["recommendations", "trending"], 2)):
        assert len(await fill(engine, TOGETHER, LAMP, rules=[{**exclude, "when": {"placements": placements}}])) == shown


async def test_rules_add_and_remove_pairs(engine: Engine) -> None:
    add = {"action": "relate", "kind": "complement", "items": {"categories": [["Home", "Lamps"]]}}
    add["other_items"] = {"item_ids": ["gift-card", COMPLEMENTS[1]]}
    shelf = await fill(engine, TOGETHER, LAMP, rules=[add])
    assert [(each.item.item_id, each.rules) for each in shelf] == [
        ("gift-card", ("rule-0",)), (COMPLEMENTS[1], ("rule-0",)), (COMPLEMENTS[0], ())
    ]  # fmt: skip
    assert [each.evidence.pair and each.evidence.pair.together for each in shelf] == [0, 10, 20]
    assert ids(await fill(engine, TOGETHER, "wool-rug-blue", rules=[add])) == []
    remove = {"action": "unrelate", "kind": "complement", "items": {"item_ids": [LAMP]}}
    remove["other_items"] = {"categories": [["Home", "Rugs"]]}
    assert ids(await fill(engine, TOGETHER, LAMP, rules=[remove])) == []
    # What is not bought together any more may be similar; what a rule takes from there is not.
    similar = ids(await fill(engine, SIMILAR, LAMP, rules=[remove], k=100))
    assert set(COMPLEMENTS) <= set(similar)
    remove["kind"] = "substitute"
    rules = [remove, {**remove, "other_items": {"item_ids": SUBSTITUTES[:1]}}]
    left = set(similar) - set(ids(await fill(engine, SIMILAR, LAMP, rules=rules, k=100)))
    assert left >= {SUBSTITUTES[0]} | {
        each for each in similar if each.split("-")[1] == "rug" and each not in COMPLEMENTS
    }


@pytest.mark.parametrize("others", [{}, {"categories": [["Home"]]}, {"item_ids": ["a"], "brands": ["b"]}])
def test_related_items_are_named_by_id(others: Mapping[str, Any]) -> None:
    rule = {"name": "r", "action": "relate", "kind": "complement", "items": {"item_ids": ["a"]}, "other_items": others}
    with pytest.raises(ValidationError, match=r"other_items takes 1 to 20 item_ids|name item_ids"):
        TypeAdapter(Rule).validate_python(rule)


async def test_what_is_due_comes_first_and_refunded_purchases_are_none(engine: Engine) -> None:
    history = sorted(
        [
            *(did(EventType.PURCHASE, "wool-rug-red", days) for days in (61.0, 41.0, 21.0)),
            *(did(EventType.PURCHASE, "frying-pan-red", days) for days in (600.0, 590.0)),
            *(did(EventType.PURCHASE, "gift-card", days) for days in (8.5, 8.6, 5.0)),
            *(did(EventType.PURCHASE, "garden-spade-red", days) for days in (50.0, 25.0)),
            did(EventType.REFUND, "garden-spade-red", 20.0),
            did(EventType.PURCHASE, "desk-lamp-blue", 3.0),
        ],
        key=lambda event: cast(datetime, event.time),
    )
    shelf = await fill(engine, Placement.BUY_AGAIN, history=history)
    told = {each.item.item_id: each.evidence.purchases for each in shelf}
    # One that is due, one that was due long ago, and one whose category nobody is known to buy again.
    assert list(told) == ["wool-rug-red", "frying-pan-red", "gift-card"]
    rug, pan, card = told.values()
    assert rug is not None
    assert rug.due is not None
    assert pan is not None
    assert pan.due is not None
    assert card is not None
    assert card.due is None
    assert (rug.purchase_days, rug.days_since, card.purchase_days) == (3, 21.0, 2)
    assert rug.due.probability > 0.5 > pan.due.probability
    assert rug.due.interval_days == pytest.approx(20.0, rel=0.05)
    assert rug.event_ids[0] == "purchase wool-rug-red 21.0"


async def test_a_history_without_times_counts_in_its_order(engine: Engine) -> None:
    history = [
        Event(str(place), kind, item_id=item_id)
        for place, (kind, item_id) in enumerate(
            [(EventType.VIEW, LAMP), (EventType.CLICK, "gift-card"), (EventType.VIEW, LAMP)]
            + [(EventType.PURCHASE, "gift-card")] * 2 + [(EventType.PURCHASE, LAMP)]
        )
    ]  # fmt: skip
    viewed = await fill(engine, Placement.RECENTLY_VIEWED, history=history)
    assert [(each.item.item_id, each.evidence.views and each.evidence.views.view_count) for each in viewed] == [
        (LAMP, 2), ("gift-card", 1)
    ]  # fmt: skip
    assert all(each.evidence.views and each.evidence.views.days_since is None for each in viewed)
    assert ids(await fill(engine, Placement.BUY_AGAIN, history=history)) == ["gift-card"]


async def test_what_needs_an_age_or_is_sensitive_is_not_shown(release: Release) -> None:
    policy = TopicPolicy({"spades": Topic(words=("spade",), min_age=18), "rugs": Topic(words=("rug",))})
    engine = make_engine(release, policy)
    history = [
        did(EventType.VIEW, each, days)
        for days, each in ((3.0, "garden-spade-red"), (2.0, COMPLEMENTS[0]), (1.0, LAMP))
    ]
    for min_age, viewed in ((0, [LAMP]), (18, [LAMP, "garden-spade-red"])):
        shown = await fill(engine, Placement.RECENTLY_VIEWED, history=history, min_age=min_age)
        assert [each.item.item_id for each in shown] == viewed
        similar = await fill(engine, SIMILAR, "hedge-shears-red", min_age=min_age, k=50)
        assert any("spade" in each.item.item_id for each in similar) == (min_age == 18)


async def test_an_unknown_shopper_has_no_history_to_show(engine: Engine) -> None:
    for kind in (Placement.BUY_AGAIN, Placement.RECENTLY_VIEWED):
        assert await fill(engine, kind) == []


async def test_what_a_shelf_does_not_take_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="item_ids: sent 1 entries; this kind of shelf takes none"):
        await fill(engine, Placement.TRENDING, LAMP)
    with pytest.raises(InvalidRequest, match="exclude_seen: sent true"):
        await fill(engine, Placement.BUY_AGAIN, exclude_seen=True)


async def test_a_long_history_is_counted_whole(engine: Engine) -> None:
    history = [did(EventType.VIEW, LAMP, 1.0 + place) for place in range(300)][::-1]
    [shown] = await fill(engine, Placement.RECENTLY_VIEWED, history=history)
    assert shown.evidence.views is not None
    assert (shown.evidence.views.view_count, shown.evidence.views.event_ids[0]) == (300, f"view {LAMP} 1.0")
