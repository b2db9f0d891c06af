"""The client library against a real gateway, and the examples of its documentation."""

import math
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from support.gateway import RunningGateway

from portrait.client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    Event,
    EventType,
    Filter,
    InvalidRequestError,
    Item,
    NotFoundError,
    Profile,
    ProfileError,
    UnavailableError,
)

NOW = datetime.now(UTC)
ROOT = Path(__file__).parents[3]
EXAMPLES = [
    example
    for page in ("README.md", "docs/clients.md")
    for example in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
]


def _events(count: int) -> list[Event]:
    return [
        Event(EventType.PURCHASE, uuid4().hex, NOW - timedelta(hours=place), "desk-lamp-red", price=10.0 + place)
        for place in range(count)
    ]


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def test_every_method(client: Client, shopper: str) -> None:
    events = [(shopper, event) for event in _events(1200)]
    summary = client.record_events(events)
    assert (summary.accepted, summary.duplicates, summary.rejected) == (1200, 0, ())
    assert client.record_events(events[:3]).duplicates == 3

    profile = client.get_profile(shopper, fields=["interests", "embedding", "event_count"])
    assert profile.event_count == 1200
    assert profile.interests[0].category_path == ("Home",)
    assert profile.embedding is not None
    assert sum(number**2 for number in profile.embedding) == pytest.approx(1.0, abs=1e-4)
    [known, unknown] = client.batch_get_profiles([shopper, "nobody"])
    assert isinstance(known, Profile)
    assert isinstance(unknown, ProfileError)
    assert unknown.code == 5

    ranking = client.recommend(shopper, k=5, filter=Filter(categories=[["Home", "Rugs"]]), exclude_seen=True)
    assert len(ranking.items) == 5
    assert {tuple(ranked.item.category_path) for ranked in ranking.items} == {("Home", "Rugs")}
    one_each = client.recommend(shopper, k=4, max_per_category=1)
    assert len({ranked.item.category_path for ranked in one_each.items}) == len(one_each.items) == 4
    ranked = client.rank(shopper, [Item("wool-rug-red"), Item("new", title="Red desk lamp"), Item("unknown")])
    assert [each.item.item_id for each in ranked.items][-1] == "unknown"

    catalogue = uuid4().hex
    stored = client.upsert_items([Item("1", "A lamp", price=3.0), Item("2")], catalogue=catalogue)
    assert stored.stored == 1
    assert [each.index for each in stored.rejected] == [1]
    assert client.get_item("1", catalogue=catalogue) == Item("1", "A lamp", (), "", {}, 3.0)
    assert client.delete_items(["1", "2"], catalogue=catalogue) == 1
    free = client.upsert_items([Item("free", "A gift", price=0.0)], catalogue=catalogue)
    assert free.stored == 1
    [gift] = client.recommend([], catalogue=catalogue).items
    assert (gift.item.price, client.get_item("free", catalogue=catalogue).price) == (None, 0.0)
    assert client.recommend([], catalogue=catalogue, filter=Filter(max_price=1.0)).items == ()


def test_rejected_events_are_told_by_their_place_in_all(client: Client, shopper: str) -> None:
    events = [(shopper, event) for event in _events(1001)]
    events.append((shopper, Event(EventType.VIEW, "", NOW, "desk-lamp-red")))
    [rejected] = client.record_events(events).rejected
    assert rejected.index == 1001
    assert "event_id" in rejected.field


def test_errors_are_typed(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.get_profile("nobody")
    with pytest.raises(InvalidRequestError) as told:
        client.recommend("nobody", k=1_000_000)
    assert [violation.field for violation in told.value.violations] == ["k"]
    with pytest.raises(InvalidRequestError, match="max_per_category"):
        client.recommend("nobody", max_per_category=-1)
    assert told.value.request_id


def test_a_gateway_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        with Client(f"{host}:{port}", timeout=0.5) as client, pytest.raises(DeadlineExceededError):
            client.get_profile("nobody")


def test_texts_become_vectors_in_their_order(client: Client) -> None:
    texts = ["wool rug", "desk lamp", "wool  rug", "台灯"]
    encoded = client.encode_texts(texts)
    assert encoded.release == 1
    assert encoded.vectors[0] == encoded.vectors[2] != encoded.vectors[1]
    assert client.encode_texts(texts[3:]).vectors == encoded.vectors[3:]
    assert all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-3) for vector in encoded.vectors)


def test_an_own_request_id_goes_to_the_log_and_comes_back(gateway: RunningGateway, client: Client) -> None:
    name = f"checkout-{uuid4().hex}"
    with pytest.raises(NotFoundError) as caught:
        client.get_profile("nobody", request_id=name)
    assert caught.value.request_id == name
    assert gateway.line("rpc", request_id=name)["code"] == "NOT_FOUND"


def test_a_gateway_that_is_not_there() -> None:
    with Client("127.0.0.1:1", timeout=1.0) as client, pytest.raises((UnavailableError, DeadlineExceededError)):
        client.get_profile("nobody")


async def test_the_asynchronous_client_does_the_same(gateway: RunningGateway, shopper: str) -> None:
    async with AsyncClient(gateway.address) as client:
        await client.record_events([(shopper, event) for event in _events(3)])
        assert (await client.get_profile(shopper)).event_count == 3
        history = [Event(EventType.SEARCH, query="台灯"), Event(EventType.VIEW, item_id="desk-lamp-red")]
        assert (await client.recommend(history, k=2)).event_count == 2
        few = (await client.recommend(history, k=4, max_per_category=1)).items
        assert len({ranked.item.category_path for ranked in few}) == len(few) == 4
        assert len((await client.encode_texts(["台灯", "wool rug"])).vectors) == 2
        with pytest.raises(NotFoundError):
            await client.get_item("no such item")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documentation_work(gateway: RunningGateway, example: str) -> None:
    assert "portrait.client" in example
    program = example.replace("localhost:50051", gateway.address)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr
