"""The examples' own parts: what they learn and what they hold back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.examples.applications import ads, draw_missed_instalments, financial_risk, shop
from docs.examples.tour import make_log
from portrait.client import Event, EventType, Trait

DAY = datetime(2025, 1, 1, tzinfo=UTC)


def test_redemption_is_learnt_from_what_came_of_earlier_campaigns() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(3.0, 2.0, (5000, 3))
    chance = 1.0 / (1.0 + np.exp(-(0.8 * (inputs[:, 0] - 3.0) - 1.0)))
    model = ads.Redemption.fit(inputs, random.random(5000) < chance)
    assert np.abs(model.predict(inputs) - chance).mean() < 0.02


@given(st.none() | st.floats(0, 1))
def test_nobody_is_shown_what_the_policy_holds_back(risk: float | None) -> None:
    for product in financial_risk.read_products():
        free, limit = product.highest_risk is None, product.highest_risk or 0.0
        assert product.may_be_shown(risk) == (free or (risk is not None and risk <= limit))


def test_risk_is_of_the_trait_and_unknown_where_that_is_absent() -> None:
    day = timedelta(days=90)
    known = Trait("misses_instalment", "", 0.07, "", day, 0.7, 0.02)
    assert financial_risk.read_risk((known,)) == 0.07
    assert financial_risk.read_risk(()) is None


def test_labels_are_drawn_with_the_chance_that_is_said_and_from_the_past_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [
        {"shopper_id": f"s{row % 300}", "type": "purchase", "quantity": None, "price": float(random.lognormal(2.0))}
        | {"time": DAY + timedelta(days=int(random.integers(0, 800)))}
        for row in range(9000)
    ]
    events = pl.DataFrame(rows, schema_overrides={"quantity": pl.Float64})
    events.write_parquet(tmp_path / "events.parquet")
    drawn = draw_missed_instalments.draw_labels(tmp_path)
    assert drawn.equals(draw_missed_instalments.draw_labels(tmp_path))
    assert drawn["value"].mean() == pytest.approx(drawn["chance"].mean(), abs=0.03)
    first = drawn["time"].min()
    events.filter(pl.col("time") < DAY + timedelta(days=700)).write_parquet(tmp_path / "events.parquet")
    earlier = draw_missed_instalments.draw_labels(tmp_path)
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
    assert [event.event_id for event in shop.select_until(history, DAY + timedelta(days=1))] == ["0", "1"]
    assert shop.day_after(history) == DAY + timedelta(days=3)
