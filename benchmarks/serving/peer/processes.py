"""Peers in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.common.load.generator import OK, CallResult
from benchmarks.common.processes import find_free_port
from benchmarks.serving.peer import model

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Peer:
    """A peer that was started."""

    pid: int
    address: str
    """host:port."""


@contextmanager
def run_peer(kind: str, settings: Mapping[str, object]) -> Iterator[Peer]:
    """Run a peer until the end of the block; it need not answer yet.

    Args:
        kind: name of the module beside this one.
        settings: environment variables of `model`, without the port.
    """
    port = find_free_port()
    environment = os.environ | {name: str(value) for name, value in settings.items()} | {model.PORT: str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.serving.peer.{kind}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Peer(process.pid, f"127.0.0.1:{port}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # workers that did not follow
        process.wait()


def wait_until_answering(kind: str, send: Callable[[], Sequence[CallResult]]) -> None:
    """Wait until all calls of a load are answered.

    Raises:
        RuntimeError: they are not within a minute.
    """
    until = time.monotonic() + _START_SECONDS
    while not _all_answered(send):
        if time.monotonic() > until:
            raise RuntimeError(f"{kind} does not answer")
        time.sleep(0.2)


def _all_answered(send: Callable[[], Sequence[CallResult]]) -> bool:
    try:
        return all(each.code == OK for each in send())
    except OSError:  # nothing listens yet
        return False
