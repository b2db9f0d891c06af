"""Parity: the exported graphs against the trained model, in ONNX Runtime and in Triton."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from portrait.export.errors import ExportError
from portrait.export.graphs import Graph, outputs_of, shapes
from portrait.export.precision import Precision

BOUNDS = {Precision.FP32: 1e-3, Precision.FP16: 2e-2, Precision.BF16: 1e-2, Precision.INT8: 1e-1}
"""Largest difference allowed between PyTorch and ONNX Runtime, relative to the larger of 1 and the value. What a format
costs the ranking is measured by `python -m benchmarks precisions`."""
TRITON_BOUND = 3e-2
"""The same for Triton, which may run in bfloat16 (OpenVINO on CPUs that have it): it keeps 8 bits of a number,
and a score is up to the softmax scale times a cosine."""

Infer = Callable[[str, Mapping[str, NDArray[np.generic]], list[str]], dict[str, NDArray[np.float32]]]
"""Model name, inputs, names of outputs → outputs."""


@dataclass(frozen=True)
class Parity:
    """The worst difference of one graph in one runtime."""

    graph: str
    runtime: str
    difference: float
    bound: float

    @property
    def holds(self) -> bool:
        """Tell whether the difference is within the bound; a NaN never is."""
        return self.difference <= self.bound


def difference(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Largest difference, relative to the larger of 1 and the expected value; infinite if the shapes differ."""
    if expected.shape != actual.shape:
        return float("inf")
    return float((np.abs(expected - actual) / np.maximum(1.0, np.abs(expected))).max(initial=0.0))


def check_runtime(graph: Graph, path: Path, dimension: int, precision: Precision) -> Parity:
    """Compare PyTorch with ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def infer(_: str, inputs: Mapping[str, NDArray[np.generic]], outputs: list[str]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))

    return _check(graph, "onnxruntime", infer, dimension, BOUNDS[precision.of(graph.name)])


def check_triton(graph: Graph, infer: Infer, dimension: int, precision: Precision) -> Parity:
    """Compare PyTorch with a Triton that has the release loaded."""
    return _check(graph, "triton", infer, dimension, max(TRITON_BOUND, BOUNDS[precision.of(graph.name)]))


def _check(graph: Graph, runtime: str, infer: Infer, dimension: int, bound: float) -> Parity:
    worst = 0.0
    for seed, lengths in enumerate(shapes(dimension)):
        inputs = graph.example(seed, **lengths)
        expected = outputs_of(graph, inputs)
        actual = infer(graph.name, inputs, list(graph.outputs))
        worst = max(worst, *(difference(expected[name], actual[name]) for name in graph.outputs))
    return Parity(graph.name, runtime, worst, bound)


def require(checks: list[Parity]) -> None:
    """Stop a release that does not agree with its model.

    Raises:
        ExportError: a difference is beyond its bound.
    """
    failed = [check for check in checks if not check.holds]
    if failed:
        told = "; ".join(f"{c.graph} in {c.runtime}: {c.difference:.2e} > {c.bound:.0e}" for c in failed)
        raise ExportError(f"the exported graphs do not agree with the trained model: {told}")
