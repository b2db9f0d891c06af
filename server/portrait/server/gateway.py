"""The composition root of one gateway process: it builds the parts, interceptors, services and background tasks.

`serve` is the entry: it reads from top to bottom as the life of the process. A new part is a field of `_Parts`.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from portrait.server.access.rules import AccessRules
from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.audiences.eligibility import AudienceEligibility
from portrait.server.audiences.search import AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audit.log import AuditLog
from portrait.server.backends import Backends
from portrait.server.consent.consents import Permissions
from portrait.server.metrics.collectors import Metrics
from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.recommendation.rule_plan import NO_RULES, ShopRules
from portrait.server.response_cache import ResponseCache
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.gateway_status import REPORT_SECONDS
from portrait.server.rollout.replay import POLL_SECONDS as CHANGES_POLL_SECONDS
from portrait.server.rollout.replay import RemoteItemChanges
from portrait.server.rollout.rollout import POLL_SECONDS as ROLLOUT_POLL_SECONDS
from portrait.server.rollout.rollout import REPAIR_SECONDS, Rollout
from portrait.server.rpc.context import Interceptor
from portrait.server.rpc.health import POLL_SECONDS as HEALTH_POLL_SECONDS
from portrait.server.rpc.health import HealthService
from portrait.server.rpc.interceptors.access import control_access, identify_caller
from portrait.server.rpc.interceptors.access_log import log_access
from portrait.server.rpc.interceptors.admission import admit_calls
from portrait.server.rpc.interceptors.audit import audit_calls
from portrait.server.rpc.interceptors.chain import InterceptorChain
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
from portrait.server.rpc.interceptors.tracing import trace_calls
from portrait.server.rpc.reflection import Reflection
from portrait.server.rpc.refusal_log import POLL_SECONDS as REFUSALS_POLL_SECONDS
from portrait.server.rpc.refusal_log import RefusalLog, count_refusals
from portrait.server.rpc.services.registry import SERVICE_NAMES, add_services, create_servicers
from portrait.server.rpc.tls import Certificates
from portrait.server.rpc.transport import listen, server_options, stop_server, warn_about_plain_text
from portrait.server.runtime import addresses
from portrait.server.runtime.background import Background
from portrait.server.runtime.heartbeat import BEAT_SECONDS, Heartbeat
from portrait.server.runtime.live_file import POLL_SECONDS as FILE_POLL_SECONDS
from portrait.server.runtime.live_file import LiveFile
from portrait.server.runtime.signals import handle_signals
from portrait.server.settings import Settings
from portrait.server.storage.retention import POLL_SECONDS as RETENTION_POLL_SECONDS
from portrait.server.storage.retention import delete_expired
from portrait.server.storage.store import Store
from portrait.server.triton import EmbeddedTriton

_ANNOUNCE_SECONDS = 1.0
"""Seconds during which the gateway still accepts calls after health says NOT_SERVING; part of `drain_seconds`."""

_MIB = 1024 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Parts:
    """Everything that the interceptors, services and background tasks of one gateway share."""

    settings: Settings
    store: Store
    rollout: Rollout
    metrics: Metrics
    background: Background
    health: HealthService
    heartbeat: Heartbeat
    gates: Mapping[Workload, Gate]
    scheduler: CooperativeScheduler
    open_calls: OpenCallLimits
    response_cache: ResponseCache
    permissions: Permissions
    snapshots: TableSnapshots
    audience_search: AudienceSearch
    rules: LiveFile[ShopRules] | None
    """The shop's rules for recommendations; None without any."""
    access: LiveFile[AccessRules] | None
    """Rights of the callers; None if everybody may call everything."""
    draining: asyncio.Event
    """Set when the gateway begins to drain; ends the streams."""

    @property
    def registry(self) -> EngineRegistry:
        """The engines of all loaded releases."""
        return self.rollout.registry


