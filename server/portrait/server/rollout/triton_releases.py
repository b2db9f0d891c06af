"""Releases in a Triton that several gateway processes share: what the operator asks for, and no more."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from portrait.features.release.manifest import ReleaseError, read_verified_manifest
from portrait.server.errors import PortraitError
from portrait.server.rollout.archived_releases import ArchivedReleases
from portrait.server.rollout.gateway_status import GatewayError
from portrait.server.rollout.rollout import Triton
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.rollout.traffic_sources import TrafficSource
from portrait.server.triton import TritonDown, TritonError

POLL_SECONDS = 0.2
"""Seconds between polls of the wanted traffic."""
_RETRY_SECONDS = 30.0
"""Before a release that could not be loaded is tried again. A choice of the operator lets it be tried at once."""
_DELAY_SECONDS = 5.0
"""The same where only Triton was away."""

_log = structlog.get_logger(__name__)


class TritonReleaseManager:
    """Loads releases beside those that answer, and lets go of them some time after they are wanted no more.

    Args:
        source: says which release serves whom.
        repository: holds the releases.
        archive: from which they are pulled; None if they are there.
        triton: holds the graphs.
        grace: seconds after which no process asks a release any more that nobody wants.
    """

    def __init__(
        self,
        source: TrafficSource,
        repository: Path,
        archive: ArchivedReleases | None,
        triton: Triton,
        grace: float,
    ) -> None:
        self._source, self._repository, self._archive = source, repository, archive
        self._triton, self._grace = triton, grace
        self._wanted: Traffic | None = None
        self._failed: dict[int, float] = {}
        """Loop time of the next attempt, by release that failed to load."""
        self._wanted_at: dict[int, float] = {}
        """Loop time at which each release was last wanted, for those that may be loaded."""
        self._held: set[int] = set()
        """Releases that were checked and loaded; Triton loads them again by itself when it is started again."""

    async def begin(self, pinned: int | None) -> int:
        """Load the release that serves, or if it can't be, the one before; returns its number.

        Args:
            pinned: a release to serve whatever is wanted.

        Raises:
            TrafficError: the wanted traffic is not what it may be.
            OSError: it can't be read.
            ReleaseError, TritonError: there is no release, or neither can be loaded; the error is that of the first.
        """
        wanted = await self._source.read_first() if pinned is None else Traffic(pinned)
        release = wanted.serving
        try:
            await self._check_and_load(release)
        except (ReleaseError, TritonError) as error:
            if wanted.previous is None:
                raise
            self._put_off(release, error)
            release = wanted.previous
            try:
                await self._check_and_load(release)
            except (ReleaseError, TritonError):
                raise error from None
        self._wanted_at[release] = asyncio.get_running_loop().time()
        return release

    async def advance(self, loaded: Callable[[], frozenset[int]]) -> None:
        """Do what is wanted now. Called again and again.

        Args:
            loaded: the releases that the processes hold, which may take a second to find out; raises GatewayError.
        """
        try:
            wanted = await self._source.read()
        except (OSError, PortraitError, TrafficError):
            return  # the gateway processes log it
        if wanted is None:
            return
        if wanted != self._wanted:
            self._wanted, self._failed = wanted, {}
        await self._load_wanted(wanted, loaded)

    async def _load_wanted(self, wanted: Traffic, loaded: Callable[[], frozenset[int]]) -> None:
        now = asyncio.get_running_loop().time()
        for release in wanted.routed:
            self._wanted_at[release] = now
            if self._failed.get(release, now) <= now:
                await self._load(release)
        self._triton.prefer(wanted.serving)
        for release in wanted.kept & self._wanted_at.keys():
            self._wanted_at[release] = now
        for release, since in list(self._wanted_at.items()):
            if now - since > self._grace:
                await self._unload(release, loaded)

    async def _load(self, release: int) -> None:
        try:
            await self._check_and_load(release)
        except (ReleaseError, TritonError) as error:
            self._put_off(release, error)

    async def _check_and_load(self, release: int) -> None:
        """Load a release whose files are what they were: Triton would wait for ever for a graph that is a pipe.

        Its files are read once: this is called at every poll.
        """
        if release not in self._held:
            if self._archive is not None:
                await self._archive.obtain(release)
            await asyncio.to_thread(read_verified_manifest, self._repository, release)
        await self._triton.load(release)
        self._held.add(release)

    def _put_off(self, release: int, error: ReleaseError | TritonError) -> None:
        is_away = isinstance(error, TritonDown)
        pause = _DELAY_SECONDS if is_away else _RETRY_SECONDS
        self._failed[release] = asyncio.get_running_loop().time() + pause
        if is_away:
            _log.warning("release_delayed", release=release, reason=str(error), retry_in_seconds=pause)
        elif isinstance(error, TritonError):  # a damaged release is told by the gateway processes
            _log.error("release_load_failed", release=release, reason=str(error))

    async def _unload(self, release: int, loaded: Callable[[], frozenset[int]]) -> None:
        """Unload a release that no process holds: where they refused all that is wanted, they go on with another."""
        try:
            is_held = release in await asyncio.to_thread(loaded)
        except GatewayError:
            is_held = True  # by a process that is busy, perhaps
        if is_held:
            self._wanted_at[release] = asyncio.get_running_loop().time()
            return
        del self._wanted_at[release]
        self._held.discard(release)
        try:
            await self._triton.unload(release)
        except TritonError as error:
            _log.warning("release_unload_failed", release=release, reason=str(error))
