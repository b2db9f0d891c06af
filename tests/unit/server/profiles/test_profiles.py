import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from portrait.features.events import Event, EventType, Item
from portrait.features.items.prices import PriceScale
from portrait.features.population.population import Population
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import DEFAULT_DECAY_BY_ORDER, DEFAULT_DECAY_BY_TIME, Evidence
from portrait.features.profiles.interests import compute_interests
from portrait.features.profiles.keywords import compute_keywords
from portrait.features.profiles.price_bands import compute_price_bands
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.server.profiles.aversions import find_aversions
from portrait.server.profiles.brands import compute_brand_affinities
from portrait.server.profiles.recent_queries import QueryIntent, QueryOutcome, find_recent_queries
from portrait.server.profiles.summary import summarise_profile

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ITEMS = {
    "desk": Item("desk", "Red desk lamp", category_path=("Home", "Lamps"), brand="Acme"),
    "rug": Item("rug", "Wool rug", category_path=("Home", "Rugs")),
    "pan": Item("pan", "Frying pans", category_path=("Kitchen",)),
    "card": Item("card", "Gift card"),
}


def item(event: Event) -> Item | None:
    return ITEMS.get(event.item_id or "")


def read(history: list[Event]) -> Evidence:
    return Evidence.from_history(history, NOW, item)


def did(name: str, kind: EventType, item_id: str | None = None, days: float = 0.0, price: float | None = None) -> Event:
    return Event(name, kind, NOW - timedelta(days=days), item_id, price=price)


HISTORY = [
    did("old", EventType.PURCHASE, "pan", days=DEFAULT_DECAY_BY_TIME.long),  # weighs ½
    did("look", EventType.VIEW, "rug"),  # weighs 0.3
    did("lost", EventType.VIEW, "unheard-of"),
    did("none", EventType.PURCHASE, "card"),
    did("hated", EventType.RATE, "pan")._replace(rating=1.0),
    did("bought", EventType.PURCHASE, "desk"),  # weighs 1
    did("asked", EventType.SEARCH)._replace(query="red lamps"),
]


def test_interests_share_the_weight_of_what_was_seen() -> None:
    found = compute_interests(read(HISTORY), None)
    assert not isinstance(found, Absence)
    assert [(each.category_path, each.evidence_event_ids) for each in found] == [
        (("Home",), ("bought", "look")),
        (("Home", "Lamps"), ("bought",)),
        (("Kitchen",), ("old",)),
        (("Home", "Rugs"), ("look",)),
    ]
    assert [each.weight for each in found] == pytest.approx([1.3 / 1.8, 1.0 / 1.8, 0.5 / 1.8, 0.3 / 1.8])
    assert [each.confidence for each in found] == pytest.approx([m / (m + 3.0) for m in (1.3, 1.0, 0.5, 0.3)])
    assert {(each.next_event_probability, each.population_weight) for each in found} == {(None, None)}  # no statistics


def test_more_of_the_same_is_surer_and_names_ten_events() -> None:
    once = compute_interests(read([did("00", EventType.PURCHASE, "desk")]), None)
    often = compute_interests(read([did(f"{n:02}", EventType.PURCHASE, "desk", days=30 - n) for n in range(30)]), None)
    assert not isinstance(once, Absence)
    assert not isinstance(often, Absence)
    assert often[0].confidence > once[0].confidence
    assert often[0].weight == once[0].weight == pytest.approx(1.0)
    assert often[0].evidence_event_ids == tuple(f"{n:02}" for n in range(29, 19, -1))
    assert (once[0].evidence_count, often[0].evidence_count) == (1, 30)


def test_without_times_the_order_counts() -> None:
    half_life = int(DEFAULT_DECAY_BY_ORDER.long)
    history = [did(str(n), EventType.PURCHASE, "desk")._replace(time=None) for n in range(half_life + 1)]
    evidence = read(history)
    assert [evidence.events[0].long, evidence.events[-1].long] == pytest.approx([0.5, 1.0])
    assert evidence.short_term_expires_at is None


