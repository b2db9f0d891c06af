"""The channel of the asynchronous client: connects, retries, and turns failures into typed errors."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import grpc

from portrait.client.arguments import check
from portrait.client.call_status import FirstStatus
from portrait.client.calls import Call, stub_methods
from portrait.client.channels import Option, Tls, check_address, merge_options
from portrait.client.diagnosis import explain_failure
from portrait.client.enums import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Priority
from portrait.client.errors import from_rpc
from portrait.client.options import CallOptions, ClientOptions, Metadata, Token
from portrait.client.request_streams import RequestStream, SingleRequest
from portrait.client.retries import Retries

R = TypeVar("R")


class AsyncChannel:
    """Base of `AsyncClient`: everything but the RPCs."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        caller: str = "",
        priority: Priority = Priority.INTERACTIVE,
        metadata: Metadata = (),
        token: Token = "",
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        channel_options: Sequence[Option] | Mapping[str, str | int] = (),
    ) -> None:
        check_address(address)
        check(tls, Tls | None, "tls")
        check(interceptors, Sequence[grpc.aio.ClientInterceptor], "interceptors")
        self._options = ClientOptions(timeout, caller, priority, metadata, token)
        self._address, self._tls = address, tls
        options = merge_options(address, channel_options)
        if tls:
            credentials = tls.credentials()
            self._channel = grpc.aio.secure_channel(address, credentials, options, interceptors=interceptors)
        else:
            self._channel = grpc.aio.insecure_channel(address, options, interceptors=interceptors)
        self._methods = stub_methods(self._channel)
        self._retries = Retries()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(grace=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Call[R], options: CallOptions) -> R:
        method = self._methods[call.method]
        chosen = self._options.choose(options)
        attempts = self._retries.begin(chosen.timeout)
        while True:
            try:
                response = await method(call.request, timeout=attempts.seconds_left, metadata=chosen.metadata)
            except grpc.RpcError as error:
                failure = from_rpc(error, chosen.request_id, chosen.timeout)
                pause = attempts.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or await asyncio.to_thread(
                        explain_failure, self._address, self._tls, failure
                    )
                    raise failure from error
            else:
                attempts.record_response()
                return call.read(response)
            await asyncio.sleep(pause)

    async def _stream(self, call: Call[R], options: CallOptions) -> AsyncIterator[R]:
        method = self._methods[call.method]
        chosen = self._options.choose(options)
        attempts = self._retries.begin(chosen.timeout)
        requests = call.request if isinstance(call.request, RequestStream) else SingleRequest(call.request)
        while True:
            responses = method(requests.begin(), timeout=attempts.seconds_left, metadata=chosen.metadata)
            status = FirstStatus(responses)
            try:
                async for response in responses:
                    attempts.record_response()
                    requests.record_response()
                    yield call.read(response)
                if requests.failure:
                    raise requests.failure
                return
            except grpc.RpcError as raised:
                error = status.correct(raised)
                failure = requests.locate(from_rpc(error, chosen.request_id, chosen.timeout))
                pause = attempts.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or await asyncio.to_thread(
                        explain_failure, self._address, self._tls, failure
                    )
                    raise failure from error
            finally:
                responses.cancel()  # the stream goes on at the server if the caller leaves the loop early
            await asyncio.sleep(pause)
