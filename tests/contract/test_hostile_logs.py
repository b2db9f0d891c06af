"""Small files as shops export them, through both commands that read logs: `portrait prepare` and `portrait record`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from portrait.client import messages
from portrait.client.files import FileError, RecordedEvent, RejectedRow, find_currency, read_events, read_items
from portrait.server.rpc.contract.validation import find_violations
from portrait.training.errors import DataError
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.report import Report
from portrait.training.prepare.sources import events as source

HOSTILE = Path(__file__).parents[1] / "data" / "hostile"


def prepared(name: str, folder: Path) -> tuple[Report, pl.DataFrame]:
    report = prepare_data_set("events", lambda connection: source.load(connection, HOSTILE / name), folder / "data")
    return report, pl.read_parquet(folder / "data" / "events.parquet")


def recorded(name: str) -> list[RecordedEvent]:
    """The events that a gateway accepts, each id of a shopper once."""
    lines = (HOSTILE / name).read_bytes().splitlines(keepends=True)
    rejected: list[RejectedRow] = []
    stored = {}
    for read in read_events(lines, name, find_currency(lines, name), rejected.append):
        [entry] = messages.build_record_request([(read.shopper_id, read.event)]).events
        if not list(find_violations(entry)):
            stored.setdefault((read.shopper_id, read.event.event_id), read)
    return list(stored.values())


def assert_both(name: str, folder: Path, column: str, values: list[Any]) -> Report:
    report, events = prepared(name, folder)
    assert events.sort("time", "event_id")[column].to_list() == values
    read = sorted(recorded(name), key=lambda each: str(each.event.time))
    assert [getattr(each.event, column) for each in read] == values
    return report


def test_one_moment_is_one_time_however_it_is_written(tmp_path: Path) -> None:
    assert_both("times.csv", tmp_path, "time", [datetime(2024, 1, 15, 15, 30, tzinfo=UTC)] * 14)


def test_decimal_commas(tmp_path: Path) -> None:
    prices = [0.5, 12.5, 1.299, 1234.56, 1234.5, 1234.5, 1234.5, 12.9, 12.9, None]
    assert assert_both("decimal_commas.csv", tmp_path, "price", prices).rejected == {"impossible_price": 1}


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("two_readings.csv", (3, "price"), "'1,299' may be 1299 or 1.299"),
        ("two_days.csv", (3, "time"), "'01/02/2024' may be 2024-02-01 or 2024-01-02"),
        ("half_a_character.jsonl", (2, "item_id"), "holds half a surrogate pair"),
    ],
)
def test_both_refuse_a_file_at_the_same_place(name: str, place: tuple[int, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as told:
        prepared(name, tmp_path)
    assert (told.value.row, told.value.column) == place
    with pytest.raises(FileError, match=f"line {place[0]}, column '{place[1]}': .*{message}"):
        recorded(name)


def test_ids_that_are_missing_are_rejected_as_missing(tmp_path: Path) -> None:
    report, events = prepared("missing_ids.jsonl", tmp_path)
    assert report.rejected == {"missing_item": 12, "missing_shopper": 12}
    assert events.select("shopper_id", "item_id").rows() == [("s", "i")]
    [read] = recorded("missing_ids.jsonl")
    assert (read.shopper_id, read.event.item_id) == ("s", "i")


@pytest.mark.parametrize(
    ("name", "prices", "warning"),
    [
        ("currencies.csv", [None, 20.0, 30.0, 40.0], "2 in EUR, 1 in USD; only those in EUR are kept"),
        ("currency_column.csv", [None, 20.0, 30.0], "2 in EUR, 1 in USD; only those in EUR are kept"),
    ],
)
def test_prices_of_the_commonest_currency_are_kept(
    name: str, prices: list[float | None], warning: str, tmp_path: Path
) -> None:
    report = assert_both(name, tmp_path, "price", prices)
    assert any(told.endswith(warning) for told in report.warnings())
    assert [each.dropped_currency for each in recorded(name) if each.dropped_currency] == ["USD"]


def test_two_ids_are_two_events_also_in_one_second(tmp_path: Path) -> None:
    report, events = prepared("lines_of_one_second.csv", tmp_path)
    assert report.rejected == {"duplicate_event": 1, "duplicate_id": 1}
    read = recorded("lines_of_one_second.csv")
    assert len(read) == events.height == 4
    assert sum(each.event.price or 0 for each in read) == events["price"].sum() == 58.0


def test_words_of_items(tmp_path: Path) -> None:
    prepared("shop_words", tmp_path)
    items = pl.read_parquet(tmp_path / "data" / "items.parquet").sort("item_id")
    titles = ["Tom & Jerry &lt;3", "Café cup", "Lamp"]
    paths = [["Beauty", "Hair Care"], ["Home", "Café"], ["Home & Garden", "Lamps"]]
    assert items["title"].to_list() == titles
    assert items["category_path"].to_list() == paths
    assert items["brand"].to_list() == ["Procter & Gamble", None, None]
    assert items["attributes"].to_list() == [[{"key": "note", "value": "Café"}], [], []]
    with (HOSTILE / "shop_words" / "items.csv").open("rb") as lines:
        read = [listed.item for listed in read_items(lines, "items.csv")]
    assert [each.title for each in read] == titles
    assert [list(each.category_path) for each in read] == paths
    assert [each.brand for each in read] == ["Procter & Gamble", "", ""]
    assert [each.attributes for each in read] == [{"note": "Café"}, {}, {}]


def test_a_nested_attribute_is_the_same_text(tmp_path: Path) -> None:
    line = '{"item_id": "a", "title": "A", "sizes": [1, "L &amp; XL"], "attributes": {"box": {"h": 1.5}}}\n'
    (tmp_path / "items.jsonl").write_text(line, encoding="utf-8")
    (tmp_path / "events.csv").write_text("shopper_id,type,item_id\ns,view,a\n", encoding="utf-8")
    prepare_data_set("events", lambda connection: source.load(connection, tmp_path), tmp_path / "data")
    [pairs] = pl.read_parquet(tmp_path / "data" / "items.parquet")["attributes"].to_list()
    [listed] = read_items([line.encode()], "items.jsonl")
    assert {pair["key"]: pair["value"] for pair in pairs} == listed.item.attributes
