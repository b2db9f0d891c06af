"""The workspace of a running Triton outside of the repository: a temporary folder and shared-memory regions.

Both carry one random name, and the folder holds a file that its owner keeps locked. So whoever starts next can tell
what was left by an owner that was killed, even across containers, and clear it away. The folder is open to its user
alone, and so is the socket in it on which Triton listens. It also holds the names of what Triton makes elsewhere.
"""

import asyncio
import contextlib
import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from portrait.server.triton.environment_folders import EnvironmentFolders
from portrait.server.triton.errors import TritonError

_PREFIX = "portrait-triton-"
_RANDOM_BYTES = 8
"""Length of what `mkdtemp` appends."""
_LOCK = "lock"
_ENVIRONMENT_FOLDERS = "environment_folders"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
_SHORT = Path("/tmp")  # noqa: S108
"""Parent of the folder if the path of the temporary folder is too long or has special characters."""
_PLAIN = re.compile(r"[A-Za-z0-9_./%+,:@=-]+")
"""Triton starts the processes of models by a shell, without quotes, in whatever locale there is."""
_POLL_SECONDS = 0.01
_SOCKET = "grpc"
_PORT = 8001
"""Triton appends its port to the address that it is given, also to that of a socket; this is its default."""
MAX_SOCKET_BYTES = 107
"""Longest path of a socket, in bytes: the kernel's `sun_path` without its final zero."""


class Workspace:
    """A folder for one Triton, and the prefix of its shared-memory regions."""

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def create(cls) -> Self:
        """Clear what dead owners left, and make a new folder.

        Raises:
            TritonError: the path of the temporary folder is too long for a socket or not plain, and /tmp can't be
                written.
        """
        parent = _parent()
        for left in parent.glob(f"{_PREFIX}*"):
            _clear_if_abandoned(left)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            lock = (folder / _LOCK).open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / _LOCK).exists():
                return cls(folder, lock)
            lock.close()  # another owner that starts now took the folder for abandoned before it was locked

    @property
    def grpc_address(self) -> str:
        """The address that Triton listens on."""
        return f"unix:{quote(os.fsencode(self.folder / _SOCKET))}"  # gRPC takes it for a URI

    @property
    def url(self) -> str:
        """The URL of that address for clients."""
        return f"{self.grpc_address}:{_PORT}"

    @property
    def shared_memory_prefix(self) -> str:
        """Prefix of the names of the shared-memory regions."""
        return _shared_memory_prefix(self.folder)

    @asynccontextmanager
    async def watching_load(self) -> AsyncIterator[None]:
        """Watch what Triton makes while it loads models.

        Regions are closed to other users, each as soon as it is seen: Triton makes them readable to all, whatever the
        umask. Folders in /tmp are written down.
        """
        closing = asyncio.create_task(_close_regions(self.folder), name="shared memory")
        try:
            with _environment_folders(self.folder).noting():
                yield
        finally:
            closing.cancel()
            _close_shared_memory(self.folder)

    def clear(self) -> None:
        """Remove the regions and folders of a server that has ended."""
        _clear_made(self.folder)

    def close(self) -> None:
        """Remove everything."""
        _clear(self.folder)
        self._lock.close()


def _parent() -> Path:
    """The temporary folder, or /tmp if its path is not plain, or that of a socket in it would be too long."""
    wanted = Path(tempfile.gettempdir())
    length, plain = _socket_bytes(wanted), _PLAIN.fullmatch(str(wanted))
    if length <= MAX_SOCKET_BYTES and plain:
        return wanted
    if os.access(_SHORT, os.W_OK | os.X_OK):
        return _SHORT
    if not plain:
        raise TritonError(
            f"Triton can't run models below the temporary folder {wanted}: set TMPDIR to a folder whose path has "
            "ASCII letters, digits and none of the characters that mean something to a shell"
        )
    raise TritonError(
        f"a socket in the temporary folder {wanted} would have a path of {length} bytes, and {MAX_SOCKET_BYTES} are "
        "the most: set TMPDIR to a folder with a shorter path"
    )


def _socket_bytes(parent: Path) -> int:
    """Length of the path that the socket would have, in bytes."""
    return len(os.fsencode(parent / f"{_PREFIX}{'-' * _RANDOM_BYTES}" / f"{_SOCKET}:{_PORT}"))


def _clear_if_abandoned(folder: Path) -> None:
    try:
        if folder.lstat().st_uid != os.geteuid():  # not of ours, whatever it says
            return
        with (folder / _LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(folder)
    except OSError:  # its owner lives
        return


def _clear(folder: Path) -> None:
    _clear_made(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_made(folder: Path) -> None:
    """Remove what Triton made outside of the folder."""
    for region in _regions(folder):
        region.unlink(missing_ok=True)
    _environment_folders(folder).remove()


def _environment_folders(folder: Path) -> EnvironmentFolders:
    return EnvironmentFolders(folder / _ENVIRONMENT_FOLDERS)


async def _close_regions(folder: Path) -> None:
    while True:
        _close_shared_memory(folder)
        await asyncio.sleep(_POLL_SECONDS)


def _close_shared_memory(folder: Path) -> None:
    for region in _regions(folder):
        with contextlib.suppress(FileNotFoundError):
            region.chmod(0o600)


def _regions(folder: Path) -> list[Path]:
    return list(_SHARED_MEMORY.glob(f"{glob.escape(_shared_memory_prefix(folder))}*"))


def _shared_memory_prefix(folder: Path) -> str:
    return f"{folder.name}-"
