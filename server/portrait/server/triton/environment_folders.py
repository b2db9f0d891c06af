"""Folders that Triton's Python backend makes in /tmp, whatever TMPDIR says, and leaves there when it is killed.

It makes one when it is loaded, for packages that a model might bring. Ours bring none, so the folder stays empty and
unused: to remove that of a Triton that starts at the same moment does it no harm.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARENT = Path("/tmp")  # noqa: S108
_PREFIX = "python_env_"


class EnvironmentFolders:
    """The folders that one Triton has made.

    Args:
        record: file with their names, so that they can be removed by whoever finds it.
    """

    def __init__(self, record: Path) -> None:
        self._record = record

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Write down the folders that are made meanwhile."""
        before = _list_names()
        try:
            yield
        finally:
            new = sorted(filter(_is_ours, _list_names() - before))
            with self._record.open("a", encoding="utf-8") as record:
                record.writelines(f"{name}\n" for name in new)

    def remove(self) -> None:
        """Remove those that are empty, once the server that made them has ended."""
        with suppress(FileNotFoundError):
            for name in self._record.read_text(encoding="utf-8").split():
                with suppress(OSError):
                    (_PARENT / name).rmdir()
            self._record.unlink()


def _list_names() -> set[str]:
    with os.scandir(_PARENT) as entries:
        return {entry.name for entry in entries if entry.name.startswith(_PREFIX)}


def _is_ours(name: str) -> bool:
    """Tell whether a folder is of this user."""
    try:
        return (_PARENT / name).lstat().st_uid == os.geteuid()
    except FileNotFoundError:
        return False
