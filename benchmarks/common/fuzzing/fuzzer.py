"""A sender of bad inputs to the port of a gateway, and the end of each of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import Random

import grpc

from benchmarks.common.fuzzing.bad_input import CONNECTION_INPUTS, STREAM_INPUTS
from benchmarks.common.fuzzing.http2 import StreamEnd, StreamInput, send_bytes, send_streams
from benchmarks.common.load.generator import Call
from portrait.client.channels import proxy_options

BLOCK_INPUTS = 1_000
MAX_CONNECTIONS = 32
"""Maximum number of connections at a time. gRPC makes a peer that breaks the protocol wait for up to a second."""
STREAMS_PER_CONNECTION = 20
"""Streams of one connection."""
CONNECTION_SHARE = 0.6
"""Share of the connections that are one input: about a fifteenth of the inputs."""
MAX_SECONDS = 10.0
"""Maximum seconds of an input; a longer one counts as hung."""

TRANSPORT_ERRORS = (
    "Error parsing ",
    "Illegal header ",
    "Metadata keys cannot",
    "Compression bit set ",
    "Decompression failed ",
)
"""Prefixes of the status messages of gRPC's transport, before the gateway sees a call: INTERNAL for headers that
HTTP/2 or gRPC forbid, and for a compressed message without encoding or of bytes that don't unpack, where gRPC's own
specification asks for it (https://github.com/grpc/grpc/blob/master/doc/compression.md)."""

_STATUS_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
_FAULT_STATUSES = {grpc.StatusCode.INTERNAL.value[0], grpc.StatusCode.UNKNOWN.value[0]}


@dataclass
class Report:
    """The outcome of all inputs."""

    ends: Counter[str] = field(default_factory=Counter)
    """Number of inputs by kind and end."""
    faults: list[str] = field(default_factory=list)
    """Descriptions of inputs that hung or were answered with an error of the gateway's own."""
    good_calls: int = 0
    failed_calls: int = 0


def send_bad_inputs(
    address: str, calls: Sequence[Call], inputs: int, seed: int, *, between: Callable[[], None] = lambda: None
) -> Report:
    """Send bad inputs to a gateway.

    Args:
        address: host:port.
        calls: good ones; some inputs are made of them.
        inputs: how many.
        seed: other inputs for another one.
        between: called after each block.
    """
    rng, report = Random(seed), Report()
    with grpc.insecure_channel(address, proxy_options(address)) as channel, ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        for start in range(0, inputs, BLOCK_INPUTS):
            block = list(_make_block(rng, calls, min(BLOCK_INPUTS, inputs - start)))
            for ends in pool.map(lambda send: send(address), block):
                for kind, end in ends:
                    _count_end(kind, end, report)
            _make_good_call(channel, rng.choice(calls), report)
            between()
    return report


Ends = list[tuple[str, StreamEnd]]
"""Pairs of a kind of input and its end."""


def _make_block(rng: Random, calls: Sequence[Call], inputs: int) -> Iterator[Callable[[str], Ends]]:
    """Make connections with so many inputs in total; each is a function of the address."""
    while inputs > 0:
        if rng.random() < CONNECTION_SHARE:
            make = rng.choice(CONNECTION_INPUTS)
            yield partial(_send_connection, make.__name__, make(rng, calls))
            inputs -= 1
        else:
            kinds = [rng.choice(STREAM_INPUTS) for _ in range(min(inputs, STREAMS_PER_CONNECTION))]
            yield partial(
                _send_streams, [kind.__name__ for kind in kinds], [kind(rng, rng.choice(calls)) for kind in kinds]
            )
            inputs -= len(kinds)


def _send_connection(kind: str, sent: bytes, address: str) -> Ends:
    return [(kind, send_bytes(address, sent, MAX_SECONDS))]


def _send_streams(kinds: list[str], sent: list[StreamInput], address: str) -> Ends:
    return list(zip(kinds, send_streams(address, sent, MAX_SECONDS), strict=True))


def _count_end(kind: str, end: StreamEnd, report: Report) -> None:
    told = end.how if end.status is None else _STATUS_NAMES.get(end.status, str(end.status))
    if end.message.startswith(TRANSPORT_ERRORS):
        report.ends[f"{kind}: {told} from gRPC's transport"] += 1
        return
    report.ends[f"{kind}: {told}"] += 1
    if end.how == "hung" or end.status in _FAULT_STATUSES or "Traceback" in end.message:
        report.faults.append(f"{kind}: {told} {end.message[:200]}")


def _make_good_call(channel: grpc.Channel, call: Call, report: Report) -> None:
    report.good_calls += 1
    try:
        channel.unary_unary(call.path, None, None)(call.request, timeout=MAX_SECONDS, wait_for_ready=True)
    except grpc.RpcError:
        report.failed_calls += 1
