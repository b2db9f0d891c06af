"""Connections: pings, ages, drains, streams that stay open, reflection as other makers' tools ask for it."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import scrape

from benchmarks.common.fuzzing.http2 import HEADER_BYTES, PREFACE
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NOBODY = shopper_pb2.ShopperRef(
    history=shopper_pb2.History(events=[{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}])
)
REFLECTION = {
    version: f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
}
WATCH = "/grpc.health.v1.Health/Watch"
SECONDS = 60.0
ROOM = 1_000
"""Streams of health and reflection that may be open."""


async def nothing() -> AsyncIterator[bytes]:
    """No message, and no end."""
    await asyncio.Event().wait()
    yield b""


async def test_watchers_fill_their_own_room_only(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path, "--max-concurrent-rpcs", "4") as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            health, stubs = health_pb2_grpc.HealthStub(channel), Stubs.over(channel)
            watchers = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(2 * ROOM)]
            told = await asyncio.gather(*(watcher.read() for watcher in watchers), return_exceptions=True)
            refused = [error for error in told if isinstance(error, grpc.aio.AioRpcError)]
            assert len(told) - len(refused) == ROOM / 2  # one caller gets half of the room
            assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}

            assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)).status == SERVING
            profile = await stubs.profiles.GetProfile(GetProfileRequest(shopper=NOBODY), timeout=SECONDS)
            assert profile.profile.event_count == 1
            event = event_pb2.Event(event_id="1", type=event_pb2.EVENT_TYPE_VIEW, item_id="x", time=datetime.now(UTC))
            recorded = RecordEventsRequest(events=[{"shopper_id": "ann", "event": event}])
            assert (await stubs.events.RecordEvents(recorded, timeout=SECONDS)).accepted == 1

            shown = await asyncio.to_thread(scrape, gateway)
            counted = 'portrait_rpcs_total{code="RESOURCE_EXHAUSTED",method="grpc.health.v1.Health/Watch"} '
            assert f"{counted}{float(len(refused))}" in shown
            async with asyncio.timeout(SECONDS):
                while sum(line["count"] for line in lines(gateway)) < len(refused):
                    await asyncio.sleep(0.05)
            assert {(line["limit"], line["reason"]) for line in lines(gateway)} == {("endless", "caller")}
            assert len(lines(gateway)) < len(refused) / 10  # one for each second, not for each call

            for watcher in watchers:
                watcher.cancel()
            async with asyncio.timeout(SECONDS):  # their room is free again
                while (await health.Watch(health_pb2.HealthCheckRequest()).read()) is None:
                    await asyncio.sleep(0.05)


def lines(gateway: RunningGateway) -> list[dict[str, int]]:
    """The log lines of refusals."""
    return [line for line in gateway.logged if line["event"] == "refused_calls"]


async def test_a_drain_waits_for_no_stream_that_its_caller_keeps_open(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path, "--drain-seconds", "120") as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            silent = [channel.stream_stream(path)(nothing()) for path in (*REFLECTION.values(), WATCH)]
            listing = channel.stream_stream(REFLECTION["v1alpha"])()
            await listing.write(reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString())
            await listing.read()
            gateway.process.terminate()
            code = await asyncio.to_thread(gateway.process.wait, 60)
            assert code == 0
            assert (await watch.read()).status == NOT_SERVING
            for stream in (*silent, listing):
                assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        assert gateway.line("stopped")


@pytest.mark.parametrize("version", REFLECTION)
async def test_either_version_of_reflection_describes_every_service(stubs: Stubs, version: str) -> None:
    method = stubs.channel.stream_stream(
        REFLECTION[version],
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    [answer] = [each async for each in method(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))]
    names = {service.name for service in answer.list_services_response.service}
    assert {"portrait.v1.ProfileService", "grpc.reflection.v1.ServerReflection", "grpc.health.v1.Health"} <= names
    asked = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in sorted(names)]
    assert [each.WhichOneof("message_response") async for each in method(iter(asked))] == [
        "file_descriptor_response"
    ] * len(names)


def buf_curl(*arguments: str) -> str:
    buf = str(Path(sys.executable).parent / "buf")
    done = subprocess.run(
        [buf, "curl", "--http2-prior-knowledge", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", REFLECTION)
async def test_a_tool_of_another_make_calls_by_reflection(gateway: RunningGateway, version: str) -> None:
    how = ("--protocol", "grpc", "--reflect", "--reflect-protocol", f"grpc-{version}")
    listed = await asyncio.to_thread(buf_curl, *how, "--list-methods", f"http://{gateway.address}")
    assert "portrait.v1.ProfileService/GetProfile" in listed
    request = '{"shopper": {"history": {"events": [{"type": "EVENT_TYPE_VIEW", "itemId": "desk-lamp-red"}]}}}'
    url = f"http://{gateway.address}/portrait.v1.ProfileService/GetProfile"
    assert '"eventCount":1' in (await asyncio.to_thread(buf_curl, *how, "-d", request, url)).replace(" ", "")


def frames(connection: socket.socket, unread: bytearray) -> list[Frame]:
    """Frames that have come, waiting for the first of them."""
    part = connection.recv(1 << 16)
    assert part, "the gateway has closed the connection"
    unread += part
    found = []
    while len(unread) >= HEADER_BYTES:
        length = HEADER_BYTES + int.from_bytes(unread[:3], "big")
        if len(unread) < length:
            break
        frame, _ = Frame.parse_frame_header(memoryview(bytes(unread[:HEADER_BYTES])))
        frame.parse_body(memoryview(bytes(unread[HEADER_BYTES:length])))
        found.append(frame)
        del unread[:length]
    return found


@pytest.mark.parametrize("with_stream", [True, False])
def test_pings_of_every_second_are_welcome(gateway: RunningGateway, with_stream: bool) -> None:
    """gRPC's default takes two early pings and closes the connection at the third."""
    host, _, port = gateway.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        out = PREFACE + SettingsFrame(0).serialize()
        if with_stream:
            headers = [(":method", "POST"), (":scheme", "http"), (":path", WATCH), (":authority", "x")]
            headers += [("content-type", "application/grpc"), ("te", "trailers")]
            out += HeadersFrame(1, Encoder().encode(headers), flags=["END_HEADERS"]).serialize()
            out += DataFrame(1, b"\0\0\0\0\0", flags=["END_STREAM"]).serialize()
        connection.sendall(out)
        got: list[Frame] = []
        unread = bytearray()
        for number in range(5):
            time.sleep(0.7)  # after the answer: what is sent earlier may come with the ping before on a busy machine
            connection.sendall(PingFrame(0, number.to_bytes(8, "big")).serialize())
            while not any(is_answer(frame, number) for frame in got):
                got += frames(connection, unread)
                assert not [frame for frame in got if isinstance(frame, GoAwayFrame)]


def is_answer(frame: Frame, number: int) -> bool:
    return isinstance(frame, PingFrame) and "ACK" in frame.flags and frame.opaque_data == number.to_bytes(8, "big")
