"""What a Triton keeps outside of the repository while it runs: a temporary folder and shared-memory regions.

Both carry one random name, and the folder holds a file that its owner keeps locked. So whoever starts next can tell
what was left by an owner that was killed, even across containers, and clear it away.
"""

import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO, Self

_PREFIX = "portrait-triton-"
_LOCK = "lock"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


class Workspace:
    """A folder for one Triton, and the prefix of its shared-memory regions."""

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def create(cls) -> Self:
        """Clear what dead owners left, and make a new folder."""
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _clear_if_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = (folder / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(folder, lock)

    @property
    def shared_memory_prefix(self) -> str:
        """How the names of the regions begin."""
        return _shared_memory_prefix(self.folder)

    def clear_shared_memory(self) -> None:
        """Remove the regions, once nothing that uses them runs."""
        _clear_shared_memory(self.folder)

    def close(self) -> None:
        """Remove everything."""
        _clear(self.folder)
        self._lock.close()


def _clear_if_abandoned(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(folder)
    except OSError:  # its owner lives, or is another user
        return


def _clear(folder: Path) -> None:
    _clear_shared_memory(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_shared_memory(folder: Path) -> None:
    for region in _SHARED_MEMORY.glob(f"{_shared_memory_prefix(folder)}*"):
        region.unlink(missing_ok=True)


def _shared_memory_prefix(folder: Path) -> str:
    return f"{folder.name}-"
