"""Regular files: reading others could hang (a FIFO), never end (a device), or leave the folder (a symbolic link)."""

import os
import stat
from pathlib import Path


def require_regular_file(path: Path, root: Path | None = None) -> int:
    """Require that a path is a regular file; returns its size in bytes.

    Args:
        path: of the file. Symbolic links are followed.
        root: the folder that no link may lead out of; None if links may lead anywhere.

    Raises:
        OSError: there is none, it is something else, or it lies outside of the folder.
    """
    if root is not None and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise OSError(f"{path.name} is a link that leads out of {root}")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path.name} is not a regular file")
    return status.st_size


def read_regular_file(path: Path, root: Path | None, maximum: int) -> bytes:
    """Read a small regular file.

    Args:
        path: of the file.
        root: see `require_regular_file`.
        maximum: the most bytes that it may have.

    Raises:
        OSError: it is not what `require_regular_file` wants, or larger.
    """
    size = require_regular_file(path, root)
    if size > maximum:
        raise OSError(f"{path.name} has {size} bytes; the limit is {maximum}")
    return path.read_bytes()
