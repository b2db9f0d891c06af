"""The device that a run is trained on. It is chosen once; the code then reads it from the model."""

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from portrait.training import distributed
from portrait.training.enums import TrainingPrecision
from portrait.training.errors import TrainingError

CPU = torch.device("cpu")

_NAME = re.compile(r"auto|cpu|cuda(:\d+)?")


def choose_device(name: str) -> torch.device:
    """Choose a device by its name.

    Args:
        name: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU if PyTorch finds one. `cuda` is the first GPU, or under
            torchrun that of the process's local rank.

    Raises:
        TrainingError: there is no such device.
    """
    if not _NAME.fullmatch(name):
        raise TrainingError(f"there is no device {name!r}; there are auto, cpu, cuda and cuda:N")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return CPU
    if not gpus:
        raise TrainingError(f"PyTorch {torch.__version__} finds no GPU for --device {name}; use --device cpu")
    named = name.partition(":")[2]
    if named and distributed.count_started() > 1:
        raise TrainingError(f"--device {name} names one GPU for all processes; use --device cuda")
    index = int(named or distributed.read_local_rank())
    if index >= gpus:
        raise TrainingError(f"there is no device cuda:{index}; PyTorch finds {gpus} GPU{'s' * (gpus > 1)}")
    return torch.device("cuda", index)


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to a device; on the CPU, the tensor shares the array's memory."""
    return torch.from_numpy(array).to(device)


def supports_bfloat16(device: torch.device) -> bool:
    """Tell whether the hardware multiplies matrices in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # AVX-512 without AMX has bfloat16 too, but a step in it takes longer than one in float32.
    return device == CPU and torch.backends.mkldnn.is_available() and torch.cpu._is_amx_tile_supported()


def autocast_bert(device: torch.device, precision: TrainingPrecision) -> AbstractContextManager[object]:
    """Return a context in which the BERT multiplies matrices in bfloat16, if the precision says so."""
    return _autocast(device, precision, supports_bfloat16(device))


def autocast_step(device: torch.device, precision: TrainingPrecision) -> AbstractContextManager[object]:
    """Return a context in which a whole training step multiplies matrices in bfloat16, if the precision says so.

    By default only on GPUs: beside the BERT, the matrices are too small for a CPU to gain anything.
    """
    return _autocast(device, precision, device.type == "cuda" and supports_bfloat16(device))


def _autocast(device: torch.device, precision: TrainingPrecision, default: bool) -> AbstractContextManager[object]:
    enabled = default if precision is TrainingPrecision.AUTO else precision is TrainingPrecision.BF16
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled else nullcontext()
