"""A malformed file ends with a message that names file, row and column, exit code 2, and no output."""

from pathlib import Path

import polars as pl
import pytest
import typer
from support.prepared_data import Prepare, WriteLog
from typer.testing import CliRunner

from portrait.training.commands import prepare
from portrait.training.errors import DataError
from portrait.training.prepare.sources import SOURCES

pytestmark = pytest.mark.slow

HEADER = "shopper_id,type,time,item_id,query,price\n"
GOOD = "s1,view,2024-01-01T00:00:00Z,i1,,1.5\n"


def refusal(prepare_log: Prepare, folder: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        prepare_log(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["log"], "something half-written is left"
    return caught.value


@pytest.mark.parametrize(
    ("content", "row", "column", "message"),
    [
        (b"", 1, None, "no header"),
        (b"shopper_id,time,item_id\ns1,0,i1\n", 1, "type", "required"),
        (b"shopper_id,type\ns1,view\n", 1, "item_id", "required"),
        (b"shopper_id,type,Type,item_id\n", 1, "Type", "named twice"),
        (b"shopper_id,\xff\n", 1, None, "UTF-8"),
        (HEADER + GOOD + "s1,view\n" + GOOD, 3, "time", "2 values, the header 6"),
        (HEADER + GOOD + "s1,view,,i1,,1,x,y\n" + GOOD, 3, None, "8 values, the header 6"),
        (HEADER + GOOD + 's1,view,"2024-01-01,i1,,1\n', 3, "time", "quote"),
        (HEADER + GOOD + "s1,view,yesterday,i1,,1\n", 3, "time", "'yesterday' is not a time"),
        (HEADER + GOOD + "s1,view,nan,i1,,1\n", 3, "time", "not a time"),
        (HEADER + GOOD + "s1,view,2024-02-30,i1,,1\n", 3, "time", "not a time"),
        (HEADER + GOOD + "s1,view,,i1,,cheap\n", 3, "price", "'cheap' is not a number"),
        (HEADER + GOOD + 's1,view,,i1,,"1,299"\n', 3, "price", "may be 1299 or 1.299"),
        ((HEADER + GOOD).encode() + b"s1,view,,i\xff,,1\n", 3, "item_id", "UTF-8"),
        (HEADER + 's1,search,,,"two\nlines",\n\n' + "s1,view,[/x],i1,,1\n", 5, "time", "[/x]"),
        ((HEADER + GOOD).replace("\n", "\r\n") + GOOD, None, None, "different ways"),
        (b"a" * 200_000 + b"\n", 1, None, "the header can't be read"),
        (b"shopper_id," + b"a" * 3_000_000, 1, None, "longer than 2000000 bytes"),
        (HEADER + "s1," + "x" * 200_000 + "\n", 2, "time", "2 values, the header 6"),
        (HEADER + "s1,view,yesterday,i1," + "x" * 200_000 + ",1\n", 2, "time", "'yesterday' is not a time"),
    ],
)
def test_csv(
    prepare_log: Prepare,
    write_log: WriteLog,
    content: str | bytes,
    row: int | None,
    column: str | None,
    message: str,
) -> None:
    error = refusal(prepare_log, write_log(events_csv=content))
    assert (error.row, error.column) == (row, column)
    assert message in str(error)
    assert "events.csv" in str(error)


@pytest.mark.parametrize(
    ("content", "row", "column", "message"),
    [
        (b'{"shopper_id":"s","type":"view","item_id":"i"}\n{"shopper_id":\n', 2, None, "not JSON"),
        (b'\n{"shopper_id":"s","type":"view","item_id":"i"}\n[1, 2]\n', 3, None, "not a JSON object"),
        (b'{"shopper_id":"s\xff","type":"view","item_id":"i"}\n', 1, None, "UTF-8"),
        (b'{"shopper_id":"s","item_id":"i"}\n', 1, "type", "required"),
        (b'{"shopper_id":"s","type":"view","item_id":"i"}\n\n'
         b'{"shopper_id":"s","type":"view","item_id":"i","time":"noon"}\n', 3, "time", "'noon' is not a time"),
        (b"", 1, "shopper_id", "required"),
        (b'{"shopper_id":"s","type":"view","item_id":"i"}\n{"shopper_id":"s","type":"view","item_id":["i"]}\n',
         2, "item_id", "not text"),
        (b'{"shopper_id":"s","type":"view","item_id":"\\ud800"}\n', 1, "item_id", "half a surrogate pair"),
        (b'{"shopper_id":' + b"[" * 200_000 + b"\n", 1, None, "nested too deep"),
        (b'{"shopper_id":"' + b"s" * 40_000_000 + b'"}\n', 1, None, "longer than 16777216 bytes"),
    ],
)  # fmt: skip
def test_json_lines(
    prepare_log: Prepare,
    write_log: WriteLog,
    content: bytes,
    row: int,
    column: str | None,
    message: str,
) -> None:
    error = refusal(prepare_log, write_log(events_jsonl=content))
    assert (error.row, error.column) == (row, column)
    assert message in str(error)


def test_parquet(prepare_log: Prepare, write_log: WriteLog) -> None:
    assert "events.parquet" in str(refusal(prepare_log, write_log(events_parquet=b"this is no Parquet file at all")))
    folder = write_log()
    pl.DataFrame({"shopper_id": [1], "type": ["view"]}).write_parquet(folder / "events.parquet")
    assert refusal(prepare_log, folder).column == "item_id"


@pytest.mark.parametrize(
    ("name", "content", "row", "column"),
    [
        ("items_csv", "title\nShoe\n", 1, "item_id"),
        ("items_csv", "item_id,price\ni1,3\ni2,dear\n", 3, "price"),
        ("items_csv", "item_id,attributes\ni1,{colour: red}\n", 2, "attributes"),
        ("items_csv", 'item_id,attributes\ni1,"[1, 2]"\n', 2, "attributes"),
        ("shoppers_csv", "gender\nf\n", 1, "shopper_id"),
    ],
)
def test_items_and_shoppers(
    prepare_log: Prepare, write_log: WriteLog, name: str, content: str, row: int, column: str
) -> None:
    error = refusal(prepare_log, write_log(events_csv=HEADER + GOOD, **{name: content}))
    assert (error.row, error.column) == (row, column)


def test_a_broken_row_far_into_a_log_is_found(prepare_log: Prepare, write_log: WriteLog) -> None:
    rows = 200_000
    assert refusal(prepare_log, write_log(events_csv=HEADER + GOOD * rows + "s1,view\n" + GOOD * 10)).row == rows + 2


@pytest.mark.parametrize("source", ["amazon-5core", "amazon-cn", "bestbuy", "open-ecommerce", "complete-journey"])
def test_a_missing_file_is_named(prepare_log: Prepare, tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match=r"\.(txt|csv|parquet)"):
        prepare_log(tmp_path, source)


def test_a_malformed_public_data_set(prepare_log: Prepare, write_log: WriteLog) -> None:
    folder = write_log(
        train_csv="user,sku,category,query,click_time,query_time\nu,1,c,q,2011-01-01,whenever\n",
        test_csv="user,sku,category,query,click_time,query_time\n",
        sku_name_tsv="1\tGame\n",
    )
    with pytest.raises(DataError) as caught:
        prepare_log(folder, "bestbuy")
    assert (caught.value.row, caught.value.column) == (2, "query_time")


def test_the_command_tells_in_one_line_and_exits_with_2(write_log: WriteLog, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(prepare)
    folder = write_log(events_csv=HEADER + GOOD + "s1,view,[/x],i1,,1\n")
    result = CliRunner().invoke(app, [str(folder), str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr == f"error: {folder}/events.csv, row 3, column 'time': '[/x]' is not a time\n"
    assert not (tmp_path / "out").exists()


def test_every_source_is_in_the_registry() -> None:
    assert set(SOURCES) == {"events", "amazon-5core", "amazon-cn", "bestbuy", "open-ecommerce", "complete-journey"}
