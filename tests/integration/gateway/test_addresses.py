"""Addresses: the gateway listens where it is told to, and can be called where it says."""

import json
import urllib.request
from pathlib import Path

import pytest
from support.command_line import run_portrait
from support.gateway import RunningGateway, run_gateway, serve_command
from typer import Typer
from typer.testing import CliRunner

from portrait.client import Client, Event, EventType, commands

VIEW = [Event(EventType.VIEW, item_id="desk-lamp-red")]


def check(gateway: RunningGateway) -> None:
    """Call the addresses that were printed."""
    with Client(gateway.address, timeout=30) as client:
        assert client.get_profile(VIEW).event_count == 1
    app = Typer()
    app.command("recommend")(commands.recommend)
    shown = CliRunner().invoke(app, ["nobody", "--k", "3", "--address", gateway.address, "--timeout", "30"])
    assert shown.exit_code == 0, shown.output
    with urllib.request.urlopen(gateway.line("ready")["metrics"], timeout=30) as answer:
        assert b"portrait_rpcs_total" in answer.read()


def warnings(gateway: RunningGateway) -> list[str]:
    return [line["host"] for line in gateway.logged if line["event"] == "plain_text"]


def test_all_addresses_of_the_machine(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path, "--host", "[::]", "--metrics-host", "::") as gateway:
        assert gateway.address.startswith("[::1]:")
        check(gateway)
        assert warnings(gateway) == ["::"]


def test_a_unix_socket(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "portrait.sock"
    where = ("--host", f"unix:{path}", "--metrics-host", "[::1]")
    with run_gateway(repository, tmp_path, *where) as gateway:
        assert gateway.address == f"unix:{path}"
        check(gateway)
        assert oct(path.stat().st_mode & 0o777) == "0o660"
        assert warnings(gateway) == []
        second = run_portrait(*serve_command(repository, tmp_path, *where)[1:])
        assert second.code == 1
        assert "another process listens there" in second.stderr
        check(gateway)
        assert gateway.terminate() == 0
        assert not path.exists()


def test_another_form_is_told(repository: Path, tmp_path: Path) -> None:
    for option in ("--host", "--metrics-host"):
        done = run_portrait(*serve_command(repository, tmp_path, option, "[::1]:50051")[1:])
        assert done.code == 2
        assert "the port is a setting of its own" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("setting", "host", "processes"),
    [
        ("host", "no-such-name.invalid", "1"),
        ("host", "203.0.113.9", "2"),
        ("metrics_host", "no-such-name.invalid", "2"),
    ],
)
def test_an_address_that_is_not_ours_is_told_before_anything_starts(
    repository: Path, tmp_path: Path, setting: str, host: str, processes: str
) -> None:
    option = f"--{setting.replace('_', '-')}"
    done = run_portrait(*serve_command(repository, tmp_path, option, host, "--processes", processes)[1:])
    assert done.code == 1
    [line] = [json.loads(text) for text in done.stderr.splitlines()]
    assert line["reason"].startswith(f"{setting}: {host}: ")
