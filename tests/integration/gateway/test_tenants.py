"""Two tenants of a real gateway: no method of one finds, changes or counts anything of the other."""

import json
import os
import re
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import compress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.certificates import make_authority, make_certificate
from support.command_line import run_portrait
from support.filled_requests import fill_requests
from support.gateway import RunningGateway, build_audience_table, run_gateway
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from benchmarks.common.contract import method_path
from portrait.client import (
    AccessDeniedError,
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    InterestCriterion,
    Item,
    NotFoundError,
    Purpose,
    Review,
    ReviewAction,
    ReviewTarget,
    Tls,
)
from portrait.server.access.scopes import PURPOSE_SCOPES, Scope, find_scope
from portrait.server.rollout.gateway_status import Gateway, GatewayError
from portrait.server.rpc.services.registry import METHODS
from portrait.v1 import consent_service_pb2

KEY = SigningKey("first")
TLS_FILES = {"certificate": "server.pem", "key": "server.key", "client-ca": "ca.pem"}
EVERYTHING = " ".join(set(Scope) - set(PURPOSE_SCOPES))
ACCESS = f"""
[certificates]
shoe-shop = ["read:item"]
book-shop = ["read:item"]
[tenants]
shoe-shop = "shoes"
book-shop = "books"
[tokens]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
keys = "jwks.json"
"""
TENANT = """
repository = "{folder}/{name}/models"
state = "{folder}/{name}/portrait.db"
audiences = "{folder}/{name}/audiences"
triton_log = "{folder}/{name}/triton.log"
min_audience_size = 1
consent_advertising = "unless-withdrawn"
"""
SECRET = "quixotic"
"""A word that is in what only the first tenant has."""
NOW = datetime.now(UTC)
LAMPS = InterestCriterion([("Home", "Lamps")], 0.1)


def scope_of(method: Any) -> str:
    """The scope that a method needs."""
    return str(find_scope(method_path(method).removeprefix("/")))


READS_FIRST = sorted(METHODS, key=lambda method: scope_of(method).startswith(("write", "erase")))


