from collections.abc import AsyncIterator

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from portrait.server.triton import EmbeddedTriton


@pytest.fixture
async def client(embedded_triton: EmbeddedTriton) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(embedded_triton.url) as client:
        yield client
