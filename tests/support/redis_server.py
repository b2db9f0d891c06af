"""Real Redis servers, alone and as a cluster, each in a folder of its own on this machine."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from support.ports import find_free_port

_SECONDS = 60.0
_NODE_TIMEOUT_MILLISECONDS = 1_000


@dataclass
class RedisServer:
    """A server, which runs once it was started.

    Args:
        command: that runs it.
        folder: where it keeps its files.
        url: where it answers.
    """

    command: list[str]
    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, for the first time or after its end, and wait until it answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        _wait_until_ready(self.process, self.url)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def clear(self) -> None:
        """Remove everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@contextmanager
def run_redis(folder: Path, *options: str, port: int = 0) -> Iterator[RedisServer]:
    """Run a server until the end of the block; skips the test where there is none to run.

    Args:
        folder: where it keeps its files; is made.
        options: further ones of `redis-server`.
        port: of 127.0.0.1; 0 for a Unix socket only.
    """
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server: it comes with the package of this name")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis.sock"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
    command += ["--save", "", *([] if port else ["--unixsocket", str(path)]), *options]
    url = f"redis://127.0.0.1:{port}" if port else f"unix://{path}"
    server = RedisServer(command, folder, url)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def run_redis_cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Run three masters, each with a replica; the masters come first."""
    with ExitStack() as closing:
        servers = []
        for number in range(6):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT_MILLISECONDS))
            port = find_free_port()
            options += ("--cluster-port", str(find_free_port()))
            servers.append(closing.enter_context(run_redis(folder / str(number), *options, port=port)))
        addresses = [server.url.removeprefix("redis://") for server in servers]
        create = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=_SECONDS)
        _wait_for_cluster(servers)
        yield sorted(servers, key=_is_replica)


def _is_replica(server: RedisServer) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return str(client.info("replication")["role"]) != "master"


def _wait_for_cluster(servers: list[RedisServer]) -> None:
    """Wait until every node knows all slots, and every replica has caught up with its master."""
    until = time.monotonic() + _SECONDS
    for server in servers:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            while True:
                state, replication = client.cluster("INFO")["cluster_state"], client.info("replication")
                is_master = replication["role"] == "master"
                linked = replication["connected_slaves"] if is_master else replication["master_link_status"] == "up"
                if state == "ok" and linked:
                    break
                assert time.monotonic() < until, (state, replication)
                time.sleep(0.05)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + _SECONDS
    while True:
        assert process.poll() is None, "redis-server has ended: see redis.log in its folder"
        try:
            with redis.Redis.from_url(url) as client:
                client.ping()
            return
        except redis.AuthenticationError:
            return
        except redis.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.02)