def values_of(name: str) -> dict[str, Any]:
    """The names in requests: a shopper, an item and a catalogue, all of whose names begin alike."""
    return {
        "shopper_id": name, "shopper_ids": [name], "anonymous_id": f"{name}-web", "names": ["Home", "Lamps"],
        "household_id": f"{name}-home",
        "item_id": f"{name}-item", "item_ids": [f"{name}-item"], "catalogue": f"{name}-shelf",
        "page_token": None, "event_id": "e", "trait": "buys",
        "decision": consent_service_pb2.CONSENT_DECISION_GRANTED,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the gateway and of its tenants, who have releases with the same content."""
    folder = tmp_path_factory.mktemp("tenants")
    make_authority(folder)
    for name in ("server", "shoe-shop", "book-shop"):
        make_certificate(folder, name)
    write_keys(folder / "jwks.json", KEY)
    (folder / "access.toml").write_text(ACCESS, encoding="utf-8")
    (folder / "tenants.toml").write_text('[tenants]\nshoes = "shoes.toml"\nbooks = "books.toml"\n', encoding="utf-8")
    for name in ("shoes", "books"):
        shutil.copytree(repository, folder / name / "models")
        (folder / f"{name}.toml").write_text(TENANT.format(folder=folder, name=name), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[RunningGateway]:
    options = {"access": "access.toml", "tenants": "tenants.toml"}
    options |= {f"tls-{name}": file for name, file in TLS_FILES.items()}
    with run_gateway(None, folder, *(f"--{name}={folder / file}" for name, file in options.items())) as gateway:
        with client_of(gateway, folder, "shoes") as client:
            for name in ("ann", "bea"):
                know(client, name)
            client.link_shoppers("ann", "ann-web", source=SECRET, confidence=0.9)
            client.join_household("ann-home", "ann", source=SECRET)
        settings = ("--settings-file", str(folder / "shoes.toml"))
        assert build_audience_table(folder / "shoes" / "models", folder / "shoes", *settings)["shoppers"] == 2
        yield gateway
        assert SECRET not in gateway.log_text
        assert "internal_error" not in {line["event"] for line in gateway.logged}, gateway.log_text


def client_of(gateway: RunningGateway, folder: Path, tenant: str) -> Client:
    """A client with a token of a tenant, and the certificate of the other one: the token counts."""
    other = {"shoes": "book-shop", "books": "shoe-shop"}[tenant]
    return Client(gateway.address, tls=tls_of(folder, other), token=KEY.sign(EVERYTHING, tenant=tenant))


def tls_of(folder: Path, name: str) -> Tls:
    return Tls(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


def know(client: Client, name: str) -> None:
    """Have something of everything, with the secret in it."""
    client.upsert_items([Item(f"{name}-item", f"lamp, {SECRET}")], catalogue=f"{name}-shelf")
    views = [
        Event(EventType.VIEW, f"v{place}", NOW - timedelta(days=place), item)
        for place, item in enumerate(["desk-lamp-red", "floor-lamp-red", "desk-lamp-blue"])
    ]
    views.append(Event(EventType.SEARCH, SECRET, NOW - timedelta(hours=1), query=f"lamp {SECRET}"))
    assert client.record_events((name, view) for view in views).accepted == len(views)
    client.set_consents(name, [Consent(purpose, True, NOW, SECRET) for purpose in Purpose])
    client.set_demographics(name, age=30, region=SECRET)
    client.set_review(Review(ReviewTarget(trait="buys", shopper_id=name), ReviewAction.PIN, 0.5, SECRET))


def call(channel: grpc.Channel, method: Any, request: Message, token: str | None) -> tuple[str, list[Message]]:
    """The reason of the error, or OK, and the responses to a call."""
    read, metadata = GetMessageClass(method.output_type).FromString, [("authorization", f"Bearer {token}")]
    metadata += [("x-tenant", "shoes"), ("x-caller", "shoe-shop")]  # anybody can write these
    run = channel.stream_stream(method_path(method), lambda message: message.SerializeToString(), read)
    try:
        return "OK", list(run(iter([request]), timeout=30.0, metadata=metadata if token else metadata[1:]))
    except grpc.RpcError as error:
        status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()  # type: ignore[arg-type]
        for detail in status.details if status else ():
            detail.Unpack(info)
        return info.reason or str(error), []


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway, folder: Path) -> Iterator[grpc.Channel]:
    """A channel of a caller with the certificate of the first tenant."""
    with grpc.secure_channel(gateway.address, tls_of(folder, "shoe-shop").credentials()) as channel:
        yield channel


def describe(outcome: tuple[str, list[Message]], name: str) -> str:
    """An outcome as text, without its times and the name of the shopper."""
    text = json.dumps([outcome[0], [MessageToDict(each) for each in outcome[1]]])
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text).replace(name, "NAME")


def outcomes_of(channel: grpc.Channel, method: Any, token: str, name: str) -> list[str]:
    """The outcomes of all requests that name a shopper."""
    requests = fill_requests(method, values_of(name))
    return [describe(call(channel, method, request, token), name) for request in requests]


def test_equal_requests_are_answered_by_the_shop_of_their_caller(gateway: RunningGateway, folder: Path) -> None:
    history = [Event(EventType.VIEW, item_id="desk-lamp-red")]
    with client_of(gateway, folder, "shoes") as shoes, client_of(gateway, folder, "books") as books:
        clients = {"shoes": shoes, "books": books}
        for name, client in clients.items():
            client.upsert_items([Item(f"{name}-twin", "a lamp")], catalogue="twins")
        for change in range(5):  # at one of them both have had as many changes of items: their caches look alike
            for name, client in clients.items():
                assert [each.item.item_id for each in client.recommend(history, catalogue="twins").items] == [
                    f"{name}-twin"
                ]
            books.upsert_items([Item("boot", f"boot {change}")], catalogue="others")


def test_no_method_finds_or_changes_anything_of_another_tenant(
    gateway: RunningGateway, folder: Path, channel: grpc.Channel
) -> None:
    shoes, books = (KEY.sign(EVERYTHING, tenant=tenant) for tenant in ("shoes", "books"))
    # What the owner reads is there, and differs from what nobody has: else nothing is shown by not finding it.
    for method in (method for method in METHODS if scope_of(method).startswith(("read", "export"))):
        own = outcomes_of(channel, method, shoes, "ann")
        assert any(outcome.startswith('["OK"') for outcome in own), f"{method.full_name}: {own}: extend `values_of`"
        names_somebody = any(b"ann" in each.SerializeToString() for each in fill_requests(method, values_of("ann")))
        other = (shoes, "nob") if names_somebody else (books, "ann")
        assert own != outcomes_of(channel, method, *other), method.full_name
    with client_of(gateway, folder, "shoes") as client:
        before = list(client.export_shopper("ann")), client.get_item("ann-item", catalogue="ann-shelf")
        assert SECRET in str(before[0])
        assert SECRET in str(before[1])
    answered = set()
    for method in READS_FIRST:
        found, of_nobody = (outcomes_of(channel, method, books, name) for name in ("ann", "nob"))
        assert SECRET not in str(found)
        # Reviews for all shoppers name nobody: there the second call finds what the first one did.
        naming = [b"ann" in request.SerializeToString() for request in fill_requests(method, values_of("ann"))]
        assert [*compress(found, naming)] == [*compress(of_nobody, naming)], method.full_name
        answered |= {method.name for outcome in found if outcome.startswith('["OK"')}
    # Every method that writes was let to do what it does.
    assert answered >= {method.name for method in METHODS if scope_of(method).startswith(("write", "erase", "encode"))}
    with client_of(gateway, folder, "shoes") as client:
        assert (list(client.export_shopper("ann")), client.get_item("ann-item", catalogue="ann-shelf")) == before


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_who_proves_no_tenant_has_no_shop(channel: grpc.Channel, method: Any) -> None:
    request = next(fill_requests(method, values_of("ann")))
    for tenant in (None, "", "hats", "Shoes", ["shoes"]):
        assert call(channel, method, request, KEY.sign(EVERYTHING, tenant=tenant)) == ("TENANT_REFUSED", [])
    stranger = SigningKey("first").sign(EVERYTHING, tenant="shoes")
    assert call(channel, method, request, stranger) == ("TOKEN_INVALID", [])
    lacking = KEY.sign(" ".join(each for each in Scope if each != scope_of(method)), tenant="shoes")
    assert call(channel, method, request, lacking) == ("SCOPE_MISSING", [])


def test_a_certificate_is_of_the_tenant_that_the_file_says(gateway: RunningGateway, folder: Path) -> None:
    with client_of(gateway, folder, "shoes") as client:
        client.upsert_items([Item("boot", "a boot")])
    with Client(gateway.address, tls=tls_of(folder, "shoe-shop")) as shoes:
        assert shoes.get_item("boot").title == "a boot"
        with pytest.raises(AccessDeniedError, match="lacks the scope read:profile"):
            shoes.get_profile("ann")
    with Client(gateway.address, tls=tls_of(folder, "book-shop")) as books, pytest.raises(NotFoundError) as raised:
        books.get_item("boot")
    line = gateway.line("rpc", request_id=raised.value.request_id)
    assert (line["caller"], line["tenant"]) == ("book-shop", "books")


def test_a_page_token_of_another_tenant_opens_nothing(gateway: RunningGateway, folder: Path) -> None:
    with client_of(gateway, folder, "shoes") as shoes, client_of(gateway, folder, "books") as books:
        token = next(iter(shoes.find_audience([LAMPS], page_size=1))).next_page_token
        assert len(list(shoes.find_audience([LAMPS], page_token=token))) == 1
        with pytest.raises(FailedPreconditionError):
            list(books.find_audience([LAMPS], page_token=token))


def read(gateway: RunningGateway, path: str) -> tuple[int, str]:
    """Status and text of a path of the endpoint of metrics."""
    try:
        with urllib.request.urlopen(f"{gateway.line('ready')['metrics'].removesuffix('/metrics')}{path}") as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_apart(gateway: RunningGateway, folder: Path, channel: grpc.Channel) -> None:
    name = f'method="{METHODS[0].containing_service.full_name}/{METHODS[0].name}"'
    request = next(fill_requests(METHODS[0], values_of("ann")))
    assert call(channel, METHODS[0], request, KEY.sign(EVERYTHING)) == ("TENANT_REFUSED", [])
    with client_of(gateway, folder, "books") as books:
        books.get_profile([])
    _, whole = read(gateway, "/metrics")
    families = re.findall(r"^# TYPE (\S+)", whole, re.MULTILINE)
    assert len(families) == len(set(families))
    assert re.search(rf'^portrait_rpcs_total{{code="PERMISSION_DENIED",{name}}} [1-9]', whole, re.MULTILINE)
    for tenant in ("shoes", "books"):
        assert f'portrait_release{{tenant="{tenant}"}} 1.0' in whole
        status, own = read(gateway, f"/metrics/{tenant}")
        assert (status, "tenant=" in own) == (200, False)
        assert "\nportrait_release 1.0\n" in own
    assert "\nprocess_resident_memory_bytes " in whole
    assert 'ann-shelf"' not in read(gateway, "/metrics/books")[1]
    address = gateway.line("ready")["metrics"]
    assert Gateway.ask(f"{address}/shoes").serving == gateway.line("ready")["tenants"]["shoes"] == 1
    with pytest.raises(GatewayError, match="shows several tenants: append / and the name of one"):
        Gateway.ask(address)


def test_doctor_checks_each_tenant(gateway: RunningGateway, folder: Path) -> None:
    metrics = f"{gateway.line('ready')['metrics']}/books"
    options = ("--access", folder / "access.toml", "--tenants", folder / "tenants.toml", "--gateway", metrics)
    tls = [(f"--tls-{name}", folder / file) for name, file in TLS_FILES.items()]
    done = run_portrait("doctor", *options, *(word for option in tls for word in option))
    assert done.code == 0, done
    for line in (
        "shoes: release 1: whole", "books: release 1: whole", "shoes: state: ", "access: ",
        f"gateway {metrics}: ready, serves release 1",
    ):  # fmt: skip
        assert f"ok       {line}" in done.stdout


def test_one_tenant_without_models_leaves_the_other_served(gateway: RunningGateway, folder: Path) -> None:
    pid = gateway.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split():
        if f"{folder}/books/models" in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
            os.kill(int(child), signal.SIGKILL)
    [line] = gateway.lines("health_changed", serving=False)
    assert line["tenant"] == "books"
    with client_of(gateway, folder, "shoes") as shoes:
        assert shoes.recommend([Event(EventType.VIEW, item_id="desk-lamp-red")]).items
    assert read(gateway, "/readyz") == (200, "ok\n")
    assert read(gateway, "/readyz/shoes") == (200, "ok\n")
    with grpc.secure_channel(gateway.address, tls_of(folder, "book-shop").credentials()) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    gateway.lines("health_changed", 2, serving=True, tenant="books")  # the first was at the start
    assert read(gateway, "/readyz/books") == (200, "ok\n")
    assert {line["tenant"] for line in gateway.lines("health_changed", serving=False)} == {"books"}
