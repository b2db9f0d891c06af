"""Callers in a closed loop that keep their responses, and wait when they are told to.

Unlike `load`, which only counts: here every answer can be looked at.
"""

import asyncio
import multiprocessing
import multiprocessing.pool
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import uvloop

from benchmarks.common.load.generator import Call
from portrait.client.channels import proxy_options

OK = "OK"


@dataclass(frozen=True, slots=True)
class CallerGroup:
    """A group of callers with the same calls."""

    name: str
    calls: Sequence[Call]
    """Calls in order, each made by the next free caller, over and over."""
    in_flight: int
    pause: float = 0.0
    """Seconds between a caller's answer and the next call."""
    patience: float = 1.0
    """Seconds that a caller waits after an error; 1 is the `RetryInfo` while Triton restarts."""


@dataclass(frozen=True, slots=True)
class CallerAnswer:
    """The outcome of one call."""

    callers: str
    call: int
    """Position of the call in the group's calls."""
    sent: float
    """`time.monotonic()`, as all processes of a machine see it."""
    seconds: float
    code: str
    response: bytes


def start_callers(
    address: str, callers: Sequence[CallerGroup], seconds: float, deadline: float
) -> "multiprocessing.pool.AsyncResult[list[CallerAnswer]]":
    """Start the callers in a process of their own.

    Args:
        address: of the gateway.
        callers: who calls.
        seconds: how long.
        deadline: of each call, in seconds.
    """
    pool = multiprocessing.get_context("spawn").Pool(1)
    running = pool.apply_async(_call_in_process, (address, callers, seconds, deadline))
    pool.close()
    return running


def _call_in_process(
    address: str, callers: Sequence[CallerGroup], seconds: float, deadline: float
) -> list[CallerAnswer]:
    return uvloop.run(_call_all(address, callers, seconds, deadline))


async def _call_all(
    address: str, callers: Sequence[CallerGroup], seconds: float, deadline: float
) -> list[CallerAnswer]:
    answers: list[CallerAnswer] = []
    end = time.monotonic() + seconds
    async with grpc.aio.insecure_channel(address, proxy_options(address)) as channel:
        await asyncio.gather(
            *(
                _call(channel, each, place, end, deadline, answers)
                for each in callers
                for place in range(each.in_flight)
            )
        )
    return answers


async def _call(
    channel: grpc.aio.Channel,
    callers: CallerGroup,
    place: int,
    end: float,
    deadline: float,
    answers: list[CallerAnswer],
) -> None:
    """Run one caller of a group; with n callers it makes every n-th call."""
    methods = {call.path: channel.unary_unary(call.path, bytes, bytes) for call in callers.calls}
    while time.monotonic() < end:
        call = callers.calls[place % len(callers.calls)]
        sent, code, response = time.monotonic(), OK, b""
        try:
            response = await methods[call.path](call.request, timeout=deadline)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        answers.append(
            CallerAnswer(callers.name, place % len(callers.calls), sent, time.monotonic() - sent, code, response)
        )
        place += callers.in_flight
        await asyncio.sleep(callers.pause if code == OK else callers.patience)
