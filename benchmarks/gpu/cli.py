"""A release on GPUs, and its speed: `python -m benchmarks gpu REPOSITORY [--triton-url HOST:PORT]`.

Takes the newest release, in the embedded Triton or in one that runs already, as NVIDIA's container. Asks the sessions
for their providers and Triton for its instances, compares every graph with the same graph on the CPU, and measures
through a gateway: texts a second, 1, 8 and 64 a call, none of them remembered; and recommendations for queries that
nobody asked before. Then it measures training steps. Takes a few minutes, and writes `results/gpu.json`; on a machine
without a GPU it runs all the same, and writes `results/gpu-dry-run.json`, which says so.
"""

import asyncio
import json
import random
import shutil
import statistics
import subprocess
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.gateway import NO_RESPONSE_CACHE, run_gateway
from benchmarks.common.load.calls import make_encode_calls, make_search_calls, read_item_texts
from benchmarks.common.load.generator import OK, Call, CallResult, Load, run_load
from benchmarks.common.steps import open_repository
from benchmarks.gpu.graphs import GraphComparison, compare
from benchmarks.gpu.training_step import CPU_SIZE, GPU_SIZE, measure_steps
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest
from portrait.server.triton import EmbeddedTriton, RemoteTriton
from portrait.training.devices import choose_device

_CALLS = {1: 64, 8: 24, 64: 8}
"""Texts in a call, and calls in flight."""
_COLD_IN_FLIGHT = 8
_TEXTS, _SEARCHES = 50_000, 20_000
_DEADLINE, _PAUSE = 10.0, 0.5
"""Seconds of a call, and after a refusal."""
_SMALL_BYTES = 1 << 20
_NO_GPU = "No GPU took part: this shows that the script runs, and says nothing of one."
_TINY = "The text encoder is a few kilobytes, made for tests: rates say nothing of a trained one."


async def compare_graphs(repository: Path, release: int, url: str | None) -> tuple[list[GraphComparison], str]:
    """Compare the graphs in a Triton; return its version too."""
    async with AsyncExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory())
        triton: EmbeddedTriton | RemoteTriton
        if url is None:
            triton = await closing.enter_async_context(EmbeddedTriton(repository, Path(folder) / "triton.log"))
        else:
            triton = RemoteTriton(url, repository)
        await triton.load(release)
        client = await closing.enter_async_context(InferenceServerClient(triton.url))
        version = str((await client.get_server_metadata()).version)
        return await compare(client, repository, release), version


def measure_rates(repository: Path, seconds: float, url: str | None) -> dict[str, Any]:
    """Measure texts a second, and the latency of cold recommendations, through a gateway."""
    where = ("--triton-url", url) if url else ()
    with run_gateway(repository, "--text-cache-mib", "0", *NO_RESPONSE_CACHE, *where) as gateway:
        words = _make_texts(repository)

        def send(calls: list[Call], in_flight: int) -> list[CallResult]:
            load = Load(gateway.address, calls, seconds, _DEADLINE, in_flight=in_flight, after_refusal=_PAUSE)
            run_load(load)  # first of all, whatever compiles for a shape compiles
            return run_load(load)

        texts = {
            str(size): _count_results(send(make_encode_calls(words, size), in_flight), seconds)
            | {"in_flight": in_flight}
            for size, in_flight in _CALLS.items()
        }
        for size in _CALLS:
            texts[str(size)]["texts_per_second"] = size * texts[str(size)]["calls_per_second"]
        cold = send(make_search_calls(repository, _SEARCHES), _COLD_IN_FLIGHT)
        return {
            "encode_texts": texts,
            "cold_recommend": _count_results(cold, seconds) | {"in_flight": _COLD_IN_FLIGHT} | _measure_latency(cold),
        }


def _make_texts(repository: Path) -> list[str]:
    """Make distinct texts of the items' words."""
    rng, known = random.Random(1), read_item_texts(repository)
    return [f"{rng.choice(known)} {place}" for place in range(_TEXTS)]


def _count_results(answered: list[CallResult], seconds: float) -> dict[str, Any]:
    good = sum(each.code == OK for each in answered)
    return {"calls_per_second": round(good / seconds, 1), "not_answered": len(answered) - good}


def _measure_latency(answered: list[CallResult]) -> dict[str, float]:
    taken = [1e3 * each.seconds for each in answered if each.code == OK]
    if len(taken) < 2:
        return {}
    return {"p50_ms": round(statistics.median(taken), 1), "p99_ms": round(statistics.quantiles(taken, n=100)[98], 1)}


def list_gpus() -> list[str]:
    """List name, memory and driver of each GPU; empty if the driver's program is missing or finds none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, encoding="utf-8", check=False)
    return told.stdout.splitlines() if told.returncode == 0 else []


def list_faults(compared: list[GraphComparison], devices: list[str], embedded: bool) -> list[str]:
    """List what is wrong."""
    told = [
        f"{each.graph} differs by {each.difference:.1e}, over {each.bound:.0e}" for each in compared if not each.passed
    ]
    if devices:
        kinds = {each.graph: {group["kind"] for group in each.instances} for each in compared}
        told += [f"{graph} has no instance on a GPU" for graph, found in kinds.items() if "KIND_GPU" not in found]
        on_cpu = [each.graph for each in compared if embedded and each.providers[0] == "CPUExecutionProvider"]
        told += [f"a session of {graph} runs on the CPU" for graph in on_cpu]
    return told


def main(arguments: list[str]) -> int:
    """Measure and write; return 0 if nothing is wrong."""
    parser = make_parser("gpu", __doc__)
    add_repository(parser)
    parser.add_argument("--triton-url", help="host:port of a Triton that reads the repository")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each load (8)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, help="folder for the result")
    options = parser.parse_args(arguments)
    repository = open_repository(options.repository)
    url = f" --triton-url {options.triton_url}" if options.triton_url else ""
    told = results.describe_circumstances(f"python -m benchmarks gpu REPOSITORY --seconds {options.seconds:g}{url}")
    release, devices = release_layout.list_releases(repository)[-1], list_gpus()
    manifest = Manifest.read(release_layout.release_folder(repository, release))
    device = choose_device("auto" if devices else "cpu")
    compared, version = asyncio.run(compare_graphs(repository, release, options.triton_url))
    size = release_layout.model_file(repository, "text_encoder", release).stat().st_size
    wrong = list_faults(compared, devices, options.triton_url is None)
    measured = {
        **told,
        "mode": "gpu" if devices else "cpu",
        "caveats": [*([] if devices else [_NO_GPU]), *([_TINY] if size < _SMALL_BYTES else [])],
        "gpus": devices,
        "triton": {"version": version, "backend": "remote" if options.triton_url else "embedded"},
        "onnxruntime": onnxruntime.__version__,
        "release": {"dimension": manifest.dimension, "text_encoder_bytes": size, "training": manifest.training},
        "graphs": [asdict(each) | {"passed": each.passed} for each in compared],
        **measure_rates(repository, options.seconds, options.triton_url),
        "training_steps": [asdict(rate) for rate in measure_steps(device, GPU_SIZE if devices else CPU_SIZE)],
        "faults": wrong,
    }
    path = options.out / ("gpu.json" if devices else "gpu-dry-run.json")
    path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))
    return 1 if wrong else 0
