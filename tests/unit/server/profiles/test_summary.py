"""A summary claims what its fields bear: the largest interest, as surely as it is known, on the right day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.example_shop import COFFEE, NOW, RUGS, find_item, make_release, past_event

from portrait.features.events import Event, EventType
from portrait.features.generators import run_to_completion
from portrait.features.profiles.absence import explain_too_few
from portrait.features.profiles.interests import Interest
from portrait.features.profiles.keywords import WeightedKeyword
from portrait.features.profiles.price_bands import PriceBand
from portrait.server.profiles.activity_pattern import ActivityPattern
from portrait.server.profiles.aversions import Aversion
from portrait.server.profiles.brands import BrandAffinity
from portrait.server.profiles.profile import ModelOutputs, Profile, build_profile
from portrait.server.profiles.session_intent import SessionCategory, SessionIntent, SessionStage
from portrait.server.profiles.summary import summarise_profile

FIELDS = frozenset({"customer_value", "summary", "price_bands", "keywords", "discount_sensitivity"})


def interest(path: tuple[str, ...], weight: float, confidence: float = 0.6, usual: float = 0.1) -> Interest:
    return Interest(path, weight, confidence, ("e",), weight, weight, weight, usual, None)


def said(field: str, value: object) -> list[str]:
    return [each.english for each in summarise_profile({field: value})]


def profile(history: list[Event], as_of: datetime = NOW) -> Profile:
    return run_to_completion(build_profile(history, as_of, find_item, make_release(), FIELDS, ModelOutputs()))


GROCERY, CANDY, SODA, DRUG = ("Grocery",), ("Grocery", "Candy"), ("Grocery", "Soft drinks"), ("Drug",)


@pytest.mark.parametrize(
    ("interests", "expected"),
    [
        (
            [interest(GROCERY, 0.66), interest(DRUG, 0.13), interest(SODA, 0.11), interest(CANDY, 0.06)],
            "Cares most for Grocery (66%; above all Soft drinks 11% and Candy 6%) and Drug (13%).",
        ),
        (  # what a table shows: the whole of the wider one is the narrower one's
            [interest(("Kitchen",), 0.63), interest(COFFEE, 0.63), interest(DRUG, 0.37)],
            "Cares most for Kitchen › Coffee (63%) and Drug (37%).",
        ),
        (
            [interest(GROCERY, 0.97, usual=0.95), interest(SODA, 0.6)],
            "Like nearly all shoppers, cares most for Grocery (97%; above all Soft drinks 60%).",
        ),
        (
            [interest(GROCERY, 0.11), interest(DRUG, 0.1)],
            "Cares for many things, a little more for Grocery (11%) and Drug (10%).",
        ),
        ([interest(GROCERY, 0.9, 0.33)], "Seems to care most for Grocery (90%)."),
        ([interest(GROCERY, 0.9, 0.15), interest(DRUG, 0.1, 0.03)], "Seems to care most for Grocery (90%)."),
        ([interest(GROCERY, 0.9, 0.05)], "Shows first signs of interest in Grocery (90%)."),
    ],
)  # fmt: skip
def test_the_largest_interest_is_named_as_surely_as_it_is_known(interests: list[Interest], expected: str) -> None:
    assert said("interests", interests)[0] == expected


@pytest.mark.parametrize(
    "interests",
    [
        [interest(GROCERY, 0.9, 0.03)],
        [interest(GROCERY, 0.03, 0.9)],
        [interest(GROCERY, 1.0, 0.9, usual=0.95)],
        [],
    ],
)
def test_nothing_is_claimed_below_a_floor_nor_of_what_everybody_wants(interests: list[Interest]) -> None:
    assert said("interests", interests) == []


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.6, ["Turns to Drug."]),
        (0.2, ["Seems to turn to Drug."]),
        (0.1, []),
    ],
)
def test_a_trend_is_told_as_surely_as_it_is_known(confidence: float, expected: list[str]) -> None:
    turned = replace(interest(DRUG, 0.9, confidence), long_term_weight=0.1)
    assert said("interests", [turned])[1:] == expected


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.5, ["Was let down by Home › Rugs."]), (0.1, ["May not like Home › Rugs."]), (0.04, [])],
)
def test_an_aversion_is_told_as_surely_as_it_is_known(confidence: float, expected: list[str]) -> None:
    assert said("aversions", [Aversion(RUGS, 1.0, confidence, ("e",), 1, None)]) == expected


@pytest.mark.parametrize(("count", "pays"), [(3, "Seems to pay less"), (9, "Pays less")])
def test_a_price_band_is_told_as_surely_as_it_is_known(count: int, pays: str) -> None:
    band = PriceBand(COFFEE, 0.1, 1.0, 2.0, 3.0, count, 1 - 0.98 / count**0.5, ("e",), None)
    assert said("price_bands", [band]) == [f"{pays} than most for Kitchen › Coffee (about 2.00)."]


def test_weekdays_that_are_about_alike_are_no_rhythm() -> None:
    found = ActivityPattern((), (), (9,), (1,), 2.0, 0.3, ("e",), None)
    assert said("activity_pattern", found) == ["Is active mostly around 9:00."]
    assert said("activity_pattern", replace(found, peak_hours=())) == []
    assert said("activity_pattern", replace(found, confidence=0.99)) == ["Is active mostly on Mondays, around 9:00."]


@pytest.mark.parametrize(
    ("as_of", "hours", "day", "chinese"),
    [
        (datetime(2026, 5, 1, 23, 59, tzinfo=UTC), 23.9, "today", "就在今天"),
        (datetime(2026, 5, 1, 0, 1, tzinfo=UTC), 0.1, "yesterday", "在昨天"),
        (datetime(2026, 5, 1, 12, 0, tzinfo=UTC), 12.0, "today", "就在今天"),
        (datetime(2026, 5, 1, 12, 0, tzinfo=UTC), 12.1, "yesterday", "在昨天"),
        (datetime(2026, 5, 1, 12, 0, tzinfo=UTC), 36.1, "2 days ago", "在2天前"),
        (datetime(2026, 5, 1, 1, 0, tzinfo=UTC).astimezone(), 1.5, "yesterday", "在昨天"),
    ],
)
def test_today_is_the_calendar_day_of_the_profile(as_of: datetime, hours: float, day: str, chinese: str) -> None:
    bought = Event("e", EventType.PURCHASE, as_of - timedelta(hours=hours), "coffee", price=10.0)
    [value] = [each for each in profile([bought], as_of).summary if each.field == "customer_value"]
    assert value.english.endswith(f"; the last purchase was {day}.")
    assert value.chinese.endswith(f"上次购买{chinese}。")


def test_who_bought_long_ago_bought_nothing_of_late() -> None:
    [value] = [
        each
        for each in profile([past_event("e", EventType.PURCHASE, "coffee", 100)]).summary
        if each.field == "customer_value"
    ]
    assert "bought nothing in the last 90 days; the last purchase was 100 days ago." in value.english


def test_little_of_the_window_is_no_tier() -> None:
    [value] = [
        each
        for each in profile([past_event("e", EventType.PURCHASE, "coffee", 2)]).summary
        if each.field == "customer_value"
    ]
    assert value.english == "New: bought on 1 day of the last 90; the last purchase was 2 days ago."


def test_a_price_of_nothing_is_no_price() -> None:
    gifts = [past_event(f"gift {n}", EventType.PURCHASE, "coffee", n, price=0.0) for n in range(5)]
    free = profile(gifts)
    assert not free.price_bands
    assert not free.discount_sensitivity
    assert free.customer_value is not None
    assert free.customer_value.monetary is None
    paid = [past_event(f"paid {n}", EventType.PURCHASE, "coffee", n, price=10.0) for n in range(5)]
    found = profile([*gifts, *paid])
    [coffee] = found.price_bands
    assert (coffee.low, coffee.event_count) == (10.0, 5)
    assert found.discount_sensitivity is not None
    assert (found.discount_sensitivity.discounted_share, found.discount_sensitivity.purchase_count) == (0.0, 5)


def test_what_says_how_much_is_no_word_of_note() -> None:
    queries = ("milk 2 liter btl", "Sft drnk 12x330ml", "T-shirt XL 3 Stk", "WH-1000XM4 headphones", "牛奶 250毫升")
    history = [past_event(str(n), EventType.SEARCH, query=query) for n, query in enumerate(queries)]
    history.append(past_event("lamp", EventType.VIEW, "desk"))
    made = profile(history)
    assert {each.word for each in made.keywords} >= {"milk", "headphones", "牛奶", "lamp"}
    assert not {each.word for each in made.keywords} & {
        "liter", "btl", "Sft", "drnk", "12x330ml", "XL", "Stk", "WH", "1000XM4", "250毫升", "毫升",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "paths", "expected"),
    [
        (SessionStage.PURCHASED, [COFFEE], "In the last session bought: Kitchen › Coffee (1 May 2026)."),
        (
            SessionStage.PURCHASED,
            [COFFEE, RUGS],
            "In the last session bought; the visit was to Kitchen › Coffee and Home › Rugs (1 May 2026).",
        ),
        (
            SessionStage.BROWSING,
            [COFFEE, RUGS],
            "In the last session looked around: Kitchen › Coffee and Home › Rugs (1 May 2026).",
        ),
    ],
)
def test_what_was_looked_at_is_not_told_as_bought(
    stage: SessionStage, paths: list[tuple[str, ...]], expected: str
) -> None:
    focus = tuple(SessionCategory(path, 1 / len(paths)) for path in paths)
    session = SessionIntent(stage, False, focus, (), NOW, 2, 0.5, ("e",), NOW)
    assert said("session", session) == [expected]


@pytest.mark.parametrize(
    ("there", "needed", "expected"),
    [
        (0, 1, "there are no purchases, and at least 1 is needed"),
        (2, 3, "too few purchases: 2, and at least 3 are needed"),
    ],
)
def test_what_is_missing_is_told_in_plain_english(there: int, needed: int, expected: str) -> None:
    assert explain_too_few(there, needed, "purchases").explanation == expected


def test_a_brand_that_is_told_is_no_word_of_note() -> None:
    words = [WeightedKeyword(word, 1.0, 0.9, ("e",), 1, None) for word in ("Acme", "Gouda", "Norden")]
    brands = [BrandAffinity("Acme Farm", 2.0, 0.9, 0.9, ("e",), 1, None)]
    brands.append(replace(brands[0], brand="Norden", confidence=0.5))
    told = [each.english for each in summarise_profile({"keywords": words, "brands": brands})]
    assert told[-1] == "Words of note: Gouda, Norden."
