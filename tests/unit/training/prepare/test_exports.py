"""Files as shops export them: `tests/data/hostile` holds the small ones, the packed and typed ones are made here."""

import gzip
from pathlib import Path

import polars as pl
import pytest
import zstandard
from support.prepared_data import Prepare, WriteLog

from portrait.training.errors import DataError, TrainingError

pytestmark = pytest.mark.slow

HOSTILE = Path(__file__).parents[3] / "data" / "hostile"
EVENTS = "shopper_id,type,time,item_id\ns,purchase,2024-01-01T10:00:00Z,a\n"


def test_types_of_common_trackers_are_read_and_others_are_named(prepare_log: Prepare) -> None:
    report = prepare_log(HOSTILE / "trackers.csv").report
    assert report.events_by_type == {
        "add_to_cart": 4, "view": 3, "purchase": 2, "click": 1, "refund": 1, "search": 1,
    }  # fmt: skip
    assert report.rejected == {"unknown_type": 3}
    assert report.unknown_types == {"remove_from_cart": 2, "scroll": 1}
    assert report.warnings() == ["3 rows have a type that is not known: 'remove_from_cart' 2, 'scroll' 1"]


def test_what_was_given_back_is_a_refund_however_it_is_written(prepare_log: Prepare) -> None:
    data = prepare_log(HOSTILE / "refunds.csv")
    refunds = data.table("events").filter(pl.col("type") == "refund").select("event_id", "price", "quantity")
    assert refunds.rows() == [
        ("r1", 4.5, 1.0), ("r2", 4.5, 1.0), ("r3", 4.5, 2.0), ("C536379", 27.5, 1.0), ("r4", 4.5, 1.0),
    ]  # fmt: skip
    assert data.report.negative_refunds == 4
    assert data.rejected == {7: "impossible_price", 8: "impossible_quantity"}


