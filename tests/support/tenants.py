"""A gateway with two tenants, `shoes` and `books`: its files, its callers, and what one must not know of the other."""

import json
import re
import shutil
import urllib.request
from datetime import UTC, datetime, timedelta
from itertools import compress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from benchmarks.common.contract import method_path
from portrait.client import Client, Consent, Event, EventType, Item, Purpose, Review, ReviewAction, ReviewTarget, Tls
from portrait.server.access.scopes import PURPOSE_SCOPES, Scope, find_scope
from portrait.server.rpc.services.registry import METHODS
from portrait.v1 import consent_service_pb2
from support.certificates import make_authority, make_certificate
from support.filled_requests import fill_requests
from support.gateway import RunningGateway, build_audience_table
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

KEY = SigningKey("first")
FILES = {
    "access": "access.toml", "tenants": "tenants.toml",
    "tls-certificate": "server.pem", "tls-key": "server.key", "tls-client-ca": "ca.pem",
}  # fmt: skip
"""Files of a gateway with tenants, by the option that names each."""
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
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
"""Option of a channel that shares its connection with no other channel."""
NOW = datetime.now(UTC)


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


def write_tenants(repository: Path, folder: Path) -> list[str]:
    """Write the files of a gateway and of its tenants, who have copies of the same releases.

    Args:
        repository: holds the releases.
        folder: gets the files.

    Returns:
        the options of `portrait serve` that name them.
    """
    make_authority(folder)
    for name in ("server", "shoe-shop", "book-shop"):
        make_certificate(folder, name)
    write_keys(folder / "jwks.json", KEY)
    (folder / "access.toml").write_text(ACCESS, encoding="utf-8")
    (folder / "tenants.toml").write_text('[tenants]\nshoes = "shoes.toml"\nbooks = "books.toml"\n', encoding="utf-8")
    for name in ("shoes", "books"):
        shutil.copytree(repository, folder / name / "models")
        (folder / f"{name}.toml").write_text(TENANT.format(folder=folder, name=name), encoding="utf-8")
    return [f"--{name}={folder / file}" for name, file in FILES.items()]


def client_of(gateway: RunningGateway, folder: Path, tenant: str) -> Client:
    """A client with a token of a tenant, and the certificate of the other one: the token counts."""
    other = {"shoes": "book-shop", "books": "shoe-shop"}[tenant]
    token = KEY.sign(EVERYTHING, tenant=tenant)
    return Client(gateway.address, tls=tls_of(folder, other), token=token, channel_options=[OWN_CONNECTION])


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


def fill_shoes(gateway: RunningGateway, folder: Path) -> None:
    """Have one tenant know two shoppers, and build its audience table."""
    with client_of(gateway, folder, "shoes") as client:
        for name in ("ann", "bea"):
            know(client, name)
        client.link_shoppers("ann", "ann-web", source=SECRET, confidence=0.9)
        client.join_household("ann-home", "ann", source=SECRET)
    settings = ("--settings-file", str(folder / "shoes.toml"))
    assert build_audience_table(folder / "shoes" / "models", folder / "shoes", *settings)["shoppers"] == 2


def call(channel: grpc.Channel, method: Any, request: Message, token: str | None) -> tuple[str, list[Message]]:
    """The reason of the error, or OK, and the responses to a call."""
    read, metadata = GetMessageClass(method.output_type).FromString, [("authorization", f"Bearer {token}")]
    metadata += [("x-tenant", "shoes"), ("x-caller", "shoe-shop")]  # anybody can write these
    run = channel.stream_stream(method_path(method), lambda message: message.SerializeToString(), read)
    try:
        return "OK", list(run(iter([request]), timeout=60.0, metadata=metadata if token else metadata[1:]))
    except grpc.RpcError as error:
        status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()  # type: ignore[arg-type]
        for detail in status.details if status else ():
            detail.Unpack(info)
        return info.reason or str(error), []


def describe(outcome: tuple[str, list[Message]], name: str) -> str:
    """An outcome as text, without its times and the name of the shopper."""
    text = json.dumps([outcome[0], [MessageToDict(each) for each in outcome[1]]])
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text).replace(name, "NAME")


def outcomes_of(channel: grpc.Channel, method: Any, token: str, name: str) -> list[str]:
    """The outcomes of all requests that name a shopper."""
    requests = fill_requests(method, values_of(name))
    return [describe(call(channel, method, request, token), name) for request in requests]


def require_no_method_crosses(gateway: RunningGateway, folder: Path, channel: grpc.Channel) -> None:
    """Require that no method finds or changes anything of another tenant: shoes knows `ann`, books does not.

    Args:
        gateway: has both tenants.
        folder: of `write_tenants`.
        channel: on which each method is called.
    """
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


def read(gateway: RunningGateway, path: str) -> tuple[int, str]:
    """Status and text of a path of the endpoint of metrics."""
    try:
        with urllib.request.urlopen(f"{gateway.line('ready')['metrics'].removesuffix('/metrics')}{path}") as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
