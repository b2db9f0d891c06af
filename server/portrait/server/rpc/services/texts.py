"""TextService: encodes texts."""

from collections.abc import AsyncIterator
from typing import cast

import structlog

from portrait.server.admission.charges import hold_units
from portrait.server.engine import Encoded
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, StreamedRequest, current_deadline
from portrait.server.rpc.services.messages import pack_floats
from portrait.server.runtime.pipeline import run_in_order
from portrait.v1 import text_service_pb2, text_service_pb2_grpc
from portrait.v1.text_service_pb2 import EncodeTextsResponse, EncodeTextStreamRequest, EncodeTextStreamResponse

MAX_REQUESTS_UNDER_WAY = 16
"""Requests of one stream that are read, and whose response is not written yet: enough for the batches of the models to
be of similar lengths, and a few megabytes at most."""


class TextService(text_service_pb2_grpc.TextServiceServicer):
    """Serves embeddings of texts.

    Args:
        registry: the engines; the one of the serving release encodes.
    """

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    async def EncodeTexts(  # type: ignore[override] # noqa: N802 - the contract's name; it serialises by itself
        self, request: text_service_pb2.EncodeTextsRequest, context: Context
    ) -> bytes:
        """Encode texts, all by one release."""
        with self._registry.routes as routes:
            encoded = await routes.serving.encode_texts(request.texts, deadline=current_deadline())
        structlog.contextvars.bind_contextvars(texts=len(request.texts), release=encoded.release)
        return _serialise(EncodeTextsResponse, encoded)

    async def EncodeTextStream(  # type: ignore[override] # noqa: N802 - writes its responses, as `InterceptorChain` requires
        self, requests: AsyncIterator[StreamedRequest], context: Context
    ) -> None:
        """Encode a stream of texts, all by one release, and write a response for each request, in their order."""
        count = 0

        async def encode(request: StreamedRequest) -> tuple[int, bytes]:
            texts = cast("EncodeTextStreamRequest", request.message).texts
            async with hold_units(request.units):
                encoded = await engine.encode_texts(texts, deadline=current_deadline())
            return len(texts), _serialise(EncodeTextStreamResponse, encoded)

        async def write(encoded: tuple[int, bytes]) -> None:
            nonlocal count
            texts, response = encoded
            await context.write(response)
            count += texts

        with self._registry.routes as routes:
            engine = routes.serving
            structlog.contextvars.bind_contextvars(release=engine.release.number)
            try:
                await run_in_order(requests, encode, write, MAX_REQUESTS_UNDER_WAY)
            finally:
                structlog.contextvars.bind_contextvars(texts=count)


def _serialise(kind: type[EncodeTextsResponse | EncodeTextStreamResponse], encoded: Encoded) -> bytes:
    """Serialise a response: its parts one after the other are the whole, and no float becomes a Python object."""
    rest = kind(dimension=encoded.embeddings.shape[1], release=encoded.release)
    return pack_floats(encoded.embeddings) + rest.SerializeToString()
