"""Where a command is to write: looked at before the work, so that an hour of it is not lost to a typo."""

import tempfile
from pathlib import Path

from portrait.training.errors import TrainingError


def require_file_target(path: Path) -> None:
    """Require that a file can be written, or replaced, at a path.

    Raises:
        TrainingError: it can't; the message says why.
    """
    if path.is_dir():
        raise TrainingError(f"{path} is a folder; name a file")
    require_folder_target(path.parent)


def require_folder_target(folder: Path) -> None:
    """Require that files can be written into a folder.

    Raises:
        TrainingError: they can't; the message says why.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is no folder{'' if folder.exists() else '; make it first'}")
    try:
        # Permissions alone do not tell: file systems are read-only, or full.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise TrainingError(f"nothing can be written into {folder}: {error.strerror}") from error
