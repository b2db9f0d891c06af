"""A Triton server that others run, as NVIDIA's container: it is asked to load a release that it lacks."""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import structlog
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import MODELS, TRAIT_HEADS, list_models
from portrait.server.triton.configuration import load_model
from portrait.server.triton.connection import open_client
from portrait.server.triton.errors import TritonDown, TritonError

_SECONDS = 5.0
_NAME, _VALUE = re.compile(r"[A-Za-z0-9_.-]+"), re.compile(r"[!-~]+( +[!-~]+)*")
"""Valid names and values of a gRPC header."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_TRIES = 3

_log = structlog.get_logger(__name__)


class RemoteTriton:
    """A server that other gateways may use too, so that nothing that works is ever unloaded from here.

    Args:
        url: host:port of its gRPC endpoint.
        repository: the model repository that it reads.
        headers: what a Triton wants to see that lets only some callers load models; see `read_admin_key`.
    """

    def __init__(self, url: str, repository: Path, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self.url = url
        self._repository, self._headers = repository, dict(headers)

    async def load(self, release: int) -> None:
        """Have it load a release, unless it has, beside all that it has loaded.

        Raises:
            TritonError: it can't, or its model control is not explicit. TritonDown: it does not answer.
        """
        async with open_client(self.url) as client:
            try:
                if await self._has(client, release):
                    return
                held = await self._held(client)
            except InferenceServerException as error:
                raise _make_error(self.url, str(error.message())) from error
            for model in list_models(self._repository, release):
                if release not in held[model]:
                    versions = sorted({*held[model], release})
                    await load_model(client, self._repository, model, versions, headers=self._headers)

    async def repair(self, model: str) -> None:
        """Unload a model and load it again, which gives it new processes; for others who use it too.

        Raises:
            TritonError: it does not answer, or can't, or its model control is not explicit.
        """
        async with open_client(self.url) as client:
            try:
                versions = sorted((await self._held(client))[model])
                await client.unload_model(model, self._headers, client_timeout=_SECONDS)
            except InferenceServerException as error:
                raise TritonError(f"{model} can't be unloaded at {self.url}: {error.message()}") from error
            await self._load_again(client, model, versions)
        _log.warning("model_reloaded", model=model, releases=versions)

    async def _load_again(self, client: InferenceServerClient, model: str, versions: Sequence[int]) -> None:
        """Load a model that was unloaded: without it nobody is served, so one failure is not the end."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(TritonError):
                await load_model(client, self._repository, model, versions, headers=self._headers)
                return
            await asyncio.sleep(1.0)
        await load_model(client, self._repository, model, versions, headers=self._headers)

    async def _has(self, client: InferenceServerClient, release: int) -> bool:
        """Return True if all models of a release answer; this needs no admin rights."""
        for model in list_models(self._repository, release):
            if not await client.is_model_ready(model, str(release), client_timeout=_SECONDS):
                return False
        return True

    async def _held(self, client: InferenceServerClient) -> dict[str, set[int]]:
        """The versions of each model that answer."""
        index = await client.get_model_repository_index(self._headers, client_timeout=_SECONDS)
        held: dict[str, set[int]] = {model: set() for model in (*MODELS, TRAIT_HEADS)}
        for entry in index.models:
            if entry.name in held and entry.state == "READY":
                held[entry.name].add(int(entry.version))
        return held


def _make_error(url: str, message: str) -> TritonError:
    if "restricted" in message:
        return TritonError(f"the Triton at {url} lets only some callers load models: set triton_admin_key ({message})")
    return TritonDown(f"no Triton answers at {url}: {message}")


def read_admin_key(path: Path) -> dict[str, str]:
    """Read the header that a Triton wants to see before it loads a model.

    Args:
        path: file with NAME=VALUE, as it was given `--grpc-restricted-protocol=model-repository:NAME=VALUE`.

    Raises:
        TritonError: the file can't be read, or says something else.
    """
    try:
        name, _, value = path.read_text(encoding="utf-8").strip().partition("=")
    except (OSError, UnicodeDecodeError) as error:
        raise TritonError(f"triton_admin_key: {path} can't be read: {error}") from error
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise TritonError(f"triton_admin_key: {path} does not hold one line NAME=VALUE")
    return {f"triton-grpc-protocol-{name.lower()}": value}
