"""A gateway with a retention: older events are refused, and no longer served once it is shorter."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.gateway import run_gateway

from portrait.client import Client, Event, EventType, NotFoundError

NOW = datetime.now(UTC)


def event(event_id: str, kind: EventType, days: int) -> Event:
    return Event(kind, event_id, NOW - timedelta(days=days), "desk-lamp-red")


def list_ids(client: Client, shopper_id: str) -> list[str]:
    return [each.event_id for part in client.export_shopper(shopper_id) for each in part.events]


def test_older_events_are_refused_and_not_served(repository: Path, tmp_path: Path, shopper: str) -> None:
    sent = [
        event("old", EventType.VIEW, 31),
        event("new", EventType.VIEW, 29),
        event("bought", EventType.PURCHASE, 400),
    ]
    other = f"{shopper}-other"
    with run_gateway(repository, tmp_path, "--retain", "view=30d") as gateway, Client(gateway.address) as client:
        recorded = client.record_events([*((shopper, each) for each in sent), (other, sent[1])])
        assert recorded.accepted == 3
        assert [(each.index, each.reason) for each in recorded.rejected] == [(0, "EVENT_EXPIRED")]
        assert client.get_profile(shopper).event_count == 2
        assert list_ids(client, shopper) == ["bought", "new"]
    with run_gateway(repository, tmp_path, "--retain", "view=20d") as gateway, Client(gateway.address) as client:
        assert client.get_profile(shopper).event_count == 1
        assert client.get_profile(shopper, as_of=NOW - timedelta(days=28)).event_count == 1
        assert list_ids(client, shopper) == ["bought"]
        assert list_ids(client, other) == []
        with pytest.raises(NotFoundError):
            client.get_profile(other)
