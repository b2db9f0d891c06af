"""TextService: encodes texts."""

import structlog

from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.services.messages import pack_floats
from portrait.v1 import text_service_pb2, text_service_pb2_grpc


class TextService(text_service_pb2_grpc.TextServiceServicer):
    """Serves embeddings of texts.

    Args:
        registry: the engines; the one of the serving release encodes.
    """

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    async def EncodeTexts(  # noqa: N802 - the contract's name
        self, request: text_service_pb2.EncodeTextsRequest, context: Context
    ) -> text_service_pb2.EncodeTextsResponse:
        """Encode texts, all by one release."""
        with self._registry.routes as routes:
            encoded = await routes.serving.encode_texts(request.texts, deadline=current_deadline())
        structlog.contextvars.bind_contextvars(texts=len(request.texts), release=encoded.release)
        answer = text_service_pb2.EncodeTextsResponse.FromString(pack_floats(encoded.embeddings))
        answer.dimension, answer.release = encoded.embeddings.shape[1], encoded.release
        return answer
