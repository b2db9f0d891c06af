"""Load from a process of its own: in a closed loop, or in an open one that does not wait for answers."""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
import uvloop

_CHANNELS = 4

_Methods: TypeAlias = "dict[str, list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]]"

OK, LATE, REFUSED, LEFT = "OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as it goes over the wire."""

    path: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one call."""

    sent: float
    """`time.monotonic()`."""
    seconds: float
    code: str


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    A load either has `in_flight`: so many calls are always under way; or `rate`: calls a second, at random times.
    """

    address: str
    calls: Sequence[Call]
    seconds: float
    deadline: float
    in_flight: int = 0
    rate: float = 0.0
    leaving: float = 0.0
    """Share of the callers that leave before the answer, at a random time within `leave_seconds`."""
    leave_seconds: float = 0.0
    count: int = 0
    """Ends after so many calls, if it is not 0."""
    metadata: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def run(load: Load) -> list[Answered]:
    """Send a load from another process and wait for what becomes of it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (load,))


def start(load: Load) -> "tuple[multiprocessing.pool.Pool, multiprocessing.pool.AsyncResult[list[Answered]]]":
    """The same, without waiting."""
    pool = multiprocessing.get_context("spawn").Pool(1)
    return pool, pool.apply_async(_run, (load,))


def _run(load: Load) -> list[Answered]:
    return uvloop.run(_Sender(load).send())


class _Sender:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._chance = random.Random(1)
        self._answered: list[Answered] = []
        self._sent = 0

    async def send(self) -> list[Answered]:
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        channels = [grpc.aio.insecure_channel(self._load.address, options) for _ in range(_CHANNELS)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        methods = {
            call.path: [channel.unary_unary(call.path, None, None) for channel in channels] for call in self._load.calls
        }
        end = time.monotonic() + self._load.seconds
        if self._load.in_flight:
            await asyncio.gather(*(self._loop(methods, end) for _ in range(self._load.in_flight)))
        else:
            await self._open(methods, end)
        for channel in channels:
            await channel.close(None)
        return self._answered

    def _more(self, end: float) -> bool:
        return time.monotonic() < end and not (self._load.count and self._sent >= self._load.count)

    async def _loop(self, methods: _Methods, end: float) -> None:
        while self._more(end):
            await self._call(methods)

    async def _open(self, methods: _Methods, end: float) -> None:
        """Arrivals of a Poisson process; one that comes late is caught up with."""
        due = time.monotonic()
        calls: set[asyncio.Task[None]] = set()
        while self._more(end):
            due += self._chance.expovariate(self._load.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._call(methods))
            calls.add(task)
            task.add_done_callback(calls.discard)
        await asyncio.gather(*calls)

    async def _call(self, methods: _Methods) -> None:
        load, chance = self._load, self._chance
        made = load.calls[self._sent % len(load.calls)]
        self._sent += 1
        sent, code = time.monotonic(), OK
        call = methods[made.path][self._sent % _CHANNELS](made.request, timeout=load.deadline, metadata=load.metadata)
        if load.leaving and chance.random() < load.leaving:
            asyncio.get_running_loop().call_later(chance.uniform(0.0, load.leave_seconds), call.cancel)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        except asyncio.CancelledError:
            code = LEFT
        self._answered.append(Answered(sent, time.monotonic() - sent, code))
