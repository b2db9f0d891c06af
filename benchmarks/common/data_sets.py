"""Prepared data sets, as `portrait prepare` writes them."""

import json
from pathlib import Path

from portrait.features.events import Event, EventType
from portrait.training.dataset import readers


def read_source(data: Path) -> str:
    """Read the name of the source that a data set was prepared from."""
    return str(json.loads((data / "report.json").read_text(encoding="utf-8"))["source"])


def read_events(data: Path) -> list[Event]:
    """Read all events, in the order of the corpus."""
    table = readers.read_parquet(data / "events.parquet").sort("shopper_id", "sequence")
    names = ("event_id", "time", "item_id", "catalogue", "query", "price", "quantity", "rating", "dwell_seconds")
    return [
        Event(type=EventType(row["type"]), position=row["position"], **{name: row[name] for name in names})
        for row in table.iter_rows(named=True)
    ]
