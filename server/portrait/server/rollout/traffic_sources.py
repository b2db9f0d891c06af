"""Sources of the traffic that a gateway follows: the file of its repository, or another one."""

import asyncio
from collections.abc import Hashable
from pathlib import Path
from typing import Protocol

from portrait.server.rollout.traffic import Traffic, file_of
from portrait.server.runtime.file_state import read_file_state


class TrafficSource(Protocol):
    """Says which release serves whom, as an operator chose it last."""

    async def read_stamp(self) -> Hashable:
        """Another value after every choice, even of the same traffic; None before the first. Cheap.

        Raises:
            PortraitError: the source can't be reached.
        """
        ...

    async def read(self) -> Traffic | None:
        """The traffic that was chosen last; None if none ever was.

        Raises:
            TrafficError: what is stored is not what it may be.
            OSError, PortraitError: the source can't be read.
        """
        ...

    async def read_first(self) -> Traffic:
        """The traffic that a gateway begins with.

        Raises:
            ReleaseError: there is nothing to serve; otherwise as `read`.
        """
        ...


class FileTraffic:
    """The file `releases/traffic.json`; without one, the newest release serves.

    Args:
        repository: the model repository, which may be on a network: it is read off the event loop.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    async def read_stamp(self) -> Hashable:
        """Attributes of the file, of which a change of it changes one."""
        return await asyncio.to_thread(read_file_state, file_of(self._repository))

    async def read(self) -> Traffic | None:
        """The content of the file; None without one."""
        return await asyncio.to_thread(Traffic.read, self._repository)

    async def read_first(self) -> Traffic:
        """The content of the file, or the newest release."""
        return await asyncio.to_thread(Traffic.of, self._repository)
