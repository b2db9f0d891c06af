"""The health of a shop, and of a gateway with several: a service is SERVING only while its calls can be answered."""

from collections.abc import Callable, Iterable, Mapping

from portrait.server.inference.liveness import ModelStatus
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.health_statuses import HealthStatuses
from portrait.server.storage.store import Store

POLL_SECONDS = 0.5
"""Seconds between two updates of the status."""
MAX_SILENT_POLLS = 3
"""Updates in a row without an answer of the models, after which they count as gone."""
_ANSWER_SECONDS = 1.25
"""Seconds that an update waits for the models."""
WRITING_SERVICES = {"", *(f"portrait.v1.{name}Service" for name in ("Catalogue", "Consent", "Event"))}
"""Services that write to the state file; the empty name is the whole server."""
STATE_SERVICES = {f"portrait.v1.{name}Service" for name in ("Consent", "Event")}
"""Services that need the state file and no model: they are served while Triton is down."""
INDEX_SERVICES = {f"portrait.v1.{name}Service" for name in ("Catalogue", "Recommendation")}
"""Services that search the nearest items. The whole server is served without: the rest of it needs no search, and a
Milvus is down for all gateways, of which a load balancer would find none."""
_GATEWAY, _INDEX, _MODELS, _STORE = "gateway", "index", "models", "store"
"""Parts that services need."""

Condition = Callable[[], str | None]
"""Returns the reason why the gateway can't serve; None if it can. Every update calls it, on the event loop."""


class HealthService(HealthStatuses):
    """A status for each service, by the parts that it needs: the models, the state, the index of the nearest items.

    Args:
        services: full names; the empty name, which means the server, is always known.
        store: with a fault, what writes to it is not served, nor the server as a whole; what only reads is.
        conditions: what every service needs beside models and store, by a name for the log.
    """

    def __init__(
        self, services: Iterable[str], store: Store, conditions: Mapping[str, Condition] | None = None
    ) -> None:
        self._reason: str | None = "the models have not answered yet"
        """The reason why the models don't serve, by the last update that found one."""
        super().__init__(services, self._reason)
        self._store = store
        self._conditions = conditions or {}
        self._silent_polls = 0

    async def update(self, registry: EngineRegistry) -> None:
        """Update the status, which is that of the serving release, whatever happens to a canary."""
        serving = registry.routes.serving
        problems = {_GATEWAY: self._unmet_condition(), _INDEX: serving.index_fault, _STORE: self._store.fault}
        try:
            problems[_MODELS] = self._judge(await serving.check_models(_ANSWER_SECONDS))
        except Exception:
            problems[_MODELS] = "the check of the models failed"
            raise
        finally:
            self.set_problems(self._find_by_service({part: why for part, why in problems.items() if why is not None}))

    def _find_by_service(self, problems: Mapping[str, str]) -> dict[str, str]:
        """Find the services that need a part with a problem."""
        needed = {service: _list_needed_parts(service) for service in self.services}
        return {
            service: next(problems[part] for part in parts if part in problems)
            for service, parts in needed.items()
            if not problems.keys().isdisjoint(parts)
        }

    def _unmet_condition(self) -> str | None:
        for name, condition in self._conditions.items():
            if (reason := condition()) is not None:
                return f"{name}: {reason}"
        return None

    def _judge(self, found: ModelStatus) -> str | None:
        """Treat a dead Triton as gone at once, but a silent one only after several updates: it may be slow."""
        self._silent_polls = self._silent_polls + 1 if found is ModelStatus.SILENT else 0
        if found is ModelStatus.DEAD:
            self._reason = "the models are gone, or answer with errors"
        elif found is ModelStatus.READY:
            self._reason = None
        elif self._silent_polls >= MAX_SILENT_POLLS:
            self._reason = "the models do not answer"
        return self._reason


class GatewayHealth(HealthStatuses):
    """The status of a gateway with tenants: a service is served while it is served to one of them.

    A load balancer that left the gateway out for one tenant's sake would take it from the others.

    Args:
        by_tenant: the health of each tenant's shop.
        condition: what all of them need.
    """

    def __init__(self, by_tenant: Mapping[str, HealthService], condition: Condition) -> None:
        super().__init__(frozenset().union(*(health.services for health in by_tenant.values())), "not checked yet")
        self._by_tenant, self._condition = by_tenant, condition

    async def update(self) -> None:
        """Update the status by those of the tenants."""
        if (reason := self._condition()) is not None:
            self.set_problems(dict.fromkeys(self.services, reason))
            return
        problems = {}
        for service in self.services:
            found = {name: health.find_problem(service) for name, health in self._by_tenant.items()}
            if None not in found.values():
                problems[service] = "; ".join(f"{name}: {problem}" for name, problem in found.items())
        self.set_problems(problems)


def _list_needed_parts(service: str) -> list[str]:
    return [
        _GATEWAY,
        *([_MODELS] if service not in STATE_SERVICES else []),
        *([_INDEX] if service in INDEX_SERVICES else []),
        *([_STORE] if service in WRITING_SERVICES else []),
    ]
