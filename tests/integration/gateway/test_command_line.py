"""The commands in pipes and on terminals, with ids and files as they come, against a real gateway."""

import contextlib
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from support.gateway import RunningGateway
from typer import Typer
from typer.testing import CliRunner, Result

from portrait.client import Client, Event, EventType, Item, commands, privacy_commands, retries
from portrait.client.audience_commands import audience
from portrait.client.item_commands import item

NOW = datetime.now(UTC)
IDS = [
    "two  words", "a\tb", "a\nb", "a\\nb", "=1+1", "a=b", "台灯", "מנורה", "x\u202ey", "x" * 128,
    "[red]b[/red]", "#", "_", "' \"",
]  # fmt: skip
NAMES = (
    "record",
    "profile",
    "profiles",
    "recommend",
    "rank",
    "shelf",
    "explain",
    "upsert",
    "encode",
    "consent",
    "set-demographics",
)
FILE_COMMANDS = (
    ["record"], ["upsert"], ["encode"], ["profiles"], ["rank", "a", "--file"], ["audience", "estimate", "--like"],
)  # fmt: skip
PRIVACY = ("consent", "set-demographics", "export-shopper", "forget")
ONE_SHOPPER = (["profile"], ["recommend"], ["explain"], ["consent"], ["set-demographics"], ["forget"])
MAIN = (sys.executable, "-c", "import sys; sys.argv[0] = 'portrait'; from portrait.client.cli import main; main()")


class Cli:
    """The commands that call a gateway, their output piped."""

    def __init__(self, address: str) -> None:
        self._app = Typer()
        for name in (*NAMES, "forget"):
            place = privacy_commands if name in PRIVACY else commands
            self._app.command(name)(getattr(place, name.replace("-", "_")))
        self._app.add_typer(item, name="item")
        self._app.add_typer(audience, name="audience")
        self._environment = {"PORTRAIT_ADDRESS": address, "COLUMNS": "60"}

    def __call__(self, *arguments: str, input: str | bytes = "") -> Result:
        return CliRunner(env=self._environment).invoke(self._app, arguments, input=input)


@pytest.fixture
def cli(gateway: RunningGateway) -> Cli:
    return Cli(gateway.address)


def rows(result: Result) -> list[list[str]]:
    """Rows that a pipe got, with escapes undone."""
    assert result.exit_code == 0, result.output
    back = {"\\t": "\t", "\\n": "\n", "\\\\": "\\", "\\u202e": "\u202e"}
    lines = result.stdout.removesuffix("\n").split("\n")
    cells = [
        [re.sub(r"\\(?:u202e|.)", lambda found: back[found[0]], cell) for cell in line.split("\t")] for line in lines
    ]
    assert len({len(row) for row in cells}) == 1
    return cells


def test_ids_of_any_kind_come_out_of_a_pipe_as_they_went_in(cli: Cli, shopper: str) -> None:
    options = [part for item_id in IDS for part in ("--item", item_id)]
    ranked = rows(cli("rank", shopper, *options))
    assert ranked[0][:3] == ["#", "item", "title"]
    assert sorted(row[1] for row in ranked[1:]) == sorted(IDS)
    as_json = json.loads(cli("rank", shopper, "--json", *options).stdout)
    assert sorted(each["item"]["item_id"] for each in as_json["items"]) == sorted(IDS)


def test_an_item_is_got_and_deleted(cli: Cli) -> None:
    catalogue = uuid4().hex
    listed = [{"item_id": item_id, "title": f"A {item_id}", "colour": "red", "price": 9} for item_id in IDS]
    assert cli("upsert", "-", "--catalogue", catalogue, input="\n".join(map(json.dumps, listed))).exit_code == 0
    for item_id in IDS:
        got = dict(rows(cli("item", "get", "--catalogue", catalogue, "--", item_id)))
        assert (got["item"], got["price"], got["attribute colour"]) == (item_id, "9.00", "red")
    assert json.loads(cli("item", "get", "a=b", "--catalogue", catalogue, "--json").stdout)["item_id"] == "a=b"
    deleted = cli("item", "delete", "--catalogue", catalogue, "--", *IDS, "nothing")
    assert (deleted.exit_code, deleted.stdout) == (0, f"{len(IDS)} deleted\n")
    missing = cli("item", "get", "a=b", "--catalogue", catalogue)
    assert missing.exit_code == 2
    assert "NOT_FOUND" in missing.stderr
    assert json.loads(cli("item", "delete", "a=b", "--catalogue", catalogue, "--json").stdout) == {"deleted": 0}


