"""Data-parallel training: processes that `torchrun` starts share the windows and the texts of each step.

Each process holds the whole model, and draws the same batches and negatives from the same seeds. It encodes its share,
and gradients are added up, so that a step is the one of a single process with the same settings. What is computed from
the data set is in memory once a machine: one process computes it, the others map its arrays (`compute_once`).
Without `torchrun` there is one process, and every function here is a no-op.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import joblib
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as processes
from torch.nn import Parameter

from portrait.training.errors import TrainingError, to_one_line

_TIMEOUT = timedelta(days=7)
"""Processes wait so long for one another: the main one fits the ranker meanwhile. `torchrun` ends all if one dies."""

P = ParamSpec("P")
R = TypeVar("R")


def count_started() -> int:
    """Count the processes that `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def read_local_rank() -> int:
    """Return the number of this process among those of its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def require_single_process(command: str) -> None:
    """Refuse a command that can't share its work.

    Raises:
        TrainingError: `torchrun` started several processes.
    """
    if count_started() > 1:
        raise TrainingError(f"{command} runs in one process; start it without torchrun")


@contextmanager
def join_processes(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did; they talk by NCCL on GPUs and by Gloo on CPUs.

    Raises:
        TrainingError: the others can't be reached.
    """
    if count_started() == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _join(device)
    yield
    # Only after success: a process that fails just ends, and `torchrun` ends the others.
    processes.destroy_process_group()


def _explain_lost_contact(function: Callable[P, R]) -> Callable[P, R]:
    """Report lost contact with other processes in one line."""

    @wraps(function)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise TrainingError(
                f"process {get_rank()} lost contact with the others, whose errors say why: {to_one_line(error)}"
            ) from error

    return explained


@_explain_lost_contact
def _join(device: torch.device) -> None:
    if device.type == "cuda":
        processes.init_process_group("nccl", timeout=_TIMEOUT, device_id=device)
    else:
        processes.init_process_group("gloo", timeout=_TIMEOUT)


def count_processes() -> int:
    """Count the processes that have joined; 1 for a single one."""
    return processes.get_world_size() if processes.is_initialized() else 1


def get_rank() -> int:
    """Return the number of this process, from 0."""
    return processes.get_rank() if processes.is_initialized() else 0


def is_main() -> bool:
    """Tell whether this is the process that writes files, reports progress and fits what is not shared."""
    return get_rank() == 0


def compute_once(compute: Callable[[], R]) -> R:
    """Compute a value in one process of each machine; all of them map the arrays in it, whose pages they share.

    All processes call it together. The arrays lie in a file that is deleted as soon as all have mapped it.

    Args:
        compute: returns the value, the same in any process.

    Raises:
        TrainingError: there is no room for the file.
    """
    if count_processes() == 1:
        return compute()
    with tempfile.TemporaryDirectory(prefix="portrait-") as folder:
        file = Path(folder) / "value"
        if read_local_rank() == 0:
            _write_value(compute(), file)
        # Copies on write: PyTorch warns of arrays that can't be written.
        value: R = joblib.load(_find_file(file), mmap_mode="c")
        wait_for_all()
    return value


def _write_value(value: object, file: Path) -> None:
    try:
        joblib.dump(value, file)
    except OSError as error:
        raise TrainingError(f"{file}: {error.strerror}; TMPDIR names another folder for such files") from error


@_explain_lost_contact
def _find_file(own: Path) -> str:
    """Find the file of the first process of this machine, once it is written."""
    files = [""] * count_processes()
    processes.all_gather_object(files, str(own))
    return files[get_rank() - read_local_rank()]


def take_share(rows: NDArray[Any]) -> NDArray[Any]:
    """Take this process's share of rows: every n-th."""
    return rows[get_rank() :: count_processes()]


@_explain_lost_contact
def wait_for_all() -> None:
    """Wait until all processes are here."""
    if processes.is_initialized():
        processes.barrier()


@_explain_lost_contact
def add_up(tensor: Tensor) -> Tensor:
    """Add up a tensor over all processes, in place."""
    if processes.is_initialized():
        processes.all_reduce(tensor)
    return tensor


@_explain_lost_contact
def copy_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the main process."""
    if processes.is_initialized():
        for tensor in tensors:
            processes.broadcast(tensor, 0)


def add_up_gradients(parameters: Iterable[Parameter]) -> None:
    """Add up the gradients over all processes; all have gradients of the same parameters."""
    if count_processes() == 1:
        return
    dense = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = _add_up_rows(parameter.grad)
        elif parameter.grad is not None:
            dense.append(parameter.grad)
    # One message instead of one for each parameter.
    summed = add_up(torch.cat([gradient.flatten() for gradient in dense]))
    for gradient, part in zip(dense, summed.split([each.numel() for each in dense]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _add_up_rows(gradient: Tensor) -> Tensor:
    """Add up a sparse gradient, which has other rows in each process."""
    touched = torch.zeros(len(gradient), device=gradient.device)
    touched[gradient.coalesce().indices()[0]] = 1.0
    rows = add_up(touched).nonzero().squeeze(1)
    values = add_up(gradient.to_dense()[rows])
    return torch.sparse_coo_tensor(rows.unsqueeze(0), values, gradient.shape)


def gather_rows(share: Tensor, rows: int) -> Tensor:
    """Gather what each process computed for its `take_share` of some rows; gradients flow back to it.

    Args:
        share: `[share of rows, …]`.
        rows: number of all rows.

    Returns:
        `[rows, …]`, the same in all processes.
    """
    if count_processes() == 1:
        return share
    gathered: Tensor = _GatherRows.apply(share, rows)
    return gathered


class _GatherRows(torch.autograd.Function):
    """Gathers rows; backward, adds up the gradients that all processes have for each row."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, rows: int) -> Tensor:
        """See `gather_rows`."""
        gathered = share.new_zeros(rows, *share.shape[1:])
        gathered[get_rank() :: count_processes()] = share
        return add_up(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of this process's share."""
        [gradient] = gradients
        return add_up(gradient.contiguous().clone())[get_rank() :: count_processes()], None
