"""Forgotten shoppers are left out of a data set, by the list that the gateway's state file gives."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from support.prepared_data import WriteLog

from portrait.features.events import Event, EventType
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent
from portrait.training.errors import DataError
from portrait.training.prepare.pipeline import prepare_data_set
from portrait.training.prepare.sources import events

pytestmark = pytest.mark.slow

LOG = """shopper_id,type,time,item_id,price
ann,view,2026-01-01T10:00:00Z,lamp-of-ann,
灯 o'ann,view,2026-01-01T10:00:00Z,lamp,
灯 o'ann,purchase,2026-01-01T11:00:00Z,lamp,-1
灯 o'ann,view,,lamp,
灯 o'ann,purchase,2026-03-01T11:00:00Z,lamp,5
bob,view,2026-01-01T10:00:00Z,lamp,
bob,view,2026-01-01T11:00:00Z,lamp,-1
"""
SHOPPERS = "shopper_id,region\nann,US-CA\n灯 o'ann,US-NY\nbob,US-TX\n"
_FORGOTTEN = "import typer; from portrait.server.commands import export_deletions; typer.run(export_deletions)"


def listed(state: Path) -> subprocess.CompletedProcess[str]:
    """Run `portrait export-deletions`."""
    command = [sys.executable, "-c", _FORGOTTEN, "--state", str(state)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


async def forget(state: Path, *shoppers: str) -> None:
    store = await open_store(state)
    for shopper in shoppers:
        await store.forget(shopper, datetime(2026, 2, 1, tzinfo=UTC))
    await store.close()


def test_they_are_left_out_by_the_list_of_the_state_file(write_log: WriteLog, tmp_path: Path) -> None:
    asyncio.run(forget(tmp_path / "portrait.db", "ann", "灯 o'ann", "nobody"))
    said = listed(tmp_path / "portrait.db")
    assert (said.returncode, said.stdout.count("\n")) == (0, 4)
    assert "ann" not in said.stdout
    without = tmp_path / "forgotten.csv"
    without.write_text(said.stdout, encoding="utf-8")
    folder, output = write_log(events_csv=LOG, shoppers_csv=SHOPPERS), tmp_path / "data"
    report = prepare_data_set("events", lambda connection: events.load(connection, folder), output, without=without)
    assert (report.read, report.kept, report.forgotten) == (7, 2, 4)
    assert report.rejected == {"impossible_price": 1}
    kept = pl.read_parquet(output / "events.parquet")
    assert sorted(zip(kept["shopper_id"], kept["time"].dt.month(), strict=True)) == [("bob", 1), ("灯 o'ann", 3)]
    declared = pl.read_parquet(output / "shoppers.parquet")
    assert dict(zip(declared["shopper_id"], declared["region"], strict=True)) == {"bob": "US-TX", "灯 o'ann": None}
    assert pl.read_parquet(output / "rejected.parquet")["shopper_id"].to_list() == ["bob"]
    assert pl.read_parquet(output / "items.parquet")["item_id"].to_list() == ["lamp"]


async def _record_and_forget(state: Path, shopper_id: str, time: datetime, now: datetime) -> None:
    store = await open_store(state)
    await store.record([RecordedEvent(shopper_id, Event("e1", EventType.VIEW, time, "lamp"))])
    await store.forget(shopper_id, now)
    await store.close()


def test_an_event_dated_ahead_of_its_forgetting_is_left_out_too(write_log: WriteLog, tmp_path: Path) -> None:
    ahead = datetime(2026, 1, 2, 6, tzinfo=UTC)
    asyncio.run(_record_and_forget(tmp_path / "portrait.db", "ann", ahead, ahead - timedelta(hours=20)))
    without = tmp_path / "forgotten.csv"
    without.write_text(listed(tmp_path / "portrait.db").stdout, encoding="utf-8")
    log = f"shopper_id,type,time,item_id\nann,view,{ahead:%Y-%m-%dT%H:%M:%SZ},lamp\nbob,view,2026-01-01T10:00:00Z,rug\n"
    folder = write_log(events_csv=log)
    report = prepare_data_set(
        "events", lambda connection: events.load(connection, folder), tmp_path / "data", without=without
    )
    assert (report.read, report.kept, report.forgotten) == (2, 1, 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [("shopper_sha256\nab\n", "forgotten_at"), ("shopper_sha256,forgotten_at\nab,yesterday\n", "is not a time")],
)
def test_a_malformed_list_is_refused(write_log: WriteLog, tmp_path: Path, content: str, told: str) -> None:
    without = tmp_path / "forgotten.csv"
    without.write_text(content, encoding="utf-8")
    folder = write_log(events_csv=LOG)
    with pytest.raises(DataError, match=told):
        prepare_data_set(
            "events", lambda connection: events.load(connection, folder), tmp_path / "data", without=without
        )


def test_a_state_file_that_is_not_there_is_no_empty_list(tmp_path: Path) -> None:
    said = listed(tmp_path / "elsewhere.db")
    assert (said.returncode, said.stdout) == (1, "")
    assert "does not exist" in said.stderr
