"""A Python-based Triton backend named `onnxruntime`, for builds of Triton that lack the C++ one.

It reads the same keys of config.pbtxt, so that a repository serves unchanged in either. Triton runs this file in a
process of its own, for each instance of a model, with the packages of the interpreter that started Triton.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[dict[str, Array]], list[Array]]
"""Inputs by name → outputs in the order of the configuration."""

_GRAPH_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_INSTALL = (
    "pip install '.[gpu]' in a checkout of Portrait, or pip install --index-url YOUR_INDEX 'shopper-portrait[gpu]'"
)
"""The text of `portrait.features.installation`, which the Python of a Triton server may lack."""
_TYPES = {
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
}
"""ONNX Runtime's names of the data types of a configuration."""


class TritonPythonModel:
    """One instance of one version of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the graph.

        Args:
            args: what Triton tells of the instance: `model_config` as JSON, `model_repository` (the model's folder),
                `model_version`, `model_instance_kind` and `model_instance_device_id`.
        """
        config = json.loads(args["model_config"])
        self._inputs = [value["name"] for value in config["input"]]
        self._outputs = [value["name"] for value in config["output"]]
        file = config["default_model_filename"] or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / file
        device = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
        self._run = _open(str(path), config, self._outputs, device)
        for sample in config.get("model_warmup", []):
            self._warm_up(sample)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request of a batch, with an error where that is due; never raises."""
        gone = [request.is_cancelled() for request in requests]
        answers = iter(self._answers([request for request, left in zip(requests, gone, strict=True) if not left]))
        return [_error("the caller is gone", pb.TritonError.CANCELLED) if left else next(answers) for left in gone]

    def _answers(self, requests: list[Any]) -> list[Any]:
        """One run over the rows of all requests, which Triton made equal in shape but for the first axis."""
        if not requests:
            return []
        try:
            parts = [_inputs(request, self._inputs) for request in requests]
            rows = [len(part[self._inputs[0]]) for part in parts]
            outputs = self._run(_joined(parts))
            _require_rows(outputs, sum(rows))
        except Exception as error:  # whatever a runtime raises: the batch fails, the instance goes on
            return [_error(str(error), pb.TritonError.INTERNAL)] * len(requests)
        ends = np.cumsum(rows)
        return [
            self._answer([output[end - count : end] for output in outputs])
            for count, end in zip(rows, ends, strict=True)
        ]

    def _warm_up(self, sample: dict[str, Any]) -> None:
        """Run a configured sample, as zeros: Triton runs it too, but dies if the answer is an error."""
        rows = sample["batch_size"]
        outputs = self._run({name: _zeros(rows, value) for name, value in sample["inputs"].items()})
        _require_rows(outputs, rows)
        if fault := self._fault(outputs):
            raise pb.TritonModelException(f"warm-up {sample['name']!r}: {fault}")

    def _fault(self, outputs: list[Array]) -> str | None:
        """Return the fault of an answer's numbers; None if there is none."""
        for name, output in zip(self._outputs, outputs, strict=True):
            if not np.isfinite(output).all():
                return f"output {name!r} is not finite"
        return None

    def _answer(self, outputs: list[Array]) -> Any:
        if fault := self._fault(outputs):
            return _error(fault, pb.TritonError.INTERNAL)
        return pb.InferenceResponse([pb.Tensor(*pair) for pair in zip(self._outputs, outputs, strict=True)])


def _inputs(request: Any, names: list[str]) -> dict[str, Array]:
    return {name: pb.get_input_tensor_by_name(request, name).as_numpy() for name in names}


def _zeros(rows: int, value: dict[str, Any]) -> Array:
    return np.zeros((rows, *map(int, value["dims"])), dtype=pb.triton_string_to_numpy(value["data_type"]))


def _joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    first = parts[0]
    return first if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in first}


def _require_rows(outputs: list[Array], rows: int) -> None:
    for output in outputs:
        if len(output) != rows or not output.size:
            raise ValueError(f"an output is {output.shape}, for {rows} rows")


def _error(message: str, code: int) -> Any:
    return pb.InferenceResponse(error=pb.TritonError(message, code))


def _open(path: str, config: dict[str, Any], outputs: list[str], device: int | None) -> Run:
    """Open a graph in the runtime that the configuration asks for, or else in ONNX Runtime on the CPU.

    Args:
        path: the ONNX file.
        config: the model's configuration.
        outputs: names, in order.
        device: number of the GPU; None for the CPU.

    Raises:
        pb.TritonModelException: the configuration does not fit the graph, or the GPU can't be used.
    """
    if device is not None:
        return _on_gpu(path, config, outputs, device)
    if _wants_openvino(config):
        # Only ONNX Runtime knows what NVIDIA's backend would compare.
        _require_fit(config, _session(path, _unoptimised(), [_CPU]))
        try:
            return _openvino(path, config, outputs)
        except Exception as error:  # not installed, or not able to run the graph
            pb.Logger.log_warn(f"{path} runs in ONNX Runtime, not in OpenVINO: {error}")
    return _onnxruntime(_session(path, _options(config), [_CPU]), config, outputs)


