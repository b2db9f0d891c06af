"""Rows of a log in which most values are hard to read, for tests of all that read logs."""

import csv
import io
import json
from datetime import datetime
from random import Random

from hypothesis import strategies as st

COLUMNS = (
    "event_id", "shopper_id", "type", "time", "item_id", "catalogue", "query", "price", "currency", "quantity",
    "rating", "dwell_seconds", "position",
)  # fmt: skip

IDS = (
    "00000000-0000-0000-0000-000000000000",
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
        "shopper_id": pool(tuple(f"s{number}" for number in range(40)) + IDS[:13], texts),
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


def rows_of(values: dict[str, list[str]], seed: int, count: int) -> list[dict[str, str]]:
    """Rows of which most have one odd value only, so that most of what is odd decides over its row."""
    chance = Random(seed)
    fine = {"shopper_id": "s", "type": "view", "time": "2024-01-15", "item_id": "i"}
    rows = []
    for number in range(count):
        row = dict.fromkeys(COLUMNS, "") | fine | {"event_id": str(number)}
        for column in chance.sample(COLUMNS, chance.choice((1, 1, 1, 2, 3))):
            row[column] = chance.choice(values[column])
        rows.append(row)
    return [row for row in rows if row["time"].strip("\u200b \t\u3000")]  # record needs a time, prepare does not


def rows_of_shoppers(seed: int, count: int) -> list[dict[str, str]]:
    """Rows of some shoppers; half have one odd value, which can be read, some are there twice.

    `hasty` has 20 views in one minute, `tireless` 20 in one day, each in another hour.
    """
    values = {
        "event_id": ("e1", "e2", *IDS), "shopper_id": IDS, "type": TYPES, "time": TIMES, "item_id": IDS,
        "catalogue": ("products", "ads", "null", "a b"), "query": QUERIES, "price": AMOUNTS, "currency": ("EUR", "usd"),
        "quantity": ("1", "-1", "0"), "rating": ("5", "6"), "dwell_seconds": ("12.5", "-1"), "position": ("2.0", "1.5"),
    }  # fmt: skip
    chance = Random(seed)
    rows = []
    for _ in range(count):
        row = dict.fromkeys(COLUMNS, "") | {
            "shopper_id": f"s{int(chance.random() ** 2 * 40)}",
            "type": chance.choice(("view", "click", "search", "purchase")),
            "time": f"2024-01-1{chance.randrange(3)}T10:0{chance.randrange(4)}:{chance.randrange(60):02}Z",
            "item_id": f"i{chance.randrange(20)}",
            "query": chance.choice(("red shoes", "lamp")),
            "price": chance.choice(("12.5", "3", "€ 4,00")),
        }
        if chance.random() < 0.5:
            column = chance.choice(COLUMNS)
            row[column] = chance.choice(values[column])
        rows.append(row)
    rows += [_view("hasty", f"2024-01-10T10:00:{second:02}Z", f"i{second}") for second in range(20)]
    rows += [_view("tireless", f"2024-01-10T{hour:02}:00:00Z", f"i{hour}") for hour in range(20)]
    rows += chance.sample(rows, count // 20)
    chance.shuffle(rows)
    return rows


def _view(shopper: str, time: str, item: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {"shopper_id": shopper, "type": "view", "time": time, "item_id": item}


def csv_of(rows: list[dict[str, str]], separator: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_of(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
