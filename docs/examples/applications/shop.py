"""Shared parts of the examples: the gateway's address, and a shop's log as histories.

The log is a data set that `portrait prepare` wrote. Histories travel with each call, so nothing has to be recorded
first; a shop in service records events once (`portrait record`) and names its shoppers by id instead.
"""

import argparse
import os
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from portrait.client import Event, EventType

_COLUMNS = ("shopper_id", *(field.name for field in fields(Event)))


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the arguments of every example."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    address = os.environ.get("PORTRAIT_ADDRESS", "localhost:50051")
    parser.add_argument("--address", default=address, help="host:port of the gateway")
    parser.add_argument("--data", type=Path, required=True, help="the prepared data set that the release learnt from")
    parser.add_argument("--shopper", help="id in the data set; default: one with a history of middling length")
    return parser


def read_histories(data: Path, shoppers: Collection[str] | None = None) -> dict[str, list[Event]]:
    """Read the histories of some shoppers of a prepared data set, or of all, oldest event first."""
    events = (
        pl.scan_parquet(data / "events.parquet", glob=False, hive_partitioning=False)
        .sort("shopper_id", "sequence")
        .select(_COLUMNS)
    )
    if shoppers is not None:
        events = events.filter(pl.col("shopper_id").is_in(list(shoppers)))
    found: dict[str, list[Event]] = {}
    for row in events.collect().iter_rows(named=True):
        found.setdefault(row.pop("shopper_id"), []).append(_event(row))
    return found


def _event(row: dict[str, Any]) -> Event:
    row |= {name: row[name] or "" for name in ("item_id", "query")}
    return Event(**row | {"type": EventType(row["type"])})


def choose_shopper(data: Path, shopper: str | None) -> str:
    """Return the given shopper id, or that of a shopper with a history of median length."""
    if shopper is not None:
        return shopper
    lengths = (
        pl.scan_parquet(data / "events.parquet", glob=False, hive_partitioning=False)
        .group_by("shopper_id")
        .len()
        .sort("len", "shopper_id")
    )
    known = lengths.collect()["shopper_id"]
    return str(known[len(known) // 2])


def read_history(data: Path, shopper: str | None) -> list[Event]:
    """Read the history of a shopper by id, or of one with a history of median length."""
    shopper = choose_shopper(data, shopper)
    found = read_histories(data, {shopper})
    if shopper not in found:
        raise SystemExit(f"the data set holds no shopper {shopper}")
    return found[shopper]


def day_after(history: list[Event]) -> datetime | None:
    """Return the time a day after the last event, because the data sets are old."""
    last = history[-1].time
    return last + timedelta(days=1) if last else None


def select_until(history: list[Event], moment: datetime) -> list[Event]:
    """Return the events of a history up to a time."""
    return [event for event in history if event.time is not None and event.time <= moment]