def _list_interceptors(parts: _Parts) -> list[Interceptor]:
    """List the interceptors of calls, the outermost first; a new interceptor is one line here.

    The order matters. While a gate is full, `shed_load` refuses calls before their requests are read or logged.
    `admit_calls` is inside the response cache, since a cached response needs no admission. `parse_request` is
    near the end, since neither a cached nor a refused call needs a parsed request; only an audit reads it.
    `read_request_streams` does the same for streams.
    """
    settings, cache, access = parts.settings, parts.response_cache, parts.access
    return [
        limit_open_calls(parts.open_calls, parts.metrics),
        assign_request_id,
        shed_load(parts.gates, parts.scheduler, cache, parts.metrics),
        *([trace_calls(settings.trace_ratio)] if settings.otlp_endpoint else []),
        log_access,
        record_metrics(parts.metrics),
        map_errors,
        control_access((lambda context: identify_caller(access.now, context)) if access else None),
        enforce_deadline(settings.default_deadline_seconds, settings.max_deadline_seconds),
        read_request,
        cache_responses(
            cache,
            settings.response_cache_ttl_seconds,
            parts.store,
            lambda: _state(parts),
            events_expire=settings.retain is not None,
        ),
        admit_calls(parts.gates, parts.scheduler),
        parse_request,
        read_request_streams(parts.draining),
        *([audit_calls(AuditLog(settings.audit_log))] if settings.audit_log else []),
    ]


def _state(parts: _Parts) -> Hashable:
    """Return another value after every change of items, routes or rules: while it is the same, so are responses."""
    return parts.registry.state, parts.rules.changes if parts.rules else 0


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


def _list_background_tasks(parts: _Parts, last_change: int) -> list[tuple[str, Callable[[], Awaitable[None]], float]]:
    """List the background tasks as name, step, and seconds between two steps.

    Args:
        parts: the parts of the gateway.
        last_change: the engines have applied the item changes up to this sequence number.
    """
    refusals = RefusalLog(partial(count_refusals, parts.gates, parts.open_calls))
    changes = RemoteItemChanges(parts.store, parts.registry, last_change)
    tasks: list[tuple[str, Callable[[], Awaitable[None]], float]] = [
        ("heartbeat", parts.heartbeat.beat, BEAT_SECONDS),
        ("health", partial(parts.health.update, parts.registry), HEALTH_POLL_SECONDS),
        ("index", parts.registry.check_indexes, HEALTH_POLL_SECONDS),
        ("item changes", changes.apply, CHANGES_POLL_SECONDS),
        ("refusals", refusals.write, REFUSALS_POLL_SECONDS),
        ("repair", parts.rollout.repair, REPAIR_SECONDS),
        ("retention", partial(delete_expired, parts.store), RETENTION_POLL_SECONDS),
    ]
    if parts.rules:
        tasks.append(("rules", parts.rules.refresh, FILE_POLL_SECONDS))
    if parts.access:
        tasks.append(("access", parts.access.refresh, FILE_POLL_SECONDS))
    if parts.settings.release is None:  # a pinned release ignores what is wanted
        tasks.append(("rollout", parts.rollout.advance, ROLLOUT_POLL_SECONDS))
    return tasks


def _create_parts(
    settings: Settings,
    store: Store,
    rollout: Rollout,
    rules: LiveFile[ShopRules] | None,
    access: LiveFile[AccessRules] | None,
) -> _Parts:
    permissions, background = Permissions(store, settings.consent_rules), Background()
    eligibility = AudienceEligibility(store, permissions)
    return _Parts(
        settings=settings,
        store=store,
        rollout=rollout,
        metrics=Metrics(settings.max_deadline_seconds),
        background=background,
        health=HealthService(SERVICE_NAMES, store, {"background": background.failure}),
        heartbeat=Heartbeat(),
        gates={workload: Gate(settings.max_concurrent_rpcs, settings.caller_share) for workload in Workload},
        scheduler=CooperativeScheduler(),
        open_calls=OpenCallLimits(len(Workload) * settings.max_concurrent_rpcs),
        response_cache=ResponseCache(settings.response_cache_mib * _MIB),
        permissions=permissions,
        snapshots=TableSnapshots(settings.audiences, store.identity),
        audience_search=AudienceSearch(
            settings.min_audience_size, eligibility.filter_permitted, eligibility.filter_by_region
        ),
        rules=rules,
        access=access,
        draining=asyncio.Event(),
    )


