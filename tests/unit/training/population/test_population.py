"""A release's statistics of its shoppers as a whole agree with the log."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.example_shop import POPULATION

from portrait.features.candidates.associations import Associations
from portrait.features.population.population import InterestDynamics, Population
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.corpus import Corpus
from portrait.training.population import cycles, interest_dynamics, sessions, spending
from portrait.training.population.calibration import Predictions, fit_platt, summarise_reliability
from portrait.training.population.taxonomy import Taxonomy

START = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = ("Coffee", "Lamps", "Rugs", "Pans")
_COLUMNS = {
    "event_id": pl.String, "shopper_id": pl.String, "sequence": pl.Int32, "type": pl.String,
    "time": pl.Datetime("us", "UTC"), "item_id": pl.String, "catalogue": pl.String, "query": pl.String,
    "price": pl.Float64, "quantity": pl.Float64, "rating": pl.Float64, "dwell_seconds": pl.Float64,
    "position": pl.Int32,
}  # fmt: skip


def load(folder: Path, histories: dict[str, list[tuple[float | None, str, float]]]) -> Corpus:
    """A log of purchases: of each shopper days since the start (None: unknown), category and price."""
    rows: list[dict[str, Any]] = [
        dict.fromkeys(_COLUMNS)
        | {
            "event_id": f"{shopper}-{place}", "shopper_id": shopper, "sequence": place, "type": "purchase",
            "time": None if day is None else START + timedelta(days=day), "item_id": category, "catalogue": "products",
            "price": price, "quantity": 1.0,
        }
        for shopper, history in histories.items()
        for place, (day, category, price) in enumerate(history)
    ]  # fmt: skip
    items = [
        {
            "item_id": category, "catalogue": "products", "title": category, "category_path": ["Home", category],
            "brand": "Acme" if category == "Lamps" else "Norden", "price": 10.0, "attributes": [],
        }
        for category in CATEGORIES
    ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows, schema=_COLUMNS).write_parquet(folder / "events.parquet")
    attributes = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
    pl.DataFrame(items, schema_overrides={"attributes": attributes}).write_parquet(folder / "items.parquet")
    return corpora.load_corpus(folder)


def everything(corpus: Corpus) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.ones(len(corpus.event_item), dtype=bool)


def last_events(corpus: Corpus) -> np.ndarray[Any, np.dtype[np.int64]]:
    return corpus.starts[1:] - 1


def fitted(corpus: Corpus) -> InterestDynamics:
    nothing = Associations(np.zeros(5, dtype=np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 0.7)
    train = everything(corpus)
    train[last_events(corpus)] = False
    found = interest_dynamics.fit_interest_dynamics(
        corpus, Taxonomy.of(corpus), train, last_events(corpus), nothing, seed=0
    )
    assert found is not None
    return found


def test_who_moves_on_has_shorter_half_lives_than_who_stays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    moves, stays = {}, {}
    for shopper in range(300):
        # Who moves on stays a week with each category; who stays draws all from two of them.
        starts = [int(random.integers(4)) for _ in range(10)]
        moves[f"s{shopper}"] = [(day, CATEGORIES[starts[day // 7]], 1.0) for day in range(70)]
        liked = random.choice(CATEGORIES, 2, replace=False)
        stays[f"s{shopper}"] = [(day, str(random.choice(liked)), 1.0) for day in range(70)]
    moved, stayed = fitted(load(tmp_path / "moves", moves)), fitted(load(tmp_path / "stays", stays))
    assert moved.by_time is not None
    assert stayed.by_time is not None
    assert moved.by_time.short <= 4.0 < stayed.by_time.long
    assert moved.by_time.short < stayed.by_time.long
    assert (moved.by_order.short, moved.by_order.prior) == (pytest.approx(2.0, abs=2.0), 0.25)
    assert moved.population_weights["Home"] == pytest.approx(1.0)
    assert sum(moved.population_weights[f"Home > {name}"] for name in CATEGORIES) == pytest.approx(1.0)


def test_without_times_only_the_order_is_known(tmp_path: Path) -> None:
    corpus = load(tmp_path, {f"s{n}": [(None, CATEGORIES[n % 4], 1.0)] * 5 for n in range(30)})
    assert fitted(corpus).by_time is None
    assert sessions.estimate_session_gap(corpus, everything(corpus), 0) is None
    assert spending.fit_spending(corpus, everything(corpus)) is None


@pytest.mark.slow
def test_chances_of_the_decay_come_true_as_often_as_they_say(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    histories = {}
    for shopper in range(1500):
        shares = random.dirichlet(np.full(4, 0.5))
        histories[f"s{shopper}"] = [(day, CATEGORIES[random.choice(4, p=shares)], 1.0) for day in range(20)]
    corpus = load(tmp_path, histories)
    taxonomy, known = Taxonomy.of(corpus), fitted(corpus)
    shares = interest_dynamics.category_shares(corpus, taxonomy, everything(corpus))
    measured = summarise_reliability(
        interest_dynamics.predict_categories(corpus, taxonomy, last_events(corpus), shares, known)
    )
    assert measured["calibration_error"] < 0.03
    assert measured["auc"] > 0.7


def test_a_habit_is_found_and_its_chance_comes_true(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    histories: dict[str, list[tuple[float | None, str, float]]] = {}
    for shopper in range(400):
        days = np.cumsum(random.lognormal(math.log(20.0), 0.4, size=20))
        histories[f"s{shopper}"] = [(float(day), "Coffee", 5.0) for day in days if day < 300.0]
    corpus = load(tmp_path, histories)
    taxonomy = Taxonomy.of(corpus)
    early = corpus.columns.time < (START + timedelta(days=240)).timestamp()
    found = cycles.fit_cycles(corpus, taxonomy, early, seed=0)
    assert found is not None
    coffee = found.categories["Home > Coffee"]
    assert coffee.log_days == pytest.approx(math.log(20.0), abs=0.1)
    assert coffee.return_rate > 0.9
    assert found.scale.within == pytest.approx(0.4, abs=0.1)
    bought = cycles.PurchaseDays.of(corpus, taxonomy, everything(corpus))
    as_of = float(START.timestamp() // 86_400 + 240)
    measured = summarise_reliability(cycles.predict_purchases(bought, taxonomy, found, as_of, seed=0))
    assert measured["pairs"] == 400
    assert measured["calibration_error"] < 0.1


def test_a_window_shorter_than_three_horizons_tells_no_cycles(tmp_path: Path) -> None:
    corpus = load(tmp_path, {f"s{n}": [(day, "Coffee", 1.0) for day in range(0, 80, 5)] for n in range(40)})
    assert cycles.fit_cycles(corpus, Taxonomy.of(corpus), everything(corpus), seed=0) is None


def test_the_gap_lies_between_clicks_and_visits(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    histories: dict[str, list[tuple[float | None, str, float]]] = {}
    for shopper in range(100):
        gaps = [
            random.lognormal(math.log(2.0), 0.8) / 1440.0 if place % 6 else random.lognormal(math.log(3.0), 0.5)
            for place in range(60)
        ]
        histories[f"s{shopper}"] = [(float(day), "Lamps", 1.0) for day in np.cumsum(gaps)]
    corpus = load(tmp_path, histories)
    gap = sessions.estimate_session_gap(corpus, everything(corpus), seed=0)
    assert gap is not None
    assert 10.0 <= gap <= 300.0
    assert not sessions.times_are_days(corpus)


def test_fifths_of_recency_frequency_and_spending(tmp_path: Path) -> None:
    # Shopper n buys on n + 1 days up to the last, each time for 10.
    corpus = load(tmp_path, {f"s{n:03}": [(100.0 - day, "Rugs", 10.0) for day in range(n, -1, -1)] for n in range(100)})
    found = spending.fit_spending(corpus, everything(corpus))
    assert found is not None
    assert found.frequency == pytest.approx([20.8, 40.6, 60.4, 80.2])
    assert found.monetary == pytest.approx([208.0, 406.0, 604.0, 802.0])
    assert found.recency_days == [0.0, 0.0, 0.0, 0.0]


def test_prices_of_different_products_are_no_discounts(tmp_path: Path) -> None:
    random = np.random.default_rng(4)

    def buys(low: float, high: float) -> dict[str, list[tuple[float | None, str, float]]]:
        return {
            f"s{n}": [(float(day), "Rugs", float(random.uniform(low, high))) for day in range(10)] for n in range(80)
        }

    steady, mixed = load(tmp_path / "steady", buys(9.0, 11.0)), load(tmp_path / "mixed", buys(1.0, 100.0))
    quantiles = spending.discounted_shares(steady, everything(steady))
    assert quantiles is not None
    assert 0.1 < quantiles[10] < 0.4  # a quarter of what is paid lies below 9.50
    assert spending.discounted_shares(mixed, everything(mixed)) is None


def test_prices_of_0_change_no_statistics(tmp_path: Path) -> None:
    """Each shopper gets a free sample of everything they buy; serving leaves such prices out as well."""
    buys = {f"s{n}": [(float(day), "Rugs", 9.0 + day / 5) for day in range(10)] for n in range(80)}
    gifts = {
        name: [each for day, rug, price in bought for each in ((day, rug, price), (day, rug, 0.0))]
        for name, bought in buys.items()
    }
    paid, both = load(tmp_path / "paid", buys), load(tmp_path / "both", gifts)
    of_paid, of_both = (spending.fit_paid_prices(corpus, everything(corpus)) for corpus in (paid, both))
    assert of_paid is not None
    assert of_both is not None
    assert of_both.to_json() == of_paid.to_json()
    assert spending.discounted_shares(both, everything(both)) == spending.discounted_shares(paid, everything(paid))
    assert np.isnan(both.columns.price_percentile).sum() == 800 == len(both.event_item) / 2
    free = load(tmp_path / "free", {name: [(day, rug, 0.0) for day, rug, _ in bought] for name, bought in buys.items()})
    assert spending.fit_paid_prices(free, everything(free)) is None
    found = spending.fit_spending(free, everything(free))
    assert found is not None
    assert found.monetary is None


def test_brand_shares_are_of_their_category(tmp_path: Path) -> None:
    corpus = load(tmp_path, {f"s{n}": [(1.0, "Lamps", 1.0), (2.0, "Rugs", 1.0)] for n in range(60)})
    shares = spending.brand_shares(corpus, everything(corpus))
    assert shares[""] == shares["Home"] == pytest.approx({"Acme": 0.5, "Norden": 0.5})
    assert shares["Home > Lamps"] == {"Acme": 1.0}


def test_a_calibration_is_recovered() -> None:
    random = np.random.default_rng(5)
    score = random.normal(size=20_000)
    label = random.random(20_000) < 1.0 / (1.0 + np.exp(-(-1.0 + 0.5 * score)))
    assert fit_platt(score, label) == (pytest.approx(-1.0, abs=0.06), pytest.approx(0.5, abs=0.06))
    nothing = fit_platt(score, np.zeros(20_000, dtype=bool))
    assert all(math.isfinite(value) for value in nothing)


def test_reliability_tells_boasting_chances() -> None:
    labels = np.arange(1000) % 10 == 0
    honest = summarise_reliability(Predictions(np.full(1000, 0.1), labels))
    assert honest["calibration_error"] == pytest.approx(0.0, abs=0.01)
    assert summarise_reliability(Predictions(np.full(1000, 0.4), labels))["calibration_error"] == pytest.approx(
        0.3, abs=0.01
    )


def test_a_population_comes_back_from_its_file(tmp_path: Path) -> None:
    POPULATION.write(tmp_path / "population.json")
    read = Population.read(tmp_path / "population.json")
    assert read is not None
    assert (read.interest_dynamics, read.brand_shares) == (POPULATION.interest_dynamics, POPULATION.brand_shares)
    assert read.purchase_cycles is not None
    assert read.purchase_cycles.categories["Kitchen > Coffee"].log_days == pytest.approx(math.log(20.0), rel=1e-5)
    assert read.paid_prices is not None
    assert read.paid_prices.quantiles.keys() == {"Kitchen > Coffee"}
    (tmp_path / "later.json").write_text('{"version": 99}', encoding="utf-8")
    assert Population.read(tmp_path / "later.json") is None
