import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.faults import paused
from support.triton_calls import INPUTS, infer, ranker_inputs, run_in_process, text_inputs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import MODELS
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.inference.triton import TritonModels
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
    for name, value in run_in_process(two_releases, model, 1, inputs).items():
        np.testing.assert_allclose(answer[name], value, atol=BFLOAT16 if model == "text_encoder" else 1e-5)


async def test_only_the_text_encoder_asks_for_openvino_and_has_its_share_of_the_cores(
    client: InferenceServerClient,
) -> None:
    configs = {model: (await client.get_model_config(model, "1")).config for model in MODELS}
    asked = {
        model: [each.name for each in config.optimization.execution_accelerators.cpu_execution_accelerator]
        for model, config in configs.items()
    }
    assert asked == {"text_encoder": ["openvino"], "profile_encoder": [], "ranker": []}
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    threads = {model: config.parameters["intra_op_thread_count"].string_value for model, config in configs.items()}
    assert threads == {"text_encoder": str(share), "profile_encoder": "1", "ranker": "1"}


async def test_each_release_answers_for_itself(client: InferenceServerClient, two_releases: Path) -> None:
    inputs = text_inputs(4, 6)
    first, second = [(await infer(client, "text_encoder", release, inputs))["embedding"] for release in (1, 2)]
    assert not np.allclose(first, second, atol=0.1)
    np.testing.assert_allclose(
        second, run_in_process(two_releases, "text_encoder", 2, inputs)["embedding"], atol=BFLOAT16
    )


async def test_a_release_that_is_not_loaded_is_not_found(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="3 is not"):
        await infer(client, "ranker", 3, ranker_inputs(1, 2))


async def test_callers_are_told_that_a_release_is_not_loaded_by_the_first_call_and_later_ones(
    embedded_triton: EmbeddedTriton,
) -> None:
    models = TritonModels([embedded_triton.url], 3)
    for _ in range(3):
        with pytest.raises(Unavailable) as raised:
            await models.run("ranker", ranker_inputs(1, 2), {"score": (1, 2)}, None)
        assert raised.value.reason is ErrorReason.RELEASE_LOADING
    await models.close()


async def test_requests_at_one_time_each_get_their_own_answer(
    client: InferenceServerClient, two_releases: Path
) -> None:
    requests = [ranker_inputs(1 + seed % 3, 5 + seed % 4, seed) for seed in range(40)]
    answers = await asyncio.gather(*(infer(client, "ranker", 1, inputs) for inputs in requests))
    for inputs, answer in zip(requests, answers, strict=True):
        np.testing.assert_allclose(
            answer["score"], run_in_process(two_releases, "ranker", 1, inputs)["score"], rtol=1e-4, atol=1e-5
        )


async def test_requests_one_after_another_never_stall(client: InferenceServerClient) -> None:
    inputs = ranker_inputs(1, 100)

    async def count_stalls() -> int:
        stalls = 0
        for _ in range(300):
            began = time.perf_counter()
            await infer(client, "ranker", 1, inputs)
            stalls += time.perf_counter() - began > 0.4
        return stalls

    # Triton's dynamic batcher would sleep for 0.5 s in several of them, each time: the reason why no model has it.
    # A busy machine stalls now and then as well, but not in all of many tries.
    for _ in range(10):
        if (stalls := await count_stalls()) <= 1:
            break
    assert stalls <= 1


async def test_a_request_with_too_many_rows_is_refused(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="batch-size must be <= 64"):
        await infer(client, "ranker", 1, ranker_inputs(65, 2))


async def test_an_answer_that_is_not_finite_is_an_error(client: InferenceServerClient) -> None:
    inputs = dict(ranker_inputs(1, 50))
    inputs["profile"] = np.full_like(inputs["profile"], np.nan)
    with pytest.raises(InferenceServerException, match="'score' is not finite"):
        await infer(client, "ranker", 1, inputs)


async def test_what_the_graph_refuses_is_an_error_and_the_model_goes_on(client: InferenceServerClient) -> None:
    inputs = dict(ranker_inputs(1, 5))
    inputs["candidate_features"] = np.zeros((1, 5, 3), dtype=np.float32)
    with pytest.raises(InferenceServerException, match="candidate_features"):
        await infer(client, "ranker", 1, inputs)
    await infer(client, "ranker", 1, ranker_inputs(1, 5))


async def test_nobody_waits_past_the_deadline_for_a_model_that_hangs(
    embedded_triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    began = time.perf_counter()
    with _paused(embedded_triton):
        calls = [infer(client, "ranker", 1, ranker_inputs(1, 5), client_seconds=0.5) for _ in range(10)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert time.perf_counter() - began < 15.0
    assert all("DEADLINE_EXCEEDED" in str(answer) for answer in answers)
    await infer(client, "ranker", 1, ranker_inputs(1, 5))


@contextmanager
def _paused(triton: EmbeddedTriton) -> Iterator[None]:
    """Stop the processes that run the models, as if they hung."""
    children = Path(f"/proc/{triton.pid}/task").glob("*/children")
    stubs = [int(pid) for path in children for pid in path.read_text(encoding="utf-8").split()]
    assert stubs
    with paused(*stubs):
        yield
