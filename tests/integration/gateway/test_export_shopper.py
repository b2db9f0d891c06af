"""The export of a shopper: everything that forgetting deletes, and nothing of others."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pytest
from support.command_line import run_portrait
from support.gateway import RunningGateway

from portrait.client import (
    AsyncClient,
    Client,
    Consent,
    Event,
    EventType,
    InvalidRequestError,
    Purpose,
    Review,
    ReviewAction,
    ReviewTarget,
)

NOW = datetime.now(UTC).replace(microsecond=123_000)
TABLES_OF_NOBODY = {"item_changes", "state", "tombstones", "sqlite_sequence"}
"""Tables of the state file without a row of a shopper: a tombstone holds a hash alone."""
NUMBERS = {"identity_changes", "review_changes"}
"""Tables that hold nothing of a shopper but a number, by which caches learn of a change."""


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def know(client: Client, shopper_id: str, events: int = 3) -> list[Event]:
    """Have something of everything that is recorded of shoppers; returns the events, the oldest first."""
    sent = [
        Event(EventType.SEARCH, "e0", NOW - timedelta(days=9), query=f"lamp, of {shopper_id}"),
        Event(EventType.RATE, "e1", NOW - timedelta(days=8), "wool-rug-blue", rating=4.5, position=3),
        *(
            Event(EventType.PURCHASE, f"e{number}", NOW - timedelta(days=7) + timedelta(seconds=number),
                  "desk-lamp-red", catalogue="products", price=9.5, quantity=2.0)
            for number in range(2, events)
        ),
    ]  # fmt: skip
    client.record_events((shopper_id, event) for event in reversed(sent))
    client.set_consents(shopper_id, [Consent(purpose, True, NOW, f"notice of {shopper_id}") for purpose in Purpose])
    client.set_demographics(shopper_id, age=30, region=f"region of {shopper_id}", source="form")
    target = ReviewTarget(interest=("Home", f"Rugs of {shopper_id}"), shopper_id=shopper_id)
    client.set_review(Review(target, ReviewAction.BLOCK, reviewed_by="ana", note=f"asked by {shopper_id}"))
    return sent


def test_everything_that_is_kept_is_exported(client: Client, shopper: str) -> None:
    sent = know(client, shopper, events=2_500)
    know(client, f"{shopper}-other")
    parts = list(client.export_shopper(shopper))
    events = [event for part in parts for event in part.events]
    assert [event.event_id for event in events] == [event.event_id for event in sent]
    for kept, given in zip(events, sent, strict=True):
        assert (kept.type, kept.time, kept.item_id, kept.query) == (given.type, given.time, given.item_id, given.query)
        numbers = (given.price, given.quantity, given.rating, given.position)
        assert (kept.price, kept.quantity, kept.rating, kept.position) == numbers
    [demographics] = [part.demographics for part in parts if part.demographics is not None]
    assert (demographics.age_band, demographics.region) == ("25-34", f"region of {shopper}")
    consents = [record.consent for part in parts for record in part.consents]
    assert {consent.purpose for consent in consents} == set(Purpose)
    assert f"{shopper}-other" not in str(parts)


def _rows_of(state: Path, shopper_id: str) -> dict[str, int]:
    """Rows of a shopper in each table of a state file that can have some."""
    with closing(sqlite3.connect(state)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: connection.execute(f"SELECT count(*) FROM {table} WHERE shopper_id = ?", (shopper_id,)).fetchone()[0]
            for table in tables
            if table not in TABLES_OF_NOBODY
        }


@pytest.mark.parametrize("named", ["", "-web"])
def test_what_is_exported_is_what_forgetting_deletes(
    gateway: RunningGateway, client: Client, shopper: str, named: str
) -> None:
    ids = [f"{shopper}{each}" for each in ("", "-app", "-web")]
    for number, each in enumerate((*ids, f"{shopper}-other")):
        know(client, each, events=40 + number)
    for each in ids[1:]:
        client.link_shoppers(shopper, each, source=f"login of {each}", confidence=0.5)
    client.link_shoppers(f"{shopper}-other", f"{shopper}-tv", source="login")
    for each in (shopper, f"{shopper}-other"):
        client.join_household(f"{shopper}-home", each, source=f"account of {each}")
    client.set_consents(shopper, [Consent(Purpose.RISK, False)])
    state = Path(gateway.argument("--state"))
    rows = {each: _rows_of(state, each) for each in ids}
    parts = list(client.export_shopper(f"{shopper}{named}"))
    assert f"{shopper}-other" not in str(parts)
    assert [each for each, _ in groupby(part.shopper_id for part in parts)] == ids
    links = [link for part in parts for link in part.links]
    for each in ids:
        own = [part for part in parts if part.shopper_id == each]
        exported = {
            "events": sum(len(part.events) for part in own),
            "consent_records": sum(len(part.consents) for part in own),
            "consents": len({record.consent.purpose for part in own for record in part.consents}),
            "demographics": sum(part.demographics is not None for part in own),
            "reviews": sum(len(part.reviews) for part in own),
            "links": sum(link.anonymous_id == each for link in links),
            "household_members": sum(part.household is not None for part in own),
        }
        assert exported == {table: count for table, count in rows[each].items() if table not in NUMBERS}
    assert links == list(parts[0].links)
    assert [(link.source, link.confidence) for link in links] == [(f"login of {each}", 0.5) for each in ids[1:]]
    assert client.forget_shopper(f"{shopper}{named}").event_count == 40 + 41 + 42
    for each in ids:
        assert set(_rows_of(state, each).values()) == {0}
        [nothing] = client.export_shopper(each)
        assert (nothing.consents, nothing.demographics, nothing.events, nothing.links) == ((), None, (), ())
        assert (nothing.reviews, nothing.household) == ((), None)
    assert [each.shopper_id for each in client.get_household(f"{shopper}-home")] == [f"{shopper}-other"]
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("SELECT count(*) FROM links WHERE login_id = ?", (shopper,)).fetchone() == (0,)
    assert len(client.get_identity(f"{shopper}-tv").links) == 1


async def test_the_asynchronous_client_exports_too(gateway: RunningGateway, client: Client, shopper: str) -> None:
    know(client, shopper)
    async with AsyncClient(gateway.address) as other:
        events = [event async for part in other.export_shopper(shopper) for event in part.events]
    assert len(events) == 3
    with pytest.raises(InvalidRequestError):
        list(client.export_shopper(""))


def test_the_command_prints_one_document_or_a_log(
    gateway: RunningGateway, client: Client, shopper: str, tmp_path: Path
) -> None:
    sent = know(client, shopper, events=1_200)
    done = run_portrait("export-shopper", shopper, "--address", gateway.address)
    assert done.code == 0, done
    document = json.loads(done.stdout)
    assert document["shopper_id"] == shopper
    assert document["demographics"]["region"] == f"region of {shopper}"
    assert len(document["consents"]) == len(Purpose)
    [review] = document["reviews"]
    assert (review["target"]["shopper_id"], review["note"]) == (shopper, f"asked by {shopper}")
    assert [event["event_id"] for event in document["events"]] == [event.event_id for event in sent]
    assert document["events"][0]["query"] == f"lamp, of {shopper}"
    log = run_portrait("export-shopper", shopper, "--csv", "--address", gateway.address).stdout
    rows = list(csv.DictReader(io.StringIO(log)))
    assert {row["shopper_id"] for row in rows} == {shopper}
    assert len(rows) == len(sent)
    # A log like any other: recorded again, it says what is known.
    (tmp_path / "events.csv").write_text(log, encoding="utf-8")
    again = run_portrait("record", tmp_path / "events.csv", "--address", gateway.address, "--json")
    assert json.loads(again.stdout) == {"accepted": 0, "duplicates": len(sent), "rejected": 0}


def test_the_document_has_an_object_for_each_linked_id(gateway: RunningGateway, client: Client, shopper: str) -> None:
    web, app = f"{shopper}-web", f"{shopper}-app"
    sent = {each: know(client, each, events=number) for number, each in enumerate((shopper, web), start=3)}
    for each in (web, app):
        client.link_shoppers(shopper, each, source="login")
    client.join_household("home", shopper, source="account")
    document = json.loads(run_portrait("export-shopper", web, "--address", gateway.address).stdout)
    assert (document["shopper_id"], [link["anonymous_id"] for link in document["links"]]) == (shopper, [app, web])
    assert document["household"]["household_id"] == "home"
    assert [each["shopper_id"] for each in document["linked_shoppers"]] == [app, web]
    assert document["linked_shoppers"][0]["events"] == []
    of_web = document["linked_shoppers"][1]
    assert [event["event_id"] for event in of_web["events"]] == [event.event_id for event in sent[web]]
    assert of_web["demographics"]["region"] == f"region of {web}"
    assert len(document["events"]) == len(sent[shopper])
    log = run_portrait("export-shopper", web, "--csv", "--address", gateway.address).stdout
    rows = list(csv.DictReader(io.StringIO(log)))
    assert [row["shopper_id"] for row in rows] == [shopper] * 3 + [web] * 4


def test_a_shopper_of_whom_nothing_is_known(gateway: RunningGateway) -> None:
    done = run_portrait("export-shopper", uuid4().hex, "--address", gateway.address)
    document = json.loads(done.stdout)
    assert (document["demographics"], document["consents"], document["events"]) == (None, [], [])
    log = run_portrait("export-shopper", uuid4().hex, "--csv", "--address", gateway.address).stdout
    assert log.count("\n") == 1
