"""Whatever a log holds, `portrait prepare` and `portrait record` accept the same rows and read the same values."""

import csv
import dataclasses
import io
import json
from datetime import datetime
from functools import partial
from itertools import compress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from portrait.client import messages
from portrait.client.files import FileError, RecordedEvent, RejectedRow, find_currency, read_events
from portrait.features.logs.timestamps import EPOCH, MICROSECOND
from portrait.server.rpc.contract.validation import find_violations
from portrait.training.errors import DataError
from portrait.training.prepare import deletions
from portrait.training.prepare.cleanup import CleanupLimits, clean_events
from portrait.training.prepare.engine import open_engine
from portrait.training.prepare.sources import events as source

ROWS = 10_000
CHECKED_REFUSALS = 8
"""Rows that record refuses, of which prepare is asked one by one."""
LIMITS = CleanupLimits(events_per_minute=ROWS, events_per_day=ROWS)
COLUMNS = (
    "event_id", "shopper_id", "type", "time", "item_id", "catalogue", "query", "price", "currency", "quantity",
    "rating", "dwell_seconds", "position",
)  # fmt: skip

IDS = (
    "undefined", "NULL", "NaN", "(not set)", "None", "N/A", " ", "\t", "\u200b", "\ufeff", "\u3000", "\u2060\u00ad",
    "\ufeffsku-1", "sku-1\u200b", " sku-1\t", "1001", "1001.0", "x\u200by", "None of these", "é", "e\u0301", "x" * 300,
)  # fmt: skip
TYPES = (
    "view", "view\t", " VIEW ", "Product Viewed", "view_item", "pv", "buy", "Order Completed", "fav", "add_to_cart",
    "search", "rate", "refund", "refund", "teleport", "", "\u200bview", "ｖｉｅｗ", "rating",
)  # fmt: skip
TIMES = (
    "2024-01-15 10:30:00 -0500", "20240115T103000Z", "2024-01-15 10:30:00 UTC", "2024/01/15", "2024.01.15 08:00",
    "2024-01-15 10:30:00 America/New_York", "2024-01-15T10:30:00+01:00[Europe/Paris]", "1705314600", "1705314600.25",
    "1705314600000", "1705314600000123", "1.7053146e9", "2024-01-15T10:30:00,123456789Z", "15/01/2024 10:30",
    "01/15/2024 10:30 PM", "20240115", "20240115103000", "15.01.2024", "1989-12-31", "9999-01-01", "1e300", "infinity",
    "0001-01-01T00:00:00+14:00", "\ufeff2024-01-15\u00a0", "2024-02-29T23:59:59.999999-1130", "1000-01-01",
)  # fmt: skip
BAD_TIMES = ("yesterday", "01/02/2024", "2024-01-15 10:30 EST", "2023-02-29", "2024-01-15T24:00:00", "nan", "２０２４")
AMOUNTS = (
    "", "-", "12.5", "0,500", "1.234,56", "1,234.56", "1'234.50", "1 234,5", "1\u00a0234,5", "1\u202f234", "€ 12,90",
    "12.90 EUR", "$12", "(12.90)", "-5", "5-", "\u22125", "1e3", "NaN", "inf", "1e400", "null", "1,23,456.00", ".5",
    "5.", "1.2345", "１２", "0", "3.0", "100001", "4", "2", "1",
)  # fmt: skip
BAD_AMOUNTS = ("1,299", "1.234", "cheap", "1.2.3", "12 34", "0x10", "true", "1_000", "5²", "٣")
QUERIES = ("", " ", "\u200b", "red shoes", "null", "鞋 👟", "x" * 1200, "&amp;", "साड़ी")

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))


