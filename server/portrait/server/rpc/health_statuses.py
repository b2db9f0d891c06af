"""The standard health service of gRPC, for statuses that others find."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound
from portrait.server.rpc.context import Context

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_log = structlog.get_logger(__name__)


class HealthStatuses(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """A status for each service.

    The service that grpcio-health-checking brings keeps its watchers open while the server drains, which
    would hold every restart up for as long as a drain may last.

    Args:
        services: full names; the empty name, which means the server, is always known.
        reason: why nothing is served before the first `set_problems`.
    """

    def __init__(self, services: Iterable[str], reason: str) -> None:
        self.services = frozenset({"", *services})
        """Full names, and the empty one."""
        self._problems: Mapping[str, str] = dict.fromkeys(self.services, reason)
        self._draining = False
        self._changed = asyncio.Event()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Message:  # noqa: N802
        """Return the status."""
        if request.service not in self.services:
            raise NotFound("service", "there is no such service", ErrorReason.SERVICE_UNKNOWN)
        return health_pb2.HealthCheckResponse(status=self._status_of(request.service))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """Send the status, and every change of it, until the server drains."""
        sent = None
        while True:
            changed = self._changed
            status = self._status_of(request.service) if request.service in self.services else _UNKNOWN
            if status != sent:
                sent = status
                await context.write(health_pb2.HealthCheckResponse(status=status))
            elif self._draining:
                return
            else:
                await changed.wait()

    def drain(self) -> None:
        """Set NOT_SERVING for good, and end all watches."""
        self._draining = True
        self._change(dict.fromkeys(self.services, "draining"))

    def find_problem(self, service: str = "") -> str | None:
        """Tell why a service is not served; None if it is. Threads may ask."""
        return self._problems.get(service)

    def set_problems(self, problems: Mapping[str, str]) -> None:
        """Set why services are not served, and wake the watches; services that are served are left out."""
        if not self._draining:
            self._change(problems)

    def _status_of(self, service: str) -> int:
        return _SERVING if self.find_problem(service) is None else _NOT_SERVING

    def _change(self, problems: Mapping[str, str]) -> None:
        """Change the statuses and wake the watches; each change makes a new event, which is set once."""
        before, self._problems = self.find_problem(), problems
        reason = self.find_problem()
        if (before is None) != (reason is None):
            _log.warning("health_changed", serving=reason is None, reason=reason)
        self._changed.set()
        self._changed = asyncio.Event()
