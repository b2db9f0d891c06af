"""The graphs of a release in one Triton server: one long-lived connection, deadlines, checked answers."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import MODELS
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import DeadlineExceeded, InferenceFailed, Overloaded, PortraitError, Unavailable
from portrait.server.inference.failures import Failure, classify
from portrait.server.inference.liveness import RETRY_SECONDS, Liveness, ModelStatus, unavailable
from portrait.server.inference.probes import Probe
from portrait.server.runtime.tracing import outgoing_headers, trace_request
from portrait.server.triton.configuration import count_instances
from portrait.server.triton.connection import open_client
from portrait.server.triton.inference_client import Arrays, InferenceClient

_POLL_SECONDS = 1.0
"""Timeout of Triton's liveness check."""
READY_SECONDS = 5.0
"""Timeout of the readiness check of all graphs."""
_PROBE_SECONDS = 2.0
"""A graph that has answered a call within this time is not probed."""
_MAX_PROBE_SECONDS = 15.0
"""Timeout of a probe."""
_PAUSE_SECONDS = 0.1
"""Before a call is made again."""
_MAX_TRIES = 3
"""Maximum attempts of a call whose connection was closed."""
_MAX_UNHEALTHY_SECONDS = 5.0
"""For so long a call is made again while Triton says that the process behind a model is not healthy."""
_LOG_SECONDS = 10.0
"""Between two log lines that say the same."""
_MIN_UNHEALTHY_ANSWERS, _UNHEALTHY_WINDOW_SECONDS = 5, 30.0
"""A model that gives so many of these answers in such a time needs another process."""
_SLOW_FAILURES = {Failure.LATE, Failure.QUEUED, Failure.CLOSED, Failure.UNHEALTHY}
"""Failures of a probe that may pass."""

