"""Shared memory of the embedded Triton, through which its server and its model processes hand tensors over."""

import os
from pathlib import Path

from portrait.features.release.layout import list_models
from portrait.server.triton.configuration import instances
from portrait.server.triton.errors import TritonError

_FOLDER = Path("/dev/shm")  # noqa: S108
_MIB = 1024 * 1024
_PROCESS_MIB = 2
"""Minimum shared memory of a model process: the MiB that it starts with and the first MiB that it grows by. Regions
grow with the largest requests and never shrink."""


def require_shared_memory(repository: Path, release: int) -> None:
    """Require the shared memory that a release needs to be loaded.

    Raises:
        TritonError: it does not; the message says how much is missing. Or its models can't be read.
    """
    processes = sum(instances(repository, model) for model in list_models(repository, release))
    needed = processes * _PROCESS_MIB
    free = _free_mib()
    if free is not None and free < needed:
        raise TritonError(
            f"{_FOLDER} is too small: release {release} needs {needed} MiB of shared memory for its {processes} model "
            f"processes, and more for large requests; {free} MiB are free. Give the container more, for example "
            "docker run --shm-size 256m"
        )


def says_full(message: str) -> bool:
    """Return True if an error of Triton means that the shared memory is full."""
    return "shared memory" in message and "No space left" in message


def _free_mib() -> int | None:
    """Free shared memory, in MiB; None where it has no bound."""
    try:
        state = os.statvfs(_FOLDER)
    except OSError as error:
        raise TritonError(f"{_FOLDER}, which Triton's Python backend needs, can't be used: {error}") from error
    return state.f_bavail * state.f_frsize // _MIB if state.f_blocks else None
