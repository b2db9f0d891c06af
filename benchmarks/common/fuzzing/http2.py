"""Minimal HTTP/2, so that anything can be sent: frames of streams, or bytes that are no frames at all."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from hpack import Decoder, Encoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
_READ_BYTES = 1 << 16

Headers = Sequence[tuple[str, str]]


@dataclass
class StreamEnd:
    """The end of a stream or a connection."""

    how: str = "hung"
    """`answered`, `reset` (RST_STREAM), `closed` (connection), `left` (cancelled by us) or `hung` (not in time)."""
    status: int | None = None
    """`grpc-status`, if there was one."""
    message: str = ""
    """`grpc-message`."""
    http: int | None = None
    """`:status`."""


@dataclass(frozen=True, slots=True)
class StreamInput:
    """The input for one stream."""

    headers: Headers
    data: bytes = b""
    reset: bool = False
    """True to cancel the stream with RST_STREAM right after the data, instead of ending it."""


def send_streams(address: str, streams: Sequence[StreamInput], seconds: float) -> list[StreamEnd]:
    """Send all streams over one connection at once, then wait until each has ended.

    Args:
        address: host:port.
        streams: together within the 65,535 bytes that a server takes at first.
        seconds: to wait, at most.
    """
    ends = [StreamEnd("left") if sent.reset else StreamEnd() for sent in streams]
    with _connect(address, seconds) as connection:
        encoder = Encoder()
        out = PREFACE + SettingsFrame(0).serialize()
        for place, sent in enumerate(streams):
            out += _encode_stream(encoder, 2 * place + 1, sent)
        if not _send(connection, out):
            return [end if end.how == "left" else StreamEnd("closed") for end in ends]
        waiting = {2 * place + 1: end for place, end in enumerate(ends) if end.how == "hung"}
        _read_frames(connection, waiting, time.monotonic() + seconds)
    return ends


def send_bytes(address: str, sent: bytes, seconds: float) -> StreamEnd:
    """Send bytes and no more, and wait until the connection is closed.

    Args:
        address: host:port.
        sent: anything.
        seconds: to wait, at most.
    """
    with _connect(address, seconds) as connection:
        if not _send(connection, sent):
            return StreamEnd("closed")
        try:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_READ_BYTES):
                pass
        except TimeoutError:
            return StreamEnd("hung")
        except OSError:
            pass
    return StreamEnd("closed")


def _connect(address: str, seconds: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _send(connection: socket.socket, sent: bytes) -> bool:
    """Send bytes; return whether the other side accepted them."""
    try:
        connection.sendall(sent)
    except TimeoutError:
        raise
    except OSError:
        return False
    return True


def _encode_stream(encoder: Encoder, number: int, sent: StreamInput) -> bytes:
    headers = HeadersFrame(number, encoder.encode(sent.headers), flags=["END_HEADERS"])
    data = DataFrame(number, sent.data, flags=[] if sent.reset else ["END_STREAM"])
    last = RstStreamFrame(number, error_code=8).serialize() if sent.reset else b""  # 8: CANCEL
    return bytes(headers.serialize() + data.serialize() + last)


def _read_frames(connection: socket.socket, waiting: dict[int, StreamEnd], until: float) -> None:
    """Read frames until no stream waits any more, the connection ends, or the time is up."""
    decoder, unread = Decoder(), b""
    while waiting and time.monotonic() < until:
        try:
            connection.settimeout(max(0.001, until - time.monotonic()))
            got = connection.recv(_READ_BYTES)
        except TimeoutError:
            return
        except OSError:
            got = b""
        if not got:
            _mark_closed(waiting)
            return
        unread += got
        while (cut := _next_frame(unread)) is not None:
            frame, unread = cut
            _apply_frame(frame, decoder, waiting)


def _next_frame(unread: bytes) -> tuple[Frame | None, bytes] | None:
    """Cut the next complete frame off; return it, None for a kind that hyperframe refuses, and the rest."""
    length = HEADER_BYTES + int.from_bytes(unread[:3], "big")
    if len(unread) < max(HEADER_BYTES, length):
        return None
    try:
        frame, _ = Frame.parse_frame_header(memoryview(unread[:HEADER_BYTES]))
        frame.parse_body(memoryview(unread[HEADER_BYTES:length]))
    except HyperframeError:
        frame = None
    return frame, unread[length:]


def _apply_frame(frame: Frame | None, decoder: Decoder, waiting: dict[int, StreamEnd]) -> None:
    if isinstance(frame, GoAwayFrame):
        _mark_closed({number: end for number, end in waiting.items() if number > frame.last_stream_id})
        return
    headers = _decode_headers(frame, decoder) if isinstance(frame, HeadersFrame) else []
    end = waiting.get(frame.stream_id) if frame is not None else None
    if frame is None or end is None:
        return
    for name, value in headers:
        match name:
            case ":status":
                end.http = int(value)
            case "grpc-status":
                end.status = int(value)
            case "grpc-message":
                end.message = unquote(value)
    if isinstance(frame, RstStreamFrame):
        # After an answer, NO_ERROR only says that the rest of the request is not wanted.
        end.how = "reset" if end.http is None else "answered"
        del waiting[frame.stream_id]
    elif "END_STREAM" in frame.flags:
        end.how = "answered"
        del waiting[frame.stream_id]


def _decode_headers(frame: HeadersFrame, decoder: Decoder) -> list[tuple[str, str]]:
    try:
        return [(str(name), str(value)) for name, value in decoder.decode(frame.data)]
    except HPACKError:
        return []


def _mark_closed(waiting: dict[int, StreamEnd]) -> None:
    for end in waiting.values():
        end.how = "closed"
