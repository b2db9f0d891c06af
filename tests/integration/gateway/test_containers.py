"""The gateway as the first process of a container that has no init process."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.faults import killed
from support.gateway import run_gateway

from portrait.client import Client

_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
_SECONDS = 60.0


def _allowed() -> bool:
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _allowed(), reason="this user may not make a namespace of processes")
def test_the_first_process_reaps_orphans(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path, within=_NAMESPACE) as served:
        [gateway] = psutil.Process(served.process.pid).children()
        try:
            [triton] = gateway.children()
            models = triton.children()
            assert models
            with killed(triton.pid):
                # As `docker exec` does: a process whose parent ends before it.
                inside = ["nsenter", "--target", str(gateway.pid), "--pid", "--mount"]
                subprocess.run([*inside, "sh", "-c", "sleep 0.2 & sleep 0.4 &"], check=True)
            with Client(served.address, timeout=_SECONDS) as client:
                _wait(lambda: _answers(client))
            _wait(lambda: _list_names(gateway) == ["tritonserver"])  # a zombie has a name as well
            assert triton.pid not in [child.pid for child in gateway.children()]
            _wait(lambda: not any(map(psutil.Process.is_running, models)))
        finally:
            os.kill(gateway.pid, signal.SIGTERM)
            assert served.process.wait(_SECONDS) == 0


def _list_names(gateway: psutil.Process) -> list[str]:
    """Names of its children that are still there once they are asked for."""
    names = []
    for child in gateway.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(child.name())
    return names


def _answers(client: Client) -> bool:
    try:
        return bool(client.encode_texts(["lamp"]))
    except Exception:
        return False


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
