"""Addresses to listen on: forms that are taken, forms that are told, and what is printed."""

import os
import socket
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.processes.pool import reserve_port
from portrait.server.runtime import addresses
from portrait.server.settings import Settings


@pytest.mark.parametrize(
    ("given", "bound", "printed"),
    [
        ("127.0.0.1", "127.0.0.1:7", "127.0.0.1:7"),
        ("localhost", "localhost:7", "localhost:7"),
        ("::1", "[::1]:7", "[::1]:7"),
        ("[::1]", "[::1]:7", "[::1]:7"),
        ("0:0:0:0:0:0:0:1", "[::1]:7", "[::1]:7"),
        ("[::]", "[::]:7", "[::1]:7"),
        ("::", "[::]:7", "[::1]:7"),
        ("0.0.0.0", "0.0.0.0:7", "127.0.0.1:7"),
        ("unix:/run/portrait.sock", "unix:/run/portrait.sock", "unix:/run/portrait.sock"),
        ("unix:///run/portrait.sock", "unix:/run/portrait.sock", "unix:/run/portrait.sock"),
        ("unix:/run/a b%41.sock", "unix:/run/a%20b%2541.sock", "unix:/run/a%20b%2541.sock"),
        ("unix:portrait.sock", f"unix:{Path.cwd()}/portrait.sock", f"unix:{Path.cwd()}/portrait.sock"),
    ],
)
def test_each_form_is_bound_and_can_be_called_as_printed(given: str, bound: str, printed: str) -> None:
    host = Settings(host=given).host
    assert addresses.bind_address(host, 7) == bound
    assert addresses.client_address(host, 7) == printed
    assert Settings(host=host).host == host  # as processes that share the port read it again


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", "an IP address such as"),
        ("127.0.0.1:50051", "the port is a setting of its own"),
        ("[::1]:50051", "the port is a setting of its own"),
        ("http://127.0.0.1", "an IP address such as"),
        ("[127.0.0.1]", "an IP address such as"),
        ("[::1", "an IP address such as"),
        ("::g", "an IP address such as"),
        (" ::1", "an IP address such as"),
        ("/run/portrait.sock", "unix:/path"),
        ("unix:", "the path of a file"),
        ("unix://run/portrait.sock", "an absolute path"),
        ("unix:/" + "x" * 200, "107 bytes"),
        ("unix-abstract:portrait", "unix:/path"),
    ],
)
def test_any_other_form_is_told(given: str, wanted: str) -> None:
    with pytest.raises(ValidationError, match=wanted) as raised:
        Settings(host=given)
    assert raised.value.errors()[0]["loc"] == ("host",)


def test_metrics_have_no_unix_socket() -> None:
    assert addresses.metrics_url(Settings(metrics_host="[::1]").metrics_host, 9) == "http://[::1]:9/metrics"
    assert addresses.metrics_url(Settings(metrics_host="0.0.0.0").metrics_host, 9) == "http://127.0.0.1:9/metrics"
    with pytest.raises(ValidationError, match="Unix socket can't be used here"):
        Settings(metrics_host="unix:/run/metrics.sock")


def test_processes_do_not_share_a_unix_socket() -> None:
    with pytest.raises(ValidationError, match="can't share a Unix socket"):
        Settings(host="unix:/run/portrait.sock", processes=2)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.5.5.5", "::1", "localhost", "unix:/run/portrait.sock")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "fe80::1", "no-such-name.invalid")),
    ],
)
def test_what_other_machines_reach_is_known(host: str, local: bool) -> None:
    assert addresses.is_local(host) is local


def test_a_socket_file_is_taken_over_only_when_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    addresses.claim_unix_socket(f"unix:{path}")  # there is none
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(OSError, match="another process listens there"):
            addresses.claim_unix_socket(f"unix:{path}")
    assert path.exists()
    addresses.claim_unix_socket(f"unix:{path}")
    assert not path.exists()
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(OSError, match="no socket"):
        addresses.claim_unix_socket(f"unix:{path}")
    assert path.read_text(encoding="utf-8") == "precious"
    with pytest.raises(OSError, match=r"folder .*missing does not exist"):
        addresses.claim_unix_socket(f"unix:{tmp_path}/missing/s")


def test_a_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        addresses.open_unix_socket_to_group(f"unix:{path}")
        assert oct(os.stat(path).st_mode & 0o777) == "0o660"


@pytest.mark.parametrize("host", ["no-such-name.invalid", "203.0.113.9", "2001:db8::1"])
def test_an_address_that_is_not_ours_is_told_with_its_setting(host: str) -> None:
    with pytest.raises(OSError, match=f"^metrics_host: {host}: "):
        addresses.require_local_address("metrics_host", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "::", "0.0.0.0", "unix:/run/portrait.sock"])
def test_an_address_of_this_machine_is_ours(host: str) -> None:
    addresses.require_local_address("host", host)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for listen in (reserve_port, partial(serve_endpoint, CollectorRegistry(), Probes(lambda: None, lambda: None))):
            with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}: Address already in use"):
                listen("127.0.0.1", port)
