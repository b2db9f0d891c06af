"""The channel of the synchronous client: connects, retries, and turns failures into typed errors."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import grpc

from portrait.client.arguments import check
from portrait.client.calls import Call, stub_methods
from portrait.client.channels import Option, Tls, check_address, merge_options
from portrait.client.diagnosis import explain_failure
from portrait.client.enums import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Priority
from portrait.client.errors import from_rpc
from portrait.client.options import CallOptions, ClientOptions, Metadata, Token
from portrait.client.retries import Retries

R = TypeVar("R")

_INTERCEPTORS: Any = Sequence[grpc.UnaryUnaryClientInterceptor | grpc.UnaryStreamClientInterceptor]  # type: ignore[type-arg]
Interceptor: TypeAlias = "grpc.UnaryUnaryClientInterceptor[Any, Any] | grpc.UnaryStreamClientInterceptor[Any, Any]"


class SyncChannel:
    """Base of `Client`: everything but the RPCs."""

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
        interceptors: Sequence[Interceptor] = (),
        channel_options: Sequence[Option] | Mapping[str, str | int] = (),
    ) -> None:
        check_address(address)
        check(tls, Tls | None, "tls")
        check(interceptors, _INTERCEPTORS, "interceptors")
        self._options = ClientOptions(timeout, caller, priority, metadata, token)
        self._address, self._tls = address, tls
        options = merge_options(address, channel_options)
        if tls:
            self._channel = grpc.secure_channel(address, tls.credentials(), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._methods = stub_methods(grpc.intercept_channel(self._channel, *interceptors))
        self._retries = Retries()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[R], options: CallOptions) -> R:
        method = self._methods[call.method]
        chosen = self._options.choose(options)
        attempts = self._retries.begin(chosen.timeout)
        while True:
            try:
                response = method(call.request, timeout=attempts.seconds_left, metadata=chosen.metadata)
            except grpc.RpcError as error:
                failure = from_rpc(error, chosen.request_id, chosen.timeout)
                pause = attempts.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or explain_failure(self._address, self._tls, failure)
                    raise failure from error
            else:
                attempts.record_response()
                return call.read(response)
            time.sleep(pause)

    def _stream(self, call: Call[R], options: CallOptions) -> Iterator[R]:
        method = self._methods[call.method]
        chosen = self._options.choose(options)
        attempts = self._retries.begin(chosen.timeout)
        while True:
            responses = method(call.request, timeout=attempts.seconds_left, metadata=chosen.metadata)
            try:
                for response in responses:
                    attempts.record_response()
                    yield call.read(response)
                return
            except grpc.RpcError as error:
                failure = from_rpc(error, chosen.request_id, chosen.timeout)
                pause = attempts.pause_after(error, failure)
                if pause is None:
                    failure.hint = failure.hint or explain_failure(self._address, self._tls, failure)
                    raise failure from error
            finally:
                responses.cancel()  # the stream goes on at the server if the caller leaves the loop early
            time.sleep(pause)