def test_brands_and_left_out_items(cli: Cli, gateway: RunningGateway, shopper: str) -> None:
    everything = json.loads(cli("recommend", shopper, "--json", "-k", "1000").stdout)["items"]
    first, second = everything[0]["item"]["item_id"], everything[1]["item"]["item_id"]
    left = json.loads(cli("recommend", shopper, "--json", "--exclude", first, "--exclude", second).stdout)["items"]
    assert {first, second}.isdisjoint(each["item"]["item_id"] for each in left)
    brand = f"brand {uuid4().hex}"
    with Client(gateway.address) as client:
        client.upsert_items([Item(shopper, "A lamp", ["Home", "Lamps"], brand)])
        try:
            assert [row[1] for row in rows(cli("recommend", shopper, "--brand", brand))[1:]] == [shopper]
            assert rows(cli("recommend", shopper, "--brand", brand, "--exclude", shopper))[1:] == []
        finally:
            client.delete_items([shopper])


def test_a_shelf_is_printed_with_its_reasons(cli: Cli, gateway: RunningGateway, shopper: str) -> None:
    named = ("--item", "desk-lamp-red")
    heads, *lines = rows(cli("shelf", shopper, "frequently_bought_together", *named))
    assert heads == ["#", "item", "title", "category", "price", "why", "rules"]
    assert [line[1] for line in lines] == ["jute-rug-red", "wool-rug-red"]
    assert lines[0][5] == "bought with desk-lamp-red in 20 of 40 visits"
    similar = rows(cli("shelf", shopper, "similar_items", *named, "-k", "1"))[1]
    assert similar[5].startswith("viewed with desk-lamp-red in 40 of 90 visits; similarity to desk-lamp-red 0.")
    told = json.loads(cli("shelf", shopper, "similar_items", *named, "--brand", "Zhen", "--json").stdout)
    assert {each["item"]["brand"] for each in told["items"]} == {"Zhen"}
    with Client(gateway.address) as client:
        seen = Event(EventType.VIEW, "1", NOW, "desk-lamp-red")
        bought = [Event(EventType.PURCHASE, str(n), datetime(2026, 1, n, tzinfo=UTC), "wool-rug-red") for n in (2, 3)]
        client.record_events((shopper, event) for event in (seen, *bought))
    assert rows(cli("shelf", shopper, "recently_viewed"))[1][5] == "1 view, last 0 days ago"
    assert rows(cli("shelf", shopper, "buy_again"))[1][5].startswith("bought on 2 days, last ")
    missing = cli("shelf", shopper, "similar_items")
    assert (missing.exit_code, "item_ids" in missing.stderr) == (2, True)


def test_profiles_of_many_shoppers(cli: Cli, gateway: RunningGateway, shopper: str) -> None:
    with Client(gateway.address) as client:
        client.record_events([(shopper, Event(EventType.VIEW, uuid4().hex, NOW, "desk-lamp-red"))])
    asked = f"{shopper}\n\n台灯 nobody\n" + f"{shopper}\n" * 300
    result = cli("profiles", "-", input=asked)
    assert (result.exit_code, result.stderr) == (2, "standard input: 1 have no profile\n")
    header, first, missing, *others = [line.split("\t") for line in result.stdout.splitlines()]
    assert header[:2] == ["shopper", "events"]
    assert (first[:2], missing[0], len(others)) == ([shopper, "1"], "台灯 nobody", 300)
    assert "no event of this shopper" in missing[-1]
    known, unknown = map(json.loads, cli("profiles", "-", "--json", input=f"{shopper}\nnobody").stdout.splitlines())
    assert (known["shopper_id"], known["event_count"]) == (shopper, 1)
    assert (unknown["shopper_id"], unknown["code"]) == ("nobody", 5)
    assert cli("profiles", "-").stdout.splitlines() == ["\t".join(header)]


