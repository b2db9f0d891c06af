"""The status that an asynchronous call really ended with."""

from typing import Any

import grpc


class FirstStatus:
    """Keeps the first status of a call: the one that the gateway sent.

    If the gateway ends a stream while its caller still writes, the write fails, and grpc.aio then replaces the status
    by INTERNAL, "Internal error from Core" (grpc/grpc#36066, open for grpcio 1.85).

    Args:
        call: the call, before it ends.
    """

    def __init__(self, call: "grpc.aio.Call") -> None:
        self._error: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._keep)

    def correct(self, error: grpc.RpcError) -> grpc.RpcError:
        """Return the error with the first status, in place of the one that was raised."""
        return error if self._error is None else self._error

    def _keep(self, call: Any) -> None:
        # A task would read the status too late; of a call that has ended, none of these waits for anything.
        if self._error is None and (code := _result(call.code())) is not grpc.StatusCode.OK:
            initial, trailing = _result(call.initial_metadata()), _result(call.trailing_metadata())
            self._error = grpc.aio.AioRpcError(code, initial, trailing, _result(call.details()), None)


def _result(ready: Any) -> Any:
    """Return the result of a coroutine that waits for nothing."""
    try:
        ready.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the call has not ended")
