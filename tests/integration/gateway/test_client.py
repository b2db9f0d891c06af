"""The client library and the command line against a real gateway."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from served import Served
from typer import Typer
from typer.testing import CliRunner, Result

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
    commands,
)

NOW = datetime.now(UTC)


def _events(count: int) -> list[Event]:
    return [
        Event(EventType.PURCHASE, uuid4().hex, NOW - timedelta(hours=place), "desk-lamp-red", price=10.0 + place)
        for place in range(count)
    ]


@pytest.fixture
def client(gateway: Served) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def test_every_method(client: Client, shopper: str) -> None:
    events = [(shopper, event) for event in _events(1200)]
    summary = client.record_events(events)
    assert (summary.accepted, summary.duplicates, summary.rejected) == (1200, 0, ())
    assert client.record_events(events[:3]).duplicates == 3

    profile = client.get_profile(shopper, fields=["interests", "embedding", "event_count"])
    assert profile.event_count == 1200
    assert profile.interests[0].path == ("Home",)
    assert profile.embedding is not None
    assert sum(number**2 for number in profile.embedding) == pytest.approx(1.0, abs=1e-4)
    [known, unknown] = client.batch_get_profiles([shopper, "nobody"])
    assert isinstance(known, Profile)
    assert isinstance(unknown, ProfileError)
    assert unknown.code == 5

    ranking = client.recommend(shopper, k=5, filter=Filter(categories=[["Home", "Rugs"]]), exclude_seen=True)
    assert len(ranking.items) == 5
    assert {tuple(ranked.item.category_path) for ranked in ranking.items} == {("Home", "Rugs")}
    ranked = client.rank(shopper, [Item("wool-rug-red"), Item("new", title="Red desk lamp"), Item("unknown")])
    assert [each.item.item_id for each in ranked.items][-1] == "unknown"

    catalogue = uuid4().hex
    stored = client.upsert_items([Item("1", "A lamp", price=3.0), Item("2")], catalogue=catalogue)
    assert stored.stored == 1
    assert [each.index for each in stored.rejected] == [1]
    assert client.get_item("1", catalogue=catalogue) == Item("1", "A lamp", (), "", {}, 3.0)
    assert client.delete_items(["1", "2"], catalogue=catalogue) == 1


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
    assert told.value.request_id
    with pytest.raises(DeadlineExceededError):
        client.recommend("nobody", timeout=1e-6)


def test_a_gateway_that_is_not_there() -> None:
    with Client("127.0.0.1:1", timeout=1.0) as client, pytest.raises((UnavailableError, DeadlineExceededError)):
        client.get_profile("nobody")


async def test_the_asynchronous_client_does_the_same(gateway: Served, shopper: str) -> None:
    async with AsyncClient(gateway.address) as client:
        await client.record_events([(shopper, event) for event in _events(3)])
        assert (await client.get_profile(shopper)).event_count == 3
        history = [Event(EventType.SEARCH, query="台灯"), Event(EventType.VIEW, item_id="desk-lamp-red")]
        assert (await client.recommend(history, k=2)).event_count == 2
        with pytest.raises(NotFoundError):
            await client.get_item("no such item")


async def test_unavailable_is_retried_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real server that fails every call: gRPC's retry throttling ends the retries, not their number a call."""
    from portrait.v1 import profile_service_pb2_grpc

    class Failing(profile_service_pb2_grpc.ProfileServiceServicer):
        calls = 0

        async def GetProfile(self, request, context):  # noqa: N802 - the contract's name
            Failing.calls += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    server = grpc.aio.server()
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(Failing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncClient(f"127.0.0.1:{port}", timeout=20.0) as client:
        with pytest.raises(UnavailableError):
            await client.get_profile("nobody")
        assert Failing.calls == 4
        for _ in range(20):
            with pytest.raises(UnavailableError):
                await client.get_profile("nobody")
    await server.stop(None)
    assert Failing.calls < 4 + 20 + 5


class Cli:
    """The commands that call a gateway."""

    def __init__(self, address: str) -> None:
        self._app = Typer()
        for name in ("record", "profile", "recommend", "rank", "upsert"):
            self._app.command(name)(getattr(commands, name))
        self._environment = {"PORTRAIT_ADDRESS": address, "COLUMNS": "200"}

    def __call__(self, *arguments: str) -> Result:
        return CliRunner(env=self._environment).invoke(self._app, arguments)


@pytest.fixture
def cli(gateway: Served) -> Cli:
    return Cli(gateway.address)


def test_the_command_line_from_a_file_to_recommendations(cli: Cli, shopper: str, tmp_path: Path) -> None:
    log = tmp_path / "events.csv"
    with log.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shopper_id", "event_id", "type", "time", "item_id", "query", "price"])
        writer.writerow([shopper, uuid4().hex, "purchase", NOW.isoformat(), "desk-lamp-red", "", 12.5])
        writer.writerow([shopper, uuid4().hex, "search", NOW.isoformat(), "", "bedside, lamp", ""])
    recorded = cli("record", str(log))
    assert recorded.exit_code == 0, recorded.output
    assert "2 accepted, 0 duplicates, 0 rejected" in recorded.output
    shown = cli("profile", shopper)
    assert "Home › Lamps" in shown.output
    assert json.loads(cli("profile", shopper, "--json").output)["event_count"] == 2
    asked = json.loads(cli("recommend", shopper, "--query", "wool rug", "--k", "3", "--json").output)
    assert len(asked["items"]) == 3
    assert "wool-rug-red" in cli("rank", shopper, "--item", "wool-rug-red", "--item", "nothing").output
    items = tmp_path / "items.jsonl"
    items.write_text('{"item_id": "x", "title": "Ein Stuhl", "category_path": ["Home", "Chairs"], "price": 9}\n')
    assert "1 stored, 0 rejected" in cli("upsert", str(items), "--catalogue", uuid4().hex).output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profile", "nobody"), "NOT_FOUND"),
        (("recommend", "nobody", "--k", "2000"), "k: "),
        (("rank", "nobody", "--item", "x" * 300), "candidates[0].item.item_id"),
        (("record", "no-such-file.csv"), "no-such-file.csv"),
    ],
)
def test_what_the_caller_can_mend_is_told_in_a_line(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_malformed_file_names_line_and_column(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "events.csv"
    log.write_text("shopper_id,event_id,type,time,item_id\na,1,view,2026-01-01,x\na,2,view,yesterday,x\n")
    result = cli("record", str(log))
    assert result.exit_code == 2
    assert "line 3, column 'time'" in result.output
