"""Shelves of a run that was exported and is served over gRPC, against plain counts over the same log."""

import dataclasses
import itertools
import json
import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.gateway import run_gateway

from portrait.client import Client, Consent, Event, EventType, Purpose, Shelf, ShelfKind
from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.features.release import layout as release_layout
from portrait.training.dataset.corpus import load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.ranker.item_index import build_item_index
from portrait.training.ranker.item_statistics import compute_item_statistics
from portrait.training.run.run import TrainedRun

ALL = 100
SHOPPER = "s003"
Row = dict[str, Any]


@dataclass(frozen=True)
class Shop:
    """A gateway that serves the run, and what it was made of."""

    client: Client
    folder: Path
    """The release."""
    log: list[Row]
    """All events."""
    learnt: list[Row]
    """Events with an item that the release may know."""
    as_of: datetime

    def get(self, kind: ShelfKind, *item_ids: str) -> Shelf:
        return self.client.get_shelf(SHOPPER, kind, item_ids, k=ALL, as_of=self.as_of)

    @property
    def items(self) -> list[str]:
        lines = (self.folder / release_layout.ITEMS).read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["item_id"] for line in lines]

    def visits(self, *kinds: str) -> list[tuple[str, set[str]]]:
        """Shopper and items of each visit with an event of some types."""
        population = json.loads((self.folder / release_layout.POPULATION).read_text(encoding="utf-8"))
        gap = timedelta(minutes=population["session_gap_minutes"])
        visits: list[tuple[str, set[str]]] = []
        for shopper, events in itertools.groupby(self.learnt, key=lambda event: event["shopper_id"]):
            before = None
            for event in events:
                if before is None or event["time"] - before > gap:
                    visits.append((shopper, set()))
                before = event["time"]
                if event["type"] in kinds:
                    visits[-1][1].add(event["item_id"])
        return [visit for visit in visits if visit[1]]


def _make_visits(log: pl.DataFrame) -> pl.DataFrame:
    """Turn a log into one of visits three days apart, in which more is bought, and two lamps are looked at together."""
    item, visit = pl.col("item_id"), ("shopper_id", "time")
    log = log.sort("shopper_id", "sequence").with_columns(
        pl.col("time").dt.truncate("3d"), pl.col("type").replace("click", "purchase")
    )
    place = pl.when(item.is_not_null()).then(item.is_not_null().cum_sum().over(*visit))
    is_alternative = item.str.starts_with("Lamps") & (place <= 2) & (item.count().over(*visit) > 1)
    return log.with_columns(
        pl.when(is_alternative).then(pl.format("Lamps-{}", place - 1)).otherwise(item).alias("item_id"),
        pl.when(is_alternative).then(pl.lit("view")).otherwise(pl.col("type")).alias("type"),
    )


def _relearn(trained: TrainedRun, data: Path) -> TrainedRun:
    """The run as if it had learnt from another log of the same items and texts; the models stay as they are."""
    corpus = load_corpus(data)
    assert (corpus.texts, corpus.items) == (trained.corpus.texts, trained.corpus.items)
    holdout = hold_out(corpus, trained.settings.split)
    statistics = compute_item_statistics(corpus, holdout.learnt(corpus))
    index = build_item_index(trained.model, trained.cache, corpus, holdout.item_counts, statistics)
    return dataclasses.replace(trained, corpus=corpus, holdout=holdout, index=index)


@pytest.fixture(scope="module")
def shop(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shelves")
    data = shutil.copytree(trained.folder.parent / "data", folder / "data")
    events = _make_visits(pl.read_parquet(data / "events.parquet"))
    events.write_parquet(data / "events.parquet")
    export_release(_relearn(trained, data), {}, folder / "model_repository", Precision.FP32, lambda _: None)
    log = events.to_dicts()
    own = [
        (row["shopper_id"], Event(EventType(row["type"]), row["event_id"], row["time"], row["item_id"] or "",
         query=row["query"] or "")) for row in log if row["shopper_id"] == SHOPPER
    ]  # fmt: skip
    with (
        run_gateway(folder / "model_repository", folder) as gateway,
        Client(gateway.address, timeout=60.0) as client,
    ):
        assert client.record_events(own).accepted == len(own)
        as_of = max(row["time"] for row in log) + timedelta(days=1)
        yield Shop(client, folder / "model_repository/releases/1", log, list(_list_learnt(log)), as_of)


def _list_learnt(log: list[Row]) -> Iterator[Row]:
    """Yield what each shopper did before the moment of their last event but one that has an item."""
    for _, events in itertools.groupby(log, key=lambda event: event["shopper_id"]):
        with_item = [event for event in events if event["item_id"]]
        yield from (event for event in with_item if event["time"] < with_item[-2]["time"])


def compare(visits: list[tuple[str, set[str]]], one: str, other: str) -> tuple[int, int, float, float]:
    """Visits with both, their shoppers, the log odds ratio and its standard error."""
    both = [shopper for shopper, items in visits if {one, other} <= items]
    first, second = (sum(each in items for _, items in visits) for each in (one, other))
    cells = (len(both), first - len(both), second - len(both), len(visits) - first - second + len(both))
    a, b, c, d = (cell + 0.5 for cell in cells)
    return len(both), len(set(both)), math.log(a * d / (b * c)), math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)


def find_pairs(shop: Shop, item_id: str) -> tuple[dict[str, tuple[int, float]], dict[str, tuple[int, float]]]:
    """Complements and substitutes of an item, each with visits in common and lower bound."""
    baskets, looks = shop.visits("purchase"), shop.visits("view", "click")
    complements, substitutes = {}, {}
    for other in set(shop.items) - {item_id}:
        bought, buyers, buying, buying_error = compare(baskets, item_id, other)
        seen, lookers, looking, looking_error = compare(looks, item_id, other)
        contrast = looking - buying - 1.96 * math.hypot(looking_error, buying_error)
        if seen >= 3 and looking > 1.96 * looking_error and contrast > 0:
            if lookers >= 3:
                substitutes[other] = seen, contrast
        elif bought >= 3 and buyers >= 3 and buying > 1.96 * buying_error:
            complements[other] = bought, buying - 1.96 * buying_error
    return complements, substitutes


def test_what_is_bought_together_is_what_baskets_have_in_common(shop: Shop) -> None:
    found = 0
    for item_id in ("Lamps-0", "Chairs-5", "Tables-11"):
        complements, _ = find_pairs(shop, item_id)
        shelf = shop.get(ShelfKind.FREQUENTLY_BOUGHT_TOGETHER, item_id)
        told = {}
        for each in shelf.items:
            assert each.evidence.pair is not None
            told[each.item.item_id] = each.evidence.pair
        assert told.keys() == complements.keys()
        baskets = sum(item_id in items for _, items in shop.visits("purchase"))
        for other, pair in told.items():
            assert (pair.item_id, pair.with_item, pair.visits) == (item_id, baskets, len(shop.visits("purchase")))
            assert pair.together == pair.bought_together == complements[other][0]
            assert pair.lower_bound == pytest.approx(complements[other][1], rel=1e-4)
            assert pair.confidence == pytest.approx(pair.together / baskets)
        bounds = [pair.lower_bound for pair in told.values()]
        assert bounds == sorted(bounds, reverse=True)
        found += len(told)
    assert found > 10


def test_similar_items_are_substitutes_and_then_the_nearest(shop: Shop) -> None:
    vectors = dict(zip(shop.items, np.load(shop.folder / release_layout.ITEM_VECTORS).astype(np.float64), strict=True))
    for item_id, replaced_by in (("Lamps-0", {"Lamps-1"}), ("Rugs-3", set[str]())):
        complements, substitutes = find_pairs(shop, item_id)
        assert substitutes.keys() >= replaced_by
        shelf = shop.get(ShelfKind.SIMILAR_ITEMS, item_id)
        shown = [each.item.item_id for each in shelf.items]
        assert set(shown) == set(shop.items) - {item_id} - complements.keys()
        assert set(shown[: len(substitutes)]) == substitutes.keys()
        for each in shelf.items:
            if each.evidence.pair is not None:
                told = each.evidence.pair.together, pytest.approx(each.evidence.pair.lower_bound, rel=1e-4)
                assert substitutes[each.item.item_id] == told
            assert each.evidence.similarity is not None
            cosine = float(vectors[item_id] @ vectors[each.item.item_id])
            assert each.evidence.similarity.similarity == pytest.approx(cosine, abs=1e-5)
        near = [each.evidence.similarity.similarity for each in shelf.items[len(substitutes) :]]  # type: ignore[union-attr]
        assert near == sorted(near, reverse=True)


def test_what_is_bought_again_was_bought_on_two_days(shop: Shop) -> None:
    bought: dict[str, list[datetime]] = defaultdict(list)
    for event in shop.log:
        if event["shopper_id"] == SHOPPER and event["type"] == "purchase":
            bought[event["item_id"]].append(event["time"])
    days = {item_id: len({time.date() for time in times}) for item_id, times in bought.items()}
    shelf = shop.get(ShelfKind.BUY_AGAIN)
    for each in shelf.items:
        evidence = each.evidence.purchases
        assert evidence is not None
        assert evidence.purchase_days == days[each.item.item_id]
        assert evidence.last_time == max(bought[each.item.item_id])
        assert evidence.days_since == pytest.approx((shop.as_of - evidence.last_time).total_seconds() / 86_400)
    assert {each.item.item_id for each in shelf.items} >= {item_id for item_id, count in days.items() if count >= 2}
    assert shelf.items
    assert shelf.event_count == sum(event["shopper_id"] == SHOPPER for event in shop.log)


def test_trending_items_have_a_larger_share_of_late(shop: Shop) -> None:
    end = max(event["time"] for event in shop.learnt) + timedelta(seconds=1)
    weights: dict[float, Counter[str]] = {14.0: Counter(), 60.0: Counter()}
    for half_life, counts in weights.items():
        for event in shop.learnt:
            counts[event["item_id"]] += 0.5 ** ((end - event["time"]).total_seconds() / 86_400 / half_life)  # type: ignore[assignment]
    recent, earlier = (
        {item_id: count / sum(counts.values()) for item_id, count in counts.items()} for counts in weights.values()
    )
    shelf = shop.get(ShelfKind.TRENDING)
    assert {each.item.item_id for each in shelf.items} == {each for each in recent if recent[each] > earlier[each]}
    growth = []
    for each in shelf.items:
        trend, item_id = each.evidence.trend, each.item.item_id
        assert trend is not None
        assert trend.recent_share == pytest.approx(recent[item_id], rel=1e-3)
        assert trend.earlier_share == pytest.approx(earlier[item_id], rel=1e-3)
        assert trend.growth == pytest.approx(trend.recent_share / trend.earlier_share)
        share_of_average_item = 1 / len(shop.items)
        growth.append((trend.recent_share + share_of_average_item) / (trend.earlier_share + share_of_average_item))
    assert np.all(np.diff(growth) <= 1e-5)


def test_recently_viewed_items_come_latest_first(shop: Shop) -> None:
    viewed = [
        event for event in shop.log if event["shopper_id"] == SHOPPER and event["type"] in ("view", "click")
    ]  # fmt: skip
    latest = {event["item_id"]: event["time"] for event in viewed}
    shelf = shop.get(ShelfKind.RECENTLY_VIEWED)
    shown = [(each.item.item_id, each.evidence.views) for each in shelf.items]
    counts = Counter(event["item_id"] for event in viewed)
    assert {item_id: views.view_count for item_id, views in shown if views} == counts
    assert {item_id: views.last_time for item_id, views in shown if views} == latest
    times = [latest[item_id] for item_id, _ in shown]
    assert times == sorted(times, reverse=True)


def test_without_consent_a_shopper_is_nobody(shop: Shop) -> None:
    unsaid = "without-consent"
    shop.client.record_events([(unsaid, Event(EventType.VIEW, "1", datetime(2026, 1, 5, tzinfo=UTC), "Lamps-1"))])
    assert shop.client.get_shelf(unsaid, ShelfKind.RECENTLY_VIEWED).items
    shop.client.set_consents(unsaid, [Consent(Purpose.PERSONALISATION, granted=False)])
    for kind in ShelfKind:
        item_ids = ("Lamps-0",) if kind in (ShelfKind.SIMILAR_ITEMS, ShelfKind.FREQUENTLY_BOUGHT_TOGETHER) else ()
        assert shop.client.get_shelf(unsaid, kind, item_ids) == shop.client.get_shelf("nobody", kind, item_ids)
