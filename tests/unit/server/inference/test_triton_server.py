import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from portrait.server.errors import DeadlineExceeded, InferenceFailed, Overloaded, PortraitError, Unavailable
from portrait.server.inference.triton_server import TritonServer
from portrait.server.triton.inference_client import make_request

SHAPE = (2, 3)


@pytest.fixture
async def server() -> AsyncIterator[TritonServer]:
    server = TritonServer("127.0.0.1:1", 7)
    yield server
    await server.close()


def answering(server: TritonServer, patch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    """Have Triton answer, or fail, in one way; returns what it is asked."""
    asked: list[dict[str, Any]] = []

    async def infer(
        model: str, version: str, inputs: object, outputs: object, seconds: float | None, headers: object
    ) -> Any:
        asked.append({"version": version, "seconds": seconds})
        if isinstance(answer, Exception):
            raise answer
        return {"score": answer}

    patch.setattr(server._inferences, "infer", infer)
    return asked


async def run(server: TritonServer, deadline: float | None = None) -> Any:
    return await server.run("ranker", {"x": np.zeros(SHAPE, dtype=np.float32)}, {"score": SHAPE}, deadline)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "status", "expected"),
    [
        ("failed to connect to all addresses", "UNAVAILABLE", Unavailable),
        ("Socket closed", "UNAVAILABLE", Unavailable),
        ("failed to connect: unix:/t/s: No such file or directory", "UNAVAILABLE", Unavailable),
        ("Request for unknown model: 'ranker' version 7 is not at ready state", "UNAVAILABLE", Unavailable),
        ("Request for unknown model: 'ranker' is not found", "NOT_FOUND", Unavailable),
        ("Stub process 'ranker' is not healthy.", "INTERNAL", Unavailable),
        ("[request id: <id_unknown>] Exceeds maximum queue size", "UNAVAILABLE", Overloaded),
        ("Request timeout expired", "UNAVAILABLE", Overloaded),
        ("Deadline Exceeded", "DEADLINE_EXCEEDED", DeadlineExceeded),
        ("ONNX Runtime: bad shape", "INTERNAL", InferenceFailed),
        ("unexpected inference input", "INVALID_ARGUMENT", InferenceFailed),
    ],
)
async def test_what_triton_says_is_told_apart(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch, message: str, status: str, expected: type[PortraitError]
) -> None:
    answering(server, monkeypatch, InferenceServerException(message, f"StatusCode.{status}"))
    with pytest.raises(expected):
        await run(server)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Stub process 'ranker_0_0' is not healthy.", "INTERNAL"),
        ("Failed to retrieve the response error.", "INTERNAL"),
        ("Stream removed (Socket closed)", "UNAVAILABLE"),
        ("Connection reset by peer", "UNAVAILABLE"),
    ],
)
async def test_what_may_pass_is_asked_again(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch, message: str, status: str
) -> None:
    answers: list[Any] = [InferenceServerException(message, f"StatusCode.{status}")] * 2

    async def infer(*_: object, **__: object) -> Any:
        if answers:
            raise answers.pop()
        return {"score": np.zeros(SHAPE, dtype=np.float32)}

    monkeypatch.setattr(server._inferences, "infer", infer)
    assert (await run(server, asyncio.get_running_loop().time() + 5.0))["score"].shape == SHAPE


async def test_what_does_not_pass_is_told_as_unhealthy_once(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(server, monkeypatch, InferenceServerException("Stub process 'r' is not healthy.", "StatusCode.INTERNAL"))
    with pytest.raises(DeadlineExceeded):
        await run(server, asyncio.get_running_loop().time() + 1.0)
    assert (server.pop_unhealthy(), server.pop_unhealthy()) == (["ranker"], [])


async def test_a_queue_timeout_at_the_deadline_is_the_deadline(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def infer(*_: object, **__: object) -> None:
        await asyncio.sleep(0.02)
        raise InferenceServerException("Request timeout expired", "StatusCode.UNAVAILABLE")

    monkeypatch.setattr(server._inferences, "infer", infer)
    with pytest.raises(DeadlineExceeded):
        await run(server, asyncio.get_running_loop().time() + 0.01)


async def test_the_deadline_travels_as_the_calls_and_the_queues(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(server, monkeypatch, np.zeros(SHAPE, dtype=np.float32))
    await run(server, asyncio.get_running_loop().time() + 2.0)
    await run(server)
    assert asked[0]["seconds"] == pytest.approx(2.0, abs=0.1)
    assert asked[1] == {"version": "7", "seconds": None}
    inputs = {"x": np.arange(6, dtype=np.int64).reshape(SHAPE)}
    timed, untimed = (make_request("ranker", "7", inputs, ["score"], seconds) for seconds in (2.0, None))
    assert timed.parameters["timeout"].int64_param == 2_000_000
    assert not untimed.parameters
    assert (list(timed.inputs[0].shape), timed.inputs[0].datatype) == ([2, 3], "INT64")
    assert timed.raw_input_contents[0] == inputs["x"].tobytes()


async def test_triton_is_not_asked_after_the_deadline(server: TritonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(server, monkeypatch, np.zeros(SHAPE, dtype=np.float32))
    with pytest.raises(DeadlineExceeded):
        await run(server, asyncio.get_running_loop().time())
    assert asked == []


@pytest.mark.parametrize(
    "answer", [None, np.zeros((0, 3)), np.zeros((2, 4)), np.full(SHAPE, np.nan), np.full(SHAPE, np.inf)]
)
async def test_an_answer_that_is_none_is_refused(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    answering(server, monkeypatch, answer)
    with pytest.raises(InferenceFailed):
        await run(server)


async def test_nothing_there_is_unavailable_and_not_ready(server: TritonServer) -> None:
    with pytest.raises(Unavailable):
        await run(server, asyncio.get_running_loop().time() + 5.0)
    assert not await server.is_ready()
