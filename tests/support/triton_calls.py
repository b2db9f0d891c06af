"""Calls to the tiny releases in Triton, and what ONNX Runtime answers to the same in this process."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient, InferInput
from tritonclient.utils import np_to_triton_dtype

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.events import EVENT_TYPES
from portrait.features.histories.history_arrays import EVENT_NUMBERS
from portrait.features.release.layout import model_file
from support.tiny_release import DIMENSION

Arrays = Mapping[str, NDArray[np.generic]]

_KNOWN_TOKENS = 40
OUTPUTS = {"text_encoder": ["embedding"], "profile_encoder": ["profile"], "ranker": ["score", "click", "purchase"]}


def text_inputs(n: int, length: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return {
        "input_ids": random.integers(0, _KNOWN_TOKENS, size=(n, length)),
        "attention_mask": np.ones((n, length), dtype=np.int64),
    }


def profile_inputs(n: int, length: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return {
        "event_embedding": _reals(random, n, length, DIMENSION),
        "event_type": random.integers(1, len(EVENT_TYPES) + 1, size=(n, length)),
        "event_age": _reals(random, n, length),
        "event_numbers": _reals(random, n, length, len(EVENT_NUMBERS)),
        "mask": np.ones((n, length), dtype=np.int64),
    }


def ranker_inputs(n: int, length: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return {
        "profile": _reals(random, n, DIMENSION),
        "query_embedding": _reals(random, n, DIMENSION),
        "profile_similarity": _reals(random, n, length),
        "query_similarity": _reals(random, n, length),
        "candidate_features": _reals(random, n, length, len(CANDIDATE_FEATURES)),
        "mask": np.ones((n, length), dtype=np.int64),
    }


INPUTS = {"text_encoder": text_inputs, "profile_encoder": profile_inputs, "ranker": ranker_inputs}


async def infer(
    client: InferenceServerClient,
    model: str,
    release: int,
    inputs: Arrays,
    *,
    queue_microseconds: int | None = None,
    client_seconds: float = 30.0,
) -> dict[str, NDArray[np.float32]]:
    """Ask Triton for all outputs of a model."""
    tensors = []
    for name, value in inputs.items():
        tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
        tensor.set_data_from_numpy(value)
        tensors.append(tensor)
    answer = await client.infer(
        model, tensors, model_version=str(release), timeout=queue_microseconds, client_timeout=client_seconds
    )
    return {name: answer.as_numpy(name) for name in OUTPUTS[model]}


def run_in_process(repository: Path, model: str, release: int, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
    """Outputs of a model's graph, computed in this process."""
    session = onnxruntime.InferenceSession(
        str(model_file(repository, model, release)), providers=["CPUExecutionProvider"]
    )
    return dict(zip(OUTPUTS[model], session.run(OUTPUTS[model], dict(inputs)), strict=True))


def _reals(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.random(shape).astype(np.float32)
