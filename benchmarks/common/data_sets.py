"""Prepared data sets, as `portrait prepare` writes them."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from portrait.features.events import Event, EventType
from portrait.training.dataset import readers
from portrait.training.dataset.data_set import REPORT_FILE
from portrait.training.dataset.identity import read_identity


def read_source(data: Path) -> str:
    """Read the name of the source that a data set was prepared from."""
    return str(json.loads((data / REPORT_FILE).read_text(encoding="utf-8"))["source"])


def read_events(data: Path) -> list[Event]:
    """Read all events, in the order of the corpus."""
    table = readers.read_parquet(data / "events.parquet").sort("shopper_id", "sequence")
    names = ("event_id", "time", "item_id", "catalogue", "query", "price", "quantity", "rating", "dwell_seconds")
    return [
        Event(type=EventType(row["type"]), position=row["position"], **{name: row[name] for name in names})
        for row in table.iter_rows(named=True)
    ]


def write_with_events(data: Path, folder: Path, events: pl.DataFrame, **counts: Any) -> None:
    """Write a data set that has the catalogue of another one, and some of its events.

    Args:
        data: the other one.
        folder: the folder to write; what a stopped call left there is overwritten.
        events: rows of its table of events.
        counts: what the report says of them, beside their number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    events.sort("shopper_id", "sequence").write_parquet(folder / "events.parquet")
    shutil.copy(data / "items.parquet", folder)
    report = json.loads((data / REPORT_FILE).read_text(encoding="utf-8"))
    changed = {"kept": len(events), "identity": read_identity(folder), **counts}
    (folder / REPORT_FILE).write_text(json.dumps(report | changed) + "\n", encoding="utf-8")
