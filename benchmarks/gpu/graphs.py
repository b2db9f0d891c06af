"""The graphs of a release in Triton beside the same graphs in this process, on the CPU and in float32."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tritonclient.grpc.aio import InferenceServerClient, InferInput
from tritonclient.utils import np_to_triton_dtype

from portrait.export.parity import TRITON_BOUND, difference
from portrait.features.events import EVENT_TYPES
from portrait.features.release import layout as release_layout

_CUDA = "CUDAExecutionProvider"
_SHAPES = ((1, 1), (3, 7), (8, 32), (64, 64))
"""Rows, and the length of every axis that a request decides."""

Inputs = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class GraphComparison:
    """The comparison of one graph."""

    graph: str
    providers: list[str]
    """Providers of a session in this process; CUDA first where it is available."""
    instances: list[dict[str, Any]]
    """Kind, number and devices, as Triton made them."""
    difference: float
    """Largest difference between Triton and this process, relative to the larger of 1 and the value."""
    bound: float

    @property
    def passed(self) -> bool:
        """True if Triton answers as this process does, within the bound."""
        return self.difference <= self.bound


async def compare(client: InferenceServerClient, repository: Path, release: int) -> list[GraphComparison]:
    """Compare every graph of a release that a Triton has loaded."""
    tokenizer = Tokenizer.from_file(str(release_layout.release_folder(repository, release) / release_layout.TOKENIZER))
    vocabulary = tokenizer.get_vocab_size()
    compared = []
    for model in release_layout.list_models(repository, release):
        path = release_layout.model_file(repository, model, release)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        worst = 0.0
        for seed, (rows, length) in enumerate(_SHAPES):
            inputs = _make_inputs(session, rows, length, vocabulary, np.random.default_rng(seed))
            outputs = [value.name for value in session.get_outputs()]
            answer = await client.infer(model, [_make_tensor(*pair) for pair in inputs.items()], str(release))
            expected = dict(zip(outputs, session.run(outputs, inputs), strict=True))
            worst = max(worst, *(difference(expected[name], answer.as_numpy(name)) for name in outputs))
        config = (await client.get_model_config(model, str(release), as_json=True))["config"]
        groups = [
            {key: group[key] for key in ("kind", "count", "gpus") if key in group} for group in config["instance_group"]
        ]
        compared.append(GraphComparison(model, _list_providers(path), groups, worst, TRITON_BOUND))
    return compared


def _list_providers(path: Path) -> list[str]:
    """List the providers of a session in this process: its own list, not those that the wheel offers."""
    if _CUDA not in onnxruntime.get_available_providers():
        wanted = ["CPUExecutionProvider"]
    else:
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        wanted = [_CUDA, "CPUExecutionProvider"]
    return list(onnxruntime.InferenceSession(str(path), providers=wanted).get_providers())


def _make_inputs(session: Any, rows: int, length: int, vocabulary: int, random: np.random.Generator) -> Inputs:
    """Make inputs that look like real ones, without padding."""
    inputs: Inputs = {}
    for value in session.get_inputs():
        shape = (rows, *(axis if isinstance(axis, int) else length for axis in value.shape[1:]))
        if value.name in ("attention_mask", "mask"):
            inputs[value.name] = np.ones(shape, dtype=np.int64)
        elif value.name == "input_ids":
            inputs[value.name] = random.integers(0, vocabulary, shape)
        elif value.name == "event_type":
            inputs[value.name] = random.integers(1, len(EVENT_TYPES) + 1, shape)
        else:
            numbers = random.normal(size=shape).astype(np.float32)
            inputs[value.name] = numbers / np.linalg.norm(numbers, axis=-1, keepdims=True)
    return inputs


def _make_tensor(name: str, value: NDArray[np.generic]) -> InferInput:
    tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
    tensor.set_data_from_numpy(value)
    return tensor
