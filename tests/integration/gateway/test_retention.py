"""A gateway with a retention: older events are refused, and no longer served once it is shorter."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.gateway import run_gateway

from portrait.client import Client, Event, EventType, NotFoundError
from portrait.features import events as features
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

NOW = datetime.now(UTC)


def event(event_id: str, kind: EventType, days: int) -> Event:
    return Event(kind, event_id, NOW - timedelta(days=days), "desk-lamp-red")


def list_ids(client: Client, shopper_id: str) -> list[str]:
    return [each.event_id for part in client.export_shopper(shopper_id) for each in part.events]


async def record_before(state: Path, *shopper_ids: str) -> None:
    """Have a state file hold what a gateway with a longer retention let in."""
    store = await open_store(state)
    view = features.Event("before", features.EventType.VIEW, NOW - timedelta(days=29), "desk-lamp-red")
    await store.record([RecordedEvent(each, view) for each in shopper_ids])
    await store.close()


async def test_older_events_are_refused_and_not_served(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path, shopper: str
) -> None:
    other = f"{shopper}-other"
    await record_before(tmp_path / "portrait.db", shopper, other)
    sent = [
        event("old", EventType.VIEW, 21),
        event("new", EventType.VIEW, 19),
        event("bought", EventType.PURCHASE, 400),
    ]
    options = (*shared_triton, "--retain", "view=20d")
    with run_gateway(repository, tmp_path, *options) as gateway, Client(gateway.address) as client:
        recorded = client.record_events((shopper, each) for each in sent)
        assert recorded.accepted == 2
        assert [(each.index, each.reason) for each in recorded.rejected] == [(0, "EVENT_EXPIRED")]
        assert client.get_profile(shopper).event_count == 2
        assert client.get_profile(shopper, as_of=NOW - timedelta(days=28)).event_count == 1
        assert list_ids(client, shopper) == ["bought", "new"]
        assert list_ids(client, other) == []
        with pytest.raises(NotFoundError):
            client.get_profile(other)
