"""Releases that a gateway pulls from an archive into its repository, once they are wanted."""

import asyncio
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog

from portrait.server.rollout.extras import open_release_archive

_log = structlog.get_logger(__name__)


class ArchivedReleases:
    """The releases of an archive, for one repository.

    Args:
        repository: gets the releases.
        url: of the archive.
        verify_key: PEM file of the public keys of which one must have signed a release; None accepts any release. It
            is read again for every release, so that keys are rotated without a restart.
    """

    def __init__(self, repository: Path, url: str, verify_key: Path | None) -> None:
        self._repository, self._url, self._verify_key = repository, url, verify_key

    async def obtain(self, release: int) -> None:
        """Have the repository hold a release, whole and signed.

        Raises:
            ReleaseError: it can't be had, or must not be used.
        """
        began = time.monotonic()
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._pull, args=(release, ended), name=f"pull {release}", daemon=True).start()
        if await ended:
            _log.info("release_pulled", release=release, url=self._url, seconds=round(time.monotonic() - began, 3))

    def _pull(self, release: int, ended: "asyncio.Future[bool]") -> None:
        """Pull in a thread of its own: unlike those of a pool, no process that stops waits for it."""
        try:
            archive = open_release_archive(self._url, self._verify_key)
            outcome: bool | Exception = archive.pull(self._repository, release)
        except Exception as error:
            outcome = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            ended.get_loop().call_soon_threadsafe(_tell, ended, outcome)


def _tell(ended: "asyncio.Future[bool]", outcome: bool | Exception) -> None:
    if ended.done():  # cancelled: nobody waits any more
        return
    if isinstance(outcome, Exception):
        ended.set_exception(outcome)
    else:
        ended.set_result(outcome)
