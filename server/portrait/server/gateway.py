"""The composition root of one gateway process: it puts shops behind interceptors and a port.

`serve` is the entry: it reads from top to bottom as the life of the process. What is of a shop is a field of `Shop`,
what is of the process a field of `_Parts`.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from portrait.server.access.caller import Caller
from portrait.server.access.rules import AccessRules
from portrait.server.admission.costs import Workload
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.audit.log import AuditLog
from portrait.server.metrics.collectors import Metrics
from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.metrics.tenant_registry import TenantRegistry
from portrait.server.rpc.context import Context, Handler, Interceptor, Method
from portrait.server.rpc.health import POLL_SECONDS as HEALTH_POLL_SECONDS
from portrait.server.rpc.health import GatewayHealth
from portrait.server.rpc.health_statuses import HealthStatuses
from portrait.server.rpc.interceptors.access import control_access, identify_caller
from portrait.server.rpc.interceptors.access_log import log_access
from portrait.server.rpc.interceptors.admission import admit_calls
from portrait.server.rpc.interceptors.audit import audit_calls
from portrait.server.rpc.interceptors.chain import InterceptorChain, wrap
from portrait.server.rpc.interceptors.deadlines import enforce_deadline
from portrait.server.rpc.interceptors.drain import end_on_drain
from portrait.server.rpc.interceptors.errors import map_errors
from portrait.server.rpc.interceptors.load_shedding import shed_load
from portrait.server.rpc.interceptors.metrics import record_metrics
from portrait.server.rpc.interceptors.open_calls import OpenCallLimits, limit_open_calls
from portrait.server.rpc.interceptors.request_ids import assign_request_id
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.server.rpc.interceptors.request_reader import read_request
from portrait.server.rpc.interceptors.request_streams import read_request_streams
from portrait.server.rpc.interceptors.response_cache import cache_responses
from portrait.server.rpc.interceptors.tenants import dispatch_to_tenants, dispatched_caller
from portrait.server.rpc.interceptors.tracing import trace_calls
from portrait.server.rpc.reflection import Reflection
from portrait.server.rpc.refusal_log import POLL_SECONDS as REFUSALS_POLL_SECONDS
from portrait.server.rpc.refusal_log import RefusalLog
from portrait.server.rpc.services.registry import SERVICE_NAMES, MethodHandlers, add_services, add_unanswered_services
from portrait.server.rpc.tls import Certificates
from portrait.server.rpc.transport import listen, server_options, stop_server, warn_about_plain_text
from portrait.server.runtime import addresses
from portrait.server.runtime.background import Background
from portrait.server.runtime.heartbeat import BEAT_SECONDS, Heartbeat
from portrait.server.runtime.live_file import POLL_SECONDS as FILE_POLL_SECONDS
from portrait.server.runtime.live_file import LiveFile
from portrait.server.runtime.signals import handle_signals
from portrait.server.settings import Settings
from portrait.server.shop import Shop, log_fields

_ANNOUNCE_SECONDS = 1.0
"""Seconds during which the gateway still accepts calls after health says NOT_SERVING; part of `drain_seconds`."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Parts:
    """Parts that a gateway has once, however many shops it serves."""

    settings: Settings
    shops: Mapping[str | None, Shop]
    """By tenant; a gateway without tenants has one, under None."""
    metrics: Metrics
    background: Background
    health: HealthStatuses
    heartbeat: Heartbeat
    scheduler: CooperativeScheduler
    open_calls: OpenCallLimits
    access: LiveFile[AccessRules] | None
    """Rights of the callers; None if everybody may call everything."""
    draining: asyncio.Event
    """Set when the gateway begins to drain; ends the streams."""

    @property
    def tenants(self) -> dict[str, Shop]:
        """The shops of the tenants; none in a gateway without tenants."""
        return {tenant: shop for tenant, shop in self.shops.items() if tenant is not None}


def _create_parts(settings: Settings, shops: Mapping[str | None, Shop], access: LiveFile[AccessRules] | None) -> _Parts:
    only = shops.get(None)
    if only is not None:
        metrics, background, health = only.metrics, only.background, only.health
    else:
        metrics, background = Metrics(settings.max_deadline_seconds), Background()
        by_tenant = {tenant: shop.health for tenant, shop in shops.items() if tenant is not None}
        health = GatewayHealth(by_tenant, background.failure)
    metrics.register_process()
    return _Parts(
        settings=settings,
        shops=shops,
        metrics=metrics,
        background=background,
        health=health,
        heartbeat=Heartbeat(),
        scheduler=CooperativeScheduler(),
        open_calls=OpenCallLimits(len(Workload) * sum(each.settings.max_concurrent_rpcs for each in shops.values())),
        access=access,
        draining=asyncio.Event(),
    )


