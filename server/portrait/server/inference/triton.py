"""The graphs of a release in Triton: one long-lived connection, deadlines, checked answers."""

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from portrait.features.release import MODELS
from portrait.server.errors import DeadlineExceeded, InferenceFailed, Overloaded, Unavailable
from portrait.server.inference.liveness import RETRY_SECONDS, Liveness
from portrait.server.triton.configuration import count_instances

AHEAD = 1
"""Calls of a graph that are on their way while its instances run others. More would only wait in Triton."""
_LOOK_SECONDS = 0.5

_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's default would leave a Triton that is back alone for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]

Arrays = Mapping[str, NDArray[np.generic]]


class TritonModels:
    """Runs the graphs of one release.

    Args:
        url: host:port of Triton's gRPC endpoint.
        release: version of every model.
        models: their names.
    """

    def __init__(self, url: str, release: int, models: Sequence[str] = MODELS) -> None:
        self._client = InferenceServerClient(url, channel_args=_CHANNEL)
        self._version, self._models = str(release), models
        self._liveness = Liveness(self._alive, self.ready)

    async def ready(self) -> bool:
        """Whether all graphs are loaded."""
        try:
            for model in self._models:
                if not await self._client.is_model_ready(model, self._version, client_timeout=1.0):
                    return False
        except InferenceServerException:
            return False
        self._liveness.found()
        return True

    async def count_instances(self) -> dict[str, int]:
        """Count the instances of each graph, on all devices.

        Raises:
            TritonError: Triton does not answer, or has not loaded one.
        """
        return {model: await count_instances(self._client, model, self._version) for model in self._models}

    async def _alive(self) -> bool:
        """Whether Triton answers at all."""
        try:
            return bool(await self._client.is_server_live(client_timeout=_LOOK_SECONDS))
        except InferenceServerException:
            return False

    async def run(
        self, model: str, inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], deadline: float | None
    ) -> dict[str, NDArray[np.float32]]:
        """Run a graph.

        Args:
            model: its name.
            inputs: by name.
            outputs: the shape that each output must have.
            deadline: `loop.time()` at which nobody waits any more; None if never.

        Raises:
            DeadlineExceeded: the answer came too late.
            Unavailable: Triton is down, restarts, or refused.
            Overloaded: Triton's queue is full, or too slow.
            InferenceFailed: the answer is none.
        """
        left = _left(deadline)
        if left is not None and left <= 0:
            raise DeadlineExceeded("the deadline passed before the model was asked")
        try:
            answer = await self._liveness.run(
                self._client.infer(
                    model,
                    [_input(name, value) for name, value in inputs.items()],
                    model_version=self._version,
                    outputs=[InferRequestedOutput(name) for name in outputs],
                    client_timeout=left,
                    timeout=None if left is None else math.ceil(left * 1e6),
                )
            )
        except InferenceServerException as error:
            failure = _failure(error, deadline)
            if isinstance(failure, Unavailable):
                self._liveness.lost()
            raise failure from error
        return {name: _checked(model, name, answer.as_numpy(name), shape) for name, shape in outputs.items()}

    async def close(self) -> None:
        """Close the connection."""
        await self._liveness.close()
        await self._client.close()


def _input(name: str, value: NDArray[np.generic]) -> InferInput:
    tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
    tensor.set_data_from_numpy(value)
    return tensor


def _checked(model: str, name: str, value: NDArray[np.float32] | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if value is None or value.shape != shape:
        raise InferenceFailed(f"{model}.{name} is {None if value is None else value.shape}, not {shape}")
    if not np.isfinite(value).all():
        raise InferenceFailed(f"{model}.{name} is not finite")
    return value


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - asyncio.get_running_loop().time()


def _failure(error: InferenceServerException, deadline: float | None) -> Exception:
    """Tell apart what Triton says with few status codes: UNAVAILABLE alone means five things."""
    status, message = str(error.status()).removeprefix("StatusCode."), str(error.message()).lower()
    left = _left(deadline)
    if status == "DEADLINE_EXCEEDED" or ("timeout expired" in message and left is not None and left <= 0):
        return DeadlineExceeded("a model did not answer in time")
    if "timeout expired" in message or "exceeds maximum queue size" in message:
        return Overloaded("the queue of a model is full", RETRY_SECONDS)
    # Not connected, or unloaded, or of a server that ends, or the process behind the model has died.
    if status in ("UNAVAILABLE", "NOT_FOUND", "CANCELLED") or "is not healthy" in message:
        return Unavailable("the models are not there at present", RETRY_SECONDS)
    return InferenceFailed(f"{status}: {error.message()}")
