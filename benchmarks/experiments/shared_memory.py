"""Tensors to Triton by shared memory or in the message: `python -m benchmarks shared-memory REPOSITORY`.

One call at a time, by turns: tensors in the gRPC message, and the same ones written to a region of system shared memory
that was registered before. Answers come in the message both ways: they are small.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import np_to_triton_dtype, shared_memory

from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.machine import describe_machine
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result
from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest
from portrait.server.triton import EmbeddedTriton, open_client

CALLS = 200
TEXTS, TOKENS = 32, 32
CANDIDATES = 320
_REGION = "portrait_benchmark"

Arrays = Mapping[str, NDArray[np.generic]]


def make_inputs(model: str, dimension: int) -> Arrays:
    """Make a batch as the gateway sends it: texts, or the candidates of one recommendation."""
    rng = np.random.default_rng(1)
    if model == "text_encoder":
        return {
            "input_ids": rng.integers(1000, 20_000, (TEXTS, TOKENS)),
            "attention_mask": np.ones((TEXTS, TOKENS), dtype=np.int64),
        }
    shapes = {
        "profile": (1, dimension),
        "query_embedding": (1, dimension),
        "profile_similarity": (1, CANDIDATES),
        "query_similarity": (1, CANDIDATES),
        "candidate_features": (1, CANDIDATES, len(CANDIDATE_FEATURES)),
    }
    inputs = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    return inputs | {"mask": np.ones((1, CANDIDATES), dtype=np.int64)}


async def compare(client: InferenceServerClient, release: int, model: str, output: str, arrays: Arrays) -> Result:
    """Compare the median seconds of both transports."""
    size = sum(array.nbytes for array in arrays.values())
    region = shared_memory.create_shared_memory_region(_REGION, f"/{_REGION}", size)
    await client.register_system_shared_memory(_REGION, f"/{_REGION}", size)

    async def ask(tensors: list[InferInput]) -> object:
        outputs = [InferRequestedOutput(output)]
        answer = await client.infer(model, tensors, model_version=str(release), outputs=outputs)
        return answer.as_numpy(output)

    async def by_message() -> object:
        tensors = []
        for name, array in arrays.items():
            tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        return await ask(tensors)

    async def by_shared_memory() -> object:
        tensors, place = [], 0
        for name, array in arrays.items():
            shared_memory.set_shared_memory_region(region, [array], offset=place)
            tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_shared_memory(_REGION, array.nbytes, offset=place)
            tensors.append(tensor)
            place += array.nbytes
        return await ask(tensors)

    try:
        message, shared = await _time_ways(by_message, by_shared_memory)
    finally:
        await client.unregister_system_shared_memory(_REGION)
        shared_memory.destroy_shared_memory_region(region)
    target = f"{model} by shared memory, {size / 1024:.0f} KiB"
    return Result(
        target, 1000 * shared, "ms", f"in the message, {1000 * message:.2f} ms", shared / message, "ratio <= 0.9"
    )


async def _time_ways(*ways: Callable[[], Awaitable[object]]) -> list[float]:
    """Time the ways in alternation, so that other work of the machine affects all of them."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(CALLS):
        for way, taken in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            await way()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken[CALLS // 10 :]) for taken in seconds]


async def _measure(repository: Path) -> list[Result]:
    release = release_layout.list_releases(repository)[-1]
    dimension = Manifest.read(release_layout.release_folder(repository, release)).dimension
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            await triton.load(release)
            async with open_client(triton.url) as client:
                return [
                    await compare(client, release, model, output, make_inputs(model, dimension))
                    for model, output in (("text_encoder", "embedding"), ("ranker", "score"))
                ]


def measure(repository: Path) -> list[Result]:
    """Measure texts and candidates; the target is a saving of a tenth of a call."""
    return asyncio.run(_measure(repository))


def main(arguments: list[str]) -> int:
    """Measure and print the results."""
    parser = make_parser("shared-memory", __doc__)
    add_repository(parser)
    options = parser.parse_args(arguments)
    sys.stderr.write(f"{describe_machine()}, {date.today()}\n")
    print("\n".join(map(str, measure(open_repository(options.repository)))))
    return 0
