"""The process that `portrait serve --processes N` is: one Triton, and the gateway processes that share it."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from portrait.server.metrics import of_processes, show
from portrait.server.processes.group import Processes, hold
from portrait.server.rollout.held import HeldReleases
from portrait.server.rollout.traffic import Traffic
from portrait.server.settings import Settings
from portrait.server.signals import end_on_signals, on_signals
from portrait.server.storage.sqlite import open_store
from portrait.server.triton import EmbeddedTriton

_GRACE_SECONDS = 5.0
"""What processes may take beyond the longest deadline until none of them asks an old release any more."""

_log = structlog.get_logger(__name__)


async def supervise(settings: Settings) -> None:
    """Start Triton and the processes, keep them running until a signal comes, then have them drain.

    Raises:
        OSError, ProcessError, ReleaseError, StoreError, TrafficError, TritonError: it can't be done.
    """
    end_on_signals()
    async with AsyncExitStack() as closing:
        held_port = closing.enter_context(hold(settings.host, settings.port))
        own = {"port": held_port.getsockname()[1], "metrics_host": "127.0.0.1", "metrics_port": 0}
        store = await open_store(settings.state)  # brings the file up to date before they all open it
        await store.close()
        following = []
        if settings.triton_url is None:
            Traffic.of(settings.repository)  # before anything is started
            triton = await closing.enter_async_context(EmbeddedTriton(settings.repository, settings.triton_log))
            held = HeldReleases(settings.repository, triton, settings.max_deadline_seconds + _GRACE_SECONDS)
            await held.begin(settings.release)
            own["triton_url"] = triton.url
        processes = Processes(
            settings.model_copy(update=own), settings.processes, supervised=settings.triton_url is None
        )
        if settings.triton_url is None and settings.release is None:
            following.append(asyncio.create_task(held.follow(processes.loaded_releases), name="releases"))
        closing.push_async_callback(processes.stop)
        await processes.start()
        stop = asyncio.Event()
        on_signals(stop.set)
        metrics_port, stop_metrics = show(of_processes(processes), settings.metrics_host, settings.metrics_port)
        closing.callback(stop_metrics)
        _log.info(
            "ready",
            address=f"{settings.host}:{own['port']}",
            metrics=f"http://{settings.metrics_host}:{metrics_port}/metrics",
            processes=settings.processes,
        )
        await stop.wait()
        _log.info("draining", seconds=settings.drain_seconds)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    _log.info("stopped")