@pytest.mark.parametrize("command", FILE_COMMANDS, ids=" ".join)
def test_files_that_are_none_end_in_one_line(cli: Cli, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\0binary")
    for file in (tmp_path / "no such file", tmp_path, tmp_path / "bytes"):
        result = cli(*command, str(file))
        assert result.exit_code == 2, result.output
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert str(file) in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.parametrize("command", FILE_COMMANDS, ids=" ".join)
def test_empty_files_are_no_error_of_the_program(cli: Cli, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    result = cli(*command, str(tmp_path / "empty"))
    assert result.exit_code in {0, 2}
    assert not isinstance(result.exception, Exception), result.exception


@pytest.mark.parametrize(
    "command", [*([*each, "a"] for each in ONE_SHOPPER), ["item", "get", "a"], ["encode", "-"]], ids=" ".join
)
def test_a_gateway_out_of_reach_is_told_in_one_line(
    cli: Cli, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_MIN_SECONDS", 60.0)  # no retry, whose short deadline a busy machine may miss
    result = cli(*command, "--address", "127.0.0.1:1", "--timeout", "60", input="a")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 127.0.0.1:1: UNAVAILABLE: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--address", "http://localhost:1"], "address takes host:port without http://: give localhost:1"),
        (["--address", "https://shop:443"], "give shop:443 and TLS (tls=Tls(), --tls)"),
        (["--address", "localhost:99999"], "a port from 1 to 65535"),
        (["--timeout", "inf"], "timeout takes seconds"),
        (["--timeout", "nan"], "--timeout"),
        (["--timeout", "0"], "--timeout"),
        (["--caller", "a b"], "a caller's name"),
        (["--key", "a"], "--certificate and --key go together"),
    ],
)
def test_options_of_the_connection_that_can_not_be_are_named(cli: Cli, arguments: list[str], told: str) -> None:
    result = cli("profile", "a", *arguments)
    assert result.exit_code == 2
    assert told in re.sub(r"\s*│?\n│?\s*", " ", result.stderr)


def test_numbers_that_no_message_holds_are_named(cli: Cli, shopper: str) -> None:
    for arguments in (["set-demographics", shopper, "--age", str(2**40)], ["recommend", shopper, "-k", str(2**40)]):
        result = cli(*arguments)
        assert result.exit_code == 2
        assert re.fullmatch(r"error: (age|k) takes a whole number of at most 32 bits\n", result.stderr)
    assert "k: sent -1; the limit is 0 to 1000" in cli("recommend", shopper, "-k", "-1").stderr


def test_a_timeout_that_is_over_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        result = Cli(f"{host}:{port}")("profile", "nobody", "--timeout", "0.1")
    assert result.exit_code == 1
    assert "DEADLINE_EXCEEDED" in result.stderr
    assert "--timeout" in result.stderr


def test_a_trait_may_have_an_equals_sign_in_its_name(cli: Cli) -> None:
    result = cli("audience", "estimate", "--trait", "a=b=0.5")
    assert result.exit_code == 2
    assert "is not NAME=MIN" not in result.stderr


def environment(address: str, **more: str) -> Mapping[str, str]:
    return os.environ | {"PORTRAIT_ADDRESS": address} | more


def test_a_reader_that_leaves_ends_the_command_in_silence(gateway: RunningGateway) -> None:
    command = [*MAIN, "encode", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(gateway.address)
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"lamp\n" * 3000)
        process.stdin.close()
        assert json.loads(process.stdout.readline())["text"] == "lamp"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    "command", [["recommend", "nobody"], ["recommend", "nobody", "--json"], ["--help"]], ids=" ".join
)
def test_a_reader_that_was_never_there_is_no_traceback(gateway: RunningGateway, command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*MAIN, *command],
        stdout=writer,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(gateway.address),
        check=False,
    )
    os.close(writer)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


def read_all(terminal: int) -> bytes:
    """Read what was written to a terminal that its program has left."""
    written = b""
    with contextlib.suppress(OSError):  # the end
        while part := os.read(terminal, 10_000):
            written += part
    return written


@pytest.mark.parametrize(("more", "coloured"), [({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_no_colour_where_none_is_wanted(gateway: RunningGateway, more: dict[str, str], coloured: bool) -> None:
    terminal, program = pty.openpty()
    wanted = environment(gateway.address, TERM="xterm-256color", **more)
    subprocess.run([*MAIN, "profile", "nobody"], stderr=program, stdout=program, env=wanted, check=False)
    os.close(program)
    written = read_all(terminal)
    os.close(terminal)
    assert b"NOT_FOUND" in written
    assert (b"\x1b[31m" in written) is coloured