_CHANNEL = (
    # gRPC's default would leave a Triton that is back alone for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)

_log = structlog.get_logger(__name__)


class TritonServer:
    """Runs the graphs of one release in one server.

    Args:
        url: host:port of Triton's gRPC endpoint, or unix:PATH of its socket.
        release: version of every model.
        models: their names.
        probes: the smallest inference of each model, by its name.
        is_running: tells whether Triton's process runs; None where that is not known, since others started it.
    """

    def __init__(
        self,
        url: str,
        release: int,
        models: Sequence[str] = MODELS,
        probes: Mapping[str, Probe] | None = None,
        is_running: Callable[[], bool] | None = None,
    ) -> None:
        self.url = url
        self._client = open_client(url, *_CHANNEL)
        self._inferences = InferenceClient(url, *_CHANNEL)
        self._version, self._models, self._probes = str(release), models, probes or {}
        self._liveness = Liveness(self._check_server, self.is_ready, is_running)
        self._answered: dict[str, float] = {}
        """The `loop.time()` of the last answer of each model."""
        self._probing: dict[str, asyncio.Task[dict[str, NDArray[np.float32]]]] = {}
        """Probes under way, by model."""
        self.outstanding = 0
        """Calls that run or wait in the server."""
        self._logged_at = -math.inf
        self._unhealthy: dict[str, deque[float]] = {}
        """The `loop.time()` of the last answers of each model that called its process unhealthy."""

    @property
    def is_down(self) -> bool:
        """True while the server is known not to answer with its models."""
        return self._liveness.is_down

    async def is_ready(self, seconds: float = READY_SECONDS) -> bool:
        """Tell whether all graphs are loaded and answer.

        Args:
            seconds: how long to wait for the answers.
        """
        return await self.check_models(seconds) is ModelStatus.READY

    async def check_models(self, seconds: float) -> ModelStatus:
        """Tell whether all graphs are loaded and answer; each that has not answered lately is asked.

        Args:
            seconds: how long to wait for the answers. A graph that answers another call meanwhile is slow, not silent.
        """
        found = ModelStatus.DEAD if self._liveness.has_ended() else await self._check_all(seconds)
        if found is ModelStatus.READY:
            self._liveness.mark_ready()
        return found

    async def count_instances(self) -> dict[str, int]:
        """Count the instances of each graph, on all devices.

        Raises:
            TritonError: Triton does not answer, or has not loaded one.
        """
        return {model: await count_instances(self._client, model, self._version) for model in self._models}

    async def run(
        self,
        model: str,
        inputs: Arrays,
        outputs: Mapping[str, tuple[int, ...]],
        deadline: float | None,
        *,
        retry: bool = True,
    ) -> dict[str, NDArray[np.float32]]:
        """Run a graph.

        Args:
            model: its name.
            inputs: by name.
            outputs: the shape that each output must have.
            deadline: `loop.time()` at which nobody waits any more; None if never.
            retry: whether to call this server again after a failure that may pass; False if another can be called.

        Raises:
            DeadlineExceeded: the answer came too late.
            Unavailable: Triton is down, restarts, refused, or is out of shared memory.
            Overloaded: Triton's queue is full, or too slow.
            InferenceFailed: the answer is none.
        """
        self.outstanding += 1
        try:
            return await self._run(model, inputs, outputs, deadline, retry)
        finally:
            self.outstanding -= 1

    async def _run(
        self, model: str, inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], deadline: float | None, retry: bool
    ) -> dict[str, NDArray[np.float32]]:
        began = asyncio.get_running_loop().time()
        tries = 0
        while True:
            left = _remaining_seconds(deadline)
            if left is not None and left <= 0:
                raise DeadlineExceeded("the deadline passed before the model was asked")
            try:
                return await self._liveness.run(self._infer(model, inputs, outputs, left))
            except InferenceServerException as error:
                failure, tries = classify(error), tries + 1
                if not (retry and _should_retry(failure, tries, asyncio.get_running_loop().time() - began)):
                    raise self._handle_failure(model, failure, error, deadline) from error
            await asyncio.sleep(_PAUSE_SECONDS)

    def pop_unhealthy(self) -> list[str]:
        """List the models whose process was called unhealthy again and again; each is told of once."""
        since = asyncio.get_running_loop().time() - _UNHEALTHY_WINDOW_SECONDS
        found = [model for model, times in self._unhealthy.items() if len(times) == times.maxlen and times[0] >= since]
        for model in found:
            del self._unhealthy[model]
        return found

    def _log_full_memory(self, model: str) -> None:
        """Log that the shared memory is full, and what to do, but not once for each call."""
        now = time.monotonic()
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            _log.error("shared_memory_full", model=model, remedy="give /dev/shm more room (docker run --shm-size)")

    async def close(self) -> None:
        """Close the connection."""
        await self._liveness.close()
        for task in self._probing.values():
            task.cancel()
        await self._client.close()
        await self._inferences.close()

    async def _infer(
        self, model: str, inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], seconds: float | None
    ) -> dict[str, NDArray[np.float32]]:
        """Ask Triton once; raises InferenceServerException too."""
        rows = len(next(iter(inputs.values())))
        try:
            with trace_request(f"triton {model}", {"portrait.release": self._version, "portrait.rows": rows}):
                found = await self._inferences.infer(model, self._version, inputs, outputs, seconds, outgoing_headers())
        except InferenceServerException as error:
            if classify(error) is Failure.UNHEALTHY:
                times = self._unhealthy.setdefault(model, deque(maxlen=_MIN_UNHEALTHY_ANSWERS))
                times.append(asyncio.get_running_loop().time())
            raise
        checked = {name: _require_shape(model, name, found.get(name), shape) for name, shape in outputs.items()}
        self._answered[model] = asyncio.get_running_loop().time()
        return checked

    def _handle_failure(
        self, model: str, failure: Failure, error: InferenceServerException, deadline: float | None
    ) -> PortraitError:
        """Note what a failure says of Triton; returns the error for the caller."""
        if failure is Failure.UNHEALTHY:
            _log.error("model_unhealthy", model=model, release=self._version)
        if failure is Failure.MEMORY:
            self._log_full_memory(model)
        if failure is Failure.REFUSED:
            self._liveness.mark_dead()
        elif failure in (Failure.CLOSED, Failure.MISSING, Failure.UNHEALTHY):
            self._liveness.mark_down(_reason_of(failure))
        return _to_portrait_error(failure, error, deadline)

    async def _check_all(self, seconds: float) -> ModelStatus:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(seconds):
                if not all(await asyncio.gather(*map(self._is_loaded, self._models))):
                    return ModelStatus.DEAD
                await asyncio.gather(*(self._probe(model) for model in self._probes if self._is_due(model, began)))
        except TimeoutError:
            return ModelStatus.READY if self._have_all_answered(began) else ModelStatus.SILENT
        except InferenceServerException as error:
            return ModelStatus.SILENT if classify(error) in _SLOW_FAILURES else ModelStatus.DEAD
        except InferenceFailed:
            return ModelStatus.DEAD
        return ModelStatus.READY

    async def _check_server(self) -> ModelStatus:
        """Tell whether Triton answers at all."""
        try:
            is_live = await self._client.is_server_live(client_timeout=_POLL_SECONDS)
        except InferenceServerException as error:
            return ModelStatus.DEAD if classify(error) is Failure.REFUSED else ModelStatus.SILENT
        return ModelStatus.READY if is_live else ModelStatus.SILENT

    async def _is_loaded(self, model: str) -> bool:
        return bool(await self._client.is_model_ready(model, self._version))

    async def _probe(self, model: str) -> None:
        """Run the smallest inference of a model; raises InferenceServerException or InferenceFailed if it fails.

        A look whose time is up does not end it: from a process that hangs, Triton's answer may come later than that.
        """
        if model not in self._probing:
            probe = self._probes[model]
            task = asyncio.create_task(self._infer(model, probe.inputs, probe.outputs, _MAX_PROBE_SECONDS))
            self._probing[model] = task
            task.add_done_callback(lambda done: self._end_probe(model, done))
        await asyncio.shield(self._probing[model])

    def _end_probe(self, model: str, done: "asyncio.Task[dict[str, NDArray[np.float32]]]") -> None:
        del self._probing[model]
        if not done.cancelled():
            done.exception()  # taken notice of, even if no look waits any more

    def _is_due(self, model: str, now: float) -> bool:
        """Tell whether a model must be probed: shoppers' own calls are as good, where there are some."""
        answered = self._answered.get(model, -math.inf)
        failed = max(self._unhealthy.get(model, ()), default=-math.inf)
        return self._liveness.is_down or failed > answered or now - answered >= _PROBE_SECONDS

    def _have_all_answered(self, since: float) -> bool:
        return bool(self._probes) and all(self._answered.get(model, 0.0) >= since for model in self._probes)


