"""Access to a real gateway: by token and by client certificate, for every method, while the files change."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.certificates import make_authority, make_certificate
from support.gateway import RunningGateway, run_gateway
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from benchmarks.common.contract import method_path
from portrait.client import AccessDeniedError, Client, Consent, Event, EventType, Purpose, Tls
from portrait.server.access.scopes import Scope, find_scope
from portrait.server.rpc.services.registry import METHODS

KEY = SigningKey("first")
RULES = f"""
[certificates]
storefront = ["read:profile"]

[tokens]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
keys = "jwks.json"
"""
REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The access file, the keys and the certificates."""
    folder = tmp_path_factory.mktemp("access")
    make_authority(folder)
    for name in ("server", "storefront", "stranger"):
        make_certificate(folder, name)
    write_keys(folder / "jwks.json", KEY)
    (folder / "access.toml").write_text(RULES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gateway(repository: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    tls = ("--tls-certificate", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key")
    access = ("--tls-client-ca", f"{folder}/ca.pem", "--access", f"{folder}/access.toml")
    with run_gateway(repository, tmp_path_factory.mktemp("state"), *tls, *access) as gateway:
        yield gateway


def tls_of(folder: Path, name: str) -> Tls:
    return Tls(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway, folder: Path) -> Iterator[grpc.Channel]:
    """A channel of a caller whose certificate the access file does not list."""
    with grpc.secure_channel(gateway.address, tls_of(folder, "stranger").credentials()) as channel:
        yield channel


def call(channel: grpc.Channel, method: str, token: str | None) -> tuple[grpc.StatusCode, str]:
    """Status and reason of a call with an empty request."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    try:
        list(channel.unary_stream(method)(b"", timeout=60.0, metadata=metadata))
    except grpc.RpcError as error:
        status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
        for detail in status.details if status else ():
            detail.Unpack(info)
        return error.code(), info.reason
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_needs_its_own_scope(channel: grpc.Channel, method: object) -> None:
    path = method_path(method)  # type: ignore[arg-type]
    scope = find_scope(path.removeprefix("/"))
    assert scope is not None
    others = " ".join(each for each in Scope if each is not scope)
    assert call(channel, path, None) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert call(channel, path, KEY.sign(others)) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert call(channel, path, SigningKey("first").sign(scope)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert call(channel, path, KEY.sign(scope))[0] not in REFUSED


def test_a_cached_response_is_not_for_everybody(gateway: RunningGateway, folder: Path) -> None:
    history = [Event(EventType.VIEW, item_id="desk-lamp-red")]
    with Client(gateway.address, tls=tls_of(folder, "storefront")) as allowed:
        for _ in range(2):
            assert allowed.get_profile(history).release
        with pytest.raises(AccessDeniedError, match="lacks the scope read:recommendation"):
            allowed.recommend(history)
    with (
        Client(gateway.address, tls=tls_of(folder, "stranger")) as stranger,
        pytest.raises(AccessDeniedError, match="lacks the scope read:profile") as raised,
    ):
        stranger.get_profile(history)
    line = gateway.line("rpc", request_id=raised.value.request_id)
    assert (line["caller"], line["code"]) == ("stranger", "PERMISSION_DENIED")


def test_a_caller_states_no_purpose_that_its_rules_lack(gateway: RunningGateway, folder: Path) -> None:
    tls, right = tls_of(folder, "stranger"), "read:profile write:event write:consent"
    with Client(gateway.address, tls=tls, token=KEY.sign(right)) as free:
        view = Event(EventType.VIEW, "v", datetime.now(UTC), item_id="desk-lamp-red")
        assert free.record_events([("purposes", view)]).accepted == 1
        for purpose in Purpose:
            with pytest.raises(AccessDeniedError, match=f"lacks the scope purpose:{purpose}") as raised:
                free.get_profile("purposes", metadata={"x-purpose": purpose})
            assert raised.value.reason == "PURPOSE_REFUSED"
        assert free.get_profile("purposes").event_count == 1
        with Client(gateway.address, tls=tls, token=KEY.sign(f"{right} purpose:advertising purpose:risk")) as bound:
            for metadata in ({}, {"x-purpose": "risk"}, {"x-purpose": "advertising"}):
                assert bound.get_profile("purposes", metadata=metadata).event_count == 0
            free.set_consents("purposes", [Consent(Purpose.RISK, granted=True)])
            assert bound.get_profile("purposes", metadata={"x-purpose": "risk"}).event_count == 1
            assert bound.get_profile("purposes").event_count == 0  # stated or not, it has `advertising` too
            with pytest.raises(AccessDeniedError):
                bound.set_consents("purposes", [], metadata={"x-purpose": "demographics"})


def test_health_needs_no_scope(channel: grpc.Channel) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_keys_are_rotated_while_the_gateway_runs(gateway: RunningGateway, folder: Path, tmp_path: Path) -> None:
    second = SigningKey("second", "ES256")
    token_file = tmp_path / "token"
    token_file.write_text(KEY.sign("read:item"), encoding="utf-8")
    history = [Event(EventType.VIEW, item_id="desk-lamp-red")]
    with Client(
        gateway.address, tls=tls_of(folder, "stranger"), token=lambda: token_file.read_text(encoding="utf-8")
    ) as client:
        assert client.get_item("desk-lamp-red").title
        write_keys(tmp_path / "jwks.json", KEY, second)
        (tmp_path / "jwks.json").replace(folder / "jwks.json")
        gateway.lines("access_reloaded")
        token_file.write_text(second.sign("read:item read:profile"), encoding="utf-8")
        assert client.get_item("desk-lamp-red").title
        assert client.get_profile(history).release
        (folder / "access.toml").write_text("[tokens", encoding="utf-8")
        gateway.lines("access_reload_failed")
        assert client.get_item("desk-lamp-red").title
        # In one step: an empty file would be rules as well.
        (tmp_path / "access.toml").write_text(RULES, encoding="utf-8")
        (tmp_path / "access.toml").replace(folder / "access.toml")
        gateway.lines("access_reloaded", 2)
        token_file.write_text(KEY.sign("read:profile"), encoding="utf-8")
        with pytest.raises(AccessDeniedError, match="lacks the scope read:item"):
            client.get_item("desk-lamp-red")
