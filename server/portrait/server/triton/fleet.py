"""The Triton servers that others run: each holds every release, and gets back what it lost when it restarts."""

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import structlog

from portrait.server.runtime.background import Background
from portrait.server.triton.errors import TritonDown, TritonError, TritonLost
from portrait.server.triton.remote import RemoteTriton

_POLL_SECONDS = 2.0
"""Seconds between two looks at the releases that each server holds."""

_log = structlog.get_logger(__name__)


class TritonFleet:
    """One or more servers that hold the same releases.

    Args:
        servers: at least one.
    """

    def __init__(self, servers: Sequence[RemoteTriton]) -> None:
        self._servers = {server.url: server for server in servers}
        self._releases: list[int] = []
        self._left_out: set[str] = set()
        """URLs of the servers that lacked a release in the last look."""
        self._background = Background()

    @property
    def urls(self) -> Sequence[str]:
        """The URL of each server."""
        return [*self._servers]

    async def __aenter__(self) -> Self:
        self._background.repeat("triton servers", self._load_again, _POLL_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._background.stop()

    async def load(self, release: int) -> None:
        """Load a release on all servers. Only the first one may be missing on some: these get it when they are back.

        Raises:
            TritonError: no server can load it; or one can't, and others are loaded that can go on serving. TritonLost:
                one stopped answering meanwhile. TritonDown: nothing is wrong but that one does not answer.
        """
        failures = await self._load_everywhere(release)
        if failures and (self._releases or len(failures) == len(self._servers)):
            raise _join(failures.values())
        self._note_left_out(failures)
        if release not in self._releases:
            self._releases.append(release)

    async def unload(self, release: int) -> None:
        """Leave it where it is, as another gateway may need it; it is not loaded again."""
        if release in self._releases:
            self._releases.remove(release)

    def prefer(self, release: int) -> None:
        """Leave the servers as they are: whoever runs them decides what they start with."""

    async def repair(self, model: str, url: str) -> None:
        """Have one server replace the processes of a model; see `RemoteTriton.repair`.

        Raises:
            TritonError: it can't.
        """
        await self._servers[url].repair(model)

    async def _load_again(self) -> None:
        """Load what a server lost when it restarted."""
        failures: dict[str, TritonError] = {}
        for release in tuple(self._releases):
            failures |= await self._load_everywhere(release)
        self._note_left_out(failures)

    async def _load_everywhere(self, release: int) -> dict[str, TritonError]:
        """Load a release on all servers; returns why one could not, by its URL."""
        outcomes = await asyncio.gather(*(self._try_load(server, release) for server in self._servers.values()))
        return {url: error for url, error in zip(self._servers, outcomes, strict=True) if error is not None}

    async def _try_load(self, server: RemoteTriton, release: int) -> TritonError | None:
        try:
            await server.load(release)
        except TritonError as error:
            return error
        return None

    def _note_left_out(self, failures: dict[str, TritonError]) -> None:
        for url in failures.keys() - self._left_out:
            _log.error("triton_left_out", triton=url, reason=str(failures[url]))
        for url in self._left_out - failures.keys():
            _log.info("triton_back", triton=url)
        self._left_out = set(failures)


def _join(failures: Iterable[TritonError]) -> TritonError:
    """Make one error of those of several servers, of the kind that says most against the release."""
    found = list(failures)
    kind = next(kind for kind in (TritonError, TritonLost, TritonDown) if kind in map(type, found))
    return kind("; ".join(map(str, found)))