def _require_shape(model: str, name: str, value: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if value is None or value.shape != shape:
        raise InferenceFailed(f"{model}.{name} is {None if value is None else value.shape}, not {shape}")
    if not np.isfinite(value).all():
        raise InferenceFailed(f"{model}.{name} is not finite")
    return value


def _remaining_seconds(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - asyncio.get_running_loop().time()


def _should_retry(failure: Failure, tries: int, seconds: float) -> bool:
    """Tell whether a call that failed is made again: all of them are safe to repeat."""
    if failure is Failure.CLOSED:
        return tries < _MAX_TRIES
    return failure is Failure.UNHEALTHY and seconds < _MAX_UNHEALTHY_SECONDS


def _to_portrait_error(failure: Failure, error: InferenceServerException, deadline: float | None) -> PortraitError:
    """Make the error for the caller of a call that failed."""
    left = _remaining_seconds(deadline)
    if failure is Failure.LATE or ("timeout expired" in str(error).lower() and left is not None and left <= 0):
        return DeadlineExceeded("a model did not answer in time")
    if failure is Failure.QUEUED:
        return Overloaded("the queue of a model is full", RETRY_SECONDS, ErrorReason.MODELS_BUSY)
    if failure is Failure.MEMORY:
        return Unavailable("the models are out of shared memory", RETRY_SECONDS, ErrorReason.SHARED_MEMORY_FULL)
    if failure is Failure.FAULT:
        return InferenceFailed(f"{error.status()}: {error.message()}")
    return unavailable(_reason_of(failure))


def _reason_of(failure: Failure) -> ErrorReason:
    """Tell a release that is not loaded from a Triton that is not there."""
    return ErrorReason.RELEASE_LOADING if failure is Failure.MISSING else ErrorReason.MODELS_UNAVAILABLE
