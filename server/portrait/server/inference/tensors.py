"""Tensors of Triton's calls: arrays to a request, and a response to arrays.

Made directly, a request takes a third of the time of one that `tritonclient` makes of its own objects.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

Arrays = Mapping[str, NDArray[np.generic]]

_Input, _Output = ModelInferRequest.InferInputTensor, ModelInferRequest.InferRequestedOutputTensor


def make_request(
    model: str, version: str, inputs: Arrays, outputs: Iterable[str], seconds: float | None
) -> ModelInferRequest:
    """Make the request of an inference.

    Args:
        model: its name.
        version: the model's.
        inputs: by name.
        outputs: names.
        seconds: time after which Triton may drop it from the model's queue; None if never.
    """
    request = ModelInferRequest(
        model_name=model,
        model_version=version,
        inputs=[
            _Input(name=name, datatype=np_to_triton_dtype(value.dtype), shape=value.shape)
            for name, value in inputs.items()
        ],
        outputs=[_Output(name=name) for name in outputs],
        raw_input_contents=[value.tobytes() for value in inputs.values()],
    )
    if seconds is not None:
        request.parameters["timeout"].int64_param = math.ceil(seconds * 1e6)
    return request


def read_tensors(response: ModelInferResponse) -> dict[str, NDArray[np.generic]]:
    """Read the outputs of an inference, by name."""
    return {
        tensor.name: np.frombuffer(content, triton_to_np_dtype(tensor.datatype)).reshape(tensor.shape)
        for tensor, content in zip(response.outputs, response.raw_output_contents, strict=True)
    }
