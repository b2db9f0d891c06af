"""A minimal client of unary gRPC calls over HTTP/2.

A load generator shares the machine with what it measures: grpcio's asyncio client takes 300 µs of a core for a call,
this one a tenth. It does what such calls to a gateway need: RFC 9113 without TLS, headers without compression (RFC
7541), and the protocol of gRPC, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import grpc

OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, CANCELLED, UNAVAILABLE = (
    code.name
    for code in (
        grpc.StatusCode.OK,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,
    )
)


class _FrameType:
    """Types of HTTP/2 frames."""

    DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8


_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 1, 4
_CANCEL = 8
_FRAME = struct.Struct(">IBI")
_SETTING = struct.Struct(">HI")
_DEFAULT_WINDOW, _MAX_WINDOW, _MAX_FRAME_BYTES = 65_535, 2**31 - 1, 16_384
_STATUS = b"\x0bgrpc-status"
"""Name of the header with its length before it, to tell it from `grpc-status-details-bin`."""
_UNKNOWN = grpc.StatusCode.UNKNOWN.name
_NAMES = {str(code.value[0]).encode(): code.name for code in grpc.StatusCode}


def encode_headers(address: str, path: str, seconds: float, metadata: Sequence[tuple[str, str]] = ()) -> bytes:
    """Encode the headers of the calls of one method.

    Args:
        address: host:port of the gateway.
        path: for example `/portrait.v1.ProfileService/GetProfile`.
        seconds: the deadline.
        metadata: what else is said.
    """
    # Of the static table: POST and http as they are, names of :path, :authority and content-type.
    known = (
        b"\x83\x86\x04"
        + _encode_string(path)
        + b"\x01"
        + _encode_string(address)
        + b"\x0f\x10"
        + _encode_string("application/grpc")
    )
    others = (("te", "trailers"), ("grpc-timeout", f"{max(1, round(1000 * seconds))}m"), *metadata)
    return known + b"".join(b"\x00" + _encode_string(name) + _encode_string(value) for name, value in others)


def _encode_string(text: str) -> bytes:
    """Encode a string of HPACK without Huffman coding."""
    raw, length = text.encode(), b""
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest = len(raw) - 127
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + length + bytes([rest]) + raw


def _encode_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


class Connection(asyncio.Protocol):
    """A connection to a gateway; `connect` opens it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.ready: asyncio.Future[None] = loop.create_future()
        """Future that completes when the gateway's settings have arrived."""
        self._waiting: dict[int, tuple[Callable[[str], None], asyncio.TimerHandle]] = {}
        """By stream: the callback for its status, and the timer of its deadline."""
        self._next = 1
        self._buffer = bytearray()
        self._window, self._stream_window = _DEFAULT_WINDOW, _DEFAULT_WINDOW
        self._unsent: deque[bytes] = deque()
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send this side's settings: the maximum window, and uncompressed headers."""
        self._transport = cast("asyncio.Transport", transport)
        settings = _SETTING.pack(_HEADER_TABLE_SIZE, 0) + _SETTING.pack(_INITIAL_WINDOW_SIZE, _MAX_WINDOW)
        self._transport.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _encode_frame(_FrameType.SETTINGS, 0, 0, settings))
        self._widen(_MAX_WINDOW - _DEFAULT_WINDOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """End all calls under way as UNAVAILABLE."""
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the gateway closed the connection"))
        for stream in list(self._waiting):
            self._end(stream, UNAVAILABLE)

    def call(self, head: bytes, request: bytes, seconds: float, ended: Callable[[str], None]) -> int:
        """Send a request.

        Args:
            head: of `encode_headers`.
            request: the message; no longer than the gateway takes at once, 64 KiB at least.
            seconds: the deadline.
            ended: is called once, with the name of the status.

        Returns:
            what `cancel` wants.

        Raises:
            ConnectionError: there is no connection any more.
            ValueError: the request is too long.
        """
        if self._transport.is_closing():
            raise ConnectionError("the gateway closed the connection")
        body = b"\0" + len(request).to_bytes(4, "big") + request
        if len(body) > self._stream_window:
            raise ValueError(f"a request of {len(request)} bytes; the gateway takes {self._stream_window - 5}")
        stream, self._next = self._next, self._next + 2
        self._waiting[stream] = ended, self._loop.call_later(seconds, self._leave, stream, DEADLINE_EXCEEDED)
        parts = [body[at : at + _MAX_FRAME_BYTES] for at in range(0, len(body), _MAX_FRAME_BYTES)]
        data = [_encode_frame(_FrameType.DATA, _END_STREAM * (part is parts[-1]), stream, part) for part in parts]
        first = _encode_frame(_FrameType.HEADERS, _END_HEADERS, stream, head)
        if not self._unsent and len(body) <= self._window:
            self._window -= len(body)
            self._transport.write(first + b"".join(data))
        else:
            self._transport.write(first)
            self._unsent.extend(data)
            self._send()
        return stream

    def cancel(self, stream: int) -> None:
        """Cancel a call, if it has not ended."""
        self._leave(stream, CANCELLED)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Read all complete frames."""
        self._buffer += data
        at, whole = 0, len(self._buffer)
        while whole - at >= _FRAME.size:
            first, flags, stream = _FRAME.unpack_from(self._buffer, at)
            end = at + _FRAME.size + (first >> 8)
            if end > whole:
                break
            self._read(first & 0xFF, flags, stream, bytes(self._buffer[at + _FRAME.size : end]))
            at = end
        del self._buffer[:at]

    def _read(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case _FrameType.DATA:
                self._count(len(payload))
            case _FrameType.HEADERS if flags & _END_STREAM:
                self._end(stream, _parse_status(payload))
            case _FrameType.RST_STREAM:
                self._end(stream, CANCELLED if int.from_bytes(payload, "big") == _CANCEL else UNAVAILABLE)
            case _FrameType.SETTINGS if not flags & _ACK:
                self._agree(payload)
            case _FrameType.PING if not flags & _ACK:
                self._transport.write(_encode_frame(_FrameType.PING, _ACK, 0, payload))
            case _FrameType.GOAWAY:
                self._transport.close()
            case _FrameType.WINDOW_UPDATE if stream == 0:
                self._window += int.from_bytes(payload, "big")
                self._send()

    def _count(self, size: int) -> None:
        """Count received bytes, and extend the window before it is used up."""
        self._received += size
        if self._received > _MAX_WINDOW // 2:
            self._widen(self._received)
            self._received = 0

    def _agree(self, settings: bytes) -> None:
        for name, value in _SETTING.iter_unpack(settings):
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window = value
        self._transport.write(_encode_frame(_FrameType.SETTINGS, _ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)

    def _widen(self, size: int) -> None:
        """Extend the window by so many bytes."""
        self._transport.write(_encode_frame(_FrameType.WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big")))

    def _send(self) -> None:
        """Send pending data within the window. Data of cancelled calls is sent too: it belongs to a closed stream."""
        while self._unsent and (size := len(self._unsent[0]) - _FRAME.size) <= self._window:
            self._window -= size
            self._transport.write(self._unsent.popleft())

    def _leave(self, stream: int, status: str) -> None:
        if stream in self._waiting:
            self._transport.write(_encode_frame(_FrameType.RST_STREAM, 0, stream, _CANCEL.to_bytes(4, "big")))
            self._end(stream, status)

    def _end(self, stream: int, status: str) -> None:
        if (waiting := self._waiting.pop(stream, None)) is not None:
            ended, timer = waiting
            timer.cancel()
            ended(status)


def _parse_status(block: bytes) -> str:
    """Parse the status name in a block of headers; gRPC's C core writes it plain if the header table has size 0."""
    at = block.find(_STATUS) + len(_STATUS)
    return _NAMES.get(block[at + 1 : at + 1 + block[at]], _UNKNOWN) if at >= len(_STATUS) else _UNKNOWN


async def connect(address: str) -> Connection:
    """Open a connection.

    Args:
        address: host:port.

    Raises:
        OSError: nobody listens, or who does speaks no HTTP/2.
    """
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    await connection.ready
    return connection
