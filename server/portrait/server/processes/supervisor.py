"""The process of `portrait serve --processes N`: a Triton for each shop, and the gateway processes that share them."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import structlog

from portrait.server.access.rules import load_access
from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.processes.collectors import build_registry, build_tenant_registry
from portrait.server.processes.pool import ProcessPool, reserve_port
from portrait.server.processes.readiness import find_unready
from portrait.server.processes.shared_triton import SharedTriton, open_shared_triton
from portrait.server.processes.worker_settings import WorkerSettings
from portrait.server.rpc.tls import load_certificates
from portrait.server.rpc.transport import warn_about_plain_text
from portrait.server.runtime import addresses
from portrait.server.runtime.background import Background
from portrait.server.runtime.heartbeat import BEAT_SECONDS, Heartbeat
from portrait.server.runtime.signals import cancel_on_signals, handle_signals
from portrait.server.settings import Settings
from portrait.server.storage.open import open_state
from portrait.server.tenants import read_shops, require_own_states

_Shops = Mapping[str | None, Settings]
_Tritons = dict[str | None, SharedTriton]
"""Both by tenant; without tenants there is one shop, under None."""

_log = structlog.get_logger(__name__)


async def supervise(settings: Settings) -> None:
    """Start a Triton for each shop and the processes, keep them running until a signal comes, then have them drain.

    Raises:
        OSError, AccessError, ProcessError, ReleaseError, StoreError, TenantsError, TlsError, TrafficError, TritonError:
            it can't be done.
    """
    cancel_on_signals()
    shops = read_shops(settings)
    _require_files(settings, shops)
    async with AsyncExitStack() as closing:
        port = closing.enter_context(reserve_port(settings.host, settings.port)).getsockname()[1]
        await _prepare_states(shops)
        tritons: _Tritons = {
            tenant: await open_shared_triton(shop, tenant, closing)
            for tenant, shop in shops.items()
            if shop.triton_url is None
        }
        processes = _create_pool(settings, shops, tritons, port)
        for tenant, shared in tritons.items():
            shared.follow(partial(processes.loaded_releases, tenant))
        closing.push_async_callback(processes.stop)
        await processes.start()
        stop = asyncio.Event()
        handle_signals(stop.set)
        background, heartbeat = Background(), Heartbeat()
        closing.push_async_callback(background.stop)
        background.repeat("heartbeat", heartbeat.beat, BEAT_SECONDS)
        metrics_port, stop_metrics = _serve_metrics(settings, shops, processes, tritons, heartbeat)
        closing.callback(stop_metrics)
        warn_about_plain_text(settings)
        _log.info(
            "ready",
            address=addresses.client_address(settings.host, port),
            metrics=addresses.metrics_url(settings.metrics_host, metrics_port),
            processes=settings.processes,
        )
        await stop.wait()
        _log.info("draining", seconds=settings.drain_seconds)
        for shared in tritons.values():
            await shared.stop()
    _log.info("stopped")


def _require_files(settings: Settings, shops: _Shops) -> None:
    """Check what each process will read, and where it listens: told here, before anything is started."""
    load_certificates(settings)
    load_access(settings.access, settings.tls_client_ca is not None, [each for each in shops if each is not None])
    addresses.require_local_address("host", settings.host)
    addresses.require_local_address("metrics_host", settings.metrics_host)


async def _prepare_states(shops: _Shops) -> None:
    """Bring the file of each state up to date, before all processes open it."""
    identities: dict[str | None, Hashable] = {}
    for tenant, shop in shops.items():
        store = await open_state(shop.state, shop.state_url, shop.state_replicas, shop.shopper_keys, shop.retention)
        identities[tenant] = store.identity
        await store.close()
        require_own_states(identities)


def _create_pool(settings: Settings, shops: _Shops, tritons: _Tritons, port: int) -> ProcessPool:
    """Create the pool of processes, which share the port and the Triton of each shop."""
    own = {"port": port, "metrics_host": "127.0.0.1", "metrics_port": 0}
    urls = {tenant: {"triton_url": shared.triton.url} for tenant, shared in tritons.items()}
    told = WorkerSettings(
        settings.model_copy(update=own),
        {tenant: shop.model_copy(update=own | urls.get(tenant, {})) for tenant, shop in shops.items()},
        frozenset(tritons),
    )
    return ProcessPool(told, {shared.triton.url: shared.repair for shared in tritons.values()})


def _serve_metrics(
    settings: Settings, shops: _Shops, processes: ProcessPool, tritons: _Tritons, heartbeat: Heartbeat
) -> tuple[int, Callable[[], None]]:
    """Serve the metrics and probes of all processes, and of each tenant; returns the port, and what stops it."""
    embedded = {tenant: shared.triton for tenant, shared in tritons.items()}
    return serve_endpoint(
        build_registry(processes, embedded),
        Probes(heartbeat.find_problem, partial(find_unready, processes.list_metrics)),
        settings.metrics_host,
        settings.metrics_port,
        {
            tenant: (
                build_tenant_registry(processes, tenant, embedded.get(tenant)),
                partial(find_unready, partial(processes.list_metrics, tenant)),
            )
            for tenant in shops
            if tenant is not None
        },
    )