def _on_gpu(path: str, config: dict[str, Any], outputs: list[str], device: int) -> Run:
    """Open a graph on a GPU; the CUDA that the environment brings is loaded first."""
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    built = _CUDA in onnxruntime.get_available_providers()
    session = _session(path, _options(config), [(_CUDA, {"device_id": device})]) if built else None
    # The session's own: a wheel lists CUDA as available on machines that have none, and would run on the CPU unsaid.
    if session is None or _CUDA not in session.get_providers():
        raise pb.TritonModelException(f"{path} can't run on GPU {device}: {_missing_for_cuda()}")
    return _onnxruntime(session, config, outputs)


def _missing_for_cuda() -> str:
    """Say why ONNX Runtime can't use CUDA."""
    version = f"onnxruntime {onnxruntime.__version__}"
    if _CUDA not in onnxruntime.get_available_providers():
        return f"{version} is a build without CUDA; in an environment without the extra `triton`, {_INSTALL}"
    provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(provider))
    except OSError as error:
        # Names the first library that is missing; CUDA's and cuDNN's come with the extra.
        if "cannot open shared object file" in str(error):
            return f"{version} needs CUDA and cuDNN ({error}); {_INSTALL}, which brings both"
    return f"{version} finds no GPU that it can use; look at nvidia-smi, the driver and CUDA_VISIBLE_DEVICES"


def _session(path: str, options: Any, providers: list[Any]) -> Any:
    return onnxruntime.InferenceSession(path, options, providers=providers)


def _options(config: dict[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads(config)
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    options.graph_optimization_level = _GRAPH_LEVELS.get(level, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    # Idle threads would take the cores from the other models and the gateway.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _unoptimised() -> Any:
    """For a session that is only asked for its shapes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _onnxruntime(session: Any, config: dict[str, Any], outputs: list[str]) -> Run:
    _require_fit(config, session)

    def run(inputs: dict[str, Array]) -> list[Array]:
        return session.run(outputs, inputs)

    return run


def _require_fit(config: dict[str, Any], session: Any) -> None:
    """Require of a configuration what NVIDIA's backend requires, so that what loads here loads there.

    Raises:
        pb.TritonModelException: a tensor is missing, or has another type or other dimensions.
    """
    graph = {value.name: value for value in (*session.get_inputs(), *session.get_outputs())}
    named = [value["name"] for value in (*config["input"], *config["output"])]
    if unknown := [name for name in named if name not in graph]:
        raise pb.TritonModelException(f"config.pbtxt names {unknown[0]!r}, and the graph has only {', '.join(graph)}")
    if missing := [value.name for value in session.get_inputs() if value.name not in named]:
        raise pb.TritonModelException(f"config.pbtxt lacks the input {missing[0]!r} of the graph")
    for value in (*config["input"], *config["output"]):
        if fault := _misfit(value, graph[value["name"]], config["max_batch_size"] > 0):
            raise pb.TritonModelException(f"tensor {value['name']!r} of {config['name']!r}: {fault}")


def _misfit(configured: dict[str, Any], real: Any, batched: bool) -> str | None:
    """Say how a configured tensor differs from the graph's; a fixed dimension must be that number."""
    shape = [length if isinstance(length, int) else -1 for length in real.shape]
    dims = [*([-1] if batched else []), *map(int, configured["dims"])]
    if real.type != _TYPES.get(configured["data_type"]):
        return f"the graph has {real.type}, config.pbtxt {configured['data_type']}"
    if batched and shape[:1] != [-1]:
        return f"max_batch_size is above 0, but the first axis of the graph's {shape} is a number"
    if len(dims) != len(shape) or any(length not in (-1, told) for length, told in zip(shape, dims, strict=True)):
        own = shape[1:] if batched else shape
        return f"the graph has the shape {shape}, config.pbtxt {dims}; it must say dims: {own}"
    return None


def _openvino(path: str, config: dict[str, Any], outputs: list[str]) -> Run:
    """OpenVINO itself: ONNX Runtime's provider of it accepts CPUs of one vendor only."""
    # Without this, importing OpenVINO reports to its maker over the internet, and waits for that.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino  # type: ignore[import-untyped]

    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": _threads(config),
        # Instances would all be pinned to the same cores, and to those that the gateway is busy on.
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(path, "CPU", properties).create_infer_request()

    def run(inputs: dict[str, Array]) -> list[Array]:
        answer = request.infer(inputs)
        return [answer[name] for name in outputs]

    return run


def _wants_openvino(config: dict[str, Any]) -> bool:
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    return any(each["name"] == "openvino" for each in accelerators.get("cpu_execution_accelerator", []))


def _threads(config: dict[str, Any]) -> int:
    """Threads of one run: what the configuration says; where that is 0, an instance's share of the cores."""
    told = int(config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "0"))
    instances = sum(group["count"] for group in config.get("instance_group", []))
    if told or instances <= 1:
        return told
    return max(1, len(os.sched_getaffinity(0)) // instances)
