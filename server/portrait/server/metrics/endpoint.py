"""The plain HTTP endpoint of a process: metrics for Prometheus, probes for an orchestrator.

Probes by gRPC can't pass mutual TLS, as an orchestrator has no certificate; these need none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

from portrait.server.runtime.addresses import name_address_in_errors
from portrait.server.runtime.direct_http import open_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

METRICS_PATH, ALIVE_PATH, READY_PATH = "/metrics", "/livez", "/readyz"
_OF_TENANTS = (f"{METRICS_PATH}/", f"{READY_PATH}/")
_METRICS_URL = re.compile(rf"(https?://[^/]+.*?){METRICS_PATH}(/[^/]+)?/?")
"""URL of metrics, those of a tenant perhaps; the name of a host, or of a tenant, may be `metrics` too."""

Probe = Callable[[], str | None]
"""Returns the reason why the answer is no; None if it is yes. Called from threads of the endpoint."""


_NO_TENANTS: Mapping[str, tuple[CollectorRegistry, Probe]] = {}


@dataclass(frozen=True, slots=True)
class Probes:
    """The questions of an orchestrator."""

    alive: Probe
    """Asks whether the process runs; if not, it must be killed and started again."""
    ready: Probe
    """Asks whether calls are answered; if not, none should be sent here."""


def serve_endpoint(
    registry: CollectorRegistry,
    probes: Probes,
    host: str,
    port: int,
    tenants: Mapping[str, tuple[CollectorRegistry, Probe]] = _NO_TENANTS,
) -> tuple[int, Callable[[], None]]:
    """Serve metrics at `http://host:port/metrics` and the probes at `/livez` and `/readyz`, from threads.

    A probe is answered with 200, or with 503 and the reason.

    Args:
        registry: the metrics of the process.
        probes: answer for the process.
        host: the address to listen on.
        port: 0 for a free one.
        tenants: metrics and readiness of each tenant, served at `/metrics/TENANT` and `/readyz/TENANT`.

    Returns:
        the port, and a function that stops the endpoint.

    Raises:
        OSError: the port is taken.
    """
    with name_address_in_errors(host, port):
        server, thread = start_http_server(port, addr=host, registry=registry)
    show_metrics = make_wsgi_app(registry)
    by_path = {ALIVE_PATH: probes.alive, READY_PATH: probes.ready}
    by_path |= {f"{READY_PATH}/{name}": ready for name, (_, ready) in tenants.items()}
    shown = {f"{METRICS_PATH}/{name}": make_wsgi_app(own) for name, (own, _) in tenants.items()}

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in by_path:
            return _answer_probe(by_path[path], start_response)
        if path.startswith(_OF_TENANTS) and path not in shown:
            return _answer("404 Not Found", "there is no such tenant", start_response)
        return shown.get(path, show_metrics)(environ, start_response)

    server.set_app(answer)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def ask_ready(metrics_url: str, timeout_seconds: float) -> str | None:
    """Ask another process, by the URL of its metrics, whether it answers calls; returns as a `Probe` does.

    Raises:
        OSError: nobody answers.
        HTTPException: what answers speaks no HTTP.
    """
    try:
        open_url(_find_ready_url(metrics_url), timeout_seconds).close()
    except HTTPError as error:
        return error.read().decode().strip()
    return None


def _find_ready_url(metrics_url: str) -> str:
    """Return the URL of the readiness beside the metrics; they may be at the root too, as every path shows them."""
    found = _METRICS_URL.fullmatch(metrics_url)
    address, tenant = found.groups(default="") if found else (metrics_url.rstrip("/"), "")
    return f"{address}{READY_PATH}{tenant}"


def _answer_probe(probe: Probe, start_response: "StartResponse") -> Iterable[bytes]:
    reason = probe()
    return _answer("200 OK" if reason is None else "503 Service Unavailable", reason or "ok", start_response)


def _answer(status: str, text: str, start_response: "StartResponse") -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [f"{text}\n".encode()]
