"""The standard health service: a service is SERVING only while its calls can be answered."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound
from portrait.server.inference.liveness import ModelStatus
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context
from portrait.server.storage.store import Store

POLL_SECONDS = 0.5
"""Seconds between two updates of the status."""
MAX_SILENT_POLLS = 3
"""Updates in a row without an answer of the models, after which they count as gone."""
_ANSWER_SECONDS = 1.25
"""Seconds that an update waits for the models."""
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WRITING_SERVICES = {"", *(f"portrait.v1.{name}Service" for name in ("Catalogue", "Consent", "Event"))}
"""Services that write to the state file; the empty name is the whole server."""
STATE_SERVICES = {f"portrait.v1.{name}Service" for name in ("Consent", "Event")}
"""Services that need the state file and no model: they are served while Triton is down."""
INDEX_SERVICES = {f"portrait.v1.{name}Service" for name in ("Catalogue", "Recommendation")}
"""Services that search the nearest items. The whole server is served without: the rest of it needs no search, and a
Milvus is down for all gateways, of which a load balancer would find none."""
_GATEWAY, _INDEX, _MODELS, _STORE = "gateway", "index", "models", "store"
"""Parts that services need."""

_log = structlog.get_logger(__name__)

Condition = Callable[[], str | None]
"""Returns the reason why the gateway can't serve; None if it can. Every update calls it, on the event loop."""


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """A status for each service, by the parts that it needs: the models, the state, the index of the nearest items.

    The service that grpcio-health-checking brings keeps its watchers open while the server drains, which
    would hold every restart up for as long as a drain may last.

    Args:
        services: full names; the empty name, which means the server, is always known.
        store: with a fault, what writes to it is not served, nor the server as a whole; what only reads is.
        conditions: what every service needs beside models and store, by a name for the log.
    """

    def __init__(
        self, services: Iterable[str], store: Store, conditions: Mapping[str, Condition] | None = None
    ) -> None:
        self._services = {"", *services}
        self._store = store
        self._conditions = conditions or {}
        self._silent_polls = 0
        self._reason: str | None = "the models have not answered yet"
        """The reason why the models don't serve, by the last update that found one."""
        self._problems: dict[str, str] = {_MODELS: self._reason}
        """Why each part can't be used; parts that can be used are left out."""
        self._draining = False
        self._changed = asyncio.Event()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Message:  # noqa: N802
        """Return the status."""
        if request.service not in self._services:
            raise NotFound("service", "there is no such service", ErrorReason.SERVICE_UNKNOWN)
        return health_pb2.HealthCheckResponse(status=self._status_of(request.service))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """Send the status, and every change of it, until the server drains."""
        sent = None
        while True:
            changed = self._changed
            status = self._status_of(request.service) if request.service in self._services else _UNKNOWN
            if status != sent:
                sent = status
                await context.write(health_pb2.HealthCheckResponse(status=status))
            elif self._draining:
                return
            else:
                await changed.wait()

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
            if not self._draining:
                self._set({part: reason for part, reason in problems.items() if reason is not None})

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

    def drain(self) -> None:
        """Set NOT_SERVING for good, and end all watches."""
        self._draining = True
        self._set({_GATEWAY: "draining"})

    def find_problem(self, service: str = "") -> str | None:
        """Tell why a service is not served; None if it is. Threads may ask."""
        needed = [_GATEWAY, *([_MODELS] if service not in STATE_SERVICES else [])]
        needed += [_INDEX] if service in INDEX_SERVICES else []
        needed += [_STORE] if service in WRITING_SERVICES else []
        problems = self._problems
        return next((problems[part] for part in needed if part in problems), None)

    def _status_of(self, service: str) -> int:
        return _SERVING if self.find_problem(service) is None else _NOT_SERVING

    def _set(self, problems: dict[str, str]) -> None:
        """Change the statuses and wake the watches; each change makes a new event, which is set once."""
        before, self._problems = self.find_problem(), problems
        reason = self.find_problem()
        if (before is None) != (reason is None):
            _log.warning("health_changed", serving=reason is None, reason=reason)
        self._changed.set()
        self._changed = asyncio.Event()
