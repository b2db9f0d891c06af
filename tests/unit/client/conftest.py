"""A server of one method that does what a test tells it: real gRPC over a socket, no gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from portrait.v1 import profile_service_pb2, profile_service_pb2_grpc

Answer = Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[None]]


class Scripted(profile_service_pb2_grpc.ProfileServiceServicer):
    """Answers the nth call of GetProfile as the nth answer says; the last one stands for all after it."""

    def __init__(self) -> None:
        self.address = ""
        self.answers: list[Answer] = []
        self.calls = 0

    async def GetProfile(  # noqa: N802 - the contract's name
        self,
        request: profile_service_pb2.GetProfileRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> profile_service_pb2.GetProfileResponse:
        self.calls += 1
        await self.answers[min(self.calls, len(self.answers)) - 1](context)
        return profile_service_pb2.GetProfileResponse(profile={"shopper_id": request.shopper.shopper_id})


def failing(code: grpc.StatusCode, message: str = "", *trailing: tuple[str, str | bytes]) -> Answer:
    """An answer that is an error."""

    async def fail(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, message, trailing)

    return fail


@asynccontextmanager
async def _serve_scripted() -> AsyncIterator[Scripted]:
    servicer, server = Scripted(), grpc.aio.server()
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    async with _serve_scripted() as servicer:
        yield servicer


@pytest.fixture
async def second() -> AsyncIterator[Scripted]:
    async with _serve_scripted() as servicer:
        yield servicer
