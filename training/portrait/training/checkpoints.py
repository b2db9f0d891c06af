"""Checkpoints of a run: a killed run resumes from the last one and ends as if it had not been killed."""

from pathlib import Path
from typing import Any

import torch

from portrait.features.files.atomic_write import atomic_write


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a state, all of it or nothing."""
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state that `save_state` wrote. Only tensors and plain values are read, never code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
