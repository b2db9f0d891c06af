"""Two tenants of a real gateway: no method of one finds, changes or counts anything of the other.

The gateway has two processes, each of which serves both tenants; what is done for one tenant reaches both processes.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.command_line import run_portrait
from support.faults import paused
from support.files import replace_text
from support.filled_requests import fill_requests
from support.gateway import RunningGateway, run_gateway
from support.metric_lint import GAUGES, lint_metrics, list_gauges
from support.otlp_collector import run_collector
from support.processes import find_triton, list_processes, open_for_each
from support.tenants import (
    EVERYTHING,
    FILES,
    KEY,
    NOW,
    OWN_CONNECTION,
    SECRET,
    call,
    client_of,
    fill_shoes,
    read,
    require_no_method_crosses,
    scope_of,
    tls_of,
    values_of,
    write_tenants,
)
from support.tokens import SigningKey

from portrait.client import (
    AccessDeniedError,
    Client,
    DeadlineExceededError,
    Event,
    EventType,
    FailedPreconditionError,
    InterestCriterion,
    Item,
    NotFoundError,
    UnavailableError,
)
from portrait.server.access.scopes import Scope
from portrait.server.rollout.gateway_status import Gateway, GatewayError
from portrait.server.rollout.traffic import Traffic
from portrait.server.rpc.services.registry import METHODS
from portrait.server.triton.model_processes import find_model_processes

LAMPS = InterestCriterion([("Home", "Lamps")], 0.1)
HISTORY = [Event(EventType.VIEW, item_id="desk-lamp-red")]
PIN = '[[rules]]\nname = "hero"\naction = "pin"\nitems.item_ids = ["wool-rug-blue"]\n'
TENANTS = ("shoes", "books")
SHOPPERS = [f"shopper-{place}" for place in range(20)]

Clients = dict[str, dict[int, Client]]
"""A client for each process, by tenant and process id."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the gateway and of its tenants, who have releases with the same content."""
    return tmp_path_factory.mktemp("tenants")


@pytest.fixture(scope="module")
def gateway(two_releases: Path, folder: Path) -> Iterator[RunningGateway]:
    """A gateway of two processes, whose tenants each serve the first of two releases, and one has rules."""
    options = write_tenants(two_releases, folder)
    for tenant in TENANTS:
        Traffic(1).write(folder / tenant / "models")
    (folder / "rules.toml").touch()
    with (folder / "shoes.toml").open("a", encoding="utf-8") as file:
        file.write(f'rules = "{folder}/rules.toml"\n')
    with run_gateway(None, folder, "--processes", "2", *options) as gateway:
        fill_shoes(gateway, folder)
        with client_of(gateway, folder, "shoes") as client:
            client.record_events((name, Event(EventType.VIEW, "v", NOW, "desk-lamp-red")) for name in SHOPPERS)
        yield gateway
        assert SECRET not in gateway.log_text
        assert "internal_error" not in {line["event"] for line in gateway.logged}, gateway.log_text


def connect(gateway: RunningGateway, folder: Path, closing: ExitStack) -> grpc.Channel:
    """A channel of a caller with the certificate of the first tenant."""
    credentials = tls_of(folder, "shoe-shop").credentials()
    channel = closing.enter_context(grpc.secure_channel(gateway.address, credentials, [OWN_CONNECTION]))
    grpc.channel_ready_future(channel).result(60)
    return channel


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway, folder: Path) -> Iterator[grpc.Channel]:
    with ExitStack() as closing:
        yield connect(gateway, folder, closing)


def open_clients(gateway: RunningGateway, folder: Path, closing: ExitStack) -> Clients:
    """Open for each tenant a client of each process."""

    def connect(tenant: str) -> Client:
        client = closing.enter_context(client_of(gateway, folder, tenant))
        client.get_profile([])
        return client

    return {tenant: open_for_each(gateway, partial(connect, tenant)) for tenant in TENANTS}


@pytest.fixture
def clients(gateway: RunningGateway, folder: Path) -> Iterator[Clients]:
    with ExitStack() as closing:
        yield open_clients(gateway, folder, closing)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


