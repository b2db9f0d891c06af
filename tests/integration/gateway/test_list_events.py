"""ListEvents over a real gateway: what is recorded under all ids of a shopper, page by page, the newest first."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from support.command_line import run_portrait
from support.gateway import RunningGateway

from portrait.client import AsyncClient, Client, Consent, Event, EventPage, EventType, InvalidRequestError, Purpose

NOW = datetime.now(UTC).replace(microsecond=123_000)
HOUR = timedelta(hours=1)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def record(client: Client, shopper_id: str, count: int) -> list[Event]:
    """Record views and searches of some hours; returns them, the newest first."""
    sent = [
        Event(EventType.SEARCH, f"{shopper_id}-{number}", NOW - number * HOUR, query="red lamp", catalogue="products")
        if number % 3 == 0
        else Event(
            EventType.VIEW, f"{shopper_id}-{number}", NOW - number * HOUR, "desk-lamp-red", "products", price=9.5
        )
        for number in range(count)
    ]
    client.record_events((shopper_id, event) for event in sent)
    return sent


def read_all(client: Client, shopper_id: str, size: int = 0) -> list[tuple[str, Event]]:
    events, token = [], ""
    while True:
        page = client.list_events(shopper_id, page_size=size, page_token=token)
        events += page.events
        token = page.next_page_token
        if not token:
            return events


def test_pages_have_every_event_once(client: Client, shopper: str) -> None:
    sent = record(client, shopper, 230)
    record(client, f"{shopper}-other", 3)
    first = client.list_events(shopper)
    assert [event for _, event in first.events] == sent[:100]
    for size in (0, 1_000, 115, 7):
        assert read_all(client, shopper, size) == [(shopper, event) for event in sent]
    # A page of exactly all events is the last one, and what arrives between two pages is in its place.
    assert client.list_events(shopper, page_size=230).next_page_token == ""
    late = Event(EventType.VIEW, "late", NOW - timedelta(hours=150, minutes=1), "wool-rug-blue", "products")
    client.record_events([(shopper, late)])
    second = client.list_events(shopper, page_size=130, page_token=first.next_page_token)
    assert [event for _, event in second.events] == [*sent[100:151], late, *sent[151:229]]


def test_events_are_selected_by_type_and_time(client: Client, shopper: str) -> None:
    sent = record(client, shopper, 30)
    page = client.list_events(shopper, types=[EventType.SEARCH, EventType.RATE])
    assert [event for _, event in page.events] == sent[::3]
    page = client.list_events(shopper, since=NOW - 9 * HOUR, before=NOW - 4 * HOUR)
    assert [event for _, event in page.events] == sent[5:10]
    page = client.list_events(shopper, types=[EventType.VIEW], before=NOW - 4 * HOUR, page_size=2)
    rest = client.list_events(
        shopper, types=[EventType.VIEW], before=NOW - 4 * HOUR, page_size=9, page_token=page.next_page_token
    )
    assert [event for _, event in (*page.events, *rest.events)] == [
        event for event in sent[5:] if event.type is EventType.VIEW
    ][:11]
    assert client.list_events(f"{shopper}-unknown") == EventPage((), "")


def test_it_follows_links_consents_and_forgetting_as_an_export_does(client: Client, shopper: str) -> None:
    web = f"{shopper}-web"
    sent = {each: record(client, each, count) for each, count in {shopper: 5, web: 9}.items()}
    client.link_shoppers(shopper, web, source="login")
    client.set_consents(web, [Consent(purpose, False) for purpose in Purpose])
    for each in (shopper, web):
        listed = read_all(client, each, 4)
        times = [event.time for _, event in listed]
        assert times == sorted((NOW - number * HOUR for count in (5, 9) for number in range(count)), reverse=True)
        exported = {(part.shopper_id, event) for part in client.export_shopper(each) for event in part.events}
        assert set(listed) == exported
        assert len(listed) == len(exported)
    first = client.list_events(shopper, page_size=10)
    client.unlink_shoppers(shopper, web)
    rest = client.list_events(shopper, page_token=first.next_page_token)
    assert [event for _, event in rest.events] == []  # what was left was of the other id
    assert [event for _, event in read_all(client, web)] == sent[web]
    client.forget_shopper(web)
    assert read_all(client, web) == []
    assert len(read_all(client, shopper)) == 5


async def test_both_clients_and_wrong_tokens(gateway: RunningGateway, client: Client, shopper: str) -> None:
    sent = record(client, shopper, 4)
    async with AsyncClient(gateway.address) as other:
        page = await other.list_events(shopper, page_size=3)
    assert [event for _, event in page.events] == sent[:3]
    for token in ("x", "AAAA", page.next_page_token[:-4] + "AAAA"):
        with pytest.raises(InvalidRequestError) as raised:
            client.list_events(shopper, page_token=token)
        assert raised.value.reason == "PAGE_TOKEN_INVALID"
    for others in ({"types": [EventType.VIEW]}, {"since": NOW}, {"before": NOW}):
        with pytest.raises(InvalidRequestError, match="is of another list"):
            client.list_events(shopper, page_token=page.next_page_token, **others)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="page_size"):
        client.list_events(shopper, page_size=1_001)
    with pytest.raises(InvalidRequestError, match="shopper_id"):
        client.list_events("")


def test_the_command_lists_events(gateway: RunningGateway, client: Client, shopper: str) -> None:
    sent = record(client, shopper, 12)
    done = run_portrait("events", shopper, "--address", gateway.address, "--json", "--limit", "7")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event_id"] for line in lines] == [event.event_id for event in sent[:7]]
    assert (lines[1]["shopper_id"], lines[1]["type"], lines[1]["price"]) == (shopper, "view", 9.5)
    before = f"{NOW - 2 * HOUR:%Y-%m-%dT%H:%M:%S}"
    table = run_portrait("events", shopper, "--address", gateway.address, "--type", "search", "--before", before)
    assert table.code == 0, table
    rows = [line.split("\t") for line in table.stdout.splitlines()[1:]]
    assert [(row[1], row[4], row[-1]) for row in rows] == [
        ("search", "red lamp", event.event_id) for event in sent[3::3]
    ]
    wrong = run_portrait("events", shopper, "--address", gateway.address, "--type", "dream")
    assert wrong.code == 2
