import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from portrait.features.events import Event, EventType, Item
from portrait.features.prices import PriceScale
from portrait.server.profiles.evidence import HALF_LIFE_DAYS, HALF_LIFE_EVENTS, weights
from portrait.server.profiles.interests import interests
from portrait.server.profiles.prices import price_bands
from portrait.server.profiles.words import keywords

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ITEMS = {
    "desk": Item("desk", "Red desk lamp", category_path=("Home", "Lamps"), brand="Acme"),
    "rug": Item("rug", "Wool rug", category_path=("Home", "Rugs")),
    "pan": Item("pan", "Frying pans", category_path=("Kitchen",)),
    "card": Item("card", "Gift card"),
}


def item(event: Event) -> Item | None:
    return ITEMS.get(event.item_id or "")


def did(name: str, kind: EventType, item_id: str | None = None, days: float = 0.0, price: float | None = None) -> Event:
    return Event(name, kind, NOW - timedelta(days=days), item_id, price=price)


HISTORY = [
    did("old", EventType.PURCHASE, "pan", days=HALF_LIFE_DAYS),  # weighs ½
    did("look", EventType.VIEW, "rug"),  # weighs 0.3
    did("lost", EventType.VIEW, "unheard-of"),
    did("none", EventType.PURCHASE, "card"),
    replace(did("hated", EventType.RATE, "pan"), rating=1.0),
    did("bought", EventType.PURCHASE, "desk"),  # weighs 1
    replace(did("asked", EventType.SEARCH), query="red lamps"),
]


def test_interests_share_the_weight_of_what_was_seen() -> None:
    found = interests(HISTORY, NOW, item)
    assert [(each.path, each.evidence_event_ids) for each in found] == [
        (("Home",), ("bought", "look")),
        (("Home", "Lamps"), ("bought",)),
        (("Kitchen",), ("old",)),
        (("Home", "Rugs"), ("look",)),
    ]
    assert [each.weight for each in found] == pytest.approx([1.3 / 1.8, 1.0 / 1.8, 0.5 / 1.8, 0.3 / 1.8])
    assert [each.confidence for each in found] == pytest.approx([1 - math.exp(-m / 3) for m in (1.3, 1.0, 0.5, 0.3)])


def test_more_of_the_same_is_surer_and_names_ten_events() -> None:
    once = interests([did("0", EventType.PURCHASE, "desk")], NOW, item)[0]
    often = interests([did(str(n), EventType.PURCHASE, "desk", days=30 - n) for n in range(30)], NOW, item)[0]
    assert often.confidence > once.confidence
    assert often.weight == once.weight == 1.0
    assert often.evidence_event_ids == tuple(str(n) for n in range(29, 19, -1))


def test_without_times_the_order_counts() -> None:
    history = [replace(did(str(n), EventType.PURCHASE, "desk"), time=None) for n in range(int(HALF_LIFE_EVENTS) + 1)]
    first, *_, last = weights(history, NOW)
    assert [first, last] == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize(("rating", "weight"), [(1.0, 0.0), (2.0, 0.0), (3.5, 0.5), (5.0, 1.0), (None, 1.0)])
def test_a_rating_counts_as_it_is_good(rating: float | None, weight: float) -> None:
    assert weights([replace(did("r", EventType.RATE, "pan"), rating=rating)], NOW) == [pytest.approx(weight)]


def test_keywords_are_what_is_frequent_here_and_rare_in_the_catalogue() -> None:
    frequencies = {"red": 2, "lamp": 5, "desk": 1, "acm": 5, "acme": 5}
    found = keywords(HISTORY[-2:], NOW, item, 99, frequencies)
    # red: 1.5 ln(100/3), lamp: 1.5 ln(100/6), desk: ln(100/2)
    assert [each.word for each in found[:3]] == ["Red", "lamp", "desk"]
    strongest = 1.5 * math.log(100 / 3)
    expected = [1.0, 1.5 * math.log(100 / 6) / strongest, math.log(100 / 2) / strongest]
    assert [each.weight for each in found[:3]] == pytest.approx(expected)
    assert found[1].evidence_event_ids == ("asked", "bought")


def test_a_disliked_item_gives_no_keyword() -> None:
    assert keywords([HISTORY[4]], NOW, item, 99, {}) == []


def test_price_bands_say_where_the_shopper_stands() -> None:
    catalogue_prices = np.arange(1.0, 101.0)
    scale = PriceScale.fit([("Home", "Lamps")] * 100, catalogue_prices)
    history = [did(str(n), EventType.PURCHASE, "desk", price=price) for n, price in enumerate((80.0, 70.0, 90.0))]
    history += [did("few", EventType.PURCHASE, "pan", price=5.0), did("free", EventType.VIEW, "desk")]
    bands = price_bands(history, item, scale)
    assert [band.category_path for band in bands] == [("Home",), ("Home", "Lamps")]
    lamps = bands[1]
    assert (lamps.low, lamps.median, lamps.high, lamps.event_count) == (75.0, 80.0, 85.0, 3)
    assert lamps.percentile == pytest.approx(0.8, abs=0.05)
    assert lamps.evidence_event_ids == ("2", "1", "0")


def test_there_are_no_price_bands_without_prices_to_compare_with() -> None:
    history = [did(str(n), EventType.PURCHASE, "desk", price=9.0) for n in range(5)]
    assert price_bands(history, item, PriceScale.fit([], np.array([]))) == []


def test_nothing_is_said_of_nobody() -> None:
    assert interests([], NOW, item) == []
    assert keywords([], NOW, item, 99, {}) == []
    assert price_bands([], item, PriceScale.fit([], np.array([]))) == []
