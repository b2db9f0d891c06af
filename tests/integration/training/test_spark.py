"""Both engines of `portrait prepare` on one log: every row, every rejected row and the report are the same."""

import dataclasses
import gzip
import hashlib
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from support.hostile_rows import csv_of, json_of, rows_of_shoppers

from portrait.training.dataset.corpus import load_corpus
from portrait.training.dataset.readers import read_parquet
from portrait.training.errors import DataError, TrainingError
from portrait.training.prepare.cleanup import CleanupLimits
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.report import Report
from portrait.training.prepare.sources import events
from portrait.training.prepare.spark.cleaner import SparkCleaner
from portrait.training.prepare.spark.session import open_session

HOSTILE = Path(__file__).parents[2] / "data" / "hostile"
PARTS = (
    "currencies.csv", "currency_column.csv", "decimal_commas.csv", "excel_utf16.csv", "header_in_capitals.csv",
    "lines_of_one_second.csv", "missing_ids.jsonl", "refunds.csv", "times.csv", "trackers.csv",
)  # fmt: skip
LIMITS = CleanupLimits(events_per_minute=6, events_per_day=9)

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed (extra spark)"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
]


@pytest.fixture(scope="module", autouse=True)
def on_two_cores() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[2] --driver-memory 1g pyspark-shell")
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A folder whose name is a pattern, with parts of all formats, a catalogue and declared shoppers."""
    folder = tmp_path / "log [1]*{ü} #%20"
    parts = folder / "events" / "date=2024-01-01"
    parts.mkdir(parents=True)
    for name in PARTS:
        shutil.copy(HOSTILE / name, parts)
    rows = rows_of_shoppers(seed=0, count=2000)
    (parts / "a.csv.gz").write_bytes(gzip.compress(csv_of(rows[:900], ",")))
    (parts / "b.jsonl").write_bytes(json_of(rows[900:1500]))
    pl.DataFrame(rows[1500:]).write_parquet(parts / "c.parquet")
    (folder / "items.csv").write_text(
        "item_id,title,price\ni1,Lamp,€ 5\ni2,Cup,\ni3,Mug,$ 3\nx,Tea,\n", encoding="utf-8"
    )
    (folder / "shoppers.csv").write_text("shopper_id,region\ns1,US-CA\ns2,US-NY\nnobody,US-TX\n", encoding="utf-8")
    return folder


def prepare(engine: str, log: Path, output: Path, without: Path | None = None) -> Report:
    if engine == "duckdb":
        return prepare_data_set("events", lambda connection: events.load(connection, log), output, LIMITS, without)
    spark = SparkCleaner(log)
    return prepare_data_set("events", spark.load, output, LIMITS, without, cleaner=spark)


def test_both_engines_write_the_same_data_set(log: Path, tmp_path: Path) -> None:
    without = tmp_path / "forgotten.csv"
    hashed = hashlib.sha256(b"s1").hexdigest()
    without.write_text(f"shopper_sha256,forgotten_at\n{hashed},2024-01-11T00:00:00Z\n", encoding="utf-8")
    reports = {engine: prepare(engine, log, tmp_path / engine, without) for engine in ("duckdb", "spark")}
    assert {"burst", "robot", "duplicate_id", "duplicate_event", "impossible_time"} < reports["spark"].rejected.keys()
    assert reports["spark"].forgotten > 0
    assert len(reports["spark"].currencies["events"]) > 1
    assert len({dataclasses.replace(report, prepared_at="").to_json() for report in reports.values()}) == 1
    shards = sorted((tmp_path / "spark" / "events.parquet").iterdir())
    assert len(shards) == 2
    assert all(pl.read_parquet(shard).height for shard in shards)
    for table in ("events", "items", "shoppers", "rejected"):
        one, other = (read_parquet(tmp_path / engine / f"{table}.parquet") for engine in reports)
        assert one.schema == other.schema
        assert one.equals(other), table
    # The reader of training.
    assert load_corpus(tmp_path / "spark").texts == load_corpus(tmp_path / "duckdb").texts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["duckdb", "forgotten.csv", log.name, "spark"]


def test_both_engines_refuse_the_same_value_and_leave_the_data_set_alone(log: Path, tmp_path: Path) -> None:
    broken = log / "events" / "date=2024-01-01" / "bb.jsonl"
    broken.write_text('{"shopper_id": "s", "type": "view", "item_id": "i", "time": "soon"}\n', encoding="utf-8")
    (log / "events" / "z.csv").write_text("shopper_id,type,item_id\ns,view\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.json").write_text("{}", encoding="utf-8")
    told = []
    for engine in ("duckdb", "spark"):
        with pytest.raises(DataError) as error:
            prepare(engine, log, tmp_path / "data")
        told.append(str(error.value))
    assert told[0] == told[1] == f"{broken}, row 1, column 'time': 'soon' is not a time"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["report.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", log.name]


def test_a_log_of_which_nothing_is_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("shopper_id,type,item_id\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="it holds no rows"):
        prepare("spark", tmp_path / "events.csv", tmp_path / "data")


def test_the_error_of_a_task_is_told_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(TrainingError, match=r"^Spark failed: IndexError: list index out of range$"),
        open_session(tmp_path) as session,
    ):
        session.sparkContext.parallelize([1]).map(lambda place: "x"[place : place + 1].split()[0]).collect()
