"""The Python-based backend by itself, with stand-ins for what Triton gives a model."""

import importlib.util
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from portrait.server.triton import installation

BACKEND = Path(installation.__file__).parent / "backends" / "onnxruntime" / "model.py"


@dataclass
class Tensor:
    name: str
    value: NDArray[Any]

    def as_numpy(self) -> NDArray[Any]:
        return self.value


@dataclass
class Error:
    CANCELLED, INTERNAL = 1, 2
    message: str
    code: int


@dataclass
class Response:
    tensors: list[Tensor] = field(default_factory=list)
    error: Error | None = None


@dataclass
class Request:
    value: NDArray[np.float32]
    cancelled: bool = False

    def is_cancelled(self) -> bool:
        return self.cancelled


class Logger:
    warnings: list[str]

    @classmethod
    def log_warn(cls, message: str) -> None:
        cls.warnings.append(message)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The backend's module, as Triton would import it."""
    Logger.warnings = []
    names = SimpleNamespace(
        TritonError=Error,
        InferenceResponse=Response,
        Tensor=Tensor,
        Logger=Logger,
        TritonModelException=RuntimeError,
        triton_string_to_numpy={"TYPE_FP32": np.float32}.__getitem__,
        get_input_tensor_by_name=lambda request, name: Tensor(name, request.value),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", names)
    spec = importlib.util.spec_from_file_location("onnxruntime_backend", BACKEND)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tensor(name: str, *dims: int, data_type: str = "TYPE_FP32") -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "dims": list(dims)}


