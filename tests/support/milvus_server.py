"""A real Milvus Lite in a process of its own, which tests can kill and stop."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.faults import paused
from support.ports import find_free_port

_SECONDS = 60.0


@dataclass
class MilvusServer:
    """A server, which runs once it was started.

    Args:
        folder: where it keeps its files; exists.
        port: of 127.0.0.1.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, for the first time or after its end, and wait until it answers."""
        program = str(Path(sys.executable).parent / "milvus-lite")
        options = ["--data-dir", str(self.folder / "data"), "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "milvus.log").open("ab") as log:
            self.process = subprocess.Popen([program, "server", *options], stdout=log, stderr=log)
        until = time.monotonic() + _SECONDS
        while True:
            assert self.process.poll() is None, "milvus-lite has ended: see milvus.log in its folder"
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it hang until the end of the block: it accepts calls and answers none."""
        assert self.process is not None
        with paused(self.process.pid):
            yield


@contextmanager
def run_milvus(folder: Path) -> Iterator[MilvusServer]:
    """Run a server until the end of the block; skips the test where Milvus Lite is missing."""
    pytest.importorskip(
        "milvus_lite", reason="Milvus Lite is missing: it comes with the extra `milvus`", exc_type=ImportError
    )
    server = MilvusServer(folder, find_free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
