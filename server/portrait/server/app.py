"""The one place that wires the gateway: every part gets what it needs here, and is closed here."""

import asyncio
import csv
import dataclasses
import json
import os
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from portrait.features.release.manifest import ReleaseError
from portrait.server.admission.costs import UnlistedMethod, Workload
from portrait.server.admission.gate import Gate
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.audiences.eligibility import AudienceEligibility
from portrait.server.audiences.search import AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.audiences.table_builder import BuildProgress, TableBuildError, build_table
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.engine import Engine
from portrait.server.errors import PortraitError
from portrait.server.metrics.collectors import Metrics
from portrait.server.processes.pool import ProcessError
from portrait.server.processes.supervisor import supervise
from portrait.server.response_cache import ResponseCache
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.replay import POLL_SECONDS as CHANGES_POLL_SECONDS
from portrait.server.rollout.replay import RemoteItemChanges
from portrait.server.rollout.rollout import POLL_SECONDS as ROLLOUT_POLL_SECONDS
from portrait.server.rollout.rollout import REPAIR_SECONDS, Rollout
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.rpc.health import POLL_SECONDS as HEALTH_POLL_SECONDS
from portrait.server.rpc.health import HealthService
from portrait.server.rpc.interceptors.access_log import log_access
from portrait.server.rpc.interceptors.admission import admit_calls
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
from portrait.server.rpc.interceptors.response_cache import cache_responses
from portrait.server.rpc.reflection import Reflection
from portrait.server.rpc.refusal_log import POLL_SECONDS as REFUSALS_POLL_SECONDS
from portrait.server.rpc.refusal_log import RefusalLog, count_refusals
from portrait.server.rpc.services.audiences import AudienceService
from portrait.server.rpc.services.registry import SERVICE_NAMES, add_services
from portrait.server.rpc.tls import Certificates, TlsError, load_certificates
from portrait.server.rpc.transport import listen, server_options, stop_server, warn_about_plain_text
from portrait.server.runtime import addresses, logs
from portrait.server.runtime.background import Background
from portrait.server.runtime.environment import ignored_variables
from portrait.server.runtime.orphans import run_reaping_orphans
from portrait.server.runtime.signals import cancel_on_signals, handle_signals, ignore_hangup
from portrait.server.settings import Settings
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import Store, StoreError
from portrait.server.storage.tombstones import Tombstone
from portrait.server.triton import (
    EmbeddedTriton,
    RemoteTriton,
    SupervisedTriton,
    TritonError,
    open_client,
    read_admin_key,
)

_TRITON_SECONDS = 5.0

_ANNOUNCE_SECONDS = 1.0
"""How long calls are still taken up after health said NOT_SERVING; counts as part of the drain."""

_FAILURES = (
    OSError, PortraitError, ProcessError, ReleaseError, StoreError, TableBuildError, TlsError, TrafficError,
    TritonError, UnlistedMethod,
)  # fmt: skip
"""What a start can fail with."""

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, check: bool = False) -> int:
    """Serve until SIGTERM or SIGINT; with `check`, only load and check. Returns the exit code."""
    ignore_hangup()
    several = settings.processes > 1 and not check
    return _end_of(supervise(settings) if several else _run(settings, check=check), settings)


def run_shared(settings: Settings, *, supervised: bool) -> int:
    """Serve as one of several processes on the port; where its metrics are goes to stdout when it serves.

    Args:
        settings: with the address of a Triton.
        supervised: whether another process loads releases into it.
    """
    ignore_hangup()
    return _end_of(_run(settings, shared=True, supervised=supervised), settings, shared=True)


def run_tabulation(settings: Settings, *, full: bool, as_of: datetime | None) -> int:
    """Make the shopper table of the release that serves. Returns the exit code."""
    return _end_of(_tabulate(settings, full, as_of), settings)


def run_forgotten(settings: Settings) -> int:
    """Write who was forgotten to stdout, as CSV. Returns the exit code."""
    return _end_of(_forgotten(settings), settings)


def _end_of(running: Coroutine[None, None, None], settings: Settings, *, shared: bool = False) -> int:
    """Run, after a warning of each variable that is ignored (once for all shared processes); returns the exit code."""
    with logs.logging_to_stderr(settings.log_level):
        ignored = {} if shared else ignored_variables(Settings.model_fields, os.environ)
        for variable, reason in ignored.items():
            _log.warning("variable_ignored", variable=variable, reason=reason)
        try:
            uvloop.run(run_reaping_orphans(running))
        except _FAILURES as error:
            _log.error("startup_failed", reason=str(error))
            return 1
        except asyncio.CancelledError:
            _log.error("startup_failed", reason="stopped before it was ready")
            return 1
        return 0


