"""The commands that call a gateway, against a real one."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from support import tiny_release
from support.gateway import RunningGateway
from typer import Typer
from typer.testing import CliRunner, Result

from portrait.client import Client, Event, EventType, commands, privacy_commands, retries

NOW = datetime.now(UTC)
TYPES_AND_QUANTITIES = (("Product\tViewed", 1), ("teleport", 1), ("refund", -1), ("purchase", -2))


class Cli:
    """The commands that call a gateway."""

    def __init__(self, address: str) -> None:
        self._app = Typer()
        for name in (
            "record",
            "profile",
            "recommend",
            "rank",
            "upsert",
            "encode",
        ):
            self._app.command(name)(getattr(commands, name))
        for name in ("consent", "set-demographics", "forget"):
            self._app.command(name)(getattr(privacy_commands, name.replace("-", "_")))
        self._environment = {"PORTRAIT_ADDRESS": address, "COLUMNS": "200"}

    def __call__(self, *arguments: str, input: str | bytes = "") -> Result:
        return CliRunner(env=self._environment).invoke(self._app, arguments, input=input)


@pytest.fixture
def cli(gateway: RunningGateway) -> Cli:
    return Cli(gateway.address)


def test_the_command_line_from_a_file_to_recommendations(cli: Cli, shopper: str, tmp_path: Path) -> None:
    log = tmp_path / "events.csv"
    with log.open("w", newline="", encoding="utf-8") as file:
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
    items.write_text(
        '{"item_id": "x", "title": "Ein Stuhl", "category_path": ["Home", "Chairs"], "price": 9}\n', encoding="utf-8"
    )
    assert "1 stored, 0 rejected" in cli("upsert", str(items), "--catalogue", uuid4().hex).output


def test_texts_are_encoded_line_by_line(cli: Cli) -> None:
    texts = ["wool rug", "台灯", *(f"lamp {number}" for number in range(300))]
    printed = [json.loads(line) for line in cli("encode", "-", input="\n".join(texts)).output.splitlines()]
    assert [each["text"] for each in printed] == texts
    assert {(each["release"], len(each["embedding"])) for each in printed} == {(1, tiny_release.DIMENSION)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profile", "nobody"), "NOT_FOUND (SHOPPER_UNKNOWN): shopper.shopper_id: "),
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
    log.write_text(
        "shopper_id,event_id,type,time,item_id\na,1,view,2026-01-01,x\na,2,view,yesterday,x\n", encoding="utf-8"
    )
    result = cli("record", str(log))
    assert result.exit_code == 2
    assert "line 3, column 'time'" in result.output


def test_a_log_without_ids_is_recorded_once(cli: Cli, shopper: str) -> None:
    log = f"shopper_id,type,time,item_id\n{shopper},page_view,{NOW.isoformat()},desk-lamp-red\n"
    recorded = [json.loads(cli("record", "-", "--json", input=log).output) for _ in range(2)]
    assert [each["accepted"] for each in recorded] == [1, 0]
    assert [each["duplicates"] for each in recorded] == [0, 1]


def test_what_stands_before_a_malformed_line_is_recorded_and_counted(cli: Cli, shopper: str) -> None:
    lines = [f'{{"shopper_id": "{shopper}", "type": "view", "time": {1.7e9 + n}, "item_id": "x"}}' for n in range(1000)]
    result = cli("record", "-", input="\n".join([*lines, "{"]))
    assert result.exit_code == 2
    assert "1,000 accepted" in result.stdout
    assert result.stderr.startswith("error: standard input, line 1001: is not JSON")


def test_rejected_lines_are_told_as_malformed_ones_are(cli: Cli, shopper: str) -> None:
    lines = [f"{shopper},view,{1.7e9 + n},x,1" for n in range(1001)]
    lines += [f"{shopper},view,1700000000,x,-3", f"{shopper},view,,x,1"]
    result = cli("record", "-", input="\n".join(["shopper_id,type,time,item_id,price", *lines]))
    assert result.exit_code == 2
    assert "1,001 accepted, 0 duplicates, 2 rejected" in result.stdout
    first, second = result.stderr.splitlines()
    assert first == "standard input, line 1003, column 'price': sent -3; the limit is 0 to 1e9, finite"
    assert second.startswith("standard input, line 1004, column 'time': ")


def test_rows_that_are_no_events_are_told_and_the_rest_is_recorded(cli: Cli, shopper: str) -> None:
    lines = [f"{shopper},{kind},{1.7e9 + n},x,{quantity},$1" for n, (kind, quantity) in enumerate(TYPES_AND_QUANTITIES)]
    result = cli("record", "-", input="\n".join(["shopper_id,type,time,item_id,quantity,price", *lines]))
    assert result.exit_code == 2
    assert "3 accepted, 0 duplicates, 1 rejected" in result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith("standard input, line 3, column 'type': 'teleport' is not one of search, view")
    assert second == "standard input: 2 refunds have a minus sign; their absolute values count"


def test_prices_in_another_currency_are_left_out_with_a_warning(cli: Cli, shopper: str, tmp_path: Path) -> None:
    log = tmp_path / "events.csv"
    lines = [f"{shopper},view,{1.7e9 + n},x,{price}" for n, price in enumerate(["$1", "€2", "3 EUR", "4"])]
    log.write_text("\n".join(["shopper_id,type,time,item_id,price", *lines]), encoding="utf-8")
    result = cli("record", str(log))
    assert "4 accepted" in result.stdout
    assert result.stderr.startswith(f"warning: {log}: 1 prices in USD are left out")


def test_items_go_to_the_catalogue_that_their_line_names(cli: Cli, gateway: RunningGateway) -> None:
    one, other = uuid4().hex, uuid4().hex
    rows = [{"item_id": "1", "title": "A", "colour": "red"}, {"item_id": "2", "title": "B", "catalogue": other}]
    listed = "\n".join(map(json.dumps, [*rows, {"item_id": "3", "catalogue": other}]))
    result = cli("upsert", "-", "--catalogue", one, "--json", input=listed)
    assert json.loads(result.stdout) == {"stored": 2, "rejected": 1}
    assert result.stderr.startswith("standard input, line 3, column 'title': ")
    with Client(gateway.address) as client:
        assert client.get_item("1", catalogue=one).attributes == {"colour": "red"}
        assert client.get_item("2", catalogue=other).title == "B"


def test_candidates_from_a_file(cli: Cli, shopper: str) -> None:
    ranked = cli("rank", shopper, "--file", "-", "--json", input="item_id,title\nnew,Red desk lamp\nwool-rug-red,\n")
    items = [each["item"]["item_id"] for each in json.loads(ranked.output)["items"]]
    assert sorted(items) == ["new", "wool-rug-red"]


def test_the_embedding_is_printed_where_it_is_asked_for(cli: Cli, shopper: str) -> None:
    cli("record", "-", input=f"shopper_id,type,time,item_id\n{shopper},view,{NOW.isoformat()},wool-rug-red\n")
    asked = json.loads(cli("profile", shopper, "--embedding", "--json").output)
    assert sum(number**2 for number in asked["embedding"]) == pytest.approx(1.0, abs=1e-4)
    plain = json.loads(cli("profile", shopper, "--json").output)
    assert plain.pop("embedding") is None
    assert plain.keys() == asked.keys() - {"embedding"}
    assert (
        [each["category_path"] for each in plain["interests"]]
        == [each["category_path"] for each in asked["interests"]]
        != []
    )


def test_a_gateway_that_is_not_there_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_MIN_SECONDS", 60.0)  # no retry, whose short deadline a busy machine may miss
    result = cli("profile", "nobody", "--address", "127.0.0.1:1", "--timeout", "60")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 127.0.0.1:1: UNAVAILABLE: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_certificate_that_is_not_there_is_named(cli: Cli) -> None:
    result = cli("profile", "nobody", "--root-certificates", "no-such-file.pem")
    assert (result.exit_code, result.stderr) == (2, "error: no-such-file.pem: No such file or directory\n")


def test_arguments_that_are_not_utf_8(cli: Cli) -> None:
    result = cli("recommend", "\udcff")
    assert (result.exit_code, result.stderr) == (2, "error: an argument is not UTF-8\n")


def test_traits_are_printed_where_they_are_asked_for(gateway: RunningGateway, cli: Cli, shopper: str) -> None:
    with Client(gateway.address) as client:
        client.record_events([(shopper, Event(EventType.PURCHASE, "1", NOW, "desk-lamp-red"))])
        assert client.get_profile(shopper, fields=["traits"]).traits[1].absent_reason == "too few"
    printed = cli("profile", shopper, "--traits").output
    assert "lapses, in 30 days." in printed
    assert "too few" in printed
    assert "lapses" not in cli("profile", shopper).output
    assert [trait["name"] for trait in json.loads(cli("profile", shopper, "--traits", "--json").output)["traits"]] == [
        "lapses", "rare", "buys",
    ]  # fmt: skip


def test_what_shoppers_allow_and_declare(cli: Cli, shopper: str) -> None:
    cli("record", "-", input=f"shopper_id,type,time,item_id\n{shopper},view,{NOW.isoformat()},wool-rug-red\n")
    assert "server default" in cli("consent", shopper).output
    granted = cli("consent", shopper, "--grant", "demographics", "--grant", "risk", "--source", "a shop", "--json")
    assert json.loads(granted.output)["permissions"]["risk"] == {"allowed": True, "granted": True}
    declared = cli("set-demographics", shopper, "--age", "30", "--region", "US-CA", "--source", "a form").output
    assert declared.startswith("declared: age 25-34, region US-CA (on ")
    assert declared.strip() in cli("profile", shopper).output
    shown = cli("consent", shopper, "--withdraw", "demographics", "--time", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
    assert "withdrawn" in shown.output
    refused = cli("set-demographics", shopper, "--age", "30")
    assert refused.exit_code == 2
    assert "FAILED_PRECONDITION" in refused.stderr
    for wrong in (["--grant", "risk", "--withdraw", "risk"], ["--notice", "3"], ["--grant", "everything"]):
        assert cli("consent", shopper, *wrong).exit_code == 2


def test_who_is_forgotten_is_somebody_new(cli: Cli, shopper: str) -> None:
    log = f"shopper_id,type,time,item_id\n{shopper},view,{NOW.isoformat()},wool-rug-red\n"
    cli("record", "-", input=log)
    assert cli("forget", shopper).output == "forgotten: 1 event, consents and demographics\n"
    assert json.loads(cli("forget", shopper, "--json").output)["event_count"] == 0
    assert cli("profile", shopper).exit_code == 2
    again = cli("record", "-", input=log)
    assert (again.exit_code, again.stdout) == (2, "0 accepted, 0 duplicates, 1 rejected\n")
    assert again.stderr == "standard input, line 2: the shopper was forgotten after this event\n"
