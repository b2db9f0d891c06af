"""A proxy on loopback that serves nobody and remembers who asked, and the variables that name it."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

_NAMES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


@dataclass
class Proxy:
    """Requests that reached the proxy."""

    environment: Mapping[str, str]
    """Variables that name it, in lower and upper case."""
    requests: list[str] = field(default_factory=list)
    """First line of each request."""


@contextmanager
def recording_proxy() -> Iterator[Proxy]:
    """Run a proxy that answers every request with 502, until the end of the block."""

    class Refusing(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            proxy.requests.append(self.rfile.readline().decode(errors="replace").strip())
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        named = {name: url for lower in _NAMES for name in (lower, lower.upper())}
        # Nothing may depend on what the machine excepts from its proxies.
        proxy = Proxy({**named, "no_proxy": "", "NO_PROXY": ""})
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()
