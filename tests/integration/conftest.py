import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support import tiny_release

from portrait.features.release.layout import MODELS, TRAIT_HEADS
from portrait.server.triton import EmbeddedTriton, TritonError

_TRIES, _PAUSE_SECONDS = 5, 2.0


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the tiny releases 1 and 2, which answer differently, 2 with traits. Not to be changed."""
    repository = tmp_path_factory.mktemp("two_releases")
    for model in (*MODELS, TRAIT_HEADS):
        (repository / model).mkdir()
    for release in (1, 2):
        tiny_release.build(repository, release, traits=release == 2)
    return repository


@pytest.fixture(scope="session")
async def embedded_triton(
    two_releases: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedTriton]:
    """One Triton with both tiny releases, for all tests that leave it as it was."""
    async with EmbeddedTriton(two_releases, tmp_path_factory.mktemp("triton") / "triton.log") as triton:
        await triton.load(1)
        await load_patiently(triton, 2)
        yield triton


async def load_patiently(triton: EmbeddedTriton, release: int) -> None:
    """Load a release as a rollout does, which tries again: now and then a server dies while it loads one."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(TritonError):
            return await triton.load(release)
        await asyncio.sleep(_PAUSE_SECONDS)
    return await triton.load(release)


@pytest.fixture(scope="module")
def traced_graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Graphs of equal modules are traced once in the whole test run."""
    from support.traced_graphs import trace_once  # PyTorch, which most tests do without

    with trace_once(tmp_path_factory):
        yield
