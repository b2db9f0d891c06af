"""The Triton of a shop that all gateway processes share: the supervisor starts it, and loads releases into it."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog

from portrait.server.backends import open_archived_releases, open_fleet
from portrait.server.rollout.traffic_sources import FileTraffic
from portrait.server.rollout.triton_releases import POLL_SECONDS, TritonReleaseManager
from portrait.server.runtime.background import Background
from portrait.server.settings import Settings
from portrait.server.shop import log_fields
from portrait.server.triton import EmbeddedTriton

_GRACE_SECONDS = 5.0
"""Seconds beyond the longest deadline after which no process asks an old release any more."""


class SharedTriton:
    """An embedded Triton, and the releases of one shop in it.

    Args:
        tenant: whose shop it is; None in a gateway without tenants.
        triton: runs, and holds the serving release.
        releases: follows what is wanted; None if a release is pinned.
    """

    def __init__(self, tenant: str | None, triton: EmbeddedTriton, releases: TritonReleaseManager | None) -> None:
        self.tenant, self.triton, self._releases = tenant, triton, releases
        self._background = Background()

    def follow(self, loaded: Callable[[], frozenset[int]]) -> None:
        """Begin to load and unload releases as they are wanted.

        Args:
            loaded: the releases that the processes hold, which may take a second to find out; raises GatewayError.
        """
        if self._releases is None:
            return
        with structlog.contextvars.bound_contextvars(**log_fields(self.tenant)):
            self._background.repeat("held releases", partial(self._releases.advance, loaded), POLL_SECONDS)

    async def repair(self, model: str) -> None:
        """Replace the processes of a model that a gateway process has found unhealthy."""
        with structlog.contextvars.bound_contextvars(**log_fields(self.tenant)):
            await self.triton.repair(model)

    async def stop(self) -> None:
        """Follow no more what is wanted; Triton runs on."""
        await self._background.stop()


async def open_shared_triton(settings: Settings, tenant: str | None, closing: AsyncExitStack) -> SharedTriton:
    """Start the Triton of a shop, and load its serving release.

    Args:
        settings: those of the shop, which name no Triton.
        tenant: its name; None in a gateway without tenants.
        closing: ends what is started.

    Raises:
        OSError, ReleaseError, StoreError, TrafficError, TritonError: it can't be done.
    """
    with structlog.contextvars.bound_contextvars(**log_fields(tenant)):
        source = await open_fleet(settings, closing) or FileTraffic(settings.repository)
        archive = open_archived_releases(settings)
        if settings.release is None:
            await source.read_first()  # before anything is started
        triton = await closing.enter_async_context(EmbeddedTriton(settings.repository, settings.triton_log))
        grace = settings.max_deadline_seconds + _GRACE_SECONDS
        releases = TritonReleaseManager(source, settings.repository, archive, triton, grace)
        await releases.begin(settings.release)
    shared = SharedTriton(tenant, triton, releases if settings.release is None else None)
    closing.push_async_callback(shared.stop)
    return shared