def test_parts_of_which_no_quantity_is_above_zero_may_hold_refunds(prepare_log: Prepare, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    for part, row in enumerate(("s,purchase,a,-1", "s,view,a,0")):
        header = "shopper_id,type,item_id,quantity"
        (tmp_path / "events" / f"{part}.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    data = prepare_log(tmp_path)
    assert data.table("events").select("type", "quantity").rows() == [("refund", 1.0)]
    assert data.report.rejected == {"impossible_quantity": 1}


@pytest.mark.parametrize(
    ("name", "query"),
    [("excel_utf16.csv", 'crème "fraîche" 鞋'), ("excel_semicolons.csv", 'crème; "fraîche"')],
)
def test_what_excel_saves_is_read(prepare_log: Prepare, name: str, query: str) -> None:
    assert prepare_log(HOSTILE / name).table("events")["query"].to_list() == [query]


def test_the_case_of_a_known_column_does_not_count(prepare_log: Prepare) -> None:
    event = prepare_log(HOSTILE / "header_in_capitals.csv").table("events").row(0, named=True)
    assert (event["shopper_id"], event["type"], event["item_id"], event["price"]) == ("s", "purchase", "a", 2.5)
    assert event["time"] is not None


def test_json_lines_may_begin_with_a_mark(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_jsonl=b'\xef\xbb\xbf{"shopper_id":"s","type":"buy","item_id":"a"}\n')
    assert prepare_log(folder).report.kept == 1


def test_a_column_named_row_does_not_number_the_rows(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=EVENTS, items_csv="item_id,title,Row,file_row_number\na,first,9,1\na,second,1,2\n")
    item = prepare_log(folder).table("items").row(0, named=True)
    assert (item["title"], item["attributes"]) == ("first", [{"key": "file_row_number", "value": "1"}])


def test_a_link_to_a_folder_is_no_part(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log() / "events"
    folder.mkdir()
    (folder / "1.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "self").symlink_to(".")
    with pytest.raises(DataError, match="self: a folder of parts"):
        prepare_log(folder.parent)


def test_columns_without_a_name_are_no_fault(prepare_log: Prepare) -> None:
    assert prepare_log(HOSTILE / "trailing_columns.csv").report.kept == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keys_in_two_cases.jsonl", "keys_in_two_cases.jsonl, row 2, column 'Item_ID': this key is there twice"),
        ("keys_in_two_cases_by_line.jsonl", "by_line.jsonl, row 2, column 'Item_ID': this key is there twice"),
        ("attributes_in_two_cases", "items.jsonl, row 1, column 'attributes': .* in upper and in lower case"),
        ("float_ids", "'1001.0' in the events is '1001' in the items: .* decimal point"),
        ("twice", "holds events more than once: events.csv, events.jsonl"),
        ("utf16_without_mark.csv", "row 1: the header holds null bytes"),
    ],
)
def test_what_would_be_read_wrong_is_refused(prepare_log: Prepare, name: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        prepare_log(HOSTILE / name)


def test_folders_of_parts_are_one_table(prepare_log: Prepare, tmp_path: Path) -> None:
    data = prepare_log(HOSTILE / "parts")
    assert data.table("events").select("event_id", "item_id", "price").rows() == [
        ("part-00000.csv:2", "a", None),
        ("part-00001.jsonl:1", "b", 3.0),
        ("date=2024-01-03/part-00002.csv:2", "c", None),
    ]  # fmt: skip
    assert data.table("items")["title"].to_list() == ["Lamp", "Desk", "c"]


@pytest.mark.parametrize("inside", ["events", "events.parquet", "."])
def test_parts_may_be_packed_and_of_several_formats(
    prepare_log: Prepare, write_log: WriteLog, tmp_path: Path, inside: str
) -> None:
    folder = write_log() / inside
    folder.mkdir(exist_ok=True)
    (folder / "a.csv.gz").write_bytes(gzip.compress(EVENTS.encode()))
    packed = zstandard.ZstdCompressor()
    lines = [b'{"shopper_id":"s","type":"buy","item_id":"b"}\n', b'{"shopper_id":"t","type":"buy","item_id":"b"}\n']
    (folder / "b.jsonl.zst").write_bytes(b"".join(packed.compress(line) for line in lines))
    pl.DataFrame({"shopper_id": [7], "type": ["pv"], "item_id": ["c"]}).write_parquet(folder / "c.snappy.parquet")
    (folder / "D.CSV.GZ").write_bytes(gzip.compress(EVENTS.encode("utf-16")))
    (folder / "_SUCCESS").touch()
    data = prepare_log(folder.parent if inside != "." else folder)
    assert sorted(data.table("events")["event_id"]) == [
        "D.CSV.GZ:2",
        "b.jsonl.zst:1",
        "b.jsonl.zst:2",
        "c.snappy.parquet:1",
    ]
    assert data.rejected == {2: "duplicate_event"}, "a.csv.gz holds what D.CSV.GZ does"


@pytest.mark.parametrize("name", ["events.csv.gz", "events.csv.zst"])
@pytest.mark.parametrize("fault", ["cut", "garbage", "empty"])
def test_a_packed_file_that_is_not_whole_is_refused(
    prepare_log: Prepare, write_log: WriteLog, name: str, fault: str
) -> None:
    whole = gzip.compress(EVENTS.encode()) if name.endswith("gz") else zstandard.compress(EVENTS.encode())
    content = {"cut": whole[:-3], "garbage": b"no packed file", "empty": b""}[fault]
    folder = write_log()
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}.*(can't be unpacked|no header)"):
        prepare_log(folder)


def test_a_fault_in_a_packed_part_names_the_part(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log() / "events"
    folder.mkdir()
    (folder / "1.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "2.csv.gz").write_bytes(gzip.compress((EVENTS + "s,buy,yesterday,b\n").encode()))
    with pytest.raises(DataError, match=r"2\.csv\.gz, row 3, column 'time'"):
        prepare_log(folder.parent)


def test_a_folder_of_parts_holds_nothing_else(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log() / "events"
    folder.mkdir()
    (folder / "1.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "2.orc").write_bytes(b"ORC")
    with pytest.raises(DataError, match=r"2\.orc"):
        prepare_log(folder.parent)


def test_a_data_set_is_no_part_of_a_log(prepare_log: Prepare, write_log: WriteLog, tmp_path: Path) -> None:
    folder = write_log() / "events"
    (folder / "out").mkdir(parents=True)
    (folder / "1.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "out" / "report.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="out: is a data set"):
        prepare_log(folder.parent)


def test_bytes_of_parquet_are_text(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=EVENTS)
    listed = {
        "item_id": [b"a"],
        "title": ["Crème".encode()],
        "category_path": [["é".encode()]],
        "x": [{"y": "ü".encode()}],
    }
    pl.DataFrame(listed).write_parquet(folder / "items.parquet")
    item = prepare_log(folder).table("items").row(0, named=True)
    assert (item["item_id"], item["title"], item["category_path"]) == ("a", "Crème", ["é"])
    assert item["attributes"] == [{"key": "x", "value": '{"y":"ü"}'}]


@pytest.mark.parametrize("bad", [b"caf\xe9", [b"caf\xe9"], {"x": b"caf\xe9"}])
def test_bytes_of_parquet_that_are_no_text_are_refused(prepare_log: Prepare, write_log: WriteLog, bad: object) -> None:
    folder = write_log(events_csv=EVENTS)
    fine = {bytes: b"a", list: [b"a"], dict: {"x": b"a"}}[type(bad)]
    pl.DataFrame({"item_id": ["a", "b", "c"], "note": [fine, bad, None]}).write_parquet(folder / "items.parquet")
    with pytest.raises(DataError, match=r"items\.parquet, row 2, column 'note': is not UTF-8"):
        prepare_log(folder)


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        ({"item_id": ["a"], "Title": ["x"], "title": ["y"]}, "title"),
        ({"item_id": ["a"], "more": [{"Size": "1", "size": "2"}]}, "more"),
        ({"item_id": ["a"], "more": [[{"deep": {"Size": "1", "size": "2"}}]]}, "more"),
    ],
)
def test_columns_of_parquet_in_two_cases_are_refused(
    prepare_log: Prepare, write_log: WriteLog, columns: dict[str, list[object]], column: str
) -> None:
    folder = write_log(events_csv=EVENTS)
    pl.DataFrame(columns).write_parquet(folder / "items.parquet")
    with pytest.raises(DataError, match=f"column '{column}': .*upper and in lower case"):
        prepare_log(folder)


def test_an_order_may_have_any_number_of_lines(prepare_log: Prepare, write_log: WriteLog) -> None:
    lines = "".join(f"s,purchase,2024-01-01T10:00:00Z,i{line}\n" for line in range(6_000))
    views = "".join(f"s,view,2024-01-01T10:00:{line % 60:02}Z,v{line}\n" for line in range(301))
    report = prepare_log(write_log(events_csv="shopper_id,type,time,item_id\n" + lines + views)).report
    assert report.rejected == {"burst": 301}
    assert report.events_by_type == {"purchase": 6_000}
