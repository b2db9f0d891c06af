from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from support import tiny_release
from support.gateway import RunningGateway, Stubs, run_gateway

from portrait.client.async_channel import AsyncChannel
from portrait.client.sync_channel import SyncChannel
from portrait.features.release.layout import MODELS

_CALL_SECONDS = 60.0


@pytest.fixture(scope="module", autouse=True)
def calls_have_time() -> Iterator[None]:
    """Give calls of clients a minute where a test states no time: a busy machine takes longer than their default."""
    with pytest.MonkeyPatch.context() as patch:
        for channel in (SyncChannel, AsyncChannel):
            patch.setitem(channel.__init__.__kwdefaults__, "timeout", _CALL_SECONDS)
        yield


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model_repository")
    for model in MODELS:
        (folder / model).mkdir()
    tiny_release.build(folder, traits=True)
    return folder


@pytest.fixture(scope="session")
def gateway(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests that leave it as it was: each uses shoppers and catalogues of its own."""
    with run_gateway(repository, tmp_path_factory.mktemp("gateway")) as served:
        yield served


@pytest.fixture(scope="session")
def shared_triton(gateway: RunningGateway) -> tuple[str, str]:
    """Options of a further gateway of `repository`: it uses the Triton of `gateway`, and starts none of its own."""
    return ("--triton-url", gateway.triton_url())


@pytest.fixture
async def stubs(gateway: RunningGateway) -> AsyncIterator[Stubs]:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        yield Stubs.over(channel)


@pytest.fixture
def shopper() -> str:
    """An id that nobody else uses."""
    return f"shopper-{uuid4().hex}"
