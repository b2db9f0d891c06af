"""Two gateways over one Redis, as on two machines: each sees at once what the other was told."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from support.command_line import run_portrait
from support.gateway import RunningGateway, run_gateway
from support.redis_server import RedisServer, run_redis

from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    Item,
    NotFoundError,
    Purpose,
    Review,
    ReviewAction,
    ReviewTarget,
    ShelfKind,
)

NOW = datetime.now(UTC)
READS = ("hget", "hmget", "lrange", "zcount", "zrevrangebyscore")
"""Commands of Redis by which calls read of a shopper."""
_END = "end of the call"


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def gateways(
    repository: Path,
    shared_triton: tuple[str, str],
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[RunningGateway]]:
    with ExitStack() as closing:
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        options = (*shared_triton, "--state-url", redis_server.url)
        running = [closing.enter_context(run_gateway(repository, folder, *options)) for folder in folders]
        yield running
        for gateway in running:
            assert "shopper-" not in gateway.log_text
            assert "internal_error" not in {line["event"] for line in gateway.logged}, gateway.log_text
        assert [folder for folder in folders if (folder / "portrait.db").exists()] == []


@pytest.fixture
def clients(gateways: list[RunningGateway]) -> Iterator[list[Client]]:
    with ExitStack() as closing:
        yield [closing.enter_context(Client(gateway.address)) for gateway in gateways]


def bought(shopper_id: str, number: int) -> tuple[str, Event]:
    time = NOW - timedelta(days=1) + timedelta(seconds=number)
    return shopper_id, Event(EventType.PURCHASE, f"e{number}", time, "desk-lamp-red", price=5.0)


def test_what_one_records_the_other_answers_with(clients: list[Client]) -> None:
    shopper_id = f"shopper-{uuid4().hex}"
    for number, (one, other) in enumerate([(clients[0], clients[1]), (clients[1], clients[0])] * 3, start=1):
        assert one.record_events([bought(shopper_id, number)]).accepted == 1
        assert other.get_profile(shopper_id).event_count == number
        assert one.get_profile(shopper_id).event_count == number
    assert clients[0].record_events([bought(shopper_id, 1)]).duplicates == 1


def test_a_review_counts_at_once_in_both(clients: list[Client]) -> None:
    shopper_id, candidates = f"shopper-{uuid4().hex}", ["desk-lamp-red", "wool-rug-blue"]
    for scope in ({"shopper_id": shopper_id}, {"all_shoppers": True}):
        target = ReviewTarget(item_id="wool-rug-blue", **scope)  # type: ignore[arg-type]
        for one, other in (clients, reversed(clients)):
            one.set_review(Review(target, ReviewAction.BLOCK, reviewed_by="ana"))
            assert other.rank(shopper_id, candidates).items[-1].reviewed_by == "ana"
            assert one.remove_review(target)
            assert other.rank(shopper_id, candidates).reviewed_by == ()


def test_consents_demographics_and_deletions_are_of_both(clients: list[Client]) -> None:
    shopper_id, (one, other) = f"shopper-{uuid4().hex}", clients
    one.record_events([bought(shopper_id, 1)])
    other.set_consents(shopper_id, [Consent(Purpose.DEMOGRAPHICS, True)])
    one.set_demographics(shopper_id, age=30, region="US-CA")
    assert other.get_profile(shopper_id).demographics.region == "US-CA"  # type: ignore[union-attr]
    assert other.forget_shopper(shopper_id).event_count == 1
    for client in clients:
        with pytest.raises(NotFoundError):
            client.get_profile(shopper_id)
        assert client.record_events([bought(shopper_id, 1)]).accepted == 0


def test_links_are_of_both(clients: list[Client]) -> None:
    login, (one, other) = f"shopper-{uuid4().hex}", clients
    web = f"{login}-web"
    one.record_events([bought(login, 1), bought(web, 2)])
    assert [client.get_profile(each).event_count for client in clients for each in (login, web)] == [1] * 4
    one.link_shoppers(login, web, source="login")
    for number, recording in enumerate((one, other), start=3):
        recording.record_events([bought(web, number)])
        assert [client.get_profile(each).event_count for client in clients for each in (login, web)] == [number] * 4
    other.set_consents(web, [Consent(Purpose.PERSONALISATION, False)])
    assert one.recommend(login).event_count == 0
    other.unlink_shoppers(login, web)
    assert [client.recommend(login).event_count for client in clients] == [1, 1]
    one.link_shoppers(login, web, source="login")
    assert other.forget_shopper(login).event_count == 4
    assert [len(client.get_identity(web).links) for client in clients] == [0, 0]
    assert [client.recommend(web).event_count for client in clients] == [0, 0]


def test_items_travel(clients: list[Client], redis_server: RedisServer) -> None:
    catalogue = f"catalogue-{uuid4().hex}"
    clients[0].upsert_items([Item("lamp", "Purple desk lamp")], catalogue=catalogue)
    found = ()
    while not found:  # the other one looks once a second
        time.sleep(0.05)
        with suppress(NotFoundError):
            found = clients[1].recommend("nobody", query="purple lamp", catalogue=catalogue).items
    assert [ranked.item.item_id for ranked in found] == ["lamp"]


def test_the_list_of_deletions_comes_from_redis(clients: list[Client], redis_server: RedisServer) -> None:
    clients[0].forget_shopper("shopper-of-the-list")
    listed = run_portrait("export-deletions", "--state-url", redis_server.url)
    assert (listed.code, listed.stdout.count("\n") >= 2) == (0, True), listed


def count_reads(server: RedisServer, shopper_id: str, call: Callable[[], object]) -> Counter[str]:
    """Count the commands by which a call reads of a shopper; gateways read of items meanwhile, of their own accord."""
    with (
        redis.Redis.from_url(server.url) as watching,
        redis.Redis.from_url(server.url) as marking,
        watching.monitor() as monitor,
    ):
        call()
        marking.echo(_END)
        seen = [each["command"] for each in takewhile(lambda each: _END not in each["command"], monitor.listen())]
    names = (command.partition(" ")[0].lower() for command in seen if shopper_id in command)
    return Counter(name for name in names if name in READS)


def test_a_call_reads_of_a_shopper_once(clients: list[Client], redis_server: RedisServer) -> None:
    """The version for the cache, consents, and events; of declared demographics only what may be used."""
    shopper_id, client = f"shopper-{uuid4().hex}", clients[0]
    client.record_events([bought(shopper_id, number) for number in (1, 2)])
    cached, explained = Counter(hmget=2, zrevrangebyscore=1), Counter(hmget=1, zrevrangebyscore=1)
    calls: list[tuple[Callable[[], object], Counter[str]]] = [
        (lambda: client.recommend(shopper_id), cached),
        (lambda: client.rank(shopper_id, ["desk-lamp-red", "wool-rug-blue"]), cached),
        (lambda: client.get_shelf(shopper_id, ShelfKind.TRENDING), cached),
        (lambda: client.get_profile(shopper_id), cached + Counter(zcount=1)),
        (lambda: client.explain_recommendation(shopper_id, "desk-lamp-red"), explained),
        (lambda: client.explain_profile(shopper_id), explained + Counter(zcount=1)),
    ]
    for call, wanted in calls:
        assert count_reads(redis_server, shopper_id, call) == wanted
    client.set_consents(shopper_id, [Consent(Purpose.DEMOGRAPHICS, True)])
    client.set_demographics(shopper_id, age=30)
    found = count_reads(redis_server, shopper_id, lambda: client.recommend(shopper_id))
    assert found == cached + Counter(hget=1)
