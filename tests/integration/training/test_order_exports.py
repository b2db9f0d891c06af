"""Logs of orders, as shops export them: a run ends with finite figures, or with one line that says what is missing."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portrait.training.enums import Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.sources import events
from portrait.training.run import run as runs
from portrait.training.run.evaluation import evaluate_run
from portrait.training.settings import TrainSettings

START = datetime(2024, 1, 1, tzinfo=UTC)
Rows = Iterator[dict[str, Any]]


def orders(shoppers: int = 120, count: int = 2, lines: int = 4, days: float = 30.0, **changes: Any) -> Rows:
    """Orders of several lines, one time each; shoppers begin on different days."""
    for shopper in range(shoppers):
        for order in range(count):
            time = START + timedelta(days=shopper % 50 + days * order)
            for line in range(lines):
                item = f"number {(shopper * 7 + order * 3 + line) % 40}"
                row = {"shopper_id": f"s{shopper}", "type": "purchase", "time": time.isoformat(), "item_id": item}
                yield {name: value for name, value in (row | changes).items() if value is not None}


Train = Callable[..., Path]


@pytest.fixture
def train(bert: Path, tmp_path: Path) -> Train:
    """Prepare a log and train on it."""

    def run(rows: Rows, split: Split = Split.LOO, **chosen: Any) -> Path:
        log, data = tmp_path / "log.jsonl", tmp_path / "data"
        log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        prepare_data_set("events", lambda connection: events.load(connection, log), data)
        small = {"base_model": str(bert), "dimension": 16, "max_epochs": 1, "batch_events": 256, "split": split}
        runs.train_run(data, tmp_path / "run", TrainSettings.from_preset(Preset.QUICK, **(small | chosen)))
        return tmp_path / "run"

    return run


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)
    elif isinstance(value, float):
        yield value


def alternating(rows: Rows) -> Rows:
    """The same with a kind of event each in turn, and no purchase."""
    for number, row in enumerate(rows):
        yield row | {"type": ("view", "click", "add_to_cart")[number % 3]}


@pytest.mark.parametrize(
    "rows",
    [alternating(orders(count=4)), orders(shoppers=60, count=12, lines=1, time=None)],
    ids=["no purchases", "no times"],
)
def test_a_log_with_enough_moments_is_learnt_from(train: Train, rows: Rows) -> None:
    measured = evaluate_run(train(rows), None, None)
    assert measured["shoppers"] > 0
    assert all(math.isfinite(number) for number in _numbers(measured))


def test_three_orders_each_are_enough_also_for_a_refit(train: Train) -> None:
    measured = evaluate_run(train(orders(count=3), refit=True), None, None)
    assert all(math.isfinite(number) for number in _numbers(measured))


def searches(count: int) -> Rows:
    for number in range(count):
        yield {"shopper_id": f"s{number % 30}", "type": "search", "query": "lamp", "time": 1704067200 + number}


def late_shoppers() -> Rows:
    """Shoppers who come back early, and then, in the last fifth of the events, others who come once."""
    yield from orders(shoppers=60, count=4, lines=2, days=1.0)
    for shopper in range(120):
        yield {
            "shopper_id": f"t{shopper}",
            "type": "view",
            "item_id": f"number {shopper % 40}",
            "time": 1740000000 + shopper,
        }


def one_late_sale() -> Rows:
    """A log whose last fifth is one moment: the latest window of time begins with it, the window before is empty."""
    yield from orders(shoppers=60, count=4, lines=2, days=1.0)
    for number in range(240):
        yield {"shopper_id": f"s{number % 60}", "type": "buy", "item_id": f"number {number // 60}", "time": 1740000000}


@pytest.mark.parametrize(
    ("rows", "split", "message"),
    [
        (orders(), Split.LOO, "120 of 120 shoppers have events at fewer than 3 times.*; --split time would have"),
        (orders(count=1), Split.LOO, "no shopper has events at two times"),
        (orders(count=1), Split.TIME, "no shopper has events at two times"),
        (orders(time="2024-01-01T10:00:00Z"), Split.LOO, "all events of the log have one time, 2024-01-01 10:00"),
        (orders(time="2024-01-01T10:00:00Z"), Split.TIME, "all events of the log have one time, 2024-01-01 10:00"),
        (orders(count=6, item_id="i"), Split.LOO, "all events that training may learn from are of one item"),
        (orders(shoppers=1, count=200), Split.LOO, "1 shopper; at least 20 are needed"),
        (orders(shoppers=25, count=4, lines=1), Split.LOO, "at least 100 are needed"),
        (orders(shoppers=19, count=9), Split.LOO, "19 shoppers; at least 20 are needed"),
        (searches(500), Split.LOO, "no event with an item of the catalogue 'products'"),
        (late_shoppers(), Split.TIME, "0 to validate by.*--split loo"),
        (one_late_sale(), Split.TIME, "0 to validate by.*--split loo"),
        (orders(count=6, time=None), Split.TIME, "events without a time"),
    ],
    ids=[
        "two orders", "one order", "one order, by time", "one moment", "one moment, by time", "one item",
        "one shopper", "few pairs", "few shoppers", "only searches", "strangers last", "no window to validate by",
        "no times",
    ],
)  # fmt: skip
def test_a_log_that_nothing_can_be_learnt_from_is_told_what_it_lacks(
    train: Train, rows: Rows, split: Split, message: str
) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        train(rows, split)
    assert "\n" not in str(caught.value)
