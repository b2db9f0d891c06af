"""Speed of `portrait build-audience-table` for shoppers whose events are recorded."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from portrait.features.events import Event, EventType
from portrait.server.release.release import Release
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

EVENTS_PER_SHOPPER = 20
"""Recorded events of each shopper."""
_TYPES = (EventType.VIEW, EventType.VIEW, EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE)
_TABULATE = "import typer; from portrait.server.commands import build_audience_table; typer.run(build_audience_table)"
_BATCH = 1_000


def measure_rates(repository: Path, release: Release, shoppers: int, folder: Path) -> dict[str, int]:
    """Measure shoppers per second: in a first run, and in a run for the tenth of them that has new events."""
    state = folder / "portrait.db"
    asyncio.run(_record_events(state, release, range(shoppers)))
    first = _build_table(repository, folder)
    asyncio.run(_record_events(state, release, range(0, shoppers, 10)))
    return {"first_per_second": first, "refresh_per_second": _build_table(repository, folder)}


async def _record_events(state: Path, release: Release, shoppers: range) -> None:
    rng, now = np.random.default_rng(len(shoppers)), datetime.now(UTC)
    store = await open_store(state)
    events: list[RecordedEvent] = []
    for number in shoppers:
        for nth in range(EVENTS_PER_SHOPPER):
            item = release.items[int(rng.integers(len(release.items)))]
            time = now - timedelta(days=float(rng.random() * 90))
            kind = _TYPES[int(rng.integers(len(_TYPES)))]
            event_id = f"{len(shoppers)}-{number}-{nth}"
            events.append(RecordedEvent(f"{number:032x}", Event(event_id, kind, time, item.item_id, price=item.price)))
        if len(events) >= _BATCH:
            await store.record(events)
            events = []
    await store.record(events)
    await store.close()


def _build_table(repository: Path, folder: Path) -> int:
    files = ("--state", folder / "portrait.db", "--audiences", folder / "built", "--triton-log", folder / "triton.log")
    done = subprocess.run(
        [sys.executable, "-c", _TABULATE, "--repository", str(repository), *map(str, files)],
        check=False,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"GRPC_VERBOSITY": "NONE"},
    )
    if done.returncode:
        raise RuntimeError(f"portrait build-audience-table ended with {done.returncode}: {done.stderr[-2000:]}")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return int([line for line in lines if line["event"] == "audience_table_progress"][-1]["per_second"])
