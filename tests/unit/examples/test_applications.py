"""The examples' own parts: what they learn, what they hold back, and the words that they are tested with."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.applications import client_calls as asking
from benchmarks.applications.service import MESSAGES
from benchmarks.applications.tables import Figure, Table, mean
from docs.examples.applications import ads, customer_service, draw_missed_instalments, financial_risk, shop
from docs.examples.tour import make_log
from portrait.client import Event, EventType, Item, RankedItem, Ranking, Trait
from portrait.features.text.keywords import extract_keywords
from portrait.training.metrics import MISSED

DAY = datetime(2025, 1, 1, tzinfo=UTC)


def test_redemption_is_learnt_from_what_came_of_earlier_campaigns() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(3.0, 2.0, (5000, 3))
    chance = 1.0 / (1.0 + np.exp(-(0.8 * (inputs[:, 0] - 3.0) - 1.0)))
    model = ads.Redemption.learn(inputs, random.random(5000) < chance)
    assert np.abs(model.chances(inputs) - chance).mean() < 0.02


@given(st.none() | st.floats(0, 1))
def test_nobody_is_shown_what_the_policy_holds_back(risk: float | None) -> None:
    for product in financial_risk.products():
        free, limit = product.highest_risk is None, product.highest_risk or 0.0
        assert product.may_be_shown(risk) == (free or (risk is not None and risk <= limit))


def test_risk_is_of_the_trait_and_unknown_where_that_is_absent() -> None:
    day = timedelta(days=90)
    known = Trait("misses_instalment", "", 0.07, "", day, 0.7, 0.02)
    assert financial_risk.risk((known,)) == 0.07
    assert financial_risk.risk(()) is None


def test_every_article_has_messages_and_few_of_them_repeat_its_words() -> None:
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    words = {
        article.item_id: {word.stem for word in extract_keywords(f"{article.title} {article.attributes['answer']}")}
        for article in customer_service.articles()
    }
    parts = {part: [row for row in rows if row["part"] == part] for part in ("validation", "test")}
    for part, each in (("validation", 1), ("test", 3)):
        assert sorted(row["article"] for row in parts[part]) == sorted(each * list(words))
    repeats = [
        bool({word.stem for word in extract_keywords(row["message"])} & words[row["article"]]) for row in parts["test"]
    ]
    assert np.mean(repeats) < 0.2
    assert len({row["message"] for row in rows}) == len(rows)


def test_labels_are_drawn_with_the_chance_that_is_said_and_from_the_past_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [
        {"shopper_id": f"s{row % 300}", "type": "purchase", "quantity": None, "price": float(random.lognormal(2.0))}
        | {"time": DAY + timedelta(days=int(random.integers(0, 800)))}
        for row in range(9000)
    ]
    events = pl.DataFrame(rows, schema_overrides={"quantity": pl.Float64})
    events.write_parquet(tmp_path / "events.parquet")
    drawn = draw_missed_instalments.draw(tmp_path)
    assert drawn.equals(draw_missed_instalments.draw(tmp_path))
    assert drawn["value"].mean() == pytest.approx(drawn["chance"].mean(), abs=0.03)
    first = drawn["time"].min()
    events.filter(pl.col("time") < DAY + timedelta(days=700)).write_parquet(tmp_path / "events.parquet")
    earlier = draw_missed_instalments.draw(tmp_path)
    chances = [table.filter(pl.col("time") == first)["chance"].to_list() for table in (drawn, earlier)]
    assert chances[0] == chances[1]


def test_the_log_of_the_tour_comes_out_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        make_log.main(tmp_path / folder)
    for name in ("events.csv", "items.csv"):
        assert (tmp_path / "one" / name).read_text(encoding="utf-8") == (tmp_path / "two" / name).read_text(
            encoding="utf-8"
        )


def test_a_history_is_known_up_to_a_moment() -> None:
    history = [Event(EventType.VIEW, str(day), DAY + timedelta(days=day), "x") for day in range(3)]
    assert [event.event_id for event in shop.until(history, DAY + timedelta(days=1))] == ["0", "1"]
    assert shop.now(history) == DAY + timedelta(days=3)


def test_a_result_is_told_as_a_table() -> None:
    ranking = Ranking((RankedItem(Item("a"), 1.0, 0.0, 0.0), RankedItem(Item("b"), 0.5, 0.0, 0.0)), 1, 0)
    assert asking.ranks([ranking, ranking], ["b", "c"]).tolist() == [1, MISSED]
    figure = mean(np.array([0.0, 1.0, 1.0, 0.0]), np.arange(4))
    assert figure.value == 0.5
    assert figure.interval is not None
    table = Table("Title", "Text.", ["one", "two"], {"ours": [Figure(0.5, (0.4, 0.6)), None]})
    assert table.lines()[-1] == "| ours | 0.500 (0.400 to 0.600) |  |"
