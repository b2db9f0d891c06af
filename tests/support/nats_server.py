"""A real NATS server with JetStream, in a folder of its own on this machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import find_free_port

_SECONDS = 30.0


@contextmanager
def run_nats(folder: Path) -> Iterator[str]:
    """Run a server until the end of the block; yields host:port, or skips the test where there is none to run."""
    program = shutil.which("nats-server")
    if program is None:
        pytest.skip("there is no nats-server: it comes with the package of this name")
    port = find_free_port()
    options = ["--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(folder)]
    with (folder / "nats.log").open("wb") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=log)
    try:
        until = time.monotonic() + _SECONDS
        while True:
            assert process.poll() is None, "nats-server has ended: see nats.log in its folder"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
