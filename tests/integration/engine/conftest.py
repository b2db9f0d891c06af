from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portrait.server.engine import Engine
from portrait.server.triton import EmbeddedTriton

CACHE_BYTES = 1 << 20


@pytest.fixture
async def engine(two_releases: Path, embedded_triton: EmbeddedTriton) -> AsyncIterator[Engine]:
    engine = await Engine.open(two_releases, 1, [embedded_triton.url], CACHE_BYTES)
    yield engine
    await engine.close()


@pytest.fixture
async def engine_with_traits(two_releases: Path, embedded_triton: EmbeddedTriton) -> AsyncIterator[Engine]:
    engine = await Engine.open(two_releases, 2, [embedded_triton.url], CACHE_BYTES)
    yield engine
    await engine.close()