def _model(
    backend: ModuleType, folder: Path, node: str, shape: tuple[int | str, ...] = ("n", "k"), **configured: Any
) -> Any:
    """An instance of a model `x [n, k] → y` of one operator."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(node, ["x"], ["y"])], node, values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (folder / "1").mkdir()
    onnx.save(model, str(folder / "1" / "model.onnx"))
    config = {
        "name": "model",
        "max_batch_size": 8,
        "input": [_tensor("x", -1)],
        "output": [_tensor("y", -1)],
        "default_model_filename": "",
        **configured,
    }
    instance = backend.TritonPythonModel()
    instance.initialize(
        {
            "model_config": json.dumps(config),
            "model_repository": str(folder),
            "model_version": "1",
            "model_instance_kind": configured.get("kind", "CPU"),
            "model_instance_device_id": "0",
        }
    )
    return instance


def _rows(*values: float) -> NDArray[np.float32]:
    return np.array([[value, value] for value in values], dtype=np.float32)


def test_requests_run_together_and_are_answered_apart(backend: ModuleType, tmp_path: Path) -> None:
    answers = _model(backend, tmp_path, "Sqrt").execute([Request(_rows(1, 4)), Request(_rows(9))])
    np.testing.assert_array_equal(answers[0].tensors[0].value, _rows(1, 2))
    np.testing.assert_array_equal(answers[1].tensors[0].value, _rows(3))


def test_one_that_is_not_finite_fails_alone(backend: ModuleType, tmp_path: Path) -> None:
    good, bad = _model(backend, tmp_path, "Sqrt").execute([Request(_rows(1)), Request(_rows(-1))])
    assert good.error is None
    assert bad.error == Error("output 'y' is not finite", Error.INTERNAL)


def test_cancelled_requests_are_not_run(backend: ModuleType, tmp_path: Path) -> None:
    model = _model(backend, tmp_path, "Sqrt")
    gone, answered = model.execute([Request(_rows(-1), cancelled=True), Request(_rows(4))])
    assert gone.error is not None
    assert gone.error.code == Error.CANCELLED
    np.testing.assert_array_equal(answered.tensors[0].value, _rows(2))
    assert model.execute([Request(_rows(1), cancelled=True)])[0].error.code == Error.CANCELLED


def test_an_answer_with_other_rows_than_asked_is_an_error(backend: ModuleType, tmp_path: Path) -> None:
    [answer] = _model(backend, tmp_path, "Transpose").execute([Request(_rows(1, 1, 1))])
    assert answer.error is not None
    assert "for 3 rows" in answer.error.message


def test_what_the_runtime_refuses_is_an_error(backend: ModuleType, tmp_path: Path) -> None:
    [answer] = _model(backend, tmp_path, "Sqrt").execute([Request(np.zeros(3, dtype=np.float32))])
    assert answer.error is not None
    assert answer.error.code == Error.INTERNAL


def test_a_graph_that_fails_its_warm_up_is_not_opened(backend: ModuleType, tmp_path: Path) -> None:
    sample = {"name": "zeros", "batch_size": 1, "inputs": {"x": {"data_type": "TYPE_FP32", "dims": ["2"]}}}
    with pytest.raises(RuntimeError, match="warm-up 'zeros': output 'y' is not finite"):
        _model(backend, tmp_path, "Log", model_warmup=[sample])


ACCELERATED = {"execution_accelerators": {"cpu_execution_accelerator": [{"name": "openvino"}]}}


def test_openvino_answers_as_onnxruntime_does(backend: ModuleType, tmp_path: Path) -> None:
    model = _model(backend, tmp_path, "Sigmoid", optimization=ACCELERATED)
    answers = model.execute([Request(_rows(-2, 0)), Request(_rows(3))])
    assert not Logger.warnings
    both = np.concatenate([answer.tensors[0].value for answer in answers])
    np.testing.assert_allclose(both, 1 / (1 + np.exp(-_rows(-2, 0, 3))), atol=1e-2)


def test_without_openvino_onnxruntime_runs_the_graph_and_a_warning_says_so(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    [answer] = _model(backend, tmp_path, "Sqrt", optimization=ACCELERATED).execute([Request(_rows(4))])
    np.testing.assert_array_equal(answer.tensors[0].value, _rows(2))
    assert "not in OpenVINO" in Logger.warnings[0]


@pytest.mark.parametrize("accelerated", [{}, ACCELERATED])
@pytest.mark.parametrize(
    ("shape", "configured", "reason"),
    [
        (
            ("n", 2),
            {"input": [_tensor("x", -1)]},
            r"'x' of 'model': .* \[-1, 2\], config.pbtxt \[-1, -1\].* dims: \[2\]",
        ),
        (
            ("n", 2),
            {"output": [_tensor("y", -1)]},
            r"'y' of 'model': .* \[-1, 2\], config.pbtxt \[-1, -1\].* dims: \[2\]",
        ),
        (("n", 2), {"output": [_tensor("y", 3)]}, r"\[-1, 2\], config.pbtxt \[-1, 3\]"),
        (("n", 2), {"input": [_tensor("x", -1, 2)]}, r"\[-1, 2\], config.pbtxt \[-1, -1, 2\]"),
        ((8, 2), {}, "the first axis of the graph's .8, 2. is a number"),
        ((8, 2), {"max_batch_size": 0, "input": [_tensor("x", -1, 2)]}, r"\[8, 2\], config.pbtxt \[-1, 2\]"),
        (
            ("n", "k"),
            {"input": [_tensor("x", -1, data_type="TYPE_INT64")]},
            r"tensor\(float\), config.pbtxt TYPE_INT64",
        ),
        (("n", "k"), {"output": [_tensor("z", -1)]}, "names 'z', and the graph has only x, y"),
        (("n", "k"), {"input": []}, "lacks the input 'x'"),
    ],
)
def test_what_nvidias_backend_would_refuse_is_refused(
    backend: ModuleType,
    tmp_path: Path,
    shape: tuple[int | str, ...],
    configured: dict[str, Any],
    reason: str,
    accelerated: dict[str, Any],
) -> None:
    """Else a repository would work here, and not in NVIDIA's container."""
    fits = {"input": [_tensor("x", 2)], "output": [_tensor("y", 2)]} if shape[1] == 2 else {}
    with pytest.raises(RuntimeError, match=reason):
        _model(backend, tmp_path, "Sqrt", shape, optimization=accelerated, **(fits | configured))


@pytest.mark.parametrize(("shape", "dims"), [(("n", 2), (2,)), (("n", "k"), (2,)), (("n", "k"), (-1,))])
def test_a_number_fits_the_same_number_and_any_length(
    backend: ModuleType, tmp_path: Path, shape: tuple[int | str, ...], dims: tuple[int, ...]
) -> None:
    fits = {"input": [_tensor("x", *dims)], "output": [_tensor("y", *dims)]}
    [answer] = _model(backend, tmp_path, "Sqrt", shape, **fits).execute([Request(_rows(4))])
    np.testing.assert_array_equal(answer.tensors[0].value, _rows(2))


def test_a_gpu_instance_is_refused_where_the_wheel_has_no_cuda(backend: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=r"can't run on GPU 0: onnxruntime .* without CUDA; .*shopper-portrait\[gpu\]"
    ):
        _model(backend, tmp_path, "Sqrt", kind="GPU")