def _list_interceptors(parts: _Parts) -> list[Interceptor]:
    """List the interceptors of calls, the outermost first."""
    access = parts.access
    identify = (lambda context: identify_caller(access.now, context)) if access else None
    outermost = [limit_open_calls(parts.open_calls, parts.metrics), assign_request_id]
    if not parts.tenants:
        return [*outermost, *_list_shop_interceptors(parts, parts.shops[None], identify)]
    assert identify is not None  # settings with tenants have access rules
    settings = parts.settings
    return [
        *outermost,
        dispatch_to_tenants(
            identify,
            {tenant: _make_handlers(parts, shop) for tenant, shop in parts.tenants.items()},
            outside=[*_trace(settings), log_access, record_metrics(parts.metrics), map_errors],
        ),
        # Only health and reflection come so far.
        enforce_deadline(settings.default_deadline_seconds, settings.max_deadline_seconds),
        read_request,
        parse_request,
    ]


def _make_handlers(parts: _Parts, shop: Shop) -> Callable[[Method], Handler]:
    """Make the function that makes the handler of a method for one tenant."""
    answers = MethodHandlers()
    add_services(answers, shop.create_servicers())
    interceptors = _list_shop_interceptors(parts, shop, dispatched_caller)
    return lambda method: wrap(method, answers[method.name], interceptors)


def _list_shop_interceptors(
    parts: _Parts, shop: Shop, identify: Callable[[Context], Caller] | None
) -> list[Interceptor]:
    """List the interceptors of calls of a shop, the outermost first; a new interceptor is one line here.

    The order matters. While a gate is full, `shed_load` refuses calls before their requests are read or logged.
    `admit_calls` is inside the response cache, since a cached response needs no admission. `parse_request` is
    near the end, since neither a cached nor a refused call needs a parsed request; only an audit reads it.
    `read_request_streams` does the same for streams.
    """
    settings, cache = shop.settings, shop.response_cache
    return [
        shed_load(shop.gates, parts.scheduler, cache, shop.metrics),
        *_trace(settings, shop.tenant),
        log_access,
        record_metrics(shop.metrics),
        map_errors,
        control_access(identify, shop.tenant),
        enforce_deadline(settings.default_deadline_seconds, settings.max_deadline_seconds),
        read_request,
        cache_responses(
            cache,
            settings.response_cache_ttl_seconds,
            shop.store,
            lambda: shop.state,
            events_expire=settings.retain is not None,
        ),
        admit_calls(shop.gates, parts.scheduler),
        parse_request,
        read_request_streams(parts.draining),
        *([audit_calls(AuditLog(settings.audit_log), shop.hasher)] if settings.audit_log else []),
    ]


def _trace(settings: Settings, tenant: str | None = None) -> list[Interceptor]:
    return [trace_calls(settings.trace_ratio, tenant)] if settings.otlp_endpoint else []


def _list_stream_interceptors(parts: _Parts) -> list[Interceptor]:
    """List the interceptors of endless streams (health and reflection), which have no deadline and no admission."""
    return [
        limit_open_calls(parts.open_calls, parts.metrics),
        assign_request_id,
        log_access,
        record_metrics(parts.metrics),
        map_errors,
        end_on_drain(parts.draining),
        read_request,
        parse_request,
    ]


def _start_tasks(parts: _Parts, port: int) -> None:
    """Start the background tasks of the gateway and of its shops."""
    repeat = parts.background.repeat
    repeat("heartbeat", parts.heartbeat.beat, BEAT_SECONDS)
    repeat("open calls", RefusalLog(parts.open_calls.refused).write, REFUSALS_POLL_SECONDS)
    if parts.access:
        repeat("access", parts.access.refresh, FILE_POLL_SECONDS)
    if isinstance(parts.health, GatewayHealth):
        repeat("gateway health", parts.health.update, HEALTH_POLL_SECONDS)
    for shop in parts.shops.values():
        shop.start(port)


async def _check_health(parts: _Parts) -> None:
    """Find the first status of each service."""
    for shop in parts.shops.values():
        with structlog.contextvars.bound_contextvars(**log_fields(shop.tenant)):
            await shop.health.update(shop.registry)
    if isinstance(parts.health, GatewayHealth):
        await parts.health.update()


