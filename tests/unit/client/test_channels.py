"""Retries, deadlines and TLS, against a real server."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Any_
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from support.ports import find_free_port

from portrait.client import AsyncClient, Client, InvalidRequestError, PortraitError, Tls, UnavailableError
from portrait.client.channels import proxy_options
from portrait.client.enums import DEFAULT_TIMEOUT
from portrait.v1 import profile_service_pb2_grpc

from .conftest import Scripted, failing

DOWN = failing(grpc.StatusCode.UNAVAILABLE, "down")


async def answer(_: grpc.aio.ServicerContext[Any, Any]) -> None: ...


async def ask(address: str, kind: str, timeout: float | None = None) -> str:
    """Call GetProfile with one of the two clients."""
    if kind == "async":
        async with AsyncClient(address) as client:
            return (await client.get_profile("a", timeout=timeout)).shopper_id

    def ask_and_wait() -> str:
        with Client(address) as client:
            return client.get_profile("a", timeout=timeout).shopper_id

    return await asyncio.to_thread(ask_and_wait)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_unavailable_is_tried_again(scripted: Scripted, kind: str) -> None:
    scripted.answers = [DOWN, DOWN, answer]
    assert await ask(scripted.address, kind) == "a"
    assert scripted.calls == 3


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_the_caller_must_mend_is_not(scripted: Scripted, kind: str) -> None:
    scripted.answers = [failing(grpc.StatusCode.INVALID_ARGUMENT, "k")]
    with pytest.raises(InvalidRequestError):
        await ask(scripted.address, kind)
    assert scripted.calls == 1


async def test_a_server_that_wants_no_retry_gets_none(scripted: Scripted) -> None:
    scripted.answers = [failing(grpc.StatusCode.UNAVAILABLE, "down", ("grpc-retry-pushback-ms", "-1"))]
    with pytest.raises(UnavailableError):
        await ask(scripted.address, "async")
    assert scripted.calls == 1


async def test_a_server_says_when_to_come_back(scripted: Scripted) -> None:
    scripted.answers = [failing(grpc.StatusCode.UNAVAILABLE, "down", ("grpc-retry-pushback-ms", "600")), answer]
    began = time.monotonic()
    await ask(scripted.address, "async")
    assert time.monotonic() - began >= 0.6
    assert scripted.calls == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_it_goes_on_trying_until_the_deadline(scripted: Scripted, kind: str) -> None:
    scripted.answers = [DOWN] * 5 + [answer]
    assert await ask(scripted.address, kind, timeout=60.0) == "a"
    assert scripted.calls == 6  # gRPC's own policy gives up after five


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_at_the_deadline_it_says_why(scripted: Scripted, kind: str) -> None:
    scripted.answers = [DOWN]
    with pytest.raises(UnavailableError, match="down"):
        await ask(scripted.address, kind, timeout=3.0)
    assert scripted.calls > 2


async def test_retry_info_says_when_to_come_back(scripted: Scripted) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(nanos=600_000_000))
    packed = status_pb2.Status(details=[Any_()])
    packed.details[0].Pack(retry)
    details = ("grpc-status-details-bin", packed.SerializeToString())
    scripted.answers = [failing(grpc.StatusCode.UNAVAILABLE, "down", details), answer]
    began = time.monotonic()
    await ask(scripted.address, "async")
    assert time.monotonic() - began >= 0.6
    assert scripted.calls == 2


@pytest.mark.slow
async def test_a_server_in_trouble_is_asked_at_the_slowest_pace(scripted: Scripted) -> None:
    scripted.answers = [DOWN]
    async with AsyncClient(scripted.address) as client:
        calls = [client.get_profile("a", timeout=0.5) for _ in range(12)]
        assert all(isinstance(each, UnavailableError) for each in await asyncio.gather(*calls, return_exceptions=True))
        spent = scripted.calls
        with pytest.raises(UnavailableError):
            await client.get_profile("a", timeout=2.5)
    # Alone it would be asked at 0, 0.1, 0.3, 0.7, 1.5 and 2.3 seconds: six times. A busy machine asks more slowly.
    assert 1 < scripted.calls - spent < 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_gateway_that_starts_late_is_found(kind: str) -> None:
    address = f"127.0.0.1:{find_free_port()}"
    asked = asyncio.create_task(ask(address, kind, timeout=30.0))
    await asyncio.sleep(1.0)
    servicer, server = Scripted(), grpc.aio.server()
    servicer.answers = [answer]
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    assert await asked == "a"
    await server.stop(None)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_every_call_has_a_deadline(scripted: Scripted, kind: str) -> None:
    left: list[float] = []

    async def note(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        left.append(context.time_remaining())

    scripted.answers = [note]
    await ask(scripted.address, kind)
    await ask(scripted.address, kind, timeout=60.0)
    by_default, by_call = left
    assert by_default < DEFAULT_TIMEOUT + 1 < by_call < 61.0  # gRPC rounds up


async def test_the_deadline_holds_for_all_tries_together(scripted: Scripted) -> None:
    scripted.answers = [failing(grpc.StatusCode.UNAVAILABLE, "down", ("grpc-retry-pushback-ms", "60000"))]
    began = time.monotonic()
    with pytest.raises(PortraitError):
        await ask(scripted.address, "async", timeout=0.3)
    assert time.monotonic() - began < 30


def certificates(folder: Path) -> None:
    """An authority, a server's certificate and a caller's, made by it."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name, more in (("ca", ()), ("server", signed), ("caller", signed)):
        made = (*key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", *more)
        subprocess.run(["openssl", "req", "-x509", *made], cwd=folder, check=True, capture_output=True)


@pytest.mark.slow
async def test_tls_both_ways(tmp_path: Path) -> None:
    certificates(tmp_path)
    authority, certificate, key = ((tmp_path / name).read_bytes() for name in ("ca.pem", "server.pem", "server.key"))
    servicer, server = Scripted(), grpc.aio.server()
    servicer.answers = [answer]
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
    address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    await server.start()
    known = Tls(tmp_path / "ca.pem", tmp_path / "caller.pem", tmp_path / "caller.key")
    async with AsyncClient(address, tls=known) as client:
        assert (await client.get_profile("a")).shopper_id == "a"
    for unknown in (Tls(tmp_path / "ca.pem"), Tls(), None):
        async with AsyncClient(address, tls=unknown) as client:
            with pytest.raises(UnavailableError):
                await client.get_profile("a", timeout=1.0)
    await server.stop(None)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Tls(certificate=Path("caller.pem"))


@pytest.mark.parametrize(
    "address",
    ["localhost:50051", "LocalHost.:1", "127.0.0.1:50051", "127.8.0.1:1", "[::1]:50051", "::1", "0.0.0.0:1", "[::]:1",
     "[::ffff:127.0.0.1]:1", "unix:/run/portrait", "unix-abstract:portrait", "dns:localhost:1", "dns:///127.0.0.1:1",
     "ipv4:127.0.0.1:1,127.0.0.1:2", "ipv6:[::1]:1", "ipv6:%5B::1%5D:1", "localhost"],
)  # fmt: skip
def test_proxies_are_ignored_on_this_machine(address: str) -> None:
    assert proxy_options(address) == [("grpc.enable_http_proxy", 0)]


@pytest.mark.parametrize(
    "address",
    ["gateway:50051", "gateway.example", "10.0.0.1:50051", "[2001:db8::1]:443", "dns:///gateway:1", "xds:///gateway",
     "localhost.example:1", "ipv4:127.0.0.1:1,10.0.0.1:1"],
)  # fmt: skip
def test_other_addresses_keep_the_proxies_of_the_environment(address: str) -> None:
    assert proxy_options(address) == []
