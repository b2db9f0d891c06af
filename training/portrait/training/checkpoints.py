"""Checkpoints of a run: a killed run resumes from the last one and ends as if it had not been killed.

They hold tensors of the CPU, so that a run goes on, or is used, on another device than it was trained on.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portrait.features.files.atomic_write import atomic_write
from portrait.training import distributed


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a state, all of it or nothing; only the main process writes.

    Raises:
        OSError: it can't be written, for example because the disk is full.
    """
    if not distributed.is_main():
        return
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            torch.save(_copy_to_cpu(state), file)
    except (OSError, RuntimeError) as error:
        # torch ends its archive on the way out, and raises an error of its own because that fails as well.
        reason = error if isinstance(error, OSError) else error.__context__
        if not isinstance(reason, OSError):
            raise
        raise OSError(reason.errno, reason.strerror, str(path)) from error


def _copy_to_cpu(value: Any) -> Any:
    """Copy the tensors in nested dictionaries and lists to the CPU; those that are there stay as they are."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _copy_to_cpu(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copy_to_cpu(each) for each in value]
    return value


def load_state(path: Path) -> dict[str, Any]:
    """Read a state that `save_state` wrote. Only tensors and plain values are read, never code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
