"""A shop small enough to be worked out by hand: seven items, a population, a release that holds both."""

import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.candidates.relations import ASSOCIATION, RELATIONS, Relations
from portrait.features.events import Event, EventType, Item
from portrait.features.items.item_table import ItemTable, format_item_line
from portrait.features.items.prices import PriceScale
from portrait.features.population.interest_dynamics import InterestDecay
from portrait.features.population.population import InterestDynamics, Population, PurchaseCycles, SpendingFifths
from portrait.features.population.purchase_cycles import CategoryCycle, CycleScale
from portrait.features.release.manifest import Manifest
from portrait.features.search.word_index import WordIndex
from portrait.features.text.idf import InverseDocumentFrequency
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.release.release import Release

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
COFFEE, PANS = ("Kitchen", "Coffee"), ("Kitchen", "Pans")
LAMPS, RUGS, TOOLS = ("Home", "Lamps"), ("Home", "Rugs"), ("Garden", "Tools")
ITEMS = [
    Item("coffee", "Coffee", category_path=COFFEE, price=10.0),
    Item("pan", "Pan", category_path=PANS, price=30.0),
    Item("desk", "Desk lamp", category_path=LAMPS, brand="Acme", price=40.0),
    Item("floor", "Floor lamp", category_path=LAMPS, brand="Norden", price=60.0),
    Item("bed", "Bed lamp", category_path=LAMPS, brand="Acme", price=20.0),
    Item("rug", "Rug", category_path=RUGS, price=80.0),
    Item("spade", "Spade", category_path=TOOLS, price=15.0),
]
_BY_ID = {item.item_id: item for item in ITEMS}

DECAY = InterestDecay(short=5.0, long=10.0, short_share=0.5, prior=2.0)
POPULATION = Population(
    window_days=365.0,
    interest_dynamics=InterestDynamics(
        by_order=InterestDecay(short=2.0, long=8.0, short_share=0.5, prior=2.0),
        by_time=DECAY,
        population_weights={
            "Home": 0.5, "Home > Lamps": 0.3, "Home > Rugs": 0.2,
            "Kitchen": 0.495, "Kitchen > Coffee": 0.395, "Kitchen > Pans": 0.1,
            "Garden": 0.005, "Garden > Tools": 0.005,
        },
        inferred_calibration=(0.0, 1.0),  # σ(log s) = s / (1 + s)
    ),
    brand_shares={"": {"Acme": 0.5, "Norden": 0.5}, "Home > Lamps": {"Acme": 0.2, "Norden": 0.8}},
    session_gap_minutes=30.0,
    purchase_cycles=PurchaseCycles(
        CycleScale(within=0.5, between=0.5, calibration=(0.0, 1.0), horizon_days=30.0),
        {"Kitchen > Coffee": CategoryCycle(log_days=math.log(20.0), return_rate=0.8, count=100)},
    ),
    spending=SpendingFifths(
        window_days=90.0,
        recency_days=(5.0, 10.0, 20.0, 30.0),
        frequency=(1.0, 2.0, 3.0, 5.0),
        monetary=(10.0, 50.0, 100.0, 200.0),
    ),
    paid_prices=PriceScale({"Kitchen > Coffee": np.linspace(0.0, 20.0, 21)}),
    discounted_shares=np.linspace(0.0, 1.0, 21).tolist(),
)  # fmt: skip


def find_item(event: Event) -> Item | None:
    """The item of an event."""
    return _BY_ID.get(event.item_id or "")


def past_event(event_id: str, kind: EventType, item_id: str | None = None, days: float = 0.0, **more: Any) -> Event:
    """An event so many days before now."""
    return Event(event_id, kind, NOW - timedelta(days=days), item_id, **more)


def make_release(population: Population | None = POPULATION) -> Release:
    """A release of the shop: who had a coffee, or a desk lamp, goes on to a spade."""
    starts, spade = np.array([0, 1, 1, 2, 2, 2, 2, 2]), np.array([6, 6], dtype=np.int32)
    leads = Associations(starts, spade, np.array([0.1, 0.2], dtype=np.float32), 0.5)
    nothing = Associations(np.zeros(8, dtype=np.int64), spade[:0], np.empty(0, dtype=np.float32), 0.5)
    rest: dict[str, Any] = {
        "words": WordIndex.from_items(ITEMS),
        "statistics": np.zeros((7, len(ITEM_STATISTICS)), dtype=np.float32),
        "vectors": np.zeros((7, 2)),
        "neighbours": cast(ColdStartNeighbours, None),
    }
    return Release(
        number=1,
        manifest=cast(Manifest, SimpleNamespace(dimension=2)),
        tokenizer=cast(TextTokenizer, None),
        items=ItemTable.from_lines("".join(map(format_item_line, ITEMS)).encode(), PriceScale({})),
        index=None,
        sentence_vectors=np.zeros((0, 2), dtype=np.float32),
        relations=Relations(dict.fromkeys(RELATIONS, nothing) | {ASSOCIATION: leads}),
        price_scale=PriceScale({}),
        rarity=InverseDocumentFrequency.from_counts(
            99, {"lamp": 9, "red": 19, "bed": 49, "acm": 99, "acme": 99, "norden": 99}
        ),
        population=population,
        **rest,
    )