def pool(known: tuple[str, ...], drawn: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Values of one column: those that are known to be hard, and some that nobody thought of."""
    return st.lists(drawn, max_size=30).map(lambda more: [*known, *more])


texts = st.text(LETTERS | st.just("\t"), max_size=6)
digits = st.text("0123456789.,' -+eE$€()\u00a0", max_size=9)
numbers = st.floats().map(repr) | st.floats(0, 1e7).map(lambda value: f"{value:.2f}") | st.integers(-3, 10**7).map(str)
moments = st.datetimes(datetime(1980, 1, 1), datetime(2026, 1, 1))
zones = st.sampled_from(["", "Z", " UTC", "+0530", "-03:30", " Asia/Tokyo", " +00"])
times = (
    st.tuples(moments.map(str), zones).map("".join)
    | moments.map(lambda time: time.strftime("%d/%m/%Y %H:%M"))
    | moments.map(lambda time: repr(time.timestamp()))
    | st.text("0123456789-/.: TZ+", min_size=1, max_size=20)
)
pools = st.fixed_dictionaries(
    {
        "event_id": pool(("", "", "", *IDS), texts),
        "shopper_id": pool(tuple(f"s{number}" for number in range(40)) + IDS[:12], texts),
        "type": pool(TYPES, texts),
        "time": pool(TIMES + BAD_TIMES, times),
        "item_id": pool((*IDS, *(f"i{number}" for number in range(40))), texts),
        "catalogue": pool(("", "", "", "", "products", "ads", "null", "a b"), texts),
        "query": pool(QUERIES, texts),
        "price": pool(AMOUNTS * 2 + BAD_AMOUNTS[:4], numbers | digits),
        "currency": pool(("", "", "", "EUR", "usd", "kr", "?"), texts),
        "quantity": pool(("", "1", "2", "-1", "0", "", "1"), numbers),
        "rating": pool(("", "1", "5", "3.5", "", "6", ""), digits),
        "dwell_seconds": pool(("", "", "0", "12.5", "", "-1", "86401"), numbers),
        "position": pool(("", "", "1", "2.0", "1.5", "", "100000", "100001", "3e9"), digits),
    }
)


def rows_of(values: dict[str, list[str]], seed: int) -> list[dict[str, str]]:
    """Rows of which most have one odd value only, so that most of what is odd decides over its row."""
    chance = Random(seed)
    fine = {"shopper_id": "s", "type": "view", "time": "2024-01-15", "item_id": "i"}
    rows = []
    for number in range(ROWS):
        row = dict.fromkeys(COLUMNS, "") | fine | {"event_id": str(number)}
        for column in chance.sample(COLUMNS, chance.choice((1, 1, 1, 2, 3))):
            row[column] = chance.choice(values[column])
        rows.append(row)
    return [row for row in rows if row["time"].strip("\u200b \t\u3000")]  # record needs a time, prepare does not


def csv_of(rows: list[dict[str, str]], separator: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_of(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def recorded(content: bytes) -> dict[int, RecordedEvent]:
    """The events by line that a gateway stores when it is told all of a log."""
    rejected: list[RejectedRow] = []
    lines = content.splitlines(keepends=True)
    stored, ids = {}, set()
    for read in read_events(iter(lines), "log", find_currency(iter(lines), "log"), rejected.append):
        [entry] = messages.build_record_request([(read.shopper_id, read.event)]).events
        if not list(find_violations(entry)) and (key := (read.shopper_id, read.event.event_id)) not in ids:
            ids.add(key)
            stored[read.line] = read
    return stored


def prepared(content: bytes, ending: str, folder: Path) -> dict[int, dict[str, Any]]:
    """The events by line that a data set holds."""
    log = folder / f"log.{ending}"
    log.write_bytes(content)
    with open_engine(folder) as connection:
        source.load(connection, log)
        deletions.load_deletions(connection, None)
        clean_events(connection, LIMITS)
        rows = connection.execute("SELECT * REPLACE (epoch_us(time) AS time) FROM judged WHERE reason IS NULL")
        names = [column[0] for column in rows.description or ()]
        return {event["row"]: event for row in rows.fetchall() if (event := dict(zip(names, row, strict=True)))}


def told(read: RecordedEvent) -> dict[str, Any]:
    """Convert an event to the columns of a data set."""
    event = dataclasses.asdict(read.event) | {"shopper_id": read.shopper_id}
    event["catalogue"] = event["catalogue"] or "products"
    event["time"] = (event["time"] - EPOCH) // MICROSECOND
    return {column: None if value == "" else value for column, value in event.items()}


def is_malformed(content: bytes) -> bool:
    """Tell whether `record` refuses a whole log because a value in it is malformed."""
    try:
        list(read_events(io.BytesIO(content), "log", reject=lambda row: None))
    except FileError:
        return True
    return False


@settings(
    max_examples=3, phases=(Phase.explicit, Phase.generate), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(pools, st.integers(0, 2**32), st.sampled_from([("csv", ","), ("csv", ";"), ("jsonl", ""), ("csv", "\t")]))
def test_prepare_and_record_accept_the_same_rows_and_read_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, list[str]], seed: int, form: tuple[str, str]
) -> None:
    folder, (ending, separator) = tmp_path_factory.mktemp("logs"), form
    write = partial(csv_of, separator=separator) if separator else json_of
    rows = rows_of(values, seed)
    refused = [is_malformed(write([row])) for row in rows]
    for row in list(compress(rows, refused))[:CHECKED_REFUSALS]:
        with pytest.raises(DataError):
            prepared(write([row]), ending, folder)
    content = write([row for row, bad in zip(rows, refused, strict=True) if not bad])
    ours, theirs = recorded(content), prepared(content, ending, folder)
    lines = content.splitlines()
    differences = [lines[line - 1] for line in ours.keys() ^ theirs.keys()]
    assert not differences
    assert len(ours) > ROWS / 3
    for line, read in ours.items():
        event, other = told(read), theirs[line]
        if other["event_id"] is None:
            event["event_id"] = None
        assert event == {column: other[column] for column in event}, lines[line - 1]
