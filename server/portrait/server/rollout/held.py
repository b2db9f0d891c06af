"""Releases in a Triton that several gateway processes share: what the operator's file asks for, and no more."""

import asyncio
from pathlib import Path

import structlog

from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.triton import EmbeddedTriton, TritonError

LOOK_SECONDS = 0.2
"""How often the operator's file is read."""

_log = structlog.get_logger(__name__)


class HeldReleases:
    """Loads releases beside those that answer, and lets go of them some time after they are wanted no more.

    Args:
        repository: holds the operator's file.
        triton: holds the releases.
        grace: seconds after which no process asks a release any more that its file no longer names.
    """

    def __init__(self, repository: Path, triton: EmbeddedTriton, grace: float) -> None:
        self._repository, self._triton, self._grace = repository, triton, grace
        self._wanted: Traffic | None = None
        self._failed: set[int] = set()
        self._wanted_at: dict[int, float] = {}
        """When each release was last seen to be wanted, for those that may be loaded."""

    async def begin(self, pinned: int | None) -> int:
        """Load the release that serves; returns its number.

        Args:
            pinned: a release to serve whatever the file says.

        Raises:
            TrafficError: the file is not what it may be.
            OSError: it can't be read.
            ReleaseError, TritonError: there is no release, or it can't be loaded.
        """
        serving = pinned or Traffic.of(self._repository).serving
        await self._triton.load(serving)
        self._wanted_at[serving] = asyncio.get_running_loop().time()
        return serving

    async def advance(self) -> None:
        """Do what the file says now. Called again and again."""
        try:
            wanted = await asyncio.to_thread(Traffic.read, self._repository)
        except (OSError, TrafficError):
            return  # the gateway processes log it
        if wanted is None:
            return
        if wanted != self._wanted:
            self._wanted, self._failed = wanted, set()
        await self._hold(wanted)

    async def _hold(self, wanted: Traffic) -> None:
        now = asyncio.get_running_loop().time()
        for release in wanted.routed:
            self._wanted_at[release] = now
            if release not in self._failed:
                await self._load(release)
        self._triton.prefer(wanted.serving)
        for release in wanted.kept & self._wanted_at.keys():
            self._wanted_at[release] = now
        for release, since in list(self._wanted_at.items()):
            if now - since > self._grace:
                del self._wanted_at[release]
                await self._unload(release)

    async def _load(self, release: int) -> None:
        try:
            await self._triton.load(release)
        except TritonError as error:
            self._failed.add(release)
            _log.error("release not loaded", release=release, reason=str(error))

    async def _unload(self, release: int) -> None:
        try:
            await self._triton.unload(release)
        except TritonError as error:
            _log.warning("release not unloaded", release=release, reason=str(error))
