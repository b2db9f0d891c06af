"""Server reflection in both versions of its protocol: v1, which current tools try first, and v1alpha."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from portrait.server.rpc.context import Context

_ALPHA = "grpc.reflection.v1alpha"
_V1 = "grpc.reflection.v1"
_SERVICE, _METHOD = "ServerReflection", "ServerReflectionInfo"
_SERVICES = (f"{_V1}.{_SERVICE}", f"{_ALPHA}.{_SERVICE}")


class Reflection:
    """Describes the services and messages of the gateway to tools such as grpcurl.

    The two versions of the protocol differ only in the name of their package, so one implementation answers both.

    Args:
        services: full names of the services to list; reflection lists itself too.
    """

    def __init__(self, services: Sequence[str]) -> None:
        _describe_v1()
        servicer = reflection.aio.ReflectionServicer  # type: ignore[attr-defined] # the stubs lack `aio`
        self._servicer = servicer([*services, *_SERVICES])

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register both versions with a server."""
        handler = grpc.stream_stream_rpc_method_handler(self._answer)
        for service in _SERVICES:
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {_METHOD: handler})])

    async def _answer(self, _: object, context: Context) -> None:
        async for answer in self._servicer.ServerReflectionInfo(_requests(context), context):
            await context.write(answer)


async def _requests(context: Context) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
    while isinstance(request := await context.read(), bytes):
        yield reflection_pb2.ServerReflectionRequest.FromString(request)


def _describe_v1() -> None:
    """Add the messages of v1 to the default descriptor pool, from which the servicer describes services.

    grpcio-reflection brings only v1alpha: this copies its file under the package name of v1.
    """
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", _V1
    parts: list[Any] = [field for message in file.message_type for field in message.field]
    for part in (*parts, *file.service[0].method):
        for name in ("type_name", "input_type", "output_type"):
            if getattr(part, name, ""):
                setattr(part, name, getattr(part, name).replace(f".{_ALPHA}.", f".{_V1}."))
    pool.AddSerializedFile(file.SerializeToString())
