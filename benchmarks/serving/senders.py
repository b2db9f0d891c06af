"""Senders of one text to each server, and loads of texts, sent from a process of its own."""

import asyncio
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import grpc
import uvloop
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tritonclient.grpc.aio import InferenceServerClient, InferInput

from benchmarks.common.load.generator import OK, CallResult
from portrait.client.channels import proxy_options
from portrait.features.text.tokenizer import TextTokenizer
from portrait.server.inference.texts import SHAPES
from portrait.server.triton import open_client
from portrait.v1.text_service_pb2 import EncodeTextsRequest

SECONDS = 60.0
"""Seconds after which a request has failed."""

Send = Callable[[str], Awaitable[object]]


@dataclass(frozen=True)
class Target:
    """The server that texts are sent to."""

    kind: str
    """`litserve`, `mosec`, `triton` or `gateway`."""
    address: str
    """host:port, or unix:PATH for Triton."""
    tokenizer: Path
    """Path of the tokenizer, for requests to Triton itself."""
    version: int
    """The release."""


@asynccontextmanager
async def open_sender(target: Target) -> AsyncIterator[Send]:
    """Open connections to a server and yield a function that sends one text."""
    match target.kind:
        case "triton":
            async with open_client(target.address) as client:
                yield partial(_send_to_triton, client, TextTokenizer.load(target.tokenizer), str(target.version))
        case "gateway":
            async with grpc.aio.insecure_channel(target.address, proxy_options(target.address)) as channel:
                call = channel.unary_unary("/portrait.v1.TextService/EncodeTexts", None, None)
                yield partial(_send_to_gateway, call)
        case _:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(f"http://{target.address}", connector=connector) as session:
                yield partial({"litserve": _send_to_litserve, "mosec": _send_to_mosec}[target.kind], session)


async def _send_to_triton(client: InferenceServerClient, tokenizer: TextTokenizer, version: str, text: str) -> object:
    """Send a text padded to one of the gateway's lengths: Triton batches requests of one shape only."""
    [row] = tokenizer.encode([text])
    batch = tokenizer.pad([row], SHAPES.padded_length(len(row)))
    inputs = []
    for name, value in (("input_ids", batch.input_ids), ("attention_mask", batch.attention_mask)):
        inputs.append(InferInput(name, list(value.shape), "INT64"))
        inputs[-1].set_data_from_numpy(value)
    answer = await client.infer("text_encoder", inputs, model_version=version, client_timeout=SECONDS)
    return answer.as_numpy("embedding")


async def _send_to_gateway(call: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", text: str) -> object:
    """Send a text; retry a refused call after the delay of `RetryInfo`."""
    request = EncodeTextsRequest(texts=[text]).SerializeToString()
    until = time.monotonic() + SECONDS
    while True:
        try:
            return await call(request, timeout=until - time.monotonic())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(_read_retry_delay(error))


def _read_retry_delay(error: grpc.aio.AioRpcError) -> float:
    status, info = rpc_status.from_call(error), error_details_pb2.RetryInfo()  # type: ignore[arg-type]
    if status is None or not any(detail.Unpack(info) for detail in status.details):
        raise error
    return float(info.retry_delay.ToTimedelta().total_seconds())


async def _send_to_litserve(session: aiohttp.ClientSession, text: str) -> object:
    async with session.post("/predict", json={"text": text}) as answer:
        answer.raise_for_status()
        return await answer.read()


async def _send_to_mosec(session: aiohttp.ClientSession, text: str) -> object:
    async with session.post("/inference", data=text.encode()) as answer:
        answer.raise_for_status()
        return await answer.read()


def send_load(target: Target, texts: Sequence[str], *, in_flight: int = 0, rate: float = 0.0) -> list[CallResult]:
    """Send each text once from another process: in a closed loop, or as a Poisson process with a rate."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_send_in_process, (target, texts, in_flight, rate))


def _send_in_process(target: Target, texts: Sequence[str], in_flight: int, rate: float) -> list[CallResult]:
    return uvloop.run(
        _send_closed_loop(target, texts, in_flight) if in_flight else _send_open_loop(target, texts, rate)
    )


async def _send_closed_loop(target: Target, texts: Sequence[str], in_flight: int) -> list[CallResult]:
    left = iter(texts)
    answered: list[CallResult] = []

    async def caller(send: Send) -> None:
        for text in left:
            answered.append(await _time_send(send, text))

    async with open_sender(target) as send:
        await asyncio.gather(*(caller(send) for _ in range(in_flight)))
    return answered


async def _send_open_loop(target: Target, texts: Sequence[str], rate: float) -> list[CallResult]:
    rng, tasks = random.Random(1), []
    async with open_sender(target) as send:
        due = time.monotonic()
        for text in texts:
            due += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(_time_send(send, text)))
        return await asyncio.gather(*tasks)


async def _time_send(send: Send, text: str) -> CallResult:
    sent, code = time.monotonic(), OK
    try:
        await send(text)
    except Exception as error:  # of whatever protocol
        code = error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
    return CallResult(sent, time.monotonic() - sent, code)
