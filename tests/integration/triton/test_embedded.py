"""The embedded Triton's life: releases loaded over each other, deaths, ends."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support import tiny_release
from support.faults import killed
from support.triton_calls import INPUTS, infer, ranker_inputs, text_inputs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import MODELS, model_file
from portrait.server.triton import EmbeddedTriton, TritonError
from portrait.server.triton.model_processes import ModelProcess, find_model_processes
from portrait.server.triton.process import connect
from portrait.server.triton.workspace import Workspace

_SECONDS = 120.0
"""Far more than anything takes on a busy machine."""
_OWNER = """
import asyncio, sys
from pathlib import Path
from portrait.server.triton import EmbeddedTriton

async def own(repository, log):
    async with EmbeddedTriton(repository, log) as triton:
        await triton.load(1)
        print(triton.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(own(*map(Path, sys.argv[1:])))
"""


@dataclass(frozen=True)
class Traces:
    """Traces that a running Triton could leave behind."""

    group: int
    folder: Path

    @classmethod
    def of(cls, pid: int) -> "Traces":
        arguments = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
        [backends] = [argument for argument in arguments if argument.startswith("--backend-directory=")]
        return cls(os.getpgid(pid), Path(backends.partition("=")[2]).parent)

    def environment_folders(self) -> list[Path]:
        """The folders in /tmp that it has made, by its own record."""
        names = (self.folder / "environment_folders").read_text(encoding="utf-8").split()
        return [Path("/tmp") / name for name in names]

    def regions(self) -> list[Path]:
        return list(Path("/dev/shm").glob(f"{self.folder.name}*"))

    def runs(self) -> bool:
        """Tell whether a process of the group lives; one that only waits to be reaped does not."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
                if int(group) == self.group and state != "Z":
                    return True
        return False


@pytest.fixture(scope="module")
async def triton(two_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTriton]:
    """A Triton with release 1, over a repository where 2 is good, the ranker of 3 no graph, and 4 answers NaN."""
    folder = tmp_path_factory.mktemp("life")
    repository = folder / "model_repository"
    shutil.copytree(two_releases, repository)
    for model in MODELS:
        for release in (3, 4):
            shutil.copytree(repository / model / "1", repository / model / str(release))
    model_file(repository, "ranker", 3).write_bytes(b"not a graph")
    _spoil(model_file(repository, "text_encoder", 4))
    async with EmbeddedTriton(repository, folder / "triton.log") as triton:
        await triton.load(1)
        yield triton


def _spoil(path: Path) -> None:
    """Make all weights of a graph NaN."""
    graph = onnx.load(path)
    for weights in graph.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT:
            spoilt = np.full_like(numpy_helper.to_array(weights), np.nan)
            weights.CopyFrom(numpy_helper.from_array(spoilt, weights.name))
    onnx.save(graph, path)


@pytest.fixture
async def client(triton: EmbeddedTriton) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(triton.url) as client:
        yield client


async def test_a_release_is_loaded_over_another_with_no_failed_request(
    triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    loaded = asyncio.Event()

    async def ask(model: str) -> int:
        answered = 0
        while not loaded.is_set():
            await infer(client, model, 1, INPUTS[model](2, 8))
            answered += 1
        return answered

    askers = [asyncio.create_task(ask(model)) for model in MODELS for _ in range(2)]
    await triton.load(2)
    loaded.set()
    assert min(await asyncio.gather(*askers)) > 1
    first, second = [await infer(client, "text_encoder", release, text_inputs(1, 4)) for release in (1, 2)]
    assert not np.allclose(first["embedding"], second["embedding"])


@pytest.mark.parametrize(
    ("release", "reason"),
    [(3, r"can't load ranker \[1, 2, 3\]"), (4, r"can't load text_encoder \[1, 2, 4\]: .*'embedding' is not finite")],
)
async def test_a_release_that_cannot_be_loaded_leaves_the_others(
    triton: EmbeddedTriton, client: InferenceServerClient, release: int, reason: str
) -> None:
    restarts = triton.restarts
    with pytest.raises(TritonError, match=reason):
        await triton.load(release)
    assert triton.restarts == restarts
    for loaded in (1, 2):
        await infer(client, "text_encoder", loaded, text_inputs(1, 4))
        await infer(client, "ranker", loaded, ranker_inputs(1, 4))
    await _unloaded(client, release)


async def test_a_configuration_that_does_not_fit_its_graph_is_refused(tmp_path: Path) -> None:
    """As an older Portrait wrote it; NVIDIA's backend would not load it either."""
    tiny_release.build(tmp_path / "repository")
    path = tmp_path / "repository" / "ranker" / "config.pbtxt"
    path.write_text(path.read_text(encoding="utf-8").replace("dims: [ 16 ]", "dims: [ -1 ]"), encoding="utf-8")
    async with EmbeddedTriton(tmp_path / "repository", tmp_path / "triton.log") as triton:
        with pytest.raises(TritonError, match=r"can't load ranker \[1\]: .*'profile'.*it must say dims: \[16\]"):
            await triton.load(1)


async def test_killed_it_comes_back_with_all_its_releases(
    triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    assert triton.pid is not None
    traces = Traces.of(triton.pid)
    restarts, deaths = triton.restarts, triton.model_process_deaths
    with killed(triton.pid):
        asked = time.monotonic()
        with pytest.raises(InferenceServerException):
            await infer(client, "ranker", 1, ranker_inputs(1, 4), client_seconds=2.0)
        assert time.monotonic() - asked < 15.0
    async with asyncio.timeout(_SECONDS):
        while triton.restarts == restarts or not triton.ready:
            await asyncio.sleep(0.05)
    assert not traces.runs()
    # What its models' processes left does not bring its successor down.
    assert (triton.restarts, triton.model_process_deaths) == (restarts + 1, deaths)
    async with connect(triton.url) as again:
        for model in MODELS:
            for release in (1, 2):
                await infer(again, model, release, INPUTS[model](1, 4))


async def test_a_model_process_that_dies_while_it_is_loaded_holds_nothing_up(
    two_releases: Path, tmp_path: Path
) -> None:
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        await triton.load(1)
        loading = asyncio.create_task(triton.load(2))
        async with asyncio.timeout(_SECONDS):
            while not (new := [each for each in _processes(triton) if (each.model, each.release) == ("ranker", "2")]):
                await asyncio.sleep(0)
            os.kill(new[0].pid, signal.SIGKILL)
            with pytest.raises(TritonError):
                await loading
            while triton.restarts == 0 or not triton.ready:
                await asyncio.sleep(0.05)
        await triton.load(2)
        async with connect(triton.url) as client:
            for release in (1, 2):
                await infer(client, "ranker", release, ranker_inputs(1, 4))


async def test_a_server_that_dies_of_its_first_release_loads_it_once_more(two_releases: Path, tmp_path: Path) -> None:
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        await _kill_while_it_loads(triton)
        assert (triton.restarts, triton.ready) == (1, True)
        async with connect(triton.url) as client:
            await infer(client, "ranker", 1, ranker_inputs(1, 4))


async def test_a_death_that_is_told_after_the_restart_is_one(
    two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the server is there again before the call that died with it has ended."""
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        load = triton._load

        async def load_and_tell_late(releases: Sequence[int]) -> None:
            try:
                await load(releases)
            except TritonError:
                while not triton.restarts or triton.pid is None:
                    await asyncio.sleep(0.01)
                raise

        monkeypatch.setattr(triton, "_load", load_and_tell_late)
        await _kill_while_it_loads(triton)
        assert (triton.restarts, triton.ready) == (1, True)


async def _kill_while_it_loads(triton: EmbeddedTriton) -> None:
    """Load the first release, and kill the server once it starts the processes of its models."""
    loading = asyncio.create_task(triton.load(1))
    async with asyncio.timeout(_SECONDS):
        while not _processes(triton):
            await asyncio.sleep(0)
        assert triton.pid is not None
        os.kill(triton.pid, signal.SIGABRT)
        await loading


def _processes(triton: EmbeddedTriton) -> list[ModelProcess]:
    assert triton.pid is not None
    return find_model_processes(triton.pid)


async def _unloaded(client: InferenceServerClient, release: int) -> None:
    async with asyncio.timeout(_SECONDS):
        for model in MODELS:
            while await client.is_model_ready(model, str(release)):
                await asyncio.sleep(0.05)


async def test_a_first_release_that_is_not_loaded_in_time_is_loaded_by_a_new_server(
    two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.server.triton.embedded._FIRST_LOAD_SECONDS", 0.05)
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        await triton.load(1)
        assert (triton.restarts, triton.ready) == (1, True)
        await triton.load(2)  # beside another one, a release has all the time
        assert triton.restarts == 1
        async with InferenceServerClient(triton.url) as client:
            assert [await client.is_model_ready("ranker", version) for version in ("1", "2")] == [True, True]


async def test_a_release_is_unloaded_and_the_others_go_on(
    triton: EmbeddedTriton, client: InferenceServerClient
) -> None:
    await triton.load(2)
    asking = asyncio.create_task(_ask_until(client, unloaded := asyncio.Event()))
    await triton.unload(2)
    await _unloaded(client, 2)
    unloaded.set()
    assert await asking
    await triton.unload(2)  # nothing more
    await triton.load(2)
    await infer(client, "ranker", 2, ranker_inputs(1, 4))


async def _ask_until(client: InferenceServerClient, end: asyncio.Event) -> int:
    answered = 0
    while not answered or not end.is_set():
        await infer(client, "ranker", 1, ranker_inputs(1, 4))
        answered += 1
    return answered


async def test_stopped_it_leaves_nothing_behind(two_releases: Path, tmp_path: Path) -> None:
    async with EmbeddedTriton(two_releases, tmp_path / "triton.log") as triton:
        await triton.load(1)
        assert triton.pid is not None
        traces = Traces.of(triton.pid)
        assert traces.regions()
        made = traces.environment_folders()
        assert made
        assert list(made[0].iterdir()) == []
    async with asyncio.timeout(_SECONDS):
        while traces.runs():  # those that were killed are not gone at once
            await asyncio.sleep(0.01)
    assert not traces.regions()
    assert not traces.folder.exists()
    assert not [folder for folder in made if folder.exists()]


async def test_it_ends_with_an_owner_that_was_killed(two_releases: Path, tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OWNER, str(two_releases), str(tmp_path / "triton.log"), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    traces = Traces.of(int(await owner.stdout.readline()))
    made = traces.environment_folders()
    assert made
    owner.kill()
    await owner.wait()
    async with asyncio.timeout(_SECONDS):
        while traces.runs():
            await asyncio.sleep(0.05)
        Workspace.create().close()
        while traces.regions() or traces.folder.exists() or any(folder.exists() for folder in made):
            await asyncio.sleep(0.01)  # another one that starts now may be at it


async def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    with pytest.raises(TritonError, match="failed to stat file"):
        await EmbeddedTriton(tmp_path / "missing", tmp_path / "triton.log").start()