def _register_files(parts: _Parts, certificates: Certificates | None) -> None:
    """Register the metrics of the files that the gateway and its shops follow."""
    if certificates is not None:
        parts.metrics.register_certificates(certificates)
    access = [parts.access] if parts.access else []
    if parts.tenants:
        parts.metrics.register_live_files(access)
    for shop in parts.shops.values():
        shop.metrics.register_live_files([*shop.followed_files, *([] if parts.tenants else access)])


def _serve_metrics(parts: _Parts) -> tuple[int, Callable[[], None]]:
    """Serve the metrics and probes of the gateway, and of each tenant; returns the port, and what stops it."""
    registry: CollectorRegistry = parts.metrics.registry
    if parts.tenants:
        registries = {tenant: shop.metrics.registry for tenant, shop in parts.tenants.items()}
        registry = TenantRegistry(registry, registries)
    return serve_endpoint(
        registry,
        Probes(parts.heartbeat.find_problem, parts.health.find_problem),
        parts.settings.metrics_host,
        parts.settings.metrics_port,
        {tenant: (shop.metrics.registry, shop.health.find_problem) for tenant, shop in parts.tenants.items()},
    )


def _create_server(parts: _Parts, shared: bool) -> grpc.aio.Server:
    chain = InterceptorChain(_list_interceptors(parts), endless=_list_stream_interceptors(parts))
    server = grpc.aio.server(interceptors=[chain], options=server_options(parts.settings, shared=shared))
    if parts.tenants:
        add_unanswered_services(server)
    else:
        add_services(server, parts.shops[None].create_servicers())
    health_pb2_grpc.add_HealthServicer_to_server(parts.health, server)
    health_service = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    Reflection([*SERVICE_NAMES, health_service]).add_to(server)
    return server


async def serve(
    settings: Settings,
    shops: Mapping[str | None, Shop],
    certificates: Certificates | None,
    access: LiveFile[AccessRules] | None,
    *,
    shared: bool,
) -> None:
    """Serve calls until SIGTERM or SIGINT, then drain: let the running calls end.

    Args:
        settings: the settings of the gateway.
        shops: the shop of each tenant; one under None in a gateway without tenants.
        certificates: the certificates of the port; None for plain text.
        access: who may call what; None if everybody may call everything. Tenants need it.
        shared: True if a supervisor runs several such processes on the same port.

    Raises:
        OSError: the gateway can't listen on its port or on the port of its metrics.
    """
    stop = asyncio.Event()
    handle_signals(stop.set)
    parts = _create_parts(settings, shops, access)
    _register_files(parts, certificates)
    metrics_port, stop_metrics = _serve_metrics(parts)
    server = _create_server(parts, shared)
    port = listen(server, settings, certificates)
    await _check_health(parts)
    await server.start()
    _start_tasks(parts, port)
    _announce(parts, port, metrics_port, shared)
    await stop.wait()
    await _drain(parts, server)
    await parts.background.stop()
    for shop in shops.values():
        await shop.stop()
    stop_metrics()
    _log.info("stopped")


def _announce(parts: _Parts, port: int, metrics_port: int, shared: bool) -> None:
    """Log that the gateway is ready; a shared process also tells its supervisor, on stdout, the URL of its metrics."""
    settings = parts.settings
    metrics_url = addresses.metrics_url(settings.metrics_host, metrics_port)
    if shared:
        sys.stdout.write(json.dumps({"metrics": metrics_url}) + "\n")
        sys.stdout.flush()
    else:
        warn_about_plain_text(settings)
    _log.info(
        "serving" if shared else "ready",
        address=addresses.client_address(settings.host, port),
        metrics=metrics_url,
        **_describe_releases(parts),
    )


def _describe_releases(parts: _Parts) -> dict[str, object]:
    """Tell the serving release and Triton, or the serving release of each tenant."""
    if parts.tenants:
        return {"tenants": {name: shop.registry.routes.traffic.serving for name, shop in parts.tenants.items()}}
    only = parts.shops[None]
    return {"release": only.registry.routes.traffic.serving, "triton": only.backends.triton_version}


async def _drain(parts: _Parts, server: grpc.aio.Server) -> None:
    """Report NOT_SERVING, accept calls for a moment more, then wait for the running calls."""
    seconds = parts.settings.drain_seconds
    _log.info("draining", seconds=seconds)
    for health in (parts.health, *(shop.health for shop in parts.tenants.values())):
        health.drain()
    parts.draining.set()
    # When grpc.aio stops, it ends the calls that have arrived but are not accepted yet with CANCELLED, which no client
    # retries. So the server first gives clients time to see NOT_SERVING and to use another gateway.
    announced = min(_ANNOUNCE_SECONDS, seconds)
    await asyncio.sleep(announced)
    await stop_server(server, lambda: parts.open_calls.running, seconds - announced)
