"""A Triton that others run, as NVIDIA's container: asked to load a release where it has not done so by itself."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import structlog
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release import MODELS, TRAIT_HEADS, models
from portrait.server.triton.configuration import load_model
from portrait.server.triton.errors import TritonError

_SECONDS = 5.0
_TRIES = 3

_log = structlog.get_logger(__name__)


class RemoteTriton:
    """A Triton that other gateways may use too, so that nothing that works is ever unloaded from here.

    Args:
        url: host:port of its gRPC endpoint.
        repository: the model repository that it reads.
    """

    def __init__(self, url: str, repository: Path) -> None:
        self.url = url
        self._repository = repository

    async def load(self, release: int) -> None:
        """Have it load a release, unless it has, beside all that it has loaded.

        Raises:
            TritonError: it does not answer, or can't, or its model control is not explicit.
        """
        async with InferenceServerClient(self.url) as client:
            try:
                held = await self._held(client)
            except InferenceServerException as error:
                raise TritonError(f"no Triton answers at {self.url}: {error.message()}") from error
            for model in models(self._repository, release):
                if release not in held[model]:
                    await load_model(client, self._repository, model, sorted({*held[model], release}))

    async def unload(self, release: int) -> None:
        """Leave it as it is: another gateway may need the release."""

    def prefer(self, release: int) -> None:
        """Leave it as it is: whoever runs it decides what it starts with."""

    async def repair(self, model: str) -> None:
        """Unload a model and load it again, which gives it new processes; for others who use it too.

        Raises:
            TritonError: it does not answer, or can't, or its model control is not explicit.
        """
        async with InferenceServerClient(self.url) as client:
            try:
                versions = sorted((await self._held(client))[model])
                await client.unload_model(model, client_timeout=_SECONDS)
            except InferenceServerException as error:
                raise TritonError(f"{model} can't be unloaded at {self.url}: {error.message()}") from error
            await self._load_again(client, model, versions)
        _log.warning("model reloaded", model=model, releases=versions)

    async def _load_again(self, client: InferenceServerClient, model: str, versions: Sequence[int]) -> None:
        """Load a model that was unloaded: without it nobody is served, so one failure is not the end."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(TritonError):
                await load_model(client, self._repository, model, versions)
                return
            await asyncio.sleep(1.0)
        await load_model(client, self._repository, model, versions)

    async def _held(self, client: InferenceServerClient) -> dict[str, set[int]]:
        """The versions of each model that answer."""
        index = await client.get_model_repository_index(client_timeout=_SECONDS)
        held: dict[str, set[int]] = {model: set() for model in (*MODELS, TRAIT_HEADS)}
        for entry in index.models:
            if entry.name in held and entry.state == "READY":
                held[entry.name].add(int(entry.version))
        return held