def values(gateway: RunningGateway, path: str = "/metrics") -> dict[str, float]:
    """The metrics that a path shows, by name and labels."""
    pairs = (line.rsplit(" ", 1) for line in read(gateway, path)[1].splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def releases_of(clients: Mapping[int, Client]) -> set[int]:
    """The releases that answer at each process, whatever was answered before."""
    return {client.recommend(HISTORY, query=f"lamp {uuid4()}").release for client in clients.values()}


def test_equal_requests_are_answered_by_the_shop_of_their_caller(clients: Clients) -> None:
    for pid in clients["shoes"]:
        of_process = {tenant: clients[tenant][pid] for tenant in TENANTS}
        for name, client in of_process.items():
            client.upsert_items([Item(f"{name}-twin", "a lamp")], catalogue=f"twins-{pid}")
        for change in range(5):  # at one of them both have had as many changes of items: their caches look alike
            for name, client in of_process.items():
                found = client.recommend(HISTORY, catalogue=f"twins-{pid}").items
                assert [each.item.item_id for each in found] == [f"{name}-twin"]
            of_process["books"].upsert_items([Item("boot", f"boot {change}")], catalogue="others")


def test_no_method_finds_or_changes_anything_of_another_tenant(
    gateway: RunningGateway, folder: Path, clients: Clients
) -> None:
    books = clients["books"]
    with ExitStack() as closing:
        for pid, channel in open_for_each(gateway, partial(connect, gateway, folder, closing)).items():
            # Changes of items come to a process in their order: this one behind those of the pass before.
            last = f"last-{pid}"
            next(iter(books.values())).upsert_items([Item(last, "a shoe tree")])
            until(partial(has_item, books[pid], last))
            require_no_method_crosses(gateway, folder, channel)


def test_what_one_process_is_told_counts_in_all_for_its_tenant(clients: Clients) -> None:
    shoes, books = ([*clients[tenant].values()] for tenant in TENANTS)
    shopper = f"shopper-{uuid4()}"
    for count, client in enumerate(shoes, 1):
        client.record_events([(shopper, Event(EventType.VIEW, f"v{count}", NOW, "desk-lamp-red"))])
        assert {each.get_profile(shopper).event_count for each in shoes} == {count}
    shoes[0].upsert_items([Item("pump", "a pump")])
    until(lambda: all(has_item(each, "pump") for each in shoes))
    for each in books:
        assert not has_item(each, "pump")
        with pytest.raises(NotFoundError):
            each.get_profile(shopper)


def has_item(client: Client, item_id: str) -> bool:
    with suppress(NotFoundError):
        return client.get_item(item_id).item_id == item_id
    return False


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
        until(lambda: has_item(shoes, "boot"))  # perhaps another process has it first
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
    assert Gateway.ask(f"{address}/shoes").serving == 1
    with pytest.raises(GatewayError, match="shows several tenants: append / and the name of one"):
        Gateway.ask(address)


def test_metrics_are_sums_of_each_tenant(gateway: RunningGateway, clients: Clients) -> None:
    before, of_shoes, of_books = values(gateway), values(gateway, "/metrics/shoes"), values(gateway, "/metrics/books")
    for client in clients["shoes"].values():
        client.get_consents("ann")
    labels = 'code="OK",method="portrait.v1.ConsentService/GetConsents"'
    with_tenant, own = f'portrait_rpcs_total{{{labels},tenant="shoes"}}', f"portrait_rpcs_total{{{labels}}}"
    counted = before.get(with_tenant, 0) + 2
    assert of_shoes.get(own, 0) + 2 == counted
    until(lambda: values(gateway).get(with_tenant) == counted)  # a busy process may miss a scrape
    until(lambda: values(gateway, "/metrics/shoes").get(own) == counted)
    assert values(gateway, "/metrics/books").get(own) == of_books.get(own)
    assert before["portrait_processes"] == 2
    assert {before[f'portrait_triton_restarts_total{{tenant="{tenant}"}}'] for tenant in TENANTS} == {0}
    text = read(gateway, "/metrics")[1]
    assert list_gauges(text) <= GAUGES
    assert lint_metrics(text) == ""


def test_doctor_checks_each_tenant(gateway: RunningGateway, folder: Path) -> None:
    metrics = f"{gateway.line('ready')['metrics']}/books"
    files = [f"--{name}={folder / file}" for name, file in FILES.items()]
    done = run_portrait("doctor", *files, "--gateway", metrics)
    assert done.code == 0, done
    for line in (
        "shoes: release 1: whole", "books: release 1: whole", "shoes: state: ", "access: ",
        f"gateway {metrics}: ready, serves release 1",
    ):  # fmt: skip
        assert f"ok       {line}" in done.stdout


def test_a_release_is_promoted_tried_and_taken_back_for_one_tenant(
    gateway: RunningGateway, folder: Path, clients: Clients
) -> None:
    metrics = f"{gateway.line('ready')['metrics']}/shoes"

    def change(*words: object) -> None:
        done = run_portrait("release", *words, "--repository", folder / "shoes" / "models", "--gateway", metrics)
        assert done.code == 0, done

    change("promote", 2)
    assert (releases_of(clients["shoes"]), releases_of(clients["books"])) == ({2}, {1})
    shown = values(gateway)
    assert [shown[f'portrait_release{{tenant="{tenant}"}}'] for tenant in TENANTS] == [2, 1]
    change("canary", 1, "--percent", 50)
    tried = [{name: each.get_profile(name).release for name in SHOPPERS} for each in clients["shoes"].values()]
    assert tried[0] == tried[1]
    assert set(tried[0].values()) == {1, 2}
    change("rollback")
    assert (releases_of(clients["shoes"]), releases_of(clients["books"])) == ({1}, {1})


def test_rules_of_one_tenant_reach_all_processes(folder: Path, clients: Clients) -> None:
    def find_first(tenant: str) -> set[str]:
        return {each.recommend(HISTORY).items[0].item.item_id for each in clients[tenant].values()}

    before = find_first("books")
    assert before == find_first("shoes") != {"wool-rug-blue"}
    replace_text(folder / "rules.toml", PIN)
    until(lambda: find_first("shoes") == {"wool-rug-blue"})
    assert find_first("books") == before


def test_a_process_that_died_serves_both_as_they_were_when_the_gateway_started(
    gateway: RunningGateway, folder: Path
) -> None:
    before = {path: values(gateway, path) for path in ("/metrics", "/metrics/shoes", "/metrics/books")}
    started = list_processes(gateway)
    file = folder / "tenants.toml"
    written = file.read_text(encoding="utf-8")
    try:
        file.write_text("being edited", encoding="utf-8")
        os.kill(started[0], signal.SIGKILL)
        until(lambda: values(gateway).get("portrait_process_restarts_total") == 1)
        until(lambda: values(gateway).get("portrait_processes") == 2)
    finally:
        file.write_text(written, encoding="utf-8")
    assert len(set(list_processes(gateway)) - set(started)) == 1
    with ExitStack() as closing:
        for each in open_clients(gateway, folder, closing).values():
            assert releases_of(each) == {1}
    for path, counted in before.items():
        after = values(gateway, path)
        fallen = {name for name in counted if "_total" in name and after.get(name, -1.0) < counted[name]}
        assert not fallen


def test_a_model_that_hangs_is_replaced_for_its_tenant_alone(
    gateway: RunningGateway, folder: Path, clients: Clients
) -> None:
    tritons = {tenant: find_triton(gateway, folder / tenant / "models") for tenant in TENANTS}
    hung = next(each for each in find_model_processes(tritons["books"]) if each.model == "ranker")
    with paused(hung.pid):
        until(lambda: is_killed_after_calls(gateway, [*clients["books"].values()]))
    assert (gateway.line("triton_killed")["tenant"], gateway.line("triton_killed")["model"]) == ("books", "ranker")
    gateway.lines("health_changed", 2, serving=False, tenant="books")  # one of each process
    assert read(gateway, "/readyz") == read(gateway, "/readyz/shoes") == (200, "ok\n")
    assert releases_of(clients["shoes"]) == {1}
    with ExitStack() as closing:
        health = health_pb2_grpc.HealthStub(connect(gateway, folder, closing))
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=60.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    until(lambda: read(gateway, "/readyz/books") == (200, "ok\n"))
    assert releases_of(clients["books"]) == {1}
    assert find_triton(gateway, folder / "shoes" / "models") == tritons["shoes"]
    assert values(gateway)['portrait_triton_restarts_total{tenant="shoes"}'] == 0
    assert values(gateway, "/metrics/books")["portrait_triton_restarts_total"] == 1


def is_killed_after_calls(gateway: RunningGateway, clients: list[Client]) -> bool:
    """Tell whether a Triton was killed, after calls that need its models."""
    for client in clients:
        with suppress(DeadlineExceededError, UnavailableError):
            client.recommend(HISTORY, query=f"lamp {uuid4()}", timeout=3)
    return any(line["event"] == "triton_killed" for line in gateway.logged)


def test_one_process_serves_the_same_tenants(gateway: RunningGateway, folder: Path, tmp_path: Path) -> None:
    for tenant in TENANTS:
        settings = (folder / f"{tenant}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{tenant}.toml").write_text(settings.replace("triton.log", "one.log"), encoding="utf-8")
    shutil.copy(folder / "tenants.toml", tmp_path)
    options = [f"--{name}={(tmp_path if name == 'tenants' else folder) / file}" for name, file in FILES.items()]
    with run_collector() as collector:
        options += ["--otlp-endpoint", collector.url, "--trace-ratio", "1"]
        with run_gateway(None, tmp_path, *options) as alone, ExitStack() as closing:
            assert alone.line("ready")["tenants"] == {"shoes": 1, "books": 1}
            require_no_method_crosses(alone, folder, connect(alone, folder, closing))
            of_books = values(alone, "/metrics/books")
            assert values(alone)['portrait_release{tenant="books"}'] == of_books["portrait_release"]
            assert read(alone, "/readyz/books") == (200, "ok\n")
        attributes = [each for span in collector.spans for each in span.attributes]  # all are sent at the end
    assert {each.value.string_value for each in attributes if each.key == "portrait.tenant"} == {*TENANTS}
