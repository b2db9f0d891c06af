"""Access to the embedded Triton: only the user who started it reaches it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from portrait.features.release.layout import MODELS
from portrait.server.triton import EmbeddedTriton

_NOBODY = 65534
# Imports first: another user may not read the interpreter's folder.
_INTRUDER = """
import json, os, socket, sys
from tritonclient.grpc import InferenceServerClient, model_config_pb2

user, urls = int(sys.argv[1]), sys.argv[2:]
InferenceServerClient("127.0.0.1:1").close()
os.setgroups([])
os.setgid(user)
os.setuid(user)

def tried(url):
    if url.startswith("unix:"):
        try:
            socket.socket(socket.AF_UNIX).connect(url.removeprefix("unix:"))
        except OSError as error:
            return type(error).__name__
    try:
        with InferenceServerClient(url) as client:
            client.unload_model("text_encoder", client_timeout=5)
        return "unloaded"
    except Exception as error:
        return str(error)

print(json.dumps({url: tried(url) for url in urls}))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_reaches_no_model(embedded_triton: EmbeddedTriton, client: InferenceServerClient) -> None:
    ports = _listening(embedded_triton)
    urls = [embedded_triton.url, *(f"127.0.0.1:{port}" for port in ports)]
    command = [sys.executable, "-c", _INTRUDER, str(_NOBODY), *urls]
    answers = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    print(answers)
    assert answers.pop(embedded_triton.url) == "PermissionError"
    assert all("UNAVAILABLE" in answer for answer in answers.values()), answers
    for model in MODELS:
        assert await client.is_model_ready(model, "1")


def test_only_the_metrics_are_on_tcp(embedded_triton: EmbeddedTriton) -> None:
    assert [f"http://127.0.0.1:{port}/metrics" for port in _listening(embedded_triton)] == [embedded_triton.metrics_url]


def test_no_file_of_it_is_open_to_other_users(embedded_triton: EmbeddedTriton, tmp_path: Path) -> None:
    assert embedded_triton.pid is not None
    arguments = psutil.Process(embedded_triton.pid).cmdline()
    [backends] = [argument for argument in arguments if argument.startswith("--backend-directory=")]
    folder = Path(backends.partition("=")[2]).parent
    regions = list(Path("/dev/shm").glob(f"{folder.name}*"))
    files = [folder, embedded_triton._log, *regions]
    assert len(regions) >= len(MODELS)
    assert {str(path): stat.filemode(path.stat().st_mode) for path in files if path.stat().st_mode & 0o077} == {}


def _listening(triton: EmbeddedTriton) -> list[int]:
    """TCP ports on which the server and its children listen."""
    assert triton.pid is not None
    server = psutil.Process(triton.pid)
    processes = [server, *server.children(recursive=True)]
    connections = [each for process in processes for each in process.net_connections(kind="tcp")]
    return sorted({each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN})
