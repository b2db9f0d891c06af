"""A damaged state file is seen by whoever asks for health: what writes is not served, what only reads is."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from grpc_health.v1 import health_pb2

from portrait.features.events import Event, EventType
from portrait.server.errors import PortraitError
from portrait.server.inference.liveness import ModelStatus
from portrait.server.rpc.health import HealthService
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = ("", *(f"portrait.v1.{name}Service" for name in ("Event", "Consent", "Catalogue", "Recommendation", "Profile")))


async def _look(seconds: float) -> ModelStatus:
    return ModelStatus.READY


async def served(health: HealthService) -> list[bool]:
    loaded: Any = SimpleNamespace(routes=SimpleNamespace(serving=SimpleNamespace(check_models=_look)))
    context: Any = None
    await health.update(loaded)
    answers: list[Any] = [await health.Check(health_pb2.HealthCheckRequest(service=name), context) for name in NAMES]
    return [answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers]


async def test_damage_ends_the_serving_of_what_writes(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    for shopper in range(20):
        times = [NOON + timedelta(minutes=minute) for minute in range(100)]
        await store.record(
            [
                RecordedEvent(f"s{shopper}", Event(f"{shopper}-{place}", EventType.VIEW, time, "lamp"))
                for place, time in enumerate(times)
            ]
        )
    await store.close()
    with path.open("r+b") as file:
        for page in range(20, path.stat().st_size * 8 // 10 // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    store = await open_store(path)
    health = HealthService(NAMES, store)
    assert await served(health) == [True] * 6
    for shopper in range(20):
        try:
            await store.history(f"s{shopper}", NOON + timedelta(days=1), 100)
        except PortraitError:
            break
    assert await served(health) == [False, False, False, False, True, True]
    await store.close()