def _register_metrics(parts: _Parts, certificates: Certificates | None) -> None:
    """Register the metrics of all parts."""
    metrics = parts.metrics
    if parts.settings.state_url is None:
        metrics.register_state(parts.settings.state)
    if certificates is not None:
        metrics.register_certificates(certificates)
    metrics.register_releases(parts.rollout)
    if isinstance(parts.rollout.triton, EmbeddedTriton):
        metrics.register_triton(parts.rollout.triton)
    metrics.register_admission(parts.gates)
    metrics.register_response_cache(parts.response_cache)
    metrics.register_consents(parts.permissions)
    metrics.register_audiences(parts.audience_search, parts.snapshots, parts.registry)


def _create_server(parts: _Parts, shared: bool) -> grpc.aio.Server:
    chain = InterceptorChain(_list_interceptors(parts), endless=_list_stream_interceptors(parts))
    server = grpc.aio.server(interceptors=[chain], options=server_options(parts.settings, shared=shared))
    servicers = create_servicers(
        parts.registry, parts.store, parts.permissions, parts.snapshots, parts.audience_search,
        lambda: parts.rules.now if parts.rules else NO_RULES,
    )  # fmt: skip
    add_services(server, servicers)
    health_pb2_grpc.add_HealthServicer_to_server(parts.health, server)
    health_service = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    Reflection([*SERVICE_NAMES, health_service]).add_to(server)
    return server


async def serve(
    settings: Settings,
    backends: Backends,
    rollout: Rollout,
    last_change: int,
    certificates: Certificates | None,
    rules: LiveFile[ShopRules] | None,
    access: LiveFile[AccessRules] | None,
    *,
    shared: bool,
) -> None:
    """Serve calls until SIGTERM or SIGINT, then drain: let the running calls end.

    Args:
        settings: the settings of the gateway.
        backends: the store and Triton.
        rollout: has loaded the release that serves.
        last_change: the loaded engines have applied the item changes up to this sequence number. Later changes of other
            processes are read from the store.
        certificates: the certificates of the port; None for plain text.
        rules: the shop's rules for recommendations; None without any.
        access: who may call what; None if everybody may call everything.
        shared: True if a supervisor runs several such processes on the same port.

    Raises:
        OSError: the gateway can't listen on its port or on the port of its metrics.
    """
    stop = asyncio.Event()
    handle_signals(stop.set)
    parts = _create_parts(settings, backends.store, rollout, rules, access)
    _register_metrics(parts, certificates)
    metrics_port, stop_metrics = serve_endpoint(
        parts.metrics.registry,
        Probes(parts.heartbeat.find_problem, parts.health.find_problem),
        settings.metrics_host,
        settings.metrics_port,
    )
    server = _create_server(parts, shared)
    port = listen(server, settings, certificates)
    await parts.health.update(parts.registry)
    await server.start()
    for name, step, pause in _list_background_tasks(parts, last_change):
        parts.background.repeat(name, step, pause)
    if backends.fleet is not None:
        name = f"{socket.gethostname()}:{port}/{os.getpid()}"
        parts.background.repeat("fleet report", partial(backends.fleet.report, name, rollout), REPORT_SECONDS)
    _announce(parts, port, metrics_port, backends.triton_version, shared)
    await stop.wait()
    await _drain(parts, server)
    await parts.background.stop()
    await rollout.stop()
    stop_metrics()
    parts.audience_search.close()
    _log.info("stopped")


def _announce(parts: _Parts, port: int, metrics_port: int, triton_version: str, shared: bool) -> None:
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
        release=parts.registry.routes.traffic.serving,
        triton=triton_version,
    )


async def _drain(parts: _Parts, server: grpc.aio.Server) -> None:
    """Report NOT_SERVING, accept calls for a moment more, then wait for the running calls."""
    seconds = parts.settings.drain_seconds
    _log.info("draining", seconds=seconds)
    parts.health.drain()
    parts.draining.set()
    # When grpc.aio stops, it ends the calls that have arrived but are not accepted yet with CANCELLED, which no client
    # retries. So the server first gives clients time to see NOT_SERVING and to use another gateway.
    announced = min(_ANNOUNCE_SECONDS, seconds)
    await asyncio.sleep(announced)
    await stop_server(server, lambda: parts.open_calls.running, seconds - announced)
