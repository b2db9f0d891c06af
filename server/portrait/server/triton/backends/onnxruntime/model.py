"""A Python-based Triton backend named `onnxruntime`, for builds of Triton that lack the C++ one.

It reads the same config.pbtxt keys, so that a repository serves unchanged in either. Triton copies nothing else
beside this file: it imports only what its own environment holds.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb

_OPENVINO = "OpenVINOExecutionProvider"
_GRAPH_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


class TritonPythonModel:
    """One instance of a model: one ONNX Runtime session."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session of the version that Triton loads."""
        config = json.loads(args["model_config"])
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = _session(path, config, args)
        self._inputs = [value["name"] for value in config["input"]]
        self._outputs = [value["name"] for value in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch: one run over the rows of all its requests, which Triton made equal in shape."""
        answers: list[Any] = [None] * len(requests)
        live = []
        for place, request in enumerate(requests):
            if request.is_cancelled():
                answers[place] = _error("the caller is gone", pb.TritonError.CANCELLED)
            else:
                live.append(place)
        if live:
            for place, answer in zip(live, self._run([requests[place] for place in live]), strict=True):
                answers[place] = answer
        return answers

    def _run(self, requests: list[Any]) -> list[Any]:
        parts = [
            [pb.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs] for request in requests
        ]
        rows = [part[0].shape[0] for part in parts]
        try:
            joined = [np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True)]
            outputs = self._session.run(self._outputs, dict(zip(self._inputs, joined, strict=True)))
        except Exception as error:  # the batch fails, the instance goes on
            return [_error(f"ONNX Runtime: {error}", pb.TritonError.INTERNAL)] * len(requests)
        ends = np.cumsum(rows)
        return [self._answer(outputs, int(end - count), int(end)) for count, end in zip(rows, ends, strict=True)]

    def _answer(self, outputs: list[Any], begin: int, end: int) -> Any:
        for name, output in zip(self._outputs, outputs, strict=True):
            if len(output) < end or not np.isfinite(output[begin:end]).all():
                return _error(f"output {name!r} is short or not finite", pb.TritonError.INTERNAL)
        return pb.InferenceResponse(
            [pb.Tensor(name, output[begin:end]) for name, output in zip(self._outputs, outputs, strict=True)]
        )


def _error(message: str, code: int) -> Any:
    return pb.InferenceResponse(error=pb.TritonError(message, code))


def _session(path: Path, config: dict[str, Any], args: dict[str, str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    threads = config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "0")
    options.intra_op_num_threads = int(threads)
    optimization = config.get("optimization", {})
    level = optimization.get("graph", {}).get("level", 0)
    options.graph_optimization_level = _GRAPH_LEVELS.get(level, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    if args["model_instance_kind"] == "GPU" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        device = {"device_id": args["model_instance_device_id"]}
        return onnxruntime.InferenceSession(str(path), options, providers=[("CUDAExecutionProvider", device)])
    accelerators = optimization.get("execution_accelerators", {}).get("cpu_execution_accelerator", [])
    if any(accelerator["name"] == "openvino" for accelerator in accelerators) and _add_openvino(options):
        return onnxruntime.InferenceSession(str(path), options)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _add_openvino(options: onnxruntime.SessionOptions) -> bool:
    """Put OpenVINO's CPU device before ONNX Runtime's own; False where there is none (its plugin wants Intel's)."""
    try:
        import onnxruntime_ep_openvino
    except ImportError:
        return False
    with contextlib.suppress(Exception):  # it is registered once in a process
        onnxruntime.register_execution_provider_library("openvino", onnxruntime_ep_openvino.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == _OPENVINO]
    devices = [device for device in devices if device.device.type == onnxruntime.OrtHardwareDeviceType.CPU]
    if devices:
        options.add_provider_for_devices(devices[:1], {})
    return bool(devices)
