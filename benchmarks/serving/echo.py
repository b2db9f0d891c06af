"""An empty gRPC server, to measure the cost of a call in Python before any work.

`python -m benchmarks.serving.echo` prints its port and serves until it is killed.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import uvloop

from benchmarks.common.load.generator import Call

PATH = "/benchmarks.Echo/Echo"
CALL = Call(PATH, b"")


async def _answer(request: bytes, _: object) -> bytes:
    return request


async def _run_server() -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(_answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmarks.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


@contextmanager
def run_echo_server() -> Iterator[str]:
    """Run an echo server in a process of its own; yield its address."""
    with subprocess.Popen([sys.executable, "-m", __spec__.name], stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


if __name__ == "__main__":
    uvloop.run(_run_server())
