"""The standard health service: SERVING only while calls can be answered."""

import asyncio
from collections.abc import Iterable

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portrait.server.errors import NotFound
from portrait.server.interceptors.chain import Context
from portrait.server.rollout.loaded import Loaded
from portrait.server.storage.store import Store

_LOOK_SECONDS = 0.5
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
_WRITING = {"", *(f"portrait.v1.{name}Service" for name in ("Catalogue", "Consent", "Event"))}
"""Services that write to the state file."""


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """One status for all services, since all need the same parts.

    The service that grpcio-health-checking brings keeps its watchers open while the server drains, which
    would hold every restart up for as long as a drain may last.

    Args:
        services: full names; the empty name, which means the server, is always known.
        store: with a fault, what writes to it is not served, nor the server as a whole; what only reads is.
    """

    def __init__(self, services: Iterable[str], store: Store) -> None:
        self._services = {"", *services}
        self._store = store
        self._status = _NOT_SERVING
        self._fault = store.fault
        self._draining = False
        self._changed = asyncio.Event()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Message:  # noqa: N802
        """The status now."""
        if request.service not in self._services:
            raise NotFound("service", "there is no such service")
        return health_pb2.HealthCheckResponse(status=self._status_of(request.service))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """The status now and whenever it changes; ends when the server drains."""
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

    async def look(self, loaded: Loaded) -> None:
        """Make the status true: that of the release that serves, whatever becomes of a canary."""
        ready = await loaded.routes.serving.ready()
        self._fault = self._store.fault
        if not self._draining:
            self._set(_SERVING if ready else _NOT_SERVING)

    async def follow(self, loaded: Loaded) -> None:
        """Keep the status true, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look(loaded)

    def drain(self) -> None:
        """Say NOT_SERVING from now on, and let go of the watchers."""
        self._draining = True
        self._set(_NOT_SERVING)

    def _status_of(self, service: str) -> int:
        return _NOT_SERVING if self._fault is not None and service in _WRITING else self._status

    def _set(self, status: int) -> None:
        """Change the status and wake the watchers, who look at an event that is theirs only once."""
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()
