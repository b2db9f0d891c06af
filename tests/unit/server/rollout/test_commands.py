import math
import re
import socketserver
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from support import tiny_release
from typer.testing import CliRunner, Result

from portrait.features.release import layout as release_layout
from portrait.server.audit.log import read_lines, verify
from portrait.server.rollout.audited_choice import AuditNote, choose_audited
from portrait.server.rollout.commands import release
from portrait.server.rollout.control import FileControl
from portrait.server.rollout.gateway_status import CANARY, PERCENT, SERVING
from portrait.server.rollout.traffic import Traffic, file_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        tiny_release.build(tmp_path, number)
    return tmp_path


def run(repository: Path, *arguments: str) -> Result:
    return CliRunner().invoke(release, [*arguments, "--repository", str(repository)], env={"COLUMNS": "300"})


def test_releases_are_promoted_and_taken_back(repository: Path) -> None:
    assert run(repository, "promote", "2").exit_code == 0
    # Nobody had promoted anything: gateways served the newest beside it.
    assert Traffic.read(repository) == Traffic(2, 3)
    assert run(repository, "promote", "1").exit_code == 0
    assert Traffic.read(repository) == Traffic(1, 2)
    done = run(repository, "rollback")
    assert (done.exit_code, Traffic.read(repository)) == (0, Traffic(2, 1))
    assert "2 serves" in done.output
    assert "before: 1" in done.output


def test_a_canary_is_begun_changed_and_ended(repository: Path) -> None:
    assert run(repository, "canary", "3", "--percent", "5").exit_code == 0
    assert Traffic.read(repository) == Traffic(2, None, 3, 5.0)
    assert run(repository, "canary", "3", "--percent", "50").exit_code == 0
    assert Traffic.read(repository) == Traffic(2, None, 3, 50.0)
    assert run(repository, "canary", "3", "--percent", "0").exit_code == 0
    assert Traffic.read(repository) == Traffic(2)


def test_the_list_shows_what_serves_and_what_is_damaged(repository: Path) -> None:
    Traffic(1, 2, 3, 2.5).write(repository)
    (release_layout.release_folder(repository, 3) / release_layout.ITEMS).write_text("", encoding="utf-8")
    shown = run(repository, "list")
    assert shown.exit_code == 0
    _, one, two, three = shown.output.splitlines()
    assert one.split() == ["1", "2026-01-01T00:00:00+00:00", "serving", "whole"]
    assert two.split()[2:] == ["before", "whole"]
    assert three.split(maxsplit=3)[:3] == ["3", "canary", "2.5%"]
    assert "items.jsonl is not what the manifest says" in three


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["promote", "7"], "holds no release 7; those there are: 1, 2, 3"),
        (["promote", "0"], "'RELEASE'"),
        (["promote", "one"], "'RELEASE'"),
        (["canary", "2", "--percent", "101"], "'--percent'"),
        (["canary", "2", "--percent", "nan"], "'--percent'"),
        (["canary", "2", "--percent", "0"], "release 2 is no canary"),
        (["canary", "1", "--percent", "5"], "its own canary"),
        (["promote", "3"], "release 3 is damaged"),
        (["rollback"], "nothing to return to"),
        (["promote", "2", "--gateway", "ftp://x"], "no address of metrics"),
        (["promote", "2", "--gateway", "http://127.0.0.1:1/metrics"], "does not answer"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(repository: Path, arguments: list[str], said: str) -> None:
    Traffic(1).write(repository)
    (release_layout.release_folder(repository, 3) / release_layout.ITEMS).write_text("", encoding="utf-8")
    done = run(repository, *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert Traffic.read(repository) == Traffic(1)


def test_a_file_that_is_none_is_named(repository: Path) -> None:
    file_of(repository).write_text("{", encoding="utf-8")
    for arguments in (["list"], ["promote", "1"], ["rollback"]):
        done = run(repository, *arguments)
        assert done.exit_code == 2
        assert "traffic.json" in done.output


def test_metrics_of_something_else_are_no_gateway(repository: Path) -> None:
    server, thread = start_http_server(0, addr="127.0.0.1")
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        done = run(repository, "promote", "2", "--gateway", url)
        assert done.exit_code == 2
        assert "no gateway of Portrait" in done.output
        assert f"{url}: unknown" in run(repository, "list", "--gateway", url).output
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_metrics_that_are_no_number_are_no_gateway(repository: Path) -> None:
    registry = CollectorRegistry()
    for name in (SERVING, CANARY, PERCENT):
        Gauge(name, "No number.", registry=registry).set(math.nan)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        done = run(repository, "promote", "2", "--gateway", f"http://127.0.0.1:{server.server_port}/metrics")
        assert done.exit_code == 2
        assert "no gateway of Portrait" in done.output
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _NoHttp(socketserver.BaseRequestHandler):
    """A server that answers HTTP with bytes that are none, as a gateway's gRPC port might."""

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")


def test_the_port_of_calls_is_not_that_of_metrics(repository: Path) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), _NoHttp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        done = run(repository, "promote", "2", "--gateway", f"http://127.0.0.1:{server.server_address[1]}/metrics")
        server.shutdown()
        thread.join()
    assert done.exit_code == 2, done.output
    assert "does not answer" in done.output
    assert not file_of(repository).exists()


def test_changes_are_written_down_before_they_are_made(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = ("--audit-log", str(path))
    assert run(repository, "promote", "2", *audit, "--reason", "ticket 7").exit_code == 0
    assert run(repository, "canary", "1", "--percent", "5", *audit).exit_code == 0
    assert run(repository, "rollback", *audit, "--reason", "worse clicks").exit_code == 0
    assert run(repository, "promote", "9", *audit).exit_code == 2  # refused before it began
    assert verify(path).lines == 6
    begun = [line for line in read_lines(path) if "method" in line]
    assert [(line["method"], line["reason"]) for line in begun] == [
        ("release promote", "ticket 7"),
        ("release canary", ""),
        ("release rollback", "worse clicks"),
    ]
    assert [(line["before"]["serving"], line["wanted"]["serving"]) for line in begun] == [(3, 2), (2, 2), (2, 3)]
    assert begun[1]["wanted"] == {"serving": 2, "previous": 3, "canary": 1, "percent": 5.0}
    [caller] = {line["caller"] for line in begun}
    assert re.fullmatch(r"user [^@]+@.+", caller)
    assert {line["place"] for line in begun} == {str(repository.resolve())}
    outcomes = {line["of"]: line["outcome"] for line in read_lines(path) if "of" in line}
    assert outcomes == {line["number"]: "OK" for line in begun}


def test_what_cant_be_written_down_is_not_done(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run(repository, "promote", "2", "--audit-log", str(tmp_path / "folder"))
    assert (done.exit_code, "can't be written" in done.output) == (2, True)
    for reason in ("line\nend", "x" * 201, "名"):
        done = run(repository, "promote", "2", "--reason", reason)
        assert (done.exit_code, "1 to 200 printable ASCII" in done.output) == (2, True)
    assert Traffic.read(repository) is None


def test_a_change_that_fails_is_written_down_as_one(repository: Path, tmp_path: Path) -> None:
    Traffic(1).write(repository)
    file_of(repository).unlink()
    file_of(repository).mkdir()  # nothing can be put in its place
    path = tmp_path / "audit.jsonl"
    control = FileControl(repository, None)
    with pytest.raises(OSError, match="directory"):
        choose_audited(control, Traffic(1), Traffic(2), AuditNote(path, "release promote", ""))
    assert [line.get("outcome") for line in read_lines(path)] == [None, "IsADirectoryError"]
