"""Files that commands read and write: targets are checked before the work, so that a typo does not cost an hour."""

import json
import tempfile
from pathlib import Path
from typing import Any

from portrait.training.errors import TrainingError


def require_writable_file(path: Path) -> None:
    """Require that a file can be written, or replaced, at a path.

    Raises:
        TrainingError: it can't; the message says why.
    """
    if path.is_dir():
        raise TrainingError(f"{path} is a folder; name a file")
    require_writable_folder(path.parent)


def require_writable_folder(folder: Path) -> None:
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


def read_json_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        TrainingError: the file is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path} can't be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path} holds no JSON object")
    return content
