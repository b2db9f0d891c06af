"""Child processes end with their parent, and start whatever gRPC does meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portrait.server.runtime.child_processes import end_with_parent

_PARENT = """
import subprocess, sys
from portrait.server.runtime.child_processes import end_with_parent
child = subprocess.Popen(end_with_parent(["sleep", "600"]))
print(child.pid, flush=True)
child.wait()
"""

_BUSY = """
import asyncio, os, sys
import grpc
from portrait.server.runtime.child_processes import end_with_parent

async def call_for_ever(port):
    own_connection = [("grpc.use_local_subchannel_pool", 1)]
    while True:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=own_connection) as own:
            try:
                await own.unary_unary("/none/Is")(b"", timeout=1)
            except grpc.aio.AioRpcError:
                pass

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    calls = [asyncio.create_task(call_for_ever(port)) for _ in range(4)]
    codes = []
    for _ in range(60):
        process = await asyncio.create_subprocess_exec(*end_with_parent(["true"]))
        codes.append(await process.wait())
    print(sorted(set(codes)), flush=True)
    os._exit(0)

asyncio.run(main())
"""


def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, encoding="utf-8") as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"):
            time.sleep(0.01)
        parent.kill()
        parent.wait()
        while _runs(child):
            time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_whose_parent_is_gone_does_not_start() -> None:
    command = end_with_parent(["true"])
    command[command.index(str(os.getpid()))] = "1"
    assert subprocess.run(command, check=False).returncode == 1


def test_files_of_a_child_are_private_on_demand(tmp_path: Path) -> None:
    subprocess.run(end_with_parent(["touch", str(tmp_path / "file")], umask=0o077), check=True)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_children_start_while_grpc_is_at_work() -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    done = subprocess.run(
        [sys.executable, "-c", _BUSY], stdout=subprocess.PIPE, encoding="utf-8", check=True, env=inherited
    )
    assert done.stdout.strip() == "[0]"