@pytest.mark.parametrize(("rating", "weight"), [(1.0, 0.0), (2.0, 0.0), (3.5, 0.5), (5.0, 1.0), (None, 1.0)])
def test_a_rating_counts_as_it_is_good(rating: float | None, weight: float) -> None:
    [rated] = read([did("r", EventType.RATE, "pan")._replace(rating=rating)]).events
    assert rated.long == pytest.approx(weight)


@pytest.mark.parametrize(("seconds", "weight"), [(1.0, 0.0), (3.0, 0.0), (4.0, 0.3), (None, 0.3)])
def test_a_page_left_at_once_counts_nothing(seconds: float | None, weight: float) -> None:
    [looked] = read([did("v", EventType.VIEW, "pan")._replace(dwell_seconds=seconds)]).events
    assert looked.long == pytest.approx(weight)


def test_a_refund_takes_its_purchase_back_and_speaks_against_it() -> None:
    history = [
        did("bought", EventType.PURCHASE, "desk", days=3),
        did("again", EventType.PURCHASE, "desk", days=2),
        did("back", EventType.REFUND, "desk", days=1),
        did("later", EventType.PURCHASE, "pan"),
    ]
    kept = {each.event.event_id: each.long > 0.0 for each in read(history).events}
    assert kept == {"bought": True, "again": False, "back": False, "later": True}
    [home, lamps] = found = find_aversions(read(history))
    assert not isinstance(found, Absence)
    assert (home.category_path, lamps.category_path, lamps.evidence_event_ids) == (
        ("Home",),
        ("Home", "Lamps"),
        ("back",),
    )
    assert lamps.weight == pytest.approx(2 ** (-1 / 30) / (2 ** (-1 / 30) + 2 ** (-3 / 30)))


def test_brands_of_events_that_count_nothing_are_not_said_to_be_missing() -> None:
    evidence = Evidence.from_history([did("bought", EventType.PURCHASE, "desk")], NOW + timedelta(days=1_000_000), item)
    found = compute_brand_affinities(evidence, Population(90.0, None, {"": {"Acme": 1.0}}))
    assert isinstance(found, Absence)
    assert found.explanation.startswith("all events of items with a brand count for nothing")


def test_a_refund_of_something_else_takes_nothing_back() -> None:
    history = [did("bought", EventType.PURCHASE, "desk", days=1), did("back", EventType.REFUND, "pan")]
    assert read(history).events[0].long > 0.0
    earlier = [did("back", EventType.REFUND, "desk", days=2), did("bought", EventType.PURCHASE, "desk", days=1)]
    assert read(earlier).events[1].long > 0.0


def test_keywords_are_those_the_catalogue_has_few_of() -> None:
    frequencies = {"red": 2, "lamp": 5, "desk": 1, "acm": 5, "acme": 5}
    found = compute_keywords(
        read([HISTORY[-2], HISTORY[-1]._replace(event_id="zz")]), InverseDocumentFrequency.from_counts(99, frequencies)
    )
    assert not isinstance(found, Absence)
    # red: 1.5 ln(100/3), lamp: 1.5 ln(100/6), desk: ln(100/2)
    assert [each.word for each in found[:3]] == ["Red", "lamp", "desk"]
    strongest = 1.5 * math.log(100 / 3)
    expected = [1.0, 1.5 * math.log(100 / 6) / strongest, math.log(100 / 2) / strongest]
    assert [each.weight for each in found[:3]] == pytest.approx(expected)
    assert found[1].evidence_event_ids == ("zz", "bought")


def test_words_that_have_faded_are_left_out() -> None:
    history = [did("long ago", EventType.PURCHASE, "pan", days=8 * DEFAULT_DECAY_BY_TIME.long), HISTORY[5]]
    found = compute_keywords(read(history), InverseDocumentFrequency.from_counts(4, {}))
    assert not isinstance(found, Absence)
    assert {each.word for each in found} == {"Red", "desk", "lamp", "Acme"}


