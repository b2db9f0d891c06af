"""The embedded Triton: loads, answers as ONNX Runtime does, swaps, comes back, leaves nothing behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_release
from onnx import TensorProto, helper
from tritonclient.grpc.aio import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from portrait.features.release import MODELS, model_file
from portrait.server.triton import EmbeddedTriton


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model_repository")
    for model in MODELS:
        (folder / model).mkdir()
    tiny_release.build(folder, 1)
    tiny_release.build(folder, 2)
    return folder


@pytest.fixture
async def triton(repository: Path, tmp_path: Path) -> AsyncIterator[EmbeddedTriton]:
    async with EmbeddedTriton(repository, tmp_path / "triton.log") as triton:
        await triton.load(1)
        yield triton


def _tokens(rows: int, length: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(rows)
    return {
        "input_ids": random.integers(1, 20, size=(rows, length)),
        "attention_mask": np.ones((rows, length), dtype=np.int64),
    }


async def _embed(client: InferenceServerClient, tokens: dict[str, np.ndarray], release: int) -> np.ndarray:
    inputs = [InferInput(name, list(value.shape), "INT64") for name, value in tokens.items()]
    for tensor, value in zip(inputs, tokens.values(), strict=True):
        tensor.set_data_from_numpy(value)
    return (await client.infer("text_encoder", inputs, model_version=str(release))).as_numpy("embedding")


async def test_answers_are_those_of_onnx_runtime_whatever_is_joined(triton: EmbeddedTriton, repository: Path) -> None:
    session = onnxruntime.InferenceSession(str(model_file(repository, "text_encoder", 1)))
    async with InferenceServerClient(triton.url) as client:
        asked = [_tokens(rows, length) for rows in (1, 2, 5) for length in (3, 3, 8)]
        answers = await asyncio.gather(*(_embed(client, tokens, 1) for tokens in asked))
        for tokens, answer in zip(asked, answers, strict=True):
            np.testing.assert_allclose(answer, session.run(None, tokens)[0], rtol=1e-5, atol=1e-6)
        for model in MODELS:
            assert await client.is_model_ready(model, "1")


async def test_a_release_is_loaded_over_another_with_no_failed_request(triton: EmbeddedTriton) -> None:
    loaded, answered = asyncio.Event(), 0
    async with InferenceServerClient(triton.url) as client:

        async def ask() -> None:
            nonlocal answered
            while not loaded.is_set():
                await _embed(client, _tokens(1, 4), 1)
                answered += 1

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        await asyncio.sleep(0.2)
        await triton.load(2)
        first, second = await _embed(client, _tokens(1, 4), 1), await _embed(client, _tokens(1, 4), 2)
        loaded.set()
        await asyncio.gather(*askers)
    assert answered > 10
    assert not np.allclose(first, second)


async def test_it_comes_back_with_its_releases(triton: EmbeddedTriton) -> None:
    os.kill(triton.pid, signal.SIGKILL)
    async with asyncio.timeout(30), InferenceServerClient(triton.url) as client:
        while triton.restarts == 0 or not triton.ready:
            await asyncio.sleep(0.02)
        assert (await _embed(client, _tokens(2, 4), 1)).shape == (2, tiny_release.DIMENSION)


async def test_it_leaves_no_process_and_no_shared_memory(repository: Path, tmp_path: Path) -> None:
    triton = EmbeddedTriton(repository, tmp_path / "triton.log")
    await triton.start()
    await triton.load(1)
    group = triton.pid
    await triton.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert not list(Path("/dev/shm").glob(f"portrait_{os.getpid()}_{triton.url.split(':')[1]}_*"))


async def test_an_output_that_is_not_finite_is_an_error(repository: Path, tmp_path: Path) -> None:
    """A graph whose output is NaN wherever its input is negative."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in
              ("input_ids", "attention_mask")]  # fmt: skip
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", "t"])
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["product"]),
        helper.make_node("Cast", ["product"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Sqrt", ["number"], ["embedding"]),
    ]
    graph = helper.make_graph(nodes, "roots", inputs, [output])
    broken = model_file(repository, "text_encoder", 3)
    broken.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(broken))
    for model in ("profile_encoder", "ranker"):
        model_file(repository, model, 3).parent.mkdir()
        model_file(repository, model, 3).write_bytes(model_file(repository, model, 1).read_bytes())
    async with EmbeddedTriton(repository, tmp_path / "triton.log") as triton:
        await triton.load(3)
        async with InferenceServerClient(triton.url) as client:
            assert np.isfinite(await _embed(client, _tokens(1, 4), 3)).all()
            negative = _tokens(1, 4) | {"input_ids": -np.ones((1, 4), dtype=np.int64)}
            with pytest.raises(InferenceServerException, match="not finite"):
                await _embed(client, negative, 3)
            assert np.isfinite(await _embed(client, _tokens(1, 4), 3)).all()
