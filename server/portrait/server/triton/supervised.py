"""A Triton that another process of ours started, and loads releases into: here they are only waited for."""

import asyncio
import json
import sys

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release.layout import MODELS
from portrait.server.triton.configuration import LOAD_SECONDS
from portrait.server.triton.connection import is_live, open_client
from portrait.server.triton.errors import TritonDown, TritonError

_POLL_SECONDS = 0.1
_SECONDS = 5.0


class SupervisedTriton:
    """An embedded Triton, as one of several gateway processes sees it.

    Args:
        url: unix:PATH of its gRPC socket.
    """

    def __init__(self, url: str) -> None:
        self.url, self.urls = url, (url,)

    async def load(self, release: int) -> None:
        """Wait until a release is loaded.

        Raises:
            TritonError: it takes too long. TritonDown: and Triton does not answer.
        """
        until = asyncio.get_running_loop().time() + LOAD_SECONDS
        async with open_client(self.url) as client:
            while not await _holds(client, release):
                if asyncio.get_running_loop().time() > until:
                    kind = TritonError if await is_live(client) else TritonDown
                    raise kind(f"release {release} was not loaded in {LOAD_SECONDS:.0f} s")
                await asyncio.sleep(_POLL_SECONDS)

    async def unload(self, release: int) -> None:
        """Leave it to the other process."""

    def prefer(self, release: int) -> None:
        """Leave it to the other process."""

    async def repair(self, model: str, _url: str) -> None:
        """Tell the other process, which reads what this one prints."""
        sys.stdout.write(json.dumps({"unhealthy": model, "triton": self.url}) + "\n")
        sys.stdout.flush()


async def _holds(client: InferenceServerClient, release: int) -> bool:
    try:
        for model in MODELS:
            if not await client.is_model_ready(model, str(release), client_timeout=_SECONDS):
                return False
    except InferenceServerException:
        return False
    return True
