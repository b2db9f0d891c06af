"""The source `events`: a shop's own log in any of the formats."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from support.prepared_data import Prepare, WriteLog

from portrait.features.logs.event_types import EVENT_TYPE_NAMES
from portrait.training.prepare.sources import detect_source

MOMENT = datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize(
    "written",
    [
        "2024-01-01T00:00:00.5Z",
        "2024-01-01 00:00:00.500",
        "2024-01-01T08:00:00.5+08:00",
        "2024-01-01T08:00:00.5+0800",
        "2023-12-31T20:30:00.5-03:30",
        "1704067200.5",
        "1704067200500",
        "1704067200500000",
    ],
)
def test_times_are_utc_however_written(prepare_log: Prepare, write_log: WriteLog, written: str) -> None:
    data = prepare_log(write_log(events_csv=f"shopper_id,type,item_id,time\ns,view,i,{written}\n"))
    assert data.table("events")["time"].to_list() == [MOMENT]
    assert data.table("events").schema["time"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("value", [MOMENT, MOMENT.replace(tzinfo=None), 1704067200.5, 1704067200500])
def test_parquet_may_hold_times_or_numbers(prepare_log: Prepare, write_log: WriteLog, value: object) -> None:
    folder = write_log()
    frame = pl.DataFrame({"shopper_id": [7], "type": ["view"], "item_id": [2**60], "time": [value], "price": [1.25]})
    frame.write_parquet(folder / "events.parquet")
    event = prepare_log(folder).table("events").row(0, named=True)
    assert event["time"] == MOMENT
    assert (event["shopper_id"], event["item_id"], event["price"]) == ("7", str(2**60), 1.25)
    assert event["event_id"] == "events.parquet:1"


def test_ids_stay_as_they_are_written(prepare_log: Prepare, write_log: WriteLog) -> None:
    ids = [
        "0012",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "2024-01-01",
        "1e5",
        "i i",
        "12345678901234567890123",
        "'\"𝒾",
    ]
    lines = [{"shopper_id": "s", "type": "view", "item_id": item} for item in ids]
    assert prepare_log(write_log(events_jsonl=lines)).table("events")["item_id"].to_list() == ids


def test_json_numbers_and_nulls(prepare_log: Prepare, write_log: WriteLog) -> None:
    line = {"shopper_id": 12345678901234567890, "type": "view", "item_id": 7, "price": 2.5, "query": None, "x": {}}
    event = prepare_log(write_log(events_jsonl=[line])).table("events").row(0, named=True)
    assert (event["shopper_id"], event["item_id"], event["price"]) == ("12345678901234567890", "7", 2.5)
    assert event["query"] is None


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_that_of_the_header(prepare_log: Prepare, write_log: WriteLog, separator: str) -> None:
    text = "\ufeff" + 'shopper_id,type,query,row\ns,search,"a; ""b"", | c",9\n'.replace(",", separator)
    assert prepare_log(write_log(events_csv=text)).table("events")["event_id"].to_list() == ["events.csv:2"]


def test_windows_line_ends(prepare_log: Prepare, write_log: WriteLog) -> None:
    text = 'shopper_id,type,query\r\ns,search,"two\r\nlines"\r\n\r\nt,search,one'
    assert prepare_log(write_log(events_csv=text)).table("events")["query"].to_list() == ["two\r\nlines", "one"]


def test_types_have_synonyms(prepare_log: Prepare, write_log: WriteLog) -> None:
    lines = "".join(f"s, {name.upper()}\t,i{number},q\n" for number, name in enumerate(EVENT_TYPE_NAMES))
    told = (
        prepare_log(write_log(events_csv="shopper_id,type,item_id,query\n" + lines)).table("events")["type"].to_list()
    )
    assert told == list(EVENT_TYPE_NAMES.values())


def test_equal_times_keep_the_order_of_the_log(prepare_log: Prepare, write_log: WriteLog) -> None:
    lines = [{"shopper_id": "s", "type": "view", "item_id": str(i), "time": "2024-01-02"} for i in range(50)]
    lines.append({"shopper_id": "s", "type": "view", "item_id": "first", "time": "2024-01-01"})
    items = prepare_log(write_log(events_jsonl=lines)).table("events")["item_id"].to_list()
    assert items == ["first", *map(str, range(50))]


def test_items_as_csv(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(
        events_csv="shopper_id,type,item_id,price\ns,purchase,i1,4\ns,purchase,i1,6\ns,view,unlisted,\ns,view,i2,\n",
        items_csv="item_id,title,category_path,brand,price,colour,attributes\n"
        'i1,Red shoe,Clothes > Shoes,Acme,,red,"{""sole"": ""rubber"", ""none"": null}"\n'
        "i2,,Clothes > Hats,,-3,,\n"
        "i3,Never seen,,,7,,\n"
        "i1,A later row of the same item,,,,,\n",
    )
    items = {row["item_id"]: row for row in prepare_log(folder).table("items").iter_rows(named=True)}
    assert items["i1"] == {
        "item_id": "i1", "catalogue": "products", "title": "Red shoe", "category_path": ["Clothes", "Shoes"],
        "brand": "Acme", "price": 5.0,
        "attributes": [{"key": "sole", "value": "rubber"}, {"key": "colour", "value": "red"}],
    }  # fmt: skip
    assert (items["i2"]["title"], items["i2"]["price"], items["i2"]["attributes"]) == ("Hats", None, [])
    assert items["i3"]["price"] == 7.0
    assert items["unlisted"]["title"] == "unlisted"


def test_a_data_set_of_portrait_is_a_source_too(prepare_log: Prepare, write_log: WriteLog, tmp_path: Path) -> None:
    folder = write_log(
        events_jsonl=[{"shopper_id": "s", "type": "view", "item_id": "i", "time": 1704067200, "position": 2}],
        items_jsonl=[{"item_id": "i", "title": "T", "category_path": ["A", "B > C"], "attributes": {"k": "v"}}],
        shoppers_jsonl=[{"shopper_id": "s", "age_band": "25-34", "region": None}],
    )
    first = prepare_log(folder)
    (tmp_path / "first").mkdir()
    copies = {name: first.table(name) for name in ("events", "items", "shoppers")}
    for name, table in copies.items():
        table.write_parquet(tmp_path / "first" / f"{name}.parquet")
    again = prepare_log(tmp_path / "first")
    assert all(again.table(name).equals(table) for name, table in copies.items())
    assert copies["items"]["category_path"].to_list() == [["A", "B > C"]]
    assert copies["shoppers"].row(0) == ("s", "25-34", None, None)


def test_a_log_named_as_a_file_stands_alone(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(clicks_csv="shopper_id,type,item_id\ns,click,i\n", items_csv="broken")
    assert detect_source(folder / "clicks.csv") == "events"
    assert prepare_log(folder / "clicks.csv").report.kept == 1
