"""Complements and substitutes of a log that was made so that both are known."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny_data

from portrait.features.candidates.item_pairs import MAX_PAIRS_PER_ITEM, ItemPair, PairKind
from portrait.training.dataset.corpus import load_corpus
from portrait.training.population.item_pairs import MIN_SHOPPERS, find_item_pairs

START = datetime(2026, 1, 1, tzinfo=UTC)
GAP_MINUTES = 30.0
Visit = list[tuple[str, str]]


def find(
    folder: Path, visits: dict[str, list[Visit]], gap_minutes: float | None = GAP_MINUTES
) -> dict[tuple[str, ...], ItemPair]:
    """Pairs of a log of visits a day apart, whose events are type and item, a minute apart."""
    tiny_data.write(folder, shoppers=1, events=1)
    schema = pl.read_parquet_schema(folder / "events.parquet")
    rows = [
        dict.fromkeys(schema)
        | {
            "event_id": f"{shopper}-{day}-{minute}", "shopper_id": shopper, "sequence": 100 * day + minute,
            "type": kind, "time": START + timedelta(days=day, minutes=minute), "catalogue": "products",
            "item_id": item_id,
        }
        for shopper, days in visits.items()
        for day, events in enumerate(days)
        for minute, (kind, item_id) in enumerate(events)
    ]  # fmt: skip
    pl.DataFrame(rows, schema=schema).write_parquet(folder / "events.parquet")
    corpus = load_corpus(folder)
    events = np.flatnonzero(corpus.event_item >= 0)
    found = list(find_item_pairs(corpus, events, gap_minutes, seed=0))
    by_key = {(pair.kind.value, pair.item_id, pair.other_item_id): pair for pair in found}
    assert len(by_key) == len(found)
    return by_key


def buy(*item_ids: str) -> Visit:
    return [("purchase", item_id) for item_id in item_ids]


def view(*item_ids: str) -> Visit:
    return [("view", item_id) for item_id in item_ids]


LAMP_AND_RUG, CHAIR = ("Lamps-0", "Rugs-0"), "Chairs-0"


def make_shop(shoppers: int = 4) -> dict[str, list[Visit]]:
    """Lamp and rug are bought together; two tables are looked at together, and one of them is bought."""
    return {
        f"s{number}": [
            buy(*LAMP_AND_RUG), buy(*LAMP_AND_RUG), buy(CHAIR), buy(CHAIR), view(CHAIR), view(CHAIR),
            view("Tables-0", "Tables-1") + buy("Tables-0"), view("Tables-0", "Tables-1") + buy("Tables-1"),
            view("Tables-1", "Tables-0") + buy("Tables-0"), view("Tables-1", "Tables-0") + buy("Tables-1"),
        ]
        for number in range(shoppers)
    }  # fmt: skip


def test_complements_are_bought_together_and_substitutes_looked_at_together(tmp_path: Path) -> None:
    found = find(tmp_path, make_shop())
    assert found.keys() == {
        ("complement", *LAMP_AND_RUG), ("complement", *LAMP_AND_RUG[::-1]),
        ("substitute", "Tables-0", "Tables-1"), ("substitute", "Tables-1", "Tables-0"),
    }  # fmt: skip
    pair = found["complement", *LAMP_AND_RUG]
    assert pair[3:9] == (8, 8, 8, 32, 8, 4)
    # By hand: all 8 baskets with one have both, 24 have neither.
    ratio, error = math.log(8.5 * 24.5 / (0.5 * 0.5)), math.sqrt(1 / 8.5 + 1 / 24.5 + 2 / 0.5)
    assert (pair.log_odds_ratio, pair.lower_bound) == pytest.approx((ratio, ratio - 1.96 * error))
    alternative = found["substitute", "Tables-0", "Tables-1"]
    assert alternative[3:9] == (16, 16, 16, 24, 0, 4)


def test_a_few_people_are_not_told_of(tmp_path: Path) -> None:
    assert find(tmp_path / "few", {**make_shop(MIN_SHOPPERS - 1), "other": [buy(CHAIR)] * 40}) == {}
    assert find(tmp_path / "enough", {**make_shop(MIN_SHOPPERS), "other": [buy(CHAIR)] * 40})


def test_a_pause_ends_a_visit_and_without_times_there_is_none(tmp_path: Path) -> None:
    assert find(tmp_path / "apart", make_shop(), gap_minutes=0.5) == {}
    assert find(tmp_path / "unknown", make_shop(), gap_minutes=None) == {}


def test_an_item_has_so_many_pairs_the_surest(tmp_path: Path) -> None:
    others = [f"{category}-{number}" for category in ("Rugs", "Chairs", "Tables") for number in range(12)][:30]
    # The later an item stands in the list, the more often it is bought without the lamp.
    visits = {
        f"s{number}": [
            *(buy("Lamps-0", each) for each in others),
            *(buy(each) for place, each in enumerate(others) for _ in range(place % 5)),
            *[buy("Lamps-11")] * 400,
        ]
        for number in range(4)
    }
    bounds = [pair.lower_bound for key, pair in find(tmp_path, visits).items() if key[:2] == ("complement", "Lamps-0")]
    assert len(bounds) == MAX_PAIRS_PER_ITEM
    assert bounds == sorted(bounds, reverse=True)


def test_kinds_are_those_of_the_file() -> None:
    assert {kind.value for kind in PairKind} == {"complement", "substitute"}
