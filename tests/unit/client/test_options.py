"""Metadata, request ids, interceptors and channel options, as a server sees them; hints where no connection comes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from portrait.client import AsyncClient, Client, DeadlineExceededError, NotFoundError, PortraitError, ServerError, Tls
from portrait.v1 import profile_service_pb2_grpc

from .conftest import Scripted, failing
from .test_channels import answer, certificates

Ask = Callable[..., Any]


async def ask_sync(address: str, arguments: dict[str, Any], **options: Any) -> str:
    def run() -> str:
        with Client(address, **arguments) as client:
            return client.get_profile("a", **options).shopper_id

    return await asyncio.to_thread(run)


async def ask_async(address: str, arguments: dict[str, Any], **options: Any) -> str:
    async with AsyncClient(address, **arguments) as client:
        return (await client.get_profile("a", **options)).shopper_id


both = pytest.mark.parametrize("ask", [ask_sync, ask_async])


def note_metadata(scripted: Scripted) -> list[dict[str, str | bytes]]:
    """Have a server write down the metadata of each call."""
    seen: list[dict[str, str | bytes]] = []

    async def note(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        seen.append({key: value for key, value in context.invocation_metadata() or ()})

    scripted.answers = [note]
    return seen


@both
async def test_metadata_of_the_client_and_of_a_call(scripted: Scripted, ask: Ask) -> None:
    seen = note_metadata(scripted)
    own = {"metadata": {"x-tenant": "shop", "x-trace": "own"}, "caller": "search"}
    await ask(scripted.address, own, metadata=[("x-trace", "call"), ("x-trace", "again"), ("x-data-bin", b"\0\xff")])
    await ask(scripted.address, own, request_id="checkout-17")
    first, second = seen
    assert [first[key] for key in ("x-tenant", "x-trace", "x-data-bin", "x-caller")] == [
        "shop", "again", b"\0\xff", "search",
    ]  # fmt: skip
    assert "x-request-id" not in first
    assert (second["x-request-id"], second["x-trace"], second["x-priority"]) == ("checkout-17", "own", "interactive")


@both
async def test_an_own_request_id_names_a_call_that_was_never_answered(ask: Ask) -> None:
    with pytest.raises(PortraitError) as caught:
        await ask("127.0.0.1:1", {}, request_id="checkout-17", timeout=0.3)
    assert caught.value.request_id == "checkout-17"


@both
async def test_a_call_that_took_too_long_names_its_timeout(scripted: Scripted, ask: Ask) -> None:
    async def sleep(_: grpc.aio.ServicerContext[Any, Any]) -> None:
        await asyncio.sleep(30)

    scripted.answers = [sleep]
    with pytest.raises(DeadlineExceededError, match=r"the time limit was 0.2 s: timeout, --timeout"):
        await ask(scripted.address, {"timeout": 0.2})


class SyncTagging(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.seen.append(details.method)
        return continuation(details, request)


class AsyncTagging(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.seen.append(details.method)
        return await continuation(details, request)


@pytest.mark.parametrize(("ask", "kind"), [(ask_sync, SyncTagging), (ask_async, AsyncTagging)])
async def test_interceptors_see_every_try_and_errors_stay_typed(
    scripted: Scripted, ask: Ask, kind: type[SyncTagging]
) -> None:
    seen: list[str] = []
    scripted.answers = [failing(grpc.StatusCode.UNAVAILABLE, "down"), answer, failing(grpc.StatusCode.NOT_FOUND, "who")]
    assert await ask(scripted.address, {"interceptors": [kind(seen)]}) == "a"
    with pytest.raises(NotFoundError, match="who"):
        await ask(scripted.address, {"interceptors": [kind(seen)]})
    assert len(seen) == 3
    assert {method if isinstance(method, str) else method.decode() for method in seen} == {
        "/portrait.v1.ProfileService/GetProfile"
    }


@pytest.mark.parametrize(("ask", "base"), [(ask_sync, SyncTagging), (ask_async, AsyncTagging)])
async def test_an_error_of_an_interceptor_is_a_typed_one(scripted: Scripted, ask: Ask, base: type[SyncTagging]) -> None:
    def refuse(*_: Any) -> None:
        raise grpc.RpcError("no token")

    kind = type("Refusing", (base,), {"intercept_unary_unary": refuse})
    scripted.answers = [answer]
    with pytest.raises(ServerError, match="no token"):
        await ask(scripted.address, {"interceptors": [kind([])]})


@both
async def test_channel_options_count_before_ours(scripted: Scripted, ask: Ask) -> None:
    scripted.answers = [answer]
    with pytest.raises(PortraitError, match="larger than max"):
        await ask(scripted.address, {"channel_options": {"grpc.max_receive_message_length": 1}})
    agents = note_metadata(scripted)
    await ask(scripted.address, {"channel_options": [("grpc.primary_user_agent", "shop/1")]})
    assert str(agents[0]["user-agent"]).startswith("shop/1 ")


async def test_calls_go_to_all_gateways_of_an_address(scripted: Scripted, second: Scripted) -> None:
    scripted.answers = second.answers = [answer]
    async with AsyncClient(f"ipv4:{scripted.address},{second.address}") as client:
        while not (scripted.calls and second.calls):  # one is connected before the other
            await client.get_profile("a")
        before = scripted.calls
        for _ in range(20):
            await client.get_profile("a")
    assert scripted.calls - before == 10


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificates(folder)
    return folder


@pytest.fixture
async def addresses(scripted: Scripted, authority: Path) -> AsyncIterator[dict[str, str]]:
    """Servers that speak plain text, TLS and mTLS, on this machine by its name: it has two addresses, they only one."""
    scripted.answers = [answer]
    root, certificate, key = ((authority / name).read_bytes() for name in ("ca.pem", "server.pem", "server.key"))
    server = grpc.aio.server()
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(scripted, server)
    ports = {
        "plain": int(scripted.address.rpartition(":")[2]),
        "tls": server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)])),
        "mtls": server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)], root, True)),
    }
    await server.start()
    yield {kind: f"localhost:{port}" for kind, port in ports.items()}
    await server.stop(None)


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("server", "roots", "told"),
    [
        ("tls", None, "the server uses TLS, this client does not: tls=Tls(), --tls"),
        ("mtls", None, "the server uses TLS, this client does not: tls=Tls(), --tls"),
        ("plain", "ca.pem", "the server does not use TLS, this client does: omit tls and --tls"),
        ("tls", "", "the server's certificate is not accepted"),
        (
            "mtls",
            "ca.pem",
            "the server requires a client certificate: certificate and key, --certificate and --key",
        ),
    ],
)
async def test_tls_on_one_side_only_is_told_by_the_option(
    addresses: dict[str, str], authority: Path, ask: Ask, server: str, roots: str | None, told: str
) -> None:
    tls = None if roots is None else Tls(authority / roots if roots else None)
    with pytest.raises(PortraitError) as caught:
        await ask(addresses[server], {"tls": tls}, timeout=1.0)
    assert caught.value.hint.startswith(told)
    assert caught.value.hint in str(caught.value)


async def test_nobody_there_is_no_matter_of_tls() -> None:
    for tls in (None, Tls()):
        with pytest.raises(PortraitError) as caught:
            await ask_sync("127.0.0.1:1", {"tls": tls}, timeout=0.3)
        assert caught.value.hint == ""
    with pytest.raises(PortraitError, match="the address has no port, so 443 was tried"):
        await ask_sync("127.0.0.1", {}, timeout=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("own", "noisy"), [({}, False), ({"GRPC_VERBOSITY": "INFO"}, True)])
async def test_gRPC_writes_nothing_of_its_own_unless_it_is_asked_to(  # noqa: N802
    addresses: dict[str, str], own: dict[str, str], noisy: bool
) -> None:
    program = (
        "import portrait.client as p\n"
        f"try: p.Client({addresses['plain']!r}, tls=p.Tls(), timeout=1.0).get_profile('a')\n"
        "except p.UnavailableError: print('refused')"
    )
    environment = {key: value for key, value in os.environ.items() if key not in {"GRPC_VERBOSITY", "GLOG_minloglevel"}}
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True,
        env=environment | own,
    )  # fmt: skip
    assert ended.stdout == "refused\n"
    assert ("Handshake failed" in ended.stderr) is noisy
    assert noisy or ended.stderr == ""
