"""Inputs that no good client sends: for one stream, or for a connection of its own."""

import struct
from collections.abc import Callable, Sequence
from random import Random

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from benchmarks.common.contract import list_unary_methods, method_path
from benchmarks.common.fuzzing.http2 import PREFACE, Headers, StreamInput
from benchmarks.common.load.generator import Call

_MAX_DATA_BYTES = 2_000
"""Maximum bytes of one stream, so that all streams of a connection fit into its initial window."""
_METHODS = [method_path(method) for method in list_unary_methods()]


def _make_headers(path: str, *more: tuple[str, str], content_type: str = "application/grpc") -> Headers:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", content_type),
        *more,
    ]


def _frame_message(message: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """Prefix a message with gRPC's compression flag and length."""
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


def _draw_bytes(rng: Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 2, 5, 30, 300, _MAX_DATA_BYTES - 5)))


def random_message(rng: Random, call: Call) -> StreamInput:
    """Make random bytes instead of a message."""
    return StreamInput(_make_headers(call.path), _frame_message(_draw_bytes(rng)))


def random_fields(rng: Random, call: Call) -> StreamInput:
    """Make well-formed fields of random numbers and wire types."""
    message = b""
    while len(message) < rng.randrange(1, 200):
        kind = rng.choice((0, 1, 2, 5))
        message += bytes([rng.randrange(1, 16) << 3 | kind])
        match kind:
            case 0:
                message += bytes(rng.randrange(128, 256) for _ in range(rng.randrange(9))) + b"\x01"
            case 2:
                value = rng.randbytes(rng.randrange(30))
                message += bytes([len(value)]) + value
            case _:
                message += rng.randbytes(8 if kind == 1 else 4)
    return StreamInput(_make_headers(call.path), _frame_message(message[: _MAX_DATA_BYTES - 5]))


def damaged_message(rng: Random, call: Call) -> StreamInput:
    """Make a good request with some bytes changed, removed or doubled."""
    message = bytearray(call.request[: _MAX_DATA_BYTES - 100])
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(message) + 1)
        match rng.randrange(3):
            case 0:
                message[place : place + 1] = rng.randbytes(1)
            case 1:
                del message[place : place + rng.randrange(20)]
            case _:
                message[place:place] = message[place : place + rng.randrange(20)]
    return StreamInput(_make_headers(call.path), _frame_message(bytes(message)))


def other_message(rng: Random, call: Call) -> StreamInput:
    """Send a request of one method to another."""
    return StreamInput(_make_headers(rng.choice(_METHODS)), _frame_message(call.request[: _MAX_DATA_BYTES - 5]))


def wrong_length(rng: Random, call: Call) -> StreamInput:
    """Make a message that is shorter or longer than its prefix says."""
    message = call.request[: _MAX_DATA_BYTES - 5]
    return StreamInput(_make_headers(call.path), _frame_message(message, length=rng.randrange(2 * len(message) + 1)))


def oversized(rng: Random, call: Call) -> StreamInput:
    """Make a message whose prefix exceeds the maximum length."""
    return StreamInput(
        _make_headers(call.path), _frame_message(_draw_bytes(rng), length=rng.randrange(2**23 + 1, 2**32))
    )


def cut_prefix(rng: Random, call: Call) -> StreamInput:
    """Cut the prefix of a message, or send nothing at all."""
    return StreamInput(_make_headers(call.path), _frame_message(b"")[: rng.randrange(5)])


def several_messages(rng: Random, call: Call) -> StreamInput:
    """Send several messages to a unary method."""
    return StreamInput(_make_headers(call.path), _frame_message(call.request[:300]) * rng.randrange(2, 5))


def compressed(rng: Random, call: Call) -> StreamInput:
    """Make compression flags without compression, unknown encodings, and bytes that don't decompress."""
    encodings = ("gzip", "deflate", "identity", "snappy", "")
    more = [("grpc-encoding", rng.choice(encodings))] if rng.random() < 0.7 else []
    return StreamInput(_make_headers(call.path, *more), _frame_message(_draw_bytes(rng), flag=rng.choice((1, 2, 255))))


def wrong_content_type(rng: Random, call: Call) -> StreamInput:
    """Use a content type that is not gRPC's."""
    kinds = ("application/json", "text/html", "application/grpc+json", "application/grpc-web", "", "\x7f" * 100)
    return StreamInput(_make_headers(call.path, content_type=rng.choice(kinds)), _frame_message(call.request[:300]))


def unknown_method(rng: Random, call: Call) -> StreamInput:
    """Call a path that does not exist."""
    parts = (call.path, "/", "//", "*", "", "/portrait.v1.ProfileService/", "?a=b", "/../../etc/passwd", "%00", "\x01")
    return StreamInput(_make_headers(rng.choice(parts) + rng.choice(parts)), _frame_message(call.request[:300]))


def wrong_method(rng: Random, call: Call) -> StreamInput:
    """Use another HTTP method than POST."""
    headers = [(":method", rng.choice(("GET", "PUT", "DELETE", "TRACE", ""))), *_make_headers(call.path)[1:]]
    return StreamInput(headers, _frame_message(call.request[:300]))


