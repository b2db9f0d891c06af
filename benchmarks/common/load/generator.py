"""A load generator in a process of its own: closed loop, or open loop, which does not wait for answers."""

import asyncio
import gc
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import uvloop

from benchmarks.common.load import wire
from benchmarks.common.load.wire import CANCELLED, DEADLINE_EXCEEDED, OK, RESOURCE_EXHAUSTED

__all__ = [
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "OK",
    "RESOURCE_EXHAUSTED",
    "Call",
    "CallResult",
    "Load",
    "run_load",
    "start_load",
]


@dataclass(frozen=True, slots=True)
class Call:
    """A serialised request and its path."""

    path: str
    request: bytes


@dataclass(frozen=True, slots=True)
class CallResult:
    """The outcome of one call."""

    sent: float
    """`time.monotonic()`."""
    seconds: float
    code: str


@dataclass(frozen=True, slots=True)
class Load:
    """A load, and how it is sent.

    A load either has `in_flight`: so many calls are always under way; or `rate`: calls a second.
    """

    address: str
    calls: Sequence[Call]
    seconds: float
    deadline: float
    in_flight: int = 0
    rate: float = 0.0
    even: bool = False
    """True for calls at even intervals, as from k6; False for a Poisson process. Only for loads with a `rate`."""
    after_refusal: float = 0.0
    """Seconds that a caller of a closed loop waits after a refusal."""
    leaving: float = 0.0
    """Share of the calls that are cancelled, at a random time within `leave_seconds`."""
    leave_seconds: float = 0.0
    count: int = 0
    """Maximum number of calls; 0 for no limit."""
    metadata: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    connections: int = 4
    """Connections, used in turn. A gateway of several processes shares out connections at random, not calls: of a few,
    one process may get most."""


def run_load(load: Load) -> list[CallResult]:
    """Send a load from another process and wait for the results."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_send_load, (load,))


def start_load(load: Load) -> "tuple[multiprocessing.pool.Pool, multiprocessing.pool.AsyncResult[list[CallResult]]]":
    """Start a load in another process without waiting for it."""
    pool = multiprocessing.get_context("spawn").Pool(1)
    return pool, pool.apply_async(_send_load, (load,))


def start_load_series(
    loads: Sequence[Load],
) -> "tuple[multiprocessing.pool.Pool, multiprocessing.pool.AsyncResult[list[list[CallResult]]]]":
    """Start loads with a `rate`, each when the one before has sent its last call; answers may still be pending."""
    pool = multiprocessing.get_context("spawn").Pool(1)
    return pool, pool.apply_async(_send_series, (loads,))


def _send_load(load: Load) -> list[CallResult]:
    return _send_series([load])[0]


def _send_series(loads: Sequence[Load]) -> list[list[CallResult]]:
    async def send() -> list[list[CallResult]]:
        senders = [_Sender(load) for load in loads]
        for sender in senders:
            await sender.begin()
        return [await sender.end() for sender in senders]

    gc.disable()  # of a process that ends with the load: its pauses would look like the server's
    return uvloop.run(send())


class _Sender:
    """A sender of a load by callbacks alone, because a task for each call would cost more than the call."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rng = random.Random(1)
        self._answered: list[CallResult] = []
        self._sent = self._under_way = 0
        self._ended = asyncio.Event()

    async def begin(self) -> None:
        """Send all calls, or with `in_flight` the first ones."""
        load = self._load
        self._connections = [await wire.connect(load.address) for _ in range(load.connections)]
        paths = {call.path for call in load.calls}
        self._heads = {path: wire.encode_headers(load.address, path, load.deadline, load.metadata) for path in paths}
        self._end = time.monotonic() + load.seconds
        if load.in_flight:
            for _ in range(load.in_flight):
                self._call()
        else:
            await self._arrive()

    async def end(self) -> list[CallResult]:
        """Wait for the calls under way; return all results."""
        while self._under_way:
            self._ended.clear()
            await self._ended.wait()
        for connection in self._connections:
            connection.close()
        return self._answered

    def _more(self) -> bool:
        return time.monotonic() < self._end and not (self._load.count and self._sent >= self._load.count)

    async def _arrive(self) -> None:
        """Send calls as a Poisson process or at even intervals, and catch up after a delay."""
        due = time.monotonic()
        while self._more():
            due += 1.0 / self._load.rate if self._load.even else self._rng.expovariate(self._load.rate)
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            self._call()

    def _call(self) -> None:
        load, rng = self._load, self._rng
        made = load.calls[self._sent % len(load.calls)]
        connection = self._connections[self._sent % load.connections]
        self._sent += 1
        self._under_way += 1
        sent = time.monotonic()
        ended = partial(self._note, sent)
        stream = connection.call(self._heads[made.path], made.request, load.deadline, ended)
        if load.leaving and rng.random() < load.leaving:
            asyncio.get_running_loop().call_later(rng.uniform(0.0, load.leave_seconds), connection.cancel, stream)

    def _note(self, sent: float, code: str) -> None:
        self._answered.append(CallResult(sent, time.monotonic() - sent, code))
        pause = self._load.after_refusal if code == RESOURCE_EXHAUSTED else 0.0
        asyncio.get_running_loop().call_later(pause, self._end_call)

    def _end_call(self) -> None:
        self._under_way -= 1
        if self._load.in_flight and self._more():
            self._call()
        else:
            self._ended.set()
