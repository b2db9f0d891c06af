"""Cleaning: the rows of a log that are kept, and the reason of every rejected one."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.prepared_data import Prepare, WriteLog

from portrait.features.events import EVENT_TYPES, EventType
from portrait.training.prepare.cleanup import CleanupLimits

COLUMNS = (
    "event_id", "shopper_id", "type", "time", "item_id", "query", "price", "quantity", "rating", "dwell_seconds",
    "position",
)  # fmt: skip
FINE = {"shopper_id": "s", "type": "view", "time": "2024-01-01T00:00:00Z", "item_id": "i"}


def log(*events: dict[str, Any]) -> str:
    """A CSV log of a fine event after another, each a minute after the one before, changed as told."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for number, changes in enumerate(events):
        writer.writerow(FINE | {"time": (start + timedelta(minutes=number)).isoformat()} | changes)
    return text.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shopper_id": ""}, "missing_shopper"),
        ({"shopper_id": "  "}, "missing_shopper"),
        ({"type": "teleport"}, "unknown_type"),
        ({"type": ""}, "unknown_type"),
        ({"type": "search"}, "missing_query"),
        ({"type": "search", "query": " "}, "missing_query"),
        ({"item_id": ""}, "missing_item"),
        ({"time": "1989-12-31T23:59:59Z"}, "impossible_time"),
        ({"time": "9999-01-01"}, "impossible_time"),
        ({"time": "1e300"}, "impossible_time"),
        ({"time": "-1"}, "impossible_time"),
        ({"time": "infinity"}, "impossible_time"),
        ({"price": "-0.01"}, "impossible_price"),
        ({"price": "nan"}, "impossible_price"),
        ({"price": "inf"}, "impossible_price"),
        ({"price": "-inf"}, "impossible_price"),
        ({"price": "1e400"}, "impossible_price"),
        ({"quantity": "0"}, "impossible_quantity"),
        ({"quantity": "-2"}, "impossible_quantity"),
        ({"quantity": "NaN"}, "impossible_quantity"),
        ({"rating": "0.9"}, "impossible_rating"),
        ({"rating": "5.1"}, "impossible_rating"),
        ({"dwell_seconds": "-1"}, "impossible_dwell"),
        ({"dwell_seconds": "86401"}, "impossible_dwell"),
        ({"position": "0"}, "impossible_position"),
        ({"position": "1.5"}, "impossible_position"),
        ({"position": "1e300"}, "impossible_position"),
    ],
)
def test_an_impossible_row_is_put_aside(
    prepare_log: Prepare, write_log: WriteLog, changes: dict[str, str], reason: str
) -> None:
    data = prepare_log(write_log(events_csv=log({}, changes, {"item_id": "last"})))
    assert data.rejected == {3: reason}
    assert data.report.rejected == {reason: 1}
    assert data.table("events")["item_id"].to_list() == ["i", "last"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"price": "0"},
        {"price": "$1,299.00"},
        {"quantity": "0.5"},
        {"rating": "1"},
        {"rating": "5"},
        {"dwell_seconds": "0"},
        {"position": "1.0"},
        {"time": ""},
        {"time": "1990-01-01"},
        {"type": "search", "item_id": "", "query": "鞋 👟"},
    ],
)
def test_a_possible_row_is_kept(prepare_log: Prepare, write_log: WriteLog, changes: dict[str, str]) -> None:
    assert prepare_log(write_log(events_csv=log(changes))).report.rejected == {}


def test_the_first_of_two_equal_events_is_kept(prepare_log: Prepare, write_log: WriteLog) -> None:
    at = {"time": "2024-01-01T08:00:00+08:00"}
    same_time_elsewhere = {"time": "2024-01-01T00:00:00Z", "price": "3"}
    data = prepare_log(
        write_log(events_csv=log(at, same_time_elsewhere, at | {"item_id": "j"}, at | {"type": "click"}))
    )
    assert data.rejected == {3: "duplicate_event"}


def test_events_without_time_are_never_duplicates(prepare_log: Prepare, write_log: WriteLog) -> None:
    data = prepare_log(write_log(events_csv=log({"time": ""}, {"time": ""})))
    assert data.rejected == {}
    assert data.table("events")["sequence"].to_list() == [0, 1]


def test_an_event_id_is_kept_once(prepare_log: Prepare, write_log: WriteLog) -> None:
    data = prepare_log(write_log(events_csv=log({"event_id": "e"}, {"event_id": "e"}, {})))
    assert data.rejected == {3: "duplicate_id"}
    assert data.table("events")["event_id"].to_list() == ["e", "events.csv:4"]


