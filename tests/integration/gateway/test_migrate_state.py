"""`portrait migrate-state`, as an operator runs it."""

import asyncio
import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from support.command_line import run_portrait
from support.redis_server import run_redis

from portrait.features.events import Event, EventType
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def fill(path: Path) -> None:
    store = await open_store(path)
    events = [Event(f"e{number}", EventType.VIEW, NOON, "lamp") for number in range(30)]
    await store.record([RecordedEvent(f"shopper-{number % 7}", event) for number, event in enumerate(events)])
    await store.close()


def test_a_state_moves_and_what_can_not_be_is_said(tmp_path: Path) -> None:
    path, back = tmp_path / "portrait.db", tmp_path / "back.db"
    asyncio.run(fill(path))
    with run_redis(tmp_path / "redis") as server:
        with contextlib.closing(sqlite3.connect(path)) as used:
            used.execute("SELECT count(*) FROM events").fetchall()
            refused = run_portrait("migrate-state", path, server.url)
            assert (refused.code, "stop all gateways" in refused.stderr) == (1, True), refused
        for source, target in ((path, server.url), (server.url, back)):
            done = run_portrait("migrate-state", source, target)
            assert done.code == 0, done.stderr
            *parts, last = [json.loads(line) for line in done.stderr.splitlines()]
            counts = {each["part"]: each["count"] for each in parts}
            assert (counts["events"], counts["event_ids"], counts["arrival_order"]) == (30, 30, 7)
            assert (last["event"], last["resumed_shoppers"]) == ("state_migrated", 0)
        assert "shopper-" not in done.stderr
        refused = run_portrait("migrate-state", path, server.url)
        assert (refused.code, "holds a state of Portrait already" in refused.stderr) == (1, True), refused
    assert run_portrait("migrate-state", path).code == 2
    gone = run_portrait("migrate-state", path, server.url)
    assert (gone.code, "no Redis answers" in gone.stderr, "Traceback" in gone.stderr) == (1, True, False), gone
    restored = run_portrait("restore", back, "--state", tmp_path / "restored.db", "--without-deletions")
    assert (restored.code, json.loads(restored.stderr)["events"]) == (0, 30), restored.stderr
