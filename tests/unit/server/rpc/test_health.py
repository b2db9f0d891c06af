"""Each service is healthy by the parts that it needs: the state file, the models, or both."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from grpc_health.v1 import health_pb2
from support.memory_store import MemoryStore

from portrait.features.events import Event, EventType
from portrait.server.errors import PortraitError
from portrait.server.inference.liveness import ModelStatus
from portrait.server.rpc.health import GatewayHealth, HealthService
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = ("", *(f"portrait.v1.{name}Service" for name in ("Event", "Consent", "Catalogue", "Recommendation", "Profile")))


async def served(
    health: HealthService, models: ModelStatus = ModelStatus.READY, index_fault: str | None = None
) -> list[bool]:
    async def look(seconds: float) -> ModelStatus:
        return models

    loaded: Any = SimpleNamespace(
        routes=SimpleNamespace(serving=SimpleNamespace(check_models=look, index_fault=index_fault))
    )
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
        for page in range(30, path.stat().st_size * 8 // 10 // 4096):
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


async def test_what_needs_no_model_is_served_while_they_are_gone() -> None:
    health = HealthService(NAMES, MemoryStore())
    assert await served(health, ModelStatus.DEAD) == [False, True, True, False, False, False]
    assert health.find_problem() == "the models are gone, or answer with errors"
    assert health.find_problem("portrait.v1.EventService") is None
    assert await served(health) == [True] * 6
    health.drain()
    assert await served(health) == [False] * 6
    assert health.find_problem("portrait.v1.EventService") == "draining"


async def test_nothing_is_served_while_a_condition_is_unmet() -> None:
    health = HealthService(NAMES, MemoryStore(), {"background": lambda: "a task fails"})
    assert await served(health) == [False] * 6
    assert health.find_problem() == "background: a task fails"


async def test_a_gateway_serves_what_it_serves_to_one_tenant() -> None:
    context: Any = None
    failing: list[str] = []
    shops = {name: HealthService(NAMES, MemoryStore()) for name in ("shoes", "books")}
    health = GatewayHealth(shops, lambda: next(iter(failing), None))

    async def list_served() -> list[str]:
        await health.update()
        answers = {name: await health.Check(health_pb2.HealthCheckRequest(service=name), context) for name in NAMES}
        return [name for name, each in answers.items() if each.status == health_pb2.HealthCheckResponse.SERVING]

    await served(shops["shoes"])
    assert await list_served() == [*NAMES]  # the other is not ready yet
    await served(shops["books"])
    await served(shops["shoes"], ModelStatus.DEAD)
    assert await list_served() == [*NAMES]
    await served(shops["books"], ModelStatus.DEAD)
    assert await list_served() == ["portrait.v1.EventService", "portrait.v1.ConsentService"]
    gone = "the models are gone, or answer with errors"
    assert health.find_problem() == f"shoes: {gone}; books: {gone}"
    await served(shops["books"])
    failing.append("a task fails")
    assert await list_served() == []
    failing.clear()
    assert await list_served() == [*NAMES]
    health.drain()
    assert await list_served() == []


async def test_without_its_index_only_what_searches_is_not_served(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    health = HealthService(NAMES, store)
    served_names = await served(health, index_fault="Milvus does not answer")
    assert [name for name, is_served in zip(NAMES, served_names, strict=True) if not is_served] == [
        "portrait.v1.CatalogueService",
        "portrait.v1.RecommendationService",
    ]
    assert health.find_problem("portrait.v1.RecommendationService") == "Milvus does not answer"
    assert await served(health) == [True] * 6
    await store.close()