def test_event_ids_are_those_of_one_shopper(prepare_log: Prepare, write_log: WriteLog) -> None:
    data = prepare_log(write_log(events_csv=log({"event_id": "e"}, {"event_id": "e", "shopper_id": "t"})))
    assert data.rejected == {}


def test_two_event_ids_in_one_second_are_two_events(prepare_log: Prepare, write_log: WriteLog) -> None:
    at = {"type": "purchase", "time": "2024-01-01T00:00:00Z"}
    one, other = at | {"event_id": "line-1", "price": "24"}, at | {"event_id": "line-2", "price": "10"}
    data = prepare_log(write_log(events_csv=log(one, other, at, at, one)))
    assert data.rejected == {5: "duplicate_event", 6: "duplicate_id"}
    assert data.table("events")["price"].drop_nulls().sum() == 34.0


@pytest.mark.parametrize(
    "changes", [{"shopper_id": "s" * 129}, {"item_id": "i" * 257}, {"event_id": "e" * 129}, {"catalogue": "a b"}]
)
def test_an_id_that_no_request_may_hold_is_put_aside(
    prepare_log: Prepare, write_log: WriteLog, changes: dict[str, str]
) -> None:
    line = FINE | changes
    assert prepare_log(write_log(events_jsonl=[FINE, line])).rejected == {2: "impossible_id"}


def test_a_burst_is_rejected_in_its_minute_only(prepare_log: Prepare, write_log: WriteLog) -> None:
    limit = CleanupLimits().events_per_minute
    crowd = [{"time": f"2024-01-01T00:00:{number % 60:02}Z", "item_id": str(number)} for number in range(limit + 1)]
    calm = [{"time": "2024-01-01T00:01:00Z"}, {"shopper_id": "other", "time": "2024-01-01T00:00:30Z"}]
    assert prepare_log(write_log(events_csv=log(*crowd, *calm))).report.rejected == {"burst": limit + 1}
    assert prepare_log(write_log(events_csv=log(*crowd[1:], *calm))).report.rejected == {}


def test_a_robot_is_rejected_for_its_day_only(prepare_log: Prepare, write_log: WriteLog) -> None:
    limit = CleanupLimits().events_per_day
    start = datetime(2024, 1, 1, tzinfo=UTC)
    steady = [{"time": (start + timedelta(seconds=10 * number)).isoformat()} for number in range(limit + 1)]
    next_day = [{"time": "2024-01-02T00:00:00Z"}]
    assert prepare_log(write_log(events_csv=log(*steady, *next_day))).report.rejected == {"robot": limit + 1}


def test_a_log_of_nothing_but_dirt_is_no_data_set(prepare_log: Prepare, write_log: WriteLog) -> None:
    with pytest.raises(Exception, match="1 unknown type, such as"):
        prepare_log(write_log(events_csv=log({"type": "x"})))


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
numbers = st.one_of(st.just(""), st.floats().map(str), st.integers(-3, 10).map(str))
rows = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from(["", "", "a", "b"]),
        "shopper_id": st.sampled_from(["s", "t", ""]) | texts,
        "type": st.sampled_from([*EVENT_TYPES, "buy", "?"]),
        "time": st.sampled_from(["", "2024-01-01", "1704067200", "2024-01-01T08:00:00.5+08:00", "1e18", "-5"]),
        "item_id": texts,
        "query": texts,
        "price": numbers,
        "quantity": numbers,
        "rating": numbers,
        "dwell_seconds": numbers,
        "position": numbers,
    }
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(rows, max_size=12))
def test_whatever_a_log_holds_the_schema_and_the_counts_hold(
    prepare_log: Prepare, write_log: WriteLog, drawn: list[dict[str, str]]
) -> None:
    data = prepare_log(write_log(events_csv=log(*drawn, {"event_id": "kept", "shopper_id": "kept"})))
    report, events = data.report, data.table("events")
    assert report.read == len(drawn) + 1 == report.kept + sum(report.rejected.values())
    assert report.kept == events.height
    assert events.select("shopper_id", "event_id").is_unique().all()
    assert events.sort("shopper_id", "sequence").equals(events)
    for _, history in events.group_by("shopper_id"):
        assert history["sequence"].to_list() == list(range(history.height))
        assert history["time"].drop_nulls().is_sorted()
    assert set(events["shopper_id"]) == set(data.table("shoppers")["shopper_id"])
    assert set(events["item_id"].drop_nulls()) == set(data.table("items")["item_id"])
    assert set(events["type"]) <= set(EventType)  # a purchase of less than nothing is a refund
    for column, low, high in (("price", 0, 1e9), ("quantity", 0, 1e6), ("rating", 1, 5), ("position", 1, 1e6)):
        assert events[column].drop_nulls().is_between(low, high).all()
