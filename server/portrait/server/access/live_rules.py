"""The access file while the gateway runs: a change holds within a second or two, and a broken one changes nothing."""

import asyncio
from pathlib import Path

import structlog

from portrait.server.access.rules import AccessError, AccessRules
from portrait.server.runtime.file_state import read_file_state
from portrait.server.settings import Settings

POLL_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class LiveRules:
    """The last usable content of an access file.

    Args:
        path: the access file.
        asks_for_certificates: whether the port asks callers for one.

    Raises:
        AccessError: it can't be used.
    """

    def __init__(self, path: Path, asks_for_certificates: bool) -> None:
        self._path, self._asks_for_certificates = path, asks_for_certificates
        self.now = AccessRules(path, asks_for_certificates)
        """The rules in force."""
        self._seen = self._read_state()
        self._failure: str | None = None
        """Why the files can't be used now, as it was logged; they are read again until they can."""

    async def refresh(self) -> None:
        """Read the files again if one has changed."""
        await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        state = self._read_state()  # before the files are read: the next look sees a change during the reading
        if state == self._seen and self._failure is None:
            return
        self._seen = state
        try:
            self.now = AccessRules(self._path, self._asks_for_certificates)
        except AccessError as error:
            if str(error) != self._failure:
                _log.error("access_reload_failed", reason=f"{error}; the rules in force stay")
            self._failure = str(error)
        else:
            self._failure = None
            _log.info("access_reloaded", file=str(self._path))

    def _read_state(self) -> list[tuple[int, ...] | None]:
        return [read_file_state(path) for path in self.now.files]


def load_access(settings: Settings) -> LiveRules | None:
    """Load the access file that the settings name; None if everybody may call everything.

    Raises:
        AccessError: it can't be used.
    """
    return LiveRules(settings.access, settings.tls_client_ca is not None) if settings.access else None