async def _run(settings: Settings, *, check: bool = False, shared: bool = False, supervised: bool = False) -> None:
    cancel_on_signals()
    certificates = load_certificates(settings)  # before anything is started
    addresses.require_local_address("host", settings.host)
    addresses.require_local_address("metrics_host", settings.metrics_host)
    async with AsyncExitStack() as closing:
        store, triton, version = await _started(settings, supervised, closing)
        if check:
            await store.check()
        last_change = await store.last_item_change()
        rollout = await _loaded(settings, store, triton, closing)
        _log.info("release_loaded", release=rollout.registry.routes.traffic.serving, triton=version)
        if not check:
            await _serve(settings, store, rollout, version, last_change, shared, certificates)
        for release, refusal in rollout.refused.items() if check else ():
            raise ReleaseError(f"release {release}: {refusal.reason}")


async def _tabulate(settings: Settings, full: bool, as_of: datetime | None) -> None:
    cancel_on_signals()
    begun = time.monotonic()

    def tell(progress: BuildProgress) -> None:
        rate = round(progress.shoppers / max(progress.seconds, 1e-9))
        _log.info("audience_table_progress", shoppers=progress.shoppers, per_second=rate)

    async with AsyncExitStack() as closing:
        store, triton, _ = await _started(settings, False, closing)
        rollout = await _loaded(settings, store, triton, closing)
        engine, snapshots = rollout.registry.routes.serving, TableSnapshots(settings.audiences)
        may = partial(Permissions(store, settings.consent_rules).filter_allowing, {Purpose.PERSONALISATION})
        made = await build_table(engine, store, snapshots, may, full=full, as_of=as_of, tell=tell)
        _log.info(
            "audience_table_built",
            release=made.description.release,
            snapshot=made.description.snapshot,
            shoppers=len(made),
            seconds=round(time.monotonic() - begun, 1),
        )


async def _forgotten(settings: Settings) -> None:
    if not settings.state.is_file():  # an empty list would be taken for nobody
        raise StoreError(f"{settings.state} does not exist")
    async with AsyncExitStack() as closing:
        store = await open_store(settings.state)
        closing.push_async_callback(store.close)
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(field.name for field in dataclasses.fields(Tombstone))
        for tombstone in await store.tombstones():
            lines.writerow((tombstone.shopper_sha256, tombstone.forgotten_at.isoformat()))


async def _started(
    settings: Settings, supervised: bool, closing: AsyncExitStack
) -> tuple[Store, EmbeddedTriton | RemoteTriton | SupervisedTriton, str]:
    """The store, and a Triton that answers, with its version."""
    if settings.release is None:
        Traffic.of(settings.repository)  # before anything is started
    store = await open_store(settings.state)
    closing.push_async_callback(store.close)
    triton = await _triton(settings, supervised, closing)
    return store, triton, await _triton_version(triton.url)


async def _loaded(
    settings: Settings,
    store: Store,
    triton: EmbeddedTriton | RemoteTriton | SupervisedTriton,
    closing: AsyncExitStack,
) -> Rollout:
    """The release that serves, registry, with every change of items since."""
    cache_bytes = settings.text_cache_mib * 1024 * 1024
    is_running = triton.is_running if isinstance(triton, EmbeddedTriton) else None

    async def open_engine(release: int) -> Engine:
        return await Engine.open(settings.repository, release, triton.url, cache_bytes, is_running)

    rollout = Rollout(settings.repository, store, triton, open_engine)
    await rollout.begin(settings.release)
    closing.push_async_callback(rollout.registry.close)
    return rollout


async def _triton(
    settings: Settings, supervised: bool, closing: AsyncExitStack
) -> EmbeddedTriton | RemoteTriton | SupervisedTriton:
    """The Triton that runs, or one that is started here."""
    if settings.triton_url and supervised:
        return SupervisedTriton(settings.triton_url)
    if settings.triton_url:
        headers = read_admin_key(settings.triton_admin_key) if settings.triton_admin_key else {}
        return RemoteTriton(settings.triton_url, settings.repository, headers)
    return await closing.enter_async_context(EmbeddedTriton(settings.repository, settings.triton_log))


async def _triton_version(url: str) -> str:
    async with open_client(url) as client:
        try:
            metadata = await client.get_server_metadata(client_timeout=_TRITON_SECONDS)
        except InferenceServerException as error:
            raise TritonError(f"no Triton answers at {url}: {error.message()}") from error
    return str(metadata.version)


