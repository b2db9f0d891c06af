"""ExplanationService through client and command line, against a real gateway."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.gateway import RunningGateway
from typer import Typer
from typer.testing import CliRunner

from portrait.client import AsyncClient, Client, Event, EventType, InvalidRequestError, NotFoundError, commands

NOW = datetime.now(UTC)
ITEMS = ("frying-pan-red", "desk-lamp-red", "hedge-shears-black")


@pytest.fixture
def known(gateway: RunningGateway, shopper: str) -> str:
    """A shopper with three purchases."""
    with Client(gateway.address) as client:
        events = [
            Event(EventType.PURCHASE, f"{shopper}-{item}", NOW - timedelta(hours=3 - n), item)
            for n, item in enumerate(ITEMS)
        ]
        assert client.record_events((shopper, event) for event in events).accepted == len(ITEMS)
    return shopper


def test_an_item_is_explained_by_events_and_words(gateway: RunningGateway, known: str) -> None:
    with Client(gateway.address) as client:
        explained = client.explain_recommendation(known, "desk-lamp-blue")
        assert explained.ranked_item.item.title == "Blue desk lamp"
        assert explained.events[0].event_id == f"{known}-desk-lamp-red"
        assert {each.word for each in explained.words} == {"Blue", "desk", "lamp"}
        assert (explained.release, explained.event_count) == (1, 3)
        with pytest.raises(NotFoundError):
            client.explain_recommendation(known, "no-such-item")
        with pytest.raises(InvalidRequestError) as error:
            client.explain_recommendation(known, "")
        assert [each.field for each in error.value.violations] == ["item_id"]


async def test_a_profile_is_explained(gateway: RunningGateway, known: str) -> None:
    async with AsyncClient(gateway.address) as client:
        whole = await client.explain_profile(known)
        assert {each.event_id for each in whole.events} == {f"{known}-{item}" for item in ITEMS}
        lamps = await client.explain_profile(known, interest=["Home", "Lamps"])
        assert lamps.events[0].event_id == f"{known}-desk-lamp-red"
        assert 0 < lamps.weight < 1
        assert lamps.probability is None
        bought = lamps.events[0]
        assert (bought.type, bought.subject) == (EventType.PURCHASE, "Red desk lamp")
        assert bought.time is not None
        assert abs(bought.time - (NOW - timedelta(hours=2))) < timedelta(milliseconds=1)
        buys = await client.explain_profile(known, trait="buys")
        assert buys.probability is not None
        assert {each.event_id for each in buys.events} == {f"{known}-{item}" for item in ITEMS}
        with pytest.raises(NotFoundError, match="too few"):
            await client.explain_profile(known, trait="rare")
        with pytest.raises(ValueError, match="not both"):
            await client.explain_profile(known, trait="buys", interest=["Home"])
        with pytest.raises(NotFoundError):
            await client.explain_profile(known, interest=["Boats"])
        with pytest.raises(NotFoundError):
            await client.explain_profile(f"{known}-unheard-of")


def test_the_command_line_explains(gateway: RunningGateway, known: str) -> None:
    app = Typer()
    app.command()(commands.explain)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner(env={"PORTRAIT_ADDRESS": gateway.address, "COLUMNS": "200"}).invoke(app, arguments)
        return result.exit_code, result.output

    code, shown = run(known, "--item", "desk-lamp-blue")
    assert code == 0, shown
    assert "Red desk lamp" in shown
    assert shown.index("desk-lamp-red") < shown.index("hedge-shears-black")
    code, shown = run(known, "--interest", "Home > Lamps", "--json")
    assert code == 0, shown
    assert json.loads(shown)["events"][0]["event_id"] == f"{known}-desk-lamp-red"
    assert run(known)[0] == 0
    code, shown = run(known, "--trait", "buys")
    assert (code, "buys: " in shown) == (0, True)
    code, shown = run(known, "--item", "desk-lamp-blue", "--interest", "Home")
    assert (code, "give only one of" in shown) == (2, True)
