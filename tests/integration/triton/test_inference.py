import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from triton_calls import INPUTS, expected, infer, ranker_inputs, text_inputs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release import MODELS
from portrait.server.triton import EmbeddedTriton

BFLOAT16 = 2e-2
"""OpenVINO computes in bfloat16 where the CPU can: it keeps 8 bits of a number."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("n", "length"), [(1, 1), (3, 7), (8, 32)])
async def test_answers_as_onnxruntime_does(
    client: InferenceServerClient, two_releases: Path, model: str, n: int, length: int
) -> None:
    inputs = INPUTS[model](n, length)
    answer = await infer(client, model, 1, inputs)
    for name, value in expected(two_releases, model, 1, inputs).items():
        np.testing.assert_allclose(answer[name], value, atol=BFLOAT16 if model == "text_encoder" else 1e-5)


async def test_each_release_answers_for_itself(client: InferenceServerClient, two_releases: Path) -> None:
    inputs = text_inputs(4, 6)
    first, second = [(await infer(client, "text_encoder", release, inputs))["embedding"] for release in (1, 2)]
    assert not np.allclose(first, second, atol=0.1)
    np.testing.assert_allclose(second, expected(two_releases, "text_encoder", 2, inputs)["embedding"], atol=BFLOAT16)


async def test_a_release_that_is_not_loaded_is_not_found(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="3 is not"):
        await infer(client, "ranker", 3, ranker_inputs(1, 2))


async def test_requests_of_one_shape_are_joined_and_split_again(
    client: InferenceServerClient, two_releases: Path
) -> None:
    requests = [ranker_inputs(1 + seed % 3, 500, seed) for seed in range(40)]
    rows, runs = await _counts(client, "ranker")
    answers = await asyncio.gather(*(infer(client, "ranker", 1, inputs) for inputs in requests))
    for inputs, answer in zip(requests, answers, strict=True):
        np.testing.assert_allclose(
            answer["score"], expected(two_releases, "ranker", 1, inputs)["score"], rtol=1e-4, atol=1e-5
        )
    rows += sum(len(inputs["profile"]) for inputs in requests)
    async with asyncio.timeout(10):  # Triton answers first and counts afterwards
        while (counts := await _counts(client, "ranker"))[0] < rows:
            await asyncio.sleep(0.05)
    assert counts[1] - runs < len(requests)


async def test_a_request_with_too_many_rows_is_refused(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="batch-size must be <= 64"):
        await infer(client, "ranker", 1, ranker_inputs(65, 2))


async def test_an_answer_that_is_not_finite_is_an_error_and_spares_the_rest_of_its_batch(
    client: InferenceServerClient,
) -> None:
    bad = dict(ranker_inputs(1, 50))
    bad["profile"] = np.full_like(bad["profile"], np.nan)
    calls = [infer(client, "ranker", 1, bad if place % 2 else ranker_inputs(1, 50)) for place in range(20)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for place, answer in enumerate(answers):
        if place % 2:
            assert isinstance(answer, InferenceServerException)
            assert "'score' is not finite" in answer.message()
        else:
            assert isinstance(answer, dict)


async def test_what_the_graph_refuses_is_an_error_and_the_model_goes_on(client: InferenceServerClient) -> None:
    inputs = dict(ranker_inputs(1, 5))
    inputs["candidate_embedding"] = np.zeros((1, 5, 3), dtype=np.float32)
    with pytest.raises(InferenceServerException, match="candidate_embedding"):
        await infer(client, "ranker", 1, inputs)
    await infer(client, "ranker", 1, ranker_inputs(1, 5))


async def test_requests_that_waited_too_long_are_refused(
    embedded_triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    inputs = ranker_inputs(1, 5)
    with _paused(embedded_triton):
        patient = asyncio.create_task(infer(client, "ranker", 1, inputs))
        await asyncio.sleep(0.2)
        hasty = asyncio.create_task(infer(client, "ranker", 1, inputs, queue_microseconds=100_000))
        await asyncio.sleep(0.2)
    await patient
    with pytest.raises(InferenceServerException, match="timeout expired"):
        await hasty


async def test_requests_whose_caller_has_gone_are_not_computed(
    embedded_triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    full_batch = ranker_inputs(64, 5)
    before, _ = await _counts(client, "ranker")
    with _paused(embedded_triton):
        calls = [asyncio.create_task(infer(client, "ranker", 1, full_batch)) for _ in range(10)]
        await asyncio.sleep(0.2)
        for call in calls:
            call.cancel()
        await asyncio.sleep(0.2)
    await infer(client, "ranker", 1, ranker_inputs(1, 5))
    after, _ = await _counts(client, "ranker")
    # Of ten full batches, only the one that the model had been given before it was paused.
    assert after - before < 2 * 64


@contextmanager
def _paused(triton: EmbeddedTriton) -> Iterator[None]:
    """Stop the processes that run the models, so that requests wait in Triton's queues."""
    children = Path(f"/proc/{triton.pid}/task").glob("*/children")
    stubs = [int(pid) for path in children for pid in path.read_text().split()]
    assert stubs
    for stub in stubs:
        os.kill(stub, signal.SIGSTOP)
    try:
        yield
    finally:
        for stub in stubs:
            os.kill(stub, signal.SIGCONT)


async def _counts(client: InferenceServerClient, model: str) -> tuple[int, int]:
    """Rows and runs of release 1 so far."""
    [statistics] = (await client.get_inference_statistics(model, "1")).model_stats
    return statistics.inference_count, statistics.execution_count
