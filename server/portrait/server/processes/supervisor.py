"""The process of `portrait serve --processes N`: one Triton, and the gateway processes that share it."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import structlog

from portrait.server.backends import open_archived_releases, open_fleet
from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.processes.collectors import build_registry
from portrait.server.processes.pool import ProcessPool, reserve_port
from portrait.server.processes.readiness import find_unready
from portrait.server.rollout.traffic_sources import FileTraffic
from portrait.server.rollout.triton_releases import POLL_SECONDS, TritonReleaseManager
from portrait.server.rpc.tls import load_certificates
from portrait.server.rpc.transport import warn_about_plain_text
from portrait.server.runtime import addresses
from portrait.server.runtime.background import Background
from portrait.server.runtime.heartbeat import BEAT_SECONDS, Heartbeat
from portrait.server.runtime.signals import cancel_on_signals, handle_signals
from portrait.server.settings import Settings
from portrait.server.storage.open import open_state
from portrait.server.triton import EmbeddedTriton

_GRACE_SECONDS = 5.0
"""Seconds beyond the longest deadline after which no process asks an old release any more."""

_log = structlog.get_logger(__name__)


async def supervise(settings: Settings) -> None:
    """Start Triton and the processes, keep them running until a signal comes, then have them drain.

    Raises:
        OSError, ProcessError, ReleaseError, StoreError, TlsError, TrafficError, TritonError: it can't be done.
    """
    cancel_on_signals()
    load_certificates(settings)  # each process reads them; told here, before anything is started
    addresses.require_local_address("host", settings.host)
    addresses.require_local_address("metrics_host", settings.metrics_host)
    async with AsyncExitStack() as closing:
        held_port = closing.enter_context(reserve_port(settings.host, settings.port))
        own = {"port": held_port.getsockname()[1], "metrics_host": "127.0.0.1", "metrics_port": 0}
        # Brings a file up to date before they all open it.
        store = await open_state(
            settings.state, settings.state_url, settings.state_replicas, settings.shopper_keys, settings.retention
        )
        await store.close()
        background = Background()
        triton = None
        if settings.triton_url is None:
            traffic = await open_fleet(settings, closing) or FileTraffic(settings.repository)
            archive = open_archived_releases(settings)
            if settings.release is None:
                await traffic.read_first()  # before anything is started
            triton = await closing.enter_async_context(EmbeddedTriton(settings.repository, settings.triton_log))
            grace = settings.max_deadline_seconds + _GRACE_SECONDS
            held = TritonReleaseManager(traffic, settings.repository, archive, triton, grace)
            closing.push_async_callback(background.stop)
            await held.begin(settings.release)
            own["triton_url"] = triton.url
        processes = ProcessPool(settings.model_copy(update=own), settings.processes, triton.repair if triton else None)
        if settings.triton_url is None and settings.release is None:
            background.repeat("held releases", partial(held.advance, processes.loaded_releases), POLL_SECONDS)
        closing.push_async_callback(processes.stop)
        await processes.start()
        stop = asyncio.Event()
        handle_signals(stop.set)
        heartbeat = Heartbeat()
        background.repeat("heartbeat", heartbeat.beat, BEAT_SECONDS)
        probes = Probes(heartbeat.find_problem, partial(find_unready, lambda: processes.metrics_urls))
        metrics_port, stop_metrics = serve_endpoint(
            build_registry(processes, triton), probes, settings.metrics_host, settings.metrics_port
        )
        closing.callback(stop_metrics)
        warn_about_plain_text(settings)
        _log.info(
            "ready",
            address=addresses.client_address(settings.host, held_port.getsockname()[1]),
            metrics=addresses.metrics_url(settings.metrics_host, metrics_port),
            processes=settings.processes,
        )
        await stop.wait()
        _log.info("draining", seconds=settings.drain_seconds)
        await background.stop()
    _log.info("stopped")
