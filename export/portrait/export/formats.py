"""A float32 graph in another number format."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from portrait.export.precision import Precision

_PRECISE = ["LayerNormalization", "ReduceSum", "ReduceL2", "Softmax", "Pow"]
"""Normalisations and sums of many terms overflow or lose their digits in half precision."""


def converted(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """A graph in a number format.

    Args:
        model: the graph in float32; may be changed.
        precision: the format.
    """
    formats = {Precision.FP16: _fp16, Precision.BF16: _bf16, Precision.INT8: _int8}
    return formats[precision](model) if precision in formats else model


def _fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    halved = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=_PRECISE))
    halved.topological_sort()
    del halved.model.graph.value_info[:]  # they still say float32
    return halved.model


def _bf16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Matrices in bfloat16, made float32 again in the graph: runtimes on CPUs have few kernels for bfloat16."""
    graph, casts = model.graph, []
    for place, weight in enumerate(graph.initializer):
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values = numpy_helper.to_array(weight)
        short = helper.make_tensor(f"{weight.name}_bf16", TensorProto.BFLOAT16, values.shape, _halves(values), raw=True)
        casts.append(helper.make_node("Cast", [short.name], [weight.name], to=TensorProto.FLOAT))
        graph.initializer[place].CopyFrom(short)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _halves(values: NDArray[np.float32]) -> bytes:
    """The upper halves of float32 numbers, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def _int8(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(model, path, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
        return onnx.load_model(str(path))
