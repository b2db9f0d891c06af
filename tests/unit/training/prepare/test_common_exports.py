"""Logs as newcomers make them of a shop's exports: what would be read otherwise than meant is said."""

from pathlib import Path

import pytest
from support.prepared_data import Prepare, WriteLog

from portrait.training.errors import DataError, TrainingError
from portrait.training.prepare.sources import detect_source

EVENTS = "shopper_id,type,time,item_id\n"


def test_columns_that_are_not_read_are_named(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(
        events_csv="shopper_id,type,item_id,timestamp,session,,\ns,view,a,2024-01-15,1,,\n",
        shoppers_csv="shopper_id,country\ns,FR\n",
    )
    report = prepare_log(folder).report
    assert report.unread == {"events": ["session", "timestamp"], "shoppers": ["country"]}
    assert report.warnings() == ["no event has a time; rename the column 'timestamp' to 'time' if it holds it"]


@pytest.mark.parametrize("column", ["order_status", "Order Status", "Financial Status", "STATUS"])
def test_purchases_that_were_called_off_are_counted(prepare_log: Prepare, write_log: WriteLog, column: str) -> None:
    rows = (
        "s,purchase,2024-01-01,a,delivered\ns,buy,2024-01-02,b,wc-cancelled\ns,order,2024-01-03,c,Refunded\n"
        "s,view,2024-01-04,d,cancelled\ns,purchase,2024-01-05,e,\ns,refund,2024-01-06,b,refunded\n"
    )
    report = prepare_log(write_log(events_csv=f"{EVENTS.strip()},{column}\n{rows}")).report
    assert report.called_off == {column.lower(): 2}
    (warning,) = report.warnings()
    assert f"2 purchases were called off, says the column '{column.lower()}'" in warning


def test_called_off_is_said_of_one_purchase_too(prepare_log: Prepare, write_log: WriteLog) -> None:
    report = prepare_log(write_log(events_csv=f"{EVENTS.strip()},state\ns,buy,2024-01-01,a,VOIDED\n")).report
    assert report.warnings()[0].startswith("1 purchase was called off, says the column 'state'")


def test_parts_add_up_to_one_count(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log() / "events"
    folder.mkdir()
    (folder / "1.csv").write_text(f"{EVENTS.strip()},status\ns,buy,2024-01-01,a,cancelled\n", encoding="utf-8")
    (folder / "2.jsonl").write_text(
        '{"shopper_id": "s", "type": "buy", "item_id": "b", "status": "returned", "extra": {"x": 1}}\n',
        encoding="utf-8",
    )
    report = prepare_log(folder.parent).report
    assert (report.called_off, report.unread) == ({"status": 2}, {"events": ["extra", "status"]})


def test_the_id_of_an_order_is_none_of_its_lines(prepare_log: Prepare, write_log: WriteLog) -> None:
    lines = "o1,s,buy,2024-01-01,a\no1,s,buy,2024-01-01,b\no1,s,buy,2024-01-01,b\no1,s,buy,2024-01-01,a\n"
    report = prepare_log(write_log(events_csv=f"event_id,{EVENTS}{lines}")).report
    assert (report.kept, report.rejected, report.reused_event_ids) == (1, {"duplicate_id": 3}, 2)
    (warning,) = report.warnings()
    assert "the id of an order is none of its lines" in warning


def test_an_event_that_is_sent_twice_reuses_no_id(prepare_log: Prepare, write_log: WriteLog) -> None:
    report = prepare_log(write_log(events_csv=f"event_id,{EVENTS}" + "1,s,buy,2024-01-01,a\n" * 2)).report
    assert (report.rejected, report.reused_event_ids, report.warnings()) == ({"duplicate_id": 1}, 0, [])


def test_times_that_only_some_events_have_are_told_of(prepare_log: Prepare, write_log: WriteLog) -> None:
    report = prepare_log(write_log(events_csv=f"{EVENTS}s,view,2024-01-01,a\ns,buy,,b\n")).report
    assert report.warnings() == ["1 of 2 events have no time, so they count as older than all others"]


def test_a_catalogue_without_titles_is_told_of(prepare_log: Prepare, write_log: WriteLog) -> None:
    events = f"{EVENTS}s,view,2024-01-01,a\n"
    untitled = prepare_log(write_log(events_csv=events, items_csv="item_id,product_name\na,Lamp\n")).report
    assert any("no listed item has a title" in warning for warning in untitled.warnings())
    titled = prepare_log(write_log(events_csv=events, items_csv="item_id,category_path\na,Lamps\n")).report
    assert titled.warnings() == []


def test_files_beside_the_log_are_named(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(events_csv=f"{EVENTS}s,view,2024-01-01,a\n", products_csv="id\n1\n", notes_txt="no table")
    report = prepare_log(folder).report
    assert report.unread == {"files": ["products.csv"]}
    (warning,) = report.warnings()
    assert "not read: products.csv" in warning


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events", f"{EVENTS}s,view,2024-01-01,1.23E+11\n"),
        ("events", f"{EVENTS}4.5e+12,view,2024-01-01,a\n"),
        ("events", f"event_id,{EVENTS}1E+15,s,view,2024-01-01,a\n"),
        ("items", "item_id,title\n8.71235E+12,Lamp\n"),
        ("shoppers", "shopper_id,region\n1.00002E+10,FR\n"),
    ],
)
def test_an_id_that_a_spreadsheet_shortened_is_refused(
    prepare_log: Prepare, write_log: WriteLog, name: str, content: str
) -> None:
    files = {"events_csv": f"{EVENTS}s,view,2024-01-01,a\n", f"{name}_csv": content}
    with pytest.raises(DataError, match=rf"{name}\.csv, row 2, column .*a spreadsheet has shortened"):
        prepare_log(write_log(**files))


def test_ids_with_all_their_digits_are_no_shortened_ones(prepare_log: Prepare, write_log: WriteLog) -> None:
    rows = "".join(f"s,view,2024-01-01,{item}\n" for item in ("1E5", "5E+05", "1.2345678901234568e+16", "E+12", "3e12"))
    assert prepare_log(write_log(events_csv=EVENTS + rows)).report.kept == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "user_id,event_type\n1,pv\n",
            "column 'shopper_id': this column is required; rename 'user_id' to 'shopper_id'",
        ),
        ("1,2268318,2520377,pv,1511544070\n", "row 1, column 'shopper_id': .*write a header above it"),
        ("sep=;\nshopper_id;type;item_id\n", "row 1: this line is a note for a spreadsheet: delete it"),
        ("shopper_id,type\rs,view\r", "row 1: lines end with a carriage return alone"),
        (f"{EVENTS}s,view,2024-01-01,café\n".encode("cp1252"), "is not UTF-8; .*CSV UTF-8"),
        ("shopper_id,type,prix été\n".encode("cp1252"), "row 1: is not UTF-8; .*CSV UTF-8"),
        (
            f"{EVENTS}s,view,45306.4,a\n",
            "nothing of the source can be kept: 1 impossible time, such as events.csv, row 2",
        ),
        (
            f"{EVENTS},view,,a\ns,scroll,,a\n,buy,,a\n",
            "2 missing shopper, such as events.csv, row 2; 1 unknown type, such",
        ),
        (EVENTS, "nothing of the source can be kept: it holds no rows"),
    ],
)
def test_what_a_newcomer_meets_says_what_to_do(
    prepare_log: Prepare, write_log: WriteLog, content: str | bytes, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        prepare_log(write_log(events_csv=content))


@pytest.mark.parametrize("text", ['[{"shopper_id": "s"}]', '\ufeff[\n {"shopper_id": "s"}\n]\n', "[1, 2]"])
def test_a_list_of_objects_is_told_to_be_no_json_lines(prepare_log: Prepare, write_log: WriteLog, text: str) -> None:
    with pytest.raises(DataError, match=r"events\.jsonl, row 1: a list begins here; write one object per line"):
        prepare_log(write_log(events_jsonl=text))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("events.xlsx", r"log holds no log: .*\.csv, \.tsv, \.jsonl or \.parquet, .*it holds events\.xlsx"),
        ("events.json", r"it holds events\.json.*one object per line.*\.jsonl"),
        ("", "it is empty"),
    ],
)
def test_a_folder_that_holds_no_log_is_told_what_one_is(write_log: WriteLog, name: str, message: str) -> None:
    folder = write_log()
    if name:
        (folder / name).touch()
    with pytest.raises(TrainingError, match=message):
        detect_source(folder)


def test_a_file_that_is_no_log_is_told_what_one_is(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").touch()
    with pytest.raises(TrainingError, match=r"ratings\.dat is no log: .*\.parquet"):
        detect_source(tmp_path / "ratings.dat")