async def _serve(
    settings: Settings,
    store: Store,
    rollout: Rollout,
    triton_version: str,
    last_change: int,
    shared: bool,
    certificates: Certificates | None,
) -> None:
    """Answer calls until a signal comes, then let those that run end.

    Args:
        settings: of the gateway.
        store: events and changes of items.
        rollout: holds engines that know the changes up to `last_change`.
        triton_version: for the log.
        last_change: number of a change.
        shared: whether other processes serve at the same port.
        certificates: of the port; None for plain text.
    """
    stop, draining = asyncio.Event(), asyncio.Event()
    handle_signals(stop.set)
    metrics = Metrics()
    registry = rollout.registry
    metrics.register_releases(rollout)
    if isinstance(rollout.triton, EmbeddedTriton):
        metrics.register_triton(rollout.triton)
    gates = {kind: Gate(settings.max_concurrent_rpcs, settings.caller_share) for kind in Workload}
    metrics.register_admission(gates)
    given = ResponseCache(settings.response_cache_mib * 1024 * 1024)
    metrics.register_response_cache(given)
    permissions = Permissions(store, settings.consent_rules)
    metrics.register_consents(permissions)
    metrics_port, stop_metrics = metrics.serve(settings.metrics_host, settings.metrics_port)
    reach = AudienceEligibility(store, permissions)
    snapshots = TableSnapshots(settings.audiences)
    finder = AudienceSearch(settings.min_audience_size, reach.filter_permitted, reach.filter_by_region)
    metrics.register_audiences(finder, snapshots, registry)
    background = Background()
    health = HealthService(SERVICE_NAMES, store, {"background": background.failure})
    audiences = AudienceService(registry, snapshots, finder)
    rooms = OpenCallLimits(len(gates) * settings.max_concurrent_rpcs)
    server = _server(
        settings, store, registry, metrics, health, gates, given, permissions, audiences, shared, rooms, draining
    )
    port = listen(server, settings, certificates)
    await health.update(registry)
    await server.start()
    background.repeat("health", partial(health.update, registry), HEALTH_POLL_SECONDS)
    background.repeat("item changes", RemoteItemChanges(store, registry, last_change).apply, CHANGES_POLL_SECONDS)
    refusals = RefusalLog(partial(count_refusals, gates, rooms))
    background.repeat("refusals", refusals.write, REFUSALS_POLL_SECONDS)
    background.repeat("repair", rollout.repair, REPAIR_SECONDS)
    if settings.release is None:
        background.repeat("rollout", rollout.advance, ROLLOUT_POLL_SECONDS)
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
        release=registry.routes.traffic.serving,
        triton=triton_version,
    )
    await stop.wait()
    _log.info("draining", seconds=settings.drain_seconds)
    health.drain()
    draining.set()
    # grpc.aio answers CANCELLED, which nobody retries, to calls that have arrived but that it has not taken up.
    announced = min(_ANNOUNCE_SECONDS, settings.drain_seconds)
    await asyncio.sleep(announced)
    await stop_server(server, lambda: rooms.running, settings.drain_seconds - announced)
    await background.stop()
    await rollout.stop()
    stop_metrics()
    finder.close()
    _log.info("stopped")


def _server(
    settings: Settings,
    store: Store,
    registry: EngineRegistry,
    metrics: Metrics,
    health: HealthService,
    gates: Mapping[Workload, Gate],
    given: ResponseCache,
    permissions: Permissions,
    audiences: AudienceService,
    shared: bool,
    rooms: OpenCallLimits,
    draining: asyncio.Event,
) -> grpc.aio.Server:
    turns = CooperativeScheduler()
    chain = InterceptorChain(
        [
            limit_open_calls(rooms, metrics),
            assign_request_id,
            shed_load(gates, turns, given, metrics),
            log_access,
            record_metrics(metrics),
            map_errors,
            enforce_deadline(settings.default_deadline_seconds, settings.max_deadline_seconds),
            read_request,
            cache_responses(given, settings.response_cache_ttl_seconds, store, lambda: registry.state),
            admit_calls(gates, turns),
            parse_request,
        ],
        endless=[
            limit_open_calls(rooms, metrics),
            assign_request_id,
            log_access,
            record_metrics(metrics),
            map_errors,
            end_on_drain(draining),
            read_request,
            parse_request,
        ],
    )
    server = grpc.aio.server(interceptors=[chain], options=server_options(settings, shared=shared))
    add_services(server, registry, store, permissions, audiences)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    health_service = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    Reflection([*SERVICE_NAMES, health_service]).add_to(server)
    return server
