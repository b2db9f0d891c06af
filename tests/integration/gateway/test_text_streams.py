"""Streams of texts through a real gateway and Triton: in order, equal to single calls, bounded, and nothing is left."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from support import tiny_release
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import read_metrics

from portrait.client import AsyncClient, Client, InvalidRequestError
from portrait.client.calls import TEXTS_PER_REQUEST
from portrait.server.rpc.services.texts import MAX_REQUESTS_UNDER_WAY
from portrait.v1.text_service_pb2 import EncodeTextsRequest, EncodeTextStreamRequest, EncodeTextStreamResponse

PATH = "/portrait.v1.TextService/EncodeTextStream"
WORDS = sorted({word for item in tiny_release.ITEMS for word in item.title.split()})
PENDING = 'portrait_model_pending_rows{model="text_encoder"}'
SECONDS = 60.0
"""Far more than anything takes on a busy machine."""
_PAUSE = 0.02


def make_texts(count: int) -> list[str]:
    """Texts that no other test has, of 2 to 21 words."""
    run = uuid4().hex[:8]
    return [
        " ".join([run, str(n), *(WORDS[(n + place) % len(WORDS)] for place in range(n % 20))]) for n in range(count)
    ]


def make_requests(texts: Sequence[str], size: int) -> list[EncodeTextStreamRequest]:
    return [EncodeTextStreamRequest(texts=texts[begin : begin + size]) for begin in range(0, len(texts), size)]


async def stream(stubs: Stubs, requests: Sequence[EncodeTextStreamRequest]) -> list[EncodeTextStreamResponse]:
    return [response async for response in stubs.texts.EncodeTextStream(iter(requests), timeout=SECONDS)]


async def require_nothing_left(gateway: RunningGateway) -> None:
    """Wait until no unit of work runs and no text waits for the model."""
    async with asyncio.timeout(SECONDS):
        while True:
            shown = await asyncio.to_thread(read_metrics, gateway)
            left = [
                value
                for name, value in shown.items()
                if name == PENDING or name.startswith("portrait_admission_running_units")
            ]
            assert len(left) > 1
            if not any(left):
                return
            await asyncio.sleep(_PAUSE)


@pytest.mark.parametrize("size", [1, 7, 256])
async def test_a_stream_returns_the_vectors_of_single_calls_in_the_order_of_its_requests(
    stubs: Stubs, gateway: RunningGateway, size: int
) -> None:
    texts = make_texts(3 * size + 1) if size > 1 else make_texts(40)
    responses = await stream(stubs, make_requests(texts, size))
    assert [len(response.values) // response.dimension for response in responses] == [
        len(texts[begin : begin + size]) for begin in range(0, len(texts), size)
    ]
    streamed = [value for response in responses for value in response.values]
    single: list[float] = []
    for text in texts:
        answer = await stubs.texts.EncodeTexts(EncodeTextsRequest(texts=[text]))
        assert answer.release == responses[0].release
        single += answer.values
    assert streamed == single  # bit for bit: they come from the cache of the stream's embeddings
    await require_nothing_left(gateway)


async def test_a_stream_is_as_near_to_single_calls_as_batches_are_to_each_other(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    texts = make_texts(150)
    with run_gateway(repository, tmp_path, *shared_triton, "--text-cache-mib", "0") as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            streamed = [value for each in await stream(stubs, make_requests(texts, 50)) for value in each.values]
            single: list[float] = []
            for text in texts:
                single += (await stubs.texts.EncodeTexts(EncodeTextsRequest(texts=[text]))).values
    assert streamed == pytest.approx(single, abs=1e-6)


async def test_an_empty_stream_has_no_response(stubs: Stubs) -> None:
    assert await stream(stubs, []) == []


FAULTS: list[tuple[Callable[[], bytes], str]] = [
    (lambda: EncodeTextStreamRequest(texts=["lamp", "x" * 1001]).SerializeToString(), "requests[2].texts[1]"),
    (lambda: EncodeTextStreamRequest().SerializeToString(), "requests[2].texts"),
    (lambda: EncodeTextStreamRequest(texts=["lamp"] * 257).SerializeToString(), "requests[2].texts"),
    (lambda: b"\x0a\xff", "requests[2]"),
    (lambda: b"\x0a\x00" * 200_000, "requests[2]"),
]


@pytest.mark.parametrize(("make_fault", "field"), FAULTS)
def test_a_request_that_breaks_the_contract_ends_the_stream_behind_the_responses_before(
    gateway: RunningGateway, make_fault: Callable[[], bytes], field: str
) -> None:
    good = [request.SerializeToString() for request in make_requests(make_texts(4), 2)]
    # Not by grpc.aio, which may lose the status of a stream that ends while its caller writes (grpc/grpc#36066).
    with grpc.insecure_channel(gateway.address) as channel:
        call = channel.stream_stream(PATH)(iter([*good, make_fault(), *good]), timeout=SECONDS)
        for _ in range(2):
            assert EncodeTextStreamResponse.FromString(next(call)).dimension == tiny_release.DIMENSION
        with pytest.raises(grpc.RpcError):
            next(call)
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(call)
    assert status is not None
    broken = error_details_pb2.BadRequest()
    assert any(detail.Unpack(broken) for detail in status.details)
    assert [violation.field for violation in broken.field_violations] == [field]
    asyncio.run(require_nothing_left(gateway))


async def test_a_caller_that_reads_nothing_is_read_no_further(stubs: Stubs, gateway: RunningGateway) -> None:
    """The gateway takes no more than its requests under way and the bytes that fit into the connection."""
    request = EncodeTextStreamRequest(texts=make_texts(256)).SerializeToString()
    call = stubs.channel.stream_stream(PATH)(timeout=SECONDS)
    sent, writing = 0, asyncio.ensure_future(call.write(request))
    while sent < 3_000:
        await asyncio.wait({writing}, timeout=1.0)
        if writing.done():
            await writing
            sent, writing = sent + 1, asyncio.ensure_future(call.write(request))
        elif sent >= MAX_REQUESTS_UNDER_WAY and (await asyncio.to_thread(read_metrics, gateway))[PENDING] == 0:
            break  # all that was read is encoded, and waits
    assert sent < 3_000
    call.cancel()
    await asyncio.wait({writing})
    await require_nothing_left(gateway)


async def test_a_stream_that_is_cancelled_leaves_nothing(stubs: Stubs, gateway: RunningGateway) -> None:
    def endless() -> Iterator[EncodeTextStreamRequest]:
        while True:
            yield EncodeTextStreamRequest(texts=make_texts(64))

    request_id = uuid4().hex
    call = stubs.texts.EncodeTextStream(endless(), timeout=SECONDS, metadata=(("x-request-id", request_id),))
    for _ in range(3):
        await call.read()
    call.cancel()
    await require_nothing_left(gateway)
    line = gateway.line("rpc", request_id=request_id)
    assert line["code"] == "CANCELLED"
    assert line["texts"] >= 2 * 64  # the last response may have been read before its write was counted


async def test_a_stream_ends_at_its_deadline(stubs: Stubs, gateway: RunningGateway) -> None:
    async def count_responses(seconds: float) -> int:
        """Send one request, do not close the stream, and read until its deadline."""
        call, count = stubs.channel.stream_stream(PATH)(timeout=seconds), 0
        with suppress(grpc.aio.AioRpcError):
            await call.write(EncodeTextStreamRequest(texts=make_texts(3)).SerializeToString())
            while isinstance(await call.read(), bytes):
                count += 1
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return count

    for seconds in (0.3, 3.0, 30.0):  # a busy machine may answer nothing in the first
        if count := await count_responses(seconds):
            break
    assert count == 1
    await require_nothing_left(gateway)


def test_no_more_streams_are_open_than_admission_lets_in(gateway: RunningGateway) -> None:
    end = threading.Event()

    def one_and_no_end() -> Iterator[bytes]:
        yield EncodeTextStreamRequest(texts=["lamp"]).SerializeToString()
        end.wait()

    def open_stream() -> grpc.StatusCode | None:
        """Open a stream that stays open; return the status of one that does not."""
        # No deadline passes before the last is open, on a busy machine either.
        calls.append(channel.stream_stream(PATH)(one_and_no_end(), timeout=300.0))
        with suppress(grpc.RpcError):
            next(calls[-1])
            return None
        return calls[-1].code()

    calls: list[Any] = []
    with grpc.insecure_channel(gateway.address) as channel:
        try:
            outcomes = [open_stream() for _ in range(15)]
            assert outcomes == [None] * 10 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 5
            # They hold nothing that other calls need.
            with Client(gateway.address) as client:
                assert client.encode_texts(["lamp"]).vectors
        finally:
            end.set()
            for call in calls:
                call.cancel()
    asyncio.run(require_nothing_left(gateway))


def test_the_client_streams_any_number_of_texts(gateway: RunningGateway) -> None:
    texts = make_texts(2 * TEXTS_PER_REQUEST + 5)
    with Client(gateway.address) as client:
        parts = list(client.encode_text_stream(text for text in texts))
        assert [len(part.vectors) for part in parts] == [TEXTS_PER_REQUEST, TEXTS_PER_REQUEST, 5]
        streamed = [vector for part in parts for vector in part.vectors]
        assert streamed[70] == client.encode_texts([texts[70]]).vectors[0]
        assert {part.release for part in parts} == {client.encode_texts(["lamp"]).release}
        assert list(client.encode_text_stream([])) == []


def test_a_source_may_wait_for_the_vectors_of_the_texts_before(gateway: RunningGateway) -> None:
    read = threading.Event()

    def texts() -> Iterator[str]:
        yield from make_texts(TEXTS_PER_REQUEST)
        assert read.wait(SECONDS)
        yield "lamp"

    with Client(gateway.address) as client:
        vectors = client.encode_text_stream(texts(), timeout=SECONDS)
        assert len(next(vectors).vectors) == TEXTS_PER_REQUEST
        read.set()
        assert len(next(vectors).vectors) == 1


def test_the_client_names_the_text_that_is_at_fault(gateway: RunningGateway) -> None:
    texts = make_texts(2 * TEXTS_PER_REQUEST)
    with Client(gateway.address) as client:
        vectors = client.encode_text_stream([*texts[:100], "x" * 1001, *texts[100:]])
        assert len(next(vectors).vectors) == TEXTS_PER_REQUEST
        with pytest.raises(InvalidRequestError, match=r"texts\[100\]: sent 1001 characters") as raised:
            next(vectors)
        assert [violation.field for violation in raised.value.violations] == ["texts[100]"]
        wrong = client.encode_text_stream([*texts[:100], 5])  # type: ignore[list-item]
        assert len(next(wrong).vectors) == TEXTS_PER_REQUEST
        with pytest.raises(TypeError, match=r"texts\[100\] takes a str; an int was given"):
            next(wrong)


def test_a_caller_who_stops_reading_early_ends_the_stream(gateway: RunningGateway) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield from make_texts(TEXTS_PER_REQUEST)

    with Client(gateway.address) as client:
        assert len(list(islice(client.encode_text_stream(endless()), 3))) == 3
    asyncio.run(require_nothing_left(gateway))


async def test_the_asynchronous_client_streams_the_same(gateway: RunningGateway) -> None:
    texts = make_texts(TEXTS_PER_REQUEST + 1)

    async def collect(parts: AsyncIterator[object]) -> list[object]:
        return [part async for part in parts]

    async with AsyncClient(gateway.address) as client:
        streamed = await collect(client.encode_text_stream(texts))
    with Client(gateway.address) as client:
        assert streamed == await asyncio.to_thread(lambda: list(client.encode_text_stream(texts)))


async def test_the_asynchronous_client_has_the_status_of_a_stream_that_ended_while_it_wrote(
    gateway: RunningGateway,
) -> None:
    """grpc.aio has lost it: of a hundred streams that ended so, 2 to 80 raised INTERNAL."""

    def endless() -> Iterator[str]:
        yield "x" * 1001
        while True:
            yield "lamp"

    async with AsyncClient(gateway.address) as client:
        for _ in range(20):
            with pytest.raises(InvalidRequestError, match=r"texts\[0\]: sent 1001 characters"):
                await anext(client.encode_text_stream(endless()))
