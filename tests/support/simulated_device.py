"""A second device that computes on the CPU, for tests of devices on machines without a GPU.

Like a GPU, it refuses operations between its tensors and those of the CPU, and makes no arrays of them. Its values are
right. `use` registers it with PyTorch for the rest of the process, so call it in a process of its own.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_NAME = "simulated"
_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


class SimulatedTensor(torch.Tensor):
    """A tensor of the simulated device, around one of the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "SimulatedTensor":
        """Wrap a tensor."""
        places = {} if inner.is_sparse else {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        wrapper: SimulatedTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), dtype=inner.dtype, layout=inner.layout, device=torch.device(_NAME, 0), **places
        )
        wrapper.inner = inner
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        """Compute with the wrapped tensors."""
        return _compute(function, arguments, options or {})


class _Simulation(TorchDispatchMode):
    """Sees operations without a tensor too, such as `torch.zeros(3, device=…)`."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return _compute(function, arguments, options or {})


class _Lists(TorchFunctionMode):
    """Sees `torch.tensor(…, device=…)` and `tolist`, which copy below the dispatcher."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        options = options or {}
        if function is torch.Tensor.tolist and isinstance(arguments[0], SimulatedTensor):
            return arguments[0].cpu().tolist()
        device = options.get("device")
        if function is not torch.tensor or device is None or torch.device(device).type != _NAME:
            return function(*arguments, **options)
        return function(*arguments, **(options | {"device": "cpu"})).to(device)


@contextmanager
def use() -> Iterator[torch.device]:
    """Yield the device, which works within the context."""
    _register()
    with _Simulation(), _Lists():
        yield torch.device(_NAME, 0)


@functools.cache
def _register() -> None:
    """Register the device, which PyTorch allows once."""
    _setup_privateuseone_for_python_backend(_NAME)


def _compute(function: Any, arguments: Any, options: dict[str, Any]) -> Any:
    given = [each for each in tree_leaves((arguments, options)) if isinstance(each, torch.Tensor)]
    simulated = any(isinstance(each, SimulatedTensor) for each in given)
    if simulated and function not in _COPIES:
        _require_one_device(function, given)
    if options.get("device") is not None:
        simulated = torch.device(options["device"]).type == _NAME
        options = options | {"device": torch.device("cpu")}
    result = function(*tree_map(_unwrap, arguments), **tree_map(_unwrap, options))
    known = {id(_unwrap(each)): each for each in given}  # an operation in place returns the tensor that it changed

    def wrap(value: Any) -> Any:
        if id(value) in known:
            return known[id(value)]
        return SimulatedTensor(value) if simulated and isinstance(value, torch.Tensor) else value

    return tree_map(wrap, result)


def _require_one_device(function: Any, given: list[torch.Tensor]) -> None:
    # A GPU, too, takes numbers in tensors without dimensions.
    if strangers := [each for each in given if not isinstance(each, SimulatedTensor) and each.dim()]:
        raise RuntimeError(f"{function} gets {len(strangers)} of {len(given)} tensors from the CPU")


def _unwrap(value: Any) -> Any:
    return value.inner if isinstance(value, SimulatedTensor) else value