def test_a_log_without_purchases_says_nothing_of_their_lack_nor_of_what_everybody_wants() -> None:
    found = compute_interests(read(HISTORY), None)
    assert not isinstance(found, Absence)
    usual = [replace(each, population_weight=1.0 if "Kitchen" in each.category_path else 0.3) for each in found]
    asked = [QueryIntent("lamp", 1, NOW, QueryOutcome.VIEWED, (), 0.5, ("asked",), None)]
    parts = {"interests": usual, "recent_queries": asked}
    said = {each.field: each.english for each in summarise_profile(parts)}
    assert said == {
        "interests": "Seems to care most for Home (72%; above all Lamps 56%).",
        "recent_queries": "Asked for “lamp” without buying.",
    }
    clicks_only = parts | {"customer_value": Absence(AbsenceReason.NO_STATISTICS, "nobody bought")}
    assert {each.field: each.english for each in summarise_profile(clicks_only)}[
        "recent_queries"
    ] == "Asked for “lamp”."


def test_a_query_led_to_what_follows_it_in_the_session_where_only_searches_carry_one() -> None:
    minute = 1 / 1440
    history = [
        did("s1", EventType.SEARCH, days=9.0)._replace(query="pan"),
        did("v1", EventType.VIEW, "pan", days=9.0 - minute),
        did("b1", EventType.PURCHASE, "pan", days=8.0),
        did("s2", EventType.SEARCH, days=10 * minute)._replace(query="lamp"),
        did("v2", EventType.VIEW, "rug", days=9 * minute),
        did("b2", EventType.PURCHASE, "desk", days=8 * minute),
    ]
    found = find_recent_queries(read(history), None)
    assert not isinstance(found, Absence)
    told = [(each.query, each.outcome, each.evidence_event_ids) for each in found]
    assert told == [("lamp", QueryOutcome.PURCHASED, ("b2", "v2", "s2")), ("pan", QueryOutcome.VIEWED, ("v1", "s1"))]
    carried = [*history[:4], history[4]._replace(query="lamp"), history[5]]
    found = find_recent_queries(read(carried), None)
    assert not isinstance(found, Absence)
    assert [each.outcome for each in found] == [QueryOutcome.VIEWED, QueryOutcome.NONE]


def test_a_disliked_item_gives_no_keyword() -> None:
    assert isinstance(compute_keywords(read([HISTORY[4]]), InverseDocumentFrequency.from_counts(99, {})), Absence)


def test_price_bands_say_where_the_shopper_stands() -> None:
    asked = PriceScale.fit([("Home", "Lamps")] * 100, np.arange(1.0, 101.0))
    history = [did(str(n), EventType.PURCHASE, "desk", price=price) for n, price in enumerate((80.0, 70.0, 90.0))]
    history += [did("few", EventType.PURCHASE, "pan", price=5.0), did("free", EventType.VIEW, "desk")]
    bands = compute_price_bands(read(history), None, asked)
    assert not isinstance(bands, Absence)
    assert [band.category_path for band in bands] == [("Home",), ("Home", "Lamps")]
    lamps = bands[1]
    assert (lamps.low, lamps.median, lamps.high, lamps.event_count) == (75.0, 80.0, 85.0, 3)
    assert lamps.percentile == pytest.approx(0.8, abs=0.05)
    assert lamps.evidence_event_ids == ("2", "1", "0")


def test_a_price_is_never_compared_with_those_of_other_categories() -> None:
    history = [did(str(n), EventType.PURCHASE, "desk", price=9.0) for n in range(5)]
    everything = PriceScale.fit([("Kitchen",)] * 100, np.arange(1.0, 101.0))
    assert isinstance(compute_price_bands(read(history), None, everything), Absence)


def test_nothing_is_said_of_nobody() -> None:
    assert isinstance(compute_interests(read([]), None), Absence)
    assert isinstance(compute_keywords(read([]), InverseDocumentFrequency.from_counts(99, {})), Absence)
    assert isinstance(compute_price_bands(read([]), None, PriceScale({})), Absence)