def strange_metadata(rng: Random, call: Call) -> StreamInput:
    """Make malformed deadlines, ids of random bytes, binary values that are not base64, and long values."""
    values = ("", "abc", "0n", "-1S", "99999999999H", "1S1S", "\x00", "x" * 1000, "é", "batch", "=")
    keys = ("grpc-timeout", "x-request-id", "x-priority", "x-caller", "x-any-bin", "grpc-trace-bin", "Upper-Case", "")
    more = [(rng.choice(keys), rng.choice(values)) for _ in range(rng.randrange(1, 4))]
    return StreamInput(_make_headers(call.path, *more), _frame_message(call.request[: _MAX_DATA_BYTES // 2]))


def missing_headers(rng: Random, call: Call) -> StreamInput:
    """Leave out some headers that every request has."""
    headers = [each for each in _make_headers(call.path) if rng.random() < 0.7]
    return StreamInput(headers or [(":path", call.path)], _frame_message(call.request[:300]))


def left_midway(rng: Random, call: Call) -> StreamInput:
    """Reset a stream before its message is complete, or right after."""
    message = _frame_message(call.request[: _MAX_DATA_BYTES - 5])
    return StreamInput(_make_headers(call.path), message[: rng.randrange(len(message) + 1)], reset=True)


STREAM_INPUTS: Sequence[Callable[[Random, Call], StreamInput]] = (
    random_message,
    random_fields,
    damaged_message,
    other_message,
    wrong_length,
    oversized,
    cut_prefix,
    several_messages,
    compressed,
    wrong_content_type,
    unknown_method,
    wrong_method,
    strange_metadata,
    missing_headers,
    left_midway,
)


def no_http2(rng: Random, calls: Sequence[Call]) -> bytes:
    """Make bytes of other protocols, or of none."""
    others = (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"",
        PREFACE[:10],
        b"SSH-2.0-x\r\n",
    )
    return rng.choice((*others, rng.randbytes(rng.randrange(200))))


def random_frames(rng: Random, calls: Sequence[Call]) -> bytes:
    """Make frames of random type, flags, stream and content."""
    frames = PREFACE + SettingsFrame(0).serialize()
    for _ in range(rng.randrange(1, 6)):
        body = rng.randbytes(rng.randrange(40))
        kind, flags, stream = rng.randrange(12), rng.randrange(256), rng.randrange(8)
        frames += len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
    return bytes(frames)


def cut_frames(rng: Random, calls: Sequence[Call]) -> bytes:
    """Cut a good request anywhere, also within a frame."""
    call = rng.choice(calls)
    # Headers as literals, so that no encoder is needed: RFC 7541, 6.2.2.
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in _make_headers(call.path)
    )
    whole = PREFACE + SettingsFrame(0).serialize() + HeadersFrame(1, block, flags=["END_HEADERS"]).serialize()
    whole += DataFrame(1, _frame_message(call.request[:_MAX_DATA_BYTES]), flags=["END_STREAM"]).serialize()
    return bytes(whole[: rng.randrange(len(whole))])


def forbidden_frames(rng: Random, calls: Sequence[Call]) -> bytes:
    """Make frames in forbidden places or with forbidden content."""
    block = b"\x82\x86"  # :method GET, :scheme http
    choices: tuple[Sequence[Frame | bytes], ...] = (
        [DataFrame(1, b"x")],
        [HeadersFrame(2, block, flags=["END_HEADERS"])],
        [HeadersFrame(1, b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"])],
        [HeadersFrame(1, block), DataFrame(1, b"x")],
        [ContinuationFrame(1, block, flags=["END_HEADERS"])],
        [HeadersFrame(1, block), *(ContinuationFrame(1, block) for _ in range(200))],
        [WindowUpdateFrame(0, window_increment=2**31 - 1)] * 2,
        [PriorityFrame(1, depends_on=1)],
        [RstStreamFrame(1)],
        [PingFrame(0, opaque_data=b"12345678")] * 300,
        [SettingsFrame(0, settings={4: 2**32 - 1})],
        [SettingsFrame(0, settings={5: 1})],
        [SettingsFrame(0, settings={1: 0, 3: 0, 6: 1})] * 100,
        [b"\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde"],  # SETTINGS of five bytes
        [b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"],  # WINDOW_UPDATE by nothing
        [b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"],  # DATA of 16 MiB
    )
    parts = rng.choice(choices)
    sent = b"".join(bytes(part if isinstance(part, bytes) else part.serialize()) for part in parts)
    return PREFACE + SettingsFrame(0).serialize() + sent


def many_resets(rng: Random, calls: Sequence[Call]) -> bytes:
    """Open streams and reset them at once (CVE-2023-44487)."""
    block = b"\x83\x86\x84"  # :method POST, :scheme http, :path /
    pairs = (
        HeadersFrame(number, block, flags=["END_HEADERS"]).serialize()
        + RstStreamFrame(number, error_code=8).serialize()
        for number in range(1, 2 * rng.randrange(1, 200), 2)
    )
    return PREFACE + SettingsFrame(0).serialize() + b"".join(pairs)


CONNECTION_INPUTS: Sequence[Callable[[Random, Sequence[Call]], bytes]] = (
    no_http2,
    random_frames,
    cut_frames,
    forbidden_frames,
    many_resets,
)
